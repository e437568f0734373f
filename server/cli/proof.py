"""Evidence that stands up elsewhere: the trust file, evidence bundles, and checking one."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import click

from custody import recovery, report_pdf, sealing
from custody.bundle import Bundle
from custody.checks import ENDS, WORDS, examine
from schemas.labels import Label
from server import acts
from server.cli.frame import Group, Run, as_json, by, command, main, option, passphrase
from server.proofs import bundles, trusts
from server.proofs.posting import check_url
from server.storage.files import write_new
from sync.core.errors import InvalidField, Malformed, NotFound, NotReady, Refused
from sync.core.note import SignatureType, fingerprint, read_vkey
from sync.core.trust import Witness

TRUST = Group("trust", about=Label("信任文件（由根密钥签名）", "The trust file, signed by the root key"))
main.add_command(TRUST)

_FILE = click.Path(path_type=Path, dir_okay=False)
_COLOURS = {"pass": "green", "fail": "bold red", "not-checked": "yellow"}


@command(
    TRUST,
    "root",
    Label(
        "生成根密钥，存入口令加密的文件。此文件不放服务器，应离线保管；其指纹印在纸上公布。",
        "Make the root key, in a file encrypted with a passphrase. Keep the file offline and publish its fingerprint.",
    ),
    "patrolbook-server trust root /media/safe/root.age",
)
@click.argument("file", type=_FILE)
@passphrase
def root(run: Run, file: Path, passphrase: str | None) -> None:
    public = trusts.create_root(file, run.ask(passphrase, confirm=True))
    run.say(Label(f"已写入 {file}，请离线保管", f"Written to {file}; keep it offline"), "bold green")
    run.say(Label(f"根密钥指纹：{fingerprint(public)}", f"Fingerprint of the root key: {fingerprint(public)}"))


@command(
    TRUST,
    "sign",
    Label(
        "用根密钥签发信任文件的下一版并公布：本服务器的日志与签名公钥自动列入。",
        "Sign and publish the next edition of the trust file; this server's keys go into it by themselves.",
    ),
    "patrolbook-server trust sign /media/safe/root.age --authority 湖南省教育厅",
)
@click.argument("file", type=_FILE)
@option("--authority", about=Label("签发机关；默认沿用上一版", "Who issues it; as before if left out"))
@option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="KEY[,URL]",
    about=Label(
        "见证单位的公钥（patrolbook-witness show）和地址，可多次给出",
        "A witness's key, as `patrolbook-witness show` prints it, and its address; may be repeated",
    ),
)
@option(
    "--stamper",
    "stampers",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="PEM",
    about=Label(
        "时间戳机构的根证书（PEM 文件），可多次给出", "Root certificate of a time stamping authority; may be repeated"
    ),
)
@option("--quorum", type=click.IntRange(0), about=Label("需要几个见证", "How many witnesses are needed"))
@option(
    "--province",
    multiple=True,
    metavar="AGE1…",
    about=Label("省级密封公钥，暗访材料密封给它；可多次给出", "Whom evidence is sealed to; may be repeated"),
)
@option("--escrow", multiple=True, metavar="AGE1…", about=Label("另处备份的密封公钥", "The same, kept elsewhere"))
@option(
    "--county",
    "counties",
    multiple=True,
    metavar="AREA=AGE1…",
    about=Label("县区接收交办材料的公钥", "A county's key, to which hand-overs are wrapped"),
)
@passphrase
def sign(
    run: Run,
    file: Path,
    authority: str | None,
    witnesses: tuple[str, ...],
    stampers: tuple[Path, ...],
    quorum: int | None,
    province: tuple[str, ...],
    escrow: tuple[str, ...],
    counties: tuple[str, ...],
    passphrase: str | None,
) -> None:
    house = run.house
    held = trusts.published(house.settings)
    name = authority or (held.trust.authority if held is not None else "")
    if not name:
        raise InvalidField(field="authority", detail=Label("请写明签发机关", "say who issues it"))
    named = tuple(_witness(one) for one in witnesses) if witnesses else None
    roots = tuple(trusts.stamper(one.read_bytes()) for one in stampers) if stampers else None
    seed = trusts.open_root(file, run.ask(passphrase))
    before = held.trust if held is not None else None
    seal = trusts.next_seal(before, province, escrow, [_county(one) for one in counties])
    edition = trusts.next_edition(
        house.keys, name, house.now(), before, witnesses=named, quorum=quorum, stampers=roots, seal=seal
    )
    if edition.quorum > len(edition.witnesses):
        raise InvalidField(field="quorum", detail=Label("多于见证单位数", "more than there are witnesses"))

    def note(new: trusts.Published) -> None:
        said = {"edition": edition.edition, "root": new.root.hex(), "sha256": sha256(new.content).hexdigest()}
        with house.database.write() as conn:
            for compartment in house.keys.voices:
                acts.append(conn, compartment, acts.TRUST_UPDATED, house.now(), **said)

    new = trusts.publish(house.settings, edition, seed, note)
    told = Label(f"已公布第 {edition.edition} 版", f"Published edition {edition.edition}")
    run.say(told, "bold green")
    run.say(Label(f"根密钥指纹：{fingerprint(new.root)}", f"Fingerprint of the root key: {fingerprint(new.root)}"))


@command(
    TRUST,
    "seal-key",
    Label(
        "生成密封密钥，私钥存入口令加密的文件，留在省级（或县区）自己的解密机上；公钥写入信任文件。",
        "Make a key for sealed material. Its secret goes into a file encrypted with a passphrase, which stays on the "
        "province's (or a county's) own station; the public key goes into the trust file.",
    ),
    "patrolbook-server trust seal-key /media/safe/province.age",
)
@click.argument("file", type=_FILE)
@passphrase
def seal_key(run: Run, file: Path, passphrase: str | None) -> None:
    recipient = trusts.create_seal_key(file, run.ask(passphrase, confirm=True))
    run.say(Label(f"已写入 {file}，请离线保管", f"Written to {file}; keep it offline"), "bold green")
    run.say(Label(f"公钥：{recipient}", f"Public key: {recipient}"))
    run.say(
        Label(
            f"下一步：patrolbook-server trust sign 根密钥文件 --province {recipient}",
            f"Next: patrolbook-server trust sign ROOT --province {recipient}",
        )
    )


@command(
    TRUST,
    "recover",
    Label(
        "在省级解密机上答复平板的恢复请求：核对码须与对方电话里念的一致。",
        "On the province's station: answer a tablet's request for its keys. The code must be the one that its holder reads "
        "out on the telephone.",
    ),
    "patrolbook-server trust recover t-14.ask t-14.answer --identity /media/safe/province.age --code 'a1b2 c3d4 …'",
)
@click.argument("request", type=_FILE)
@click.argument("answer", type=_FILE)
@option("--identity", type=_FILE, required=True, about=Label("省级私钥文件", "The file with the province's secret"))
@option("--code", required=True, about=Label("对方念的核对码", "The code that was read out"))
@passphrase
def recover(run: Run, request: Path, answer: Path, identity: Path, code: str, passphrase: str | None) -> None:
    asked = recovery.read_request(request)
    if "".join(code.split()) != "".join(asked.code.split()):
        detail = Label("与请求文件不符；不要答复", "it is not that of the request; do not answer it")
        raise InvalidField(field="code", detail=detail)
    try:
        sealed = identity.read_bytes()
    except OSError as error:
        raise NotFound(what=str(identity)) from error
    write_new(answer, recovery.answer(asked, sealing.unlock_identity(sealed, run.ask(passphrase))))
    run.say(Label(f"已写入 {answer}，只有平板 {asked.device} 能打开", f"Written to {answer}, for {asked.device} only"))


@command(
    TRUST, "show", Label("显示已公布的信任文件。", "Show the published trust file."), "patrolbook-server trust show"
)
@as_json
def show(run: Run, as_json: bool) -> None:
    held = trusts.published(run.house.settings)
    if held is None:
        hint = Label("先运行 trust root 和 trust sign", "run trust root and trust sign first")
        raise NotReady(action=Label("显示信任文件", "show the trust file"), detail=hint)
    if as_json:
        run.json({"root": held.root.hex(), "fingerprint": fingerprint(held.root), "content": held.content.decode()})
        return
    trust = held.trust
    run.say(Label(f"{trust.authority}　第 {trust.edition} 版", f"{trust.authority}, edition {trust.edition}"), "bold")
    run.say(Label(f"根密钥指纹：{fingerprint(held.root)}", f"Fingerprint of the root key: {fingerprint(held.root)}"))
    rows = [(run.text(Label("日志", "log")), name, fingerprint(key)) for name, key in trust.logs.items()]
    rows += [(run.text(Label("服务器", "server")), name, fingerprint(key)) for name, key in trust.replicas.items()]
    rows += [(run.text(Label("见证", "witness")), one.name, fingerprint(one.key)) for one in trust.witnesses]
    rows += [(run.text(Label("时间戳机构", "time stamps")), *trusts.stamper_told(one)) for one in trust.stampers]
    if trust.seal is not None:
        rows += [(run.text(Label("密封给省级", "sealed to the province")), "", key) for key in trust.seal.province]
        rows += [(run.text(Label("密封给备份", "sealed to the escrow")), "", key) for key in trust.seal.escrow]
        rows += [
            (run.text(Label("交办给县区", "handed over to")), area, key)
            for area, keys in sorted(trust.seal.counties.items())
            for key in keys
        ]
    run.table([Label("类别", "sort"), Label("名称", "name"), Label("指纹", "fingerprint")], rows)
    run.say(Label(f"需要见证 {trust.quorum} 个", f"{trust.quorum} witnesses are needed"))


@command(
    main,
    "bundle",
    Label(
        "把一份检查（或案件、隐患）及其全部证据、变更、日志证明打成证据包，可脱离服务器核验。",
        "Put an inspection (or a case, a hazard) with its evidence, changes and proofs into a bundle that can be checked "
        "without this server.",
    ),
    "patrolbook-server bundle 01a202f7-0e2e-7a03-a06d-0afab0ed9a61 --purpose 随卷移送 --out 证据包.fib",
)
@click.argument("record")
@option("--out", type=_FILE, about=Label("文件名，默认 <编号>.fib", "File; <number>.fib if left out"))
@option("--purpose", required=True, about=Label("用途，永久留存", "What it is for; kept for good"))
@option(
    "--no-originals", is_flag=True, about=Label("不附原件，只列校验值", "Leave originals out, with their digests only")
)
@option(
    "--with-minors",
    is_flag=True,
    about=Label("出现未成年人的原件也附上（依法随卷移送），写入日志", "With files in which minors are visible, for a case file; the log says so"),
)
@option(
    "--identity",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    about=Label(
        "县区私钥文件：把交办件的核验信息（原件校验值、类型、时间）也附上，供核验承诺值",
        "The county's private key: with the facts of handed-over files (digests, type, times), so that commitments can be checked",
    ),
)
@passphrase
@by
def bundle(
    run: Run, record: str, out: Path | None, purpose: str, no_originals: bool, with_minors: bool, identity: Path | None,
    passphrase: str | None, by: str | None,
) -> None:  # fmt: skip
    person = run.person(by)
    target = out or Path(f"bundle-{record[-8:]}.fib")
    if target.exists():
        raise Refused(detail=Label(f"{target} 已存在，不会覆盖", f"{target} is there already and is not written over"))
    secret = sealing.unlock_identity(identity.read_bytes(), run.ask(passphrase)) if identity is not None else ""
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("整理证据", "Gathering evidence")), total=None)
        made = bundles.make(
            run.house, record, target, purpose=purpose, by=person.id, rights=run.rights_of(person),
            originals=not no_originals, with_minors=with_minors, secret=secret, progress=lambda what, done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    size, count = f"{made.size / (1 << 20):.1f} MiB", len(made.report.items)
    run.say(
        Label(f"已写入 {made.file}：{count} 件证据，{size}", f"Wrote {made.file}: {count} items, {size}"), "bold green"
    )
    for one in made.asked:
        if one.problem is not None:
            told = Label(
                f"见证 {one.witness}：{one.problem.text('zh')}", f"Witness {one.witness}: {one.problem.text('en')}"
            )
            run.say(told, "yellow")
    if trusts.published(run.house.settings) is None:
        hint = "还没有信任文件，核验会“材料不全”：请先 trust root、trust sign"
        english = "There is no trust file yet, so a check will be incomplete: run trust root and trust sign"
        run.say(Label(hint, english), "yellow")


@command(
    main,
    "verify-bundle",
    Label(
        "核验证据包。退出码：0 通过，1 有改动，2 材料不全，3 不是证据包。",
        "Check an evidence bundle. Exit code: 0 passed, 1 altered, 2 incomplete, 3 not a bundle.",
    ),
    'patrolbook-server verify-bundle 证据包.fib --root "9f22 7e72 c7e9 d2ed 8d77 d0ef 547d d7ce"',
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@option("--root", default="", about=Label("根密钥指纹，取自纸质或公告", "Fingerprint of the root key, from paper"))
@option("--anchor", "anchors", multiple=True, about=Label("纸质副本上的锚定码", "Code printed on a paper copy"))
@as_json
def verify_bundle(run: Run, file: Path, root: str, anchors: tuple[str, ...], as_json: bool) -> None:
    from custody.report import read_report
    from sync.core.errors import Problem

    try:
        with open(file, "rb") as stream:
            Bundle(stream, file.name)
            verdict = examine(
                stream, name=file.name, root=root, anchors=anchors,
                render=lambda content: report_pdf.render(read_report(content)),
            )  # fmt: skip
    except Problem as problem:
        run.say(Label(problem.text("zh"), problem.text("en")), "bold red")
        raise SystemExit(3) from problem
    if as_json:
        rows = [[one.code, one.outcome, run.text(one.title), run.text(one.detail)] for one in verdict.findings]
        run.json({"status": verdict.status, "findings": rows})
    else:
        for one in verdict.findings:
            told = f"{one.code} {run.text(WORDS[one.outcome])}  {run.text(one.title)}：{run.text(one.detail)}"
            run.say(Label(told, told), _COLOURS[one.outcome])
        run.say(ENDS[verdict.status], "bold")
    if verdict.status:
        raise SystemExit(verdict.status)


def _county(text: str) -> tuple[str, str]:
    area, found, key = text.partition("=")
    if not found:
        raise InvalidField(field="county", detail=Label("应写作 区划=公钥", "is written AREA=KEY"))
    return area, key


def _witness(text: str) -> Witness:
    key, _, url = text.partition(",")
    try:
        verifier = read_vkey(key)
    except Malformed:
        verifier = None
    if verifier is None or verifier.type is not SignatureType.COSIGNATURE:
        detail = Label("应为 见证公钥（名称+编号+base64），可加 ,地址", "is a witness's key (name+id+base64), and ,URL")
        raise InvalidField(field="witness", detail=detail)
    return Witness(verifier.name, verifier.public_key, check_url(url) if url else "")
