"""Who may come in: people, devices, grants."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import segno

from schemas.base import COMPARTMENTS
from schemas.cards import card_text
from schemas.certificates import why_not
from schemas.kinds.institution import DEPARTMENTS
from schemas.labels import Label
from server.access import enrolment, rights
from server.access.rights import ROLES
from server.cli.frame import Group, Run, as_json, by, command, main, option, reason
from server.exchange import leases, revocations, tablets
from server.merging import decisions
from server.moments import day, moment
from server.reading.listing import Listing
from server.register import officer_keys, staffing
from server.storage import people
from server.storage.people import Grant, Person
from sync.core.errors import InvalidField, NotFound

PEOPLE = Group("people", about=Label("人员", "People"))
DEVICES = Group("devices", about=Label("平板", "Tablets"))
GRANTS = Group("grants", about=Label("授权", "Grants"))
OFFICERS = Group("officers", about=Label("执法人员（证件）", "Certified officers"))
for group in (PEOPLE, DEVICES, GRANTS, OFFICERS):
    main.add_command(group)

ROLE = click.Choice(list(ROLES))
WALLS = {"": Label("", ""), "sealed": Label("（密封）", "(sealed)")}
_ID, _PERSON, _ROLE, _AREA = Label("编号", "id"), Label("人员", "person"), Label("角色", "role"), Label("区划", "area")


@command(
    PEOPLE,
    "add",
    Label("登记人员，可同时授权若干区划。", "Add a person, with grants on some areas if you like."),
    "patrolbook-server people add 李敏 --role inspector --area 430103001 --area 430103002",
)
@click.argument("name")
@option("--role", type=ROLE, required=True, about=Label("角色", "Role"))
@option(
    "--area",
    "areas",
    multiple=True,
    about=Label("区划代码前缀，可多次给出", "Prefix of division codes; may be repeated"),
)
@option(
    "--department",
    type=click.Choice(list(DEPARTMENTS)),
    about=Label("角色为“其他部门”时：哪个部门", "For the role of other departments: which one"),
)
def add(run: Run, name: str, role: str, areas: tuple[str, ...], department: str | None) -> None:
    if not name.strip():
        raise InvalidField(field="name", detail=Label("不能为空", "must not be empty"))
    house = run.house
    now = house.now()
    person = Person(house.keys.new_id(now), name.strip(), role, now)
    with house.database.write() as conn:
        people.add_person(conn, person)
        for area in areas:
            # Whoever works behind a wall also reads the register in front of it, and writes nothing there.
            for compartment in {"", rights.BEHIND.get(role, "")}:
                staffing.give(conn, Grant(house.keys.new_id(now), person.id, area, role, now, None, compartment, department or ""), now)
    run.say(Label(f"已登记 {person.name}：{person.id}", f"Added {person.name}: {person.id}"))


@command(
    PEOPLE,
    "list",
    Label("列出人员和现行授权。", "List people and their running grants."),
    "patrolbook-server people list",
)
@as_json
def list_people(run: Run, as_json: bool) -> None:
    house = run.house
    with house.database.read() as conn:
        found = [(one, rights.active(people.grants_of(conn, one.id), house.now())) for one in people.everybody(conn)]
    if as_json:
        run.json([{**one._asdict(), "grants": [grant._asdict() for grant in held]} for one, held in found])
        return
    run.table(
        [_ID, Label("姓名", "name"), _ROLE, _AREA],
        [
            (one.id, one.name, run.text(ROLES[one.role]), "、".join(_area(run, grant) for grant in held))
            for one, held in found
        ],
    )


# --- Devices ----------------------------------------------------------------------------------------------------


@command(DEVICES, "list", Label("列出平板。", "List tablets."), "patrolbook-server devices list")
@as_json
def list_devices(run: Run, as_json: bool) -> None:
    with run.house.database.read() as conn:
        found = people.every_device(conn)
    if as_json:
        run.json([{**one._asdict(), "key": one.key.hex(), "person_name": name} for one, name in found])
        return
    run.table(
        [
            _ID,
            Label("名称", "name"),
            Label("型号", "model"),
            _PERSON,
            Label("登记", "enrolled"),
            Label("停用", "revoked"),
        ],
        [
            (
                one.id,
                one.name,
                one.model,
                name,
                run.when(one.enrolled),
                f"{run.when(one.revoked)} {one.revoked_reason}" if one.revoked is not None else "",
            )
            for one, name in found
        ],
    )


@command(
    DEVICES,
    "invite",
    Label(
        "为某人生成一次性登记码，并在终端显示二维码；只显示这一次。",
        "Make a one-time enrolment code for a person and show it as a QR code; it is shown only now.",
    ),
    "patrolbook-server devices invite 李敏 --hours 2 --url https://patrol.example.gov.cn",
)
@click.argument("person")
@option(
    "--hours",
    type=click.FloatRange(0.01, 24 * 30),
    default=24.0,
    show_default=True,
    about=Label("有效小时数", "Hours for which it is good"),
)
@option(
    "--url",
    default="",
    about=Label("平板访问的服务器地址，写入二维码", "Address of the server for tablets; goes into the QR code"),
)
@option("--no-qr", is_flag=True, about=Label("不显示二维码", "Show no QR code"))
def invite(run: Run, person: str, hours: float, url: str, no_qr: bool) -> None:
    house = run.house
    with house.database.read() as conn:
        who = rights.the_person(conn, person)
    voice = house.keys.voice(rights.BEHIND.get(who.role, ""))
    now = house.now()
    lifetime = int(hours * 3_600_000)
    code = enrolment.invite(house.database, house.keys, who.id, now, lifetime)
    until = run.when(now + lifetime)
    run.say(Label(f"{who.name} 的登记码：", f"Enrolment code for {who.name}:"))
    run.say(Label(f"    {code}", f"    {code}"), "bold")
    run.say(Label(f"有效至 {until}，只能用一次，不会再显示。", f"Good until {until}, once; it is not shown again."))
    run.say(Label(f"公钥指纹：{voice.fingerprint}", f"Fingerprint of the log's key: {voice.fingerprint}"))
    if not no_qr:
        segno.make(tablets.enrolment_link(url, code, voice.fingerprint), error="m").terminal(compact=True)


@command(
    DEVICES,
    "revoke",
    Label(
        "停用平板：不能再读取；它未上传的内容仍可上传，留待核查。",
        "Revoke a tablet: it reads nothing more; what it still sends is kept for review.",
    ),
    "patrolbook-server devices revoke 01a202f7-0e2e-7a03-a06d-0afab0ed9a61 --reason 丢失",
)
@click.argument("device")
@reason
def revoke(run: Run, device: str, reason: str) -> None:
    revocations.revoke(run.house, device, reason)
    run.say(Label(f"已停用 {device}", f"Revoked {device}"))
    told = Label(
        "它下次联网时先上传剩余内容（留待核查），再清除密钥；不联网的，租约到期后不能再解锁。",
        "With its next contact it hands in what it has, for review, and destroys its keys; one that stays offline cannot be "
        "unlocked once its lease has run out.",
    )
    run.say(told)


@command(
    DEVICES,
    "lease",
    Label(
        "平板解锁密钥租约：不带参数列出；可按平板或按角色设定小时数，下次联网生效。",
        "How long tablets are lent the share of their keys: listed where nothing is said; set in hours for one tablet or "
        "for a role, from the next contact on.",
    ),
    "patrolbook-server devices lease --role team --hours 24",
)
@click.argument("device", default="")
@option("--role", type=ROLE, about=Label("按角色设定", "Of a role"))
@option("--hours", type=int, about=Label("小时数", "Hours"))
@option("--usual", is_flag=True, about=Label("这台平板恢复为角色的时长", "This tablet: again as its role"))
@as_json
def lease(run: Run, device: str, role: str | None, hours: int | None, usual: bool, as_json: bool) -> None:
    setting = hours is not None or usual
    if setting and (bool(device) == bool(role) or (hours is not None) == usual or (usual and not device)):
        detail = Label("给出一台平板或一个角色，以及 --hours 或 --usual", "name a tablet or a role, and --hours or --usual")
        raise InvalidField(field="lease", detail=detail)
    if setting:
        with run.house.database.write() as conn:
            if device:
                if people.device(conn, device) is None:
                    raise NotFound(what=device)
                leases.set_hours(conn, device, hours)
            else:
                leases.set_hours_of_role(conn, role or "", hours or 0)
        run.say(Label("已设定，下次联网生效", "Set, from the next contact on"))
        return
    with run.house.database.read() as conn:
        found = [
            (one, name, leases.hours_of(conn, one), leases.lent_to(conn, one.id))
            for one, name in people.every_device(conn)
            if one.id == device or not device
        ]
    if as_json:
        run.json([
            {"id": one.id, "name": one.name, "person_name": name, "hours": hours_, "expires": row.expires,
             "wrong_pins": row.failures, "recoverable": row.recovery is not None, "lent": row.share is not None}
            for one, name, hours_, row in found
        ])  # fmt: skip
        return
    run.table(
        [_ID, Label("名称", "name"), _PERSON, Label("小时", "hours"), Label("到期", "ends"), Label("输错 PIN", "wrong PINs")],
        [
            (one.id, one.name, name, str(hours_), run.when(row.expires) if row.share and row.expires else "",
             str(row.failures or ""))
            for one, name, hours_, row in found
        ],
    )  # fmt: skip


# --- Grants -----------------------------------------------------------------------------------------------------


@command(
    GRANTS,
    "add",
    Label(
        "授权某人读写一个区划（代码前缀，“*”为全部）。", "Grant a person an area (prefix of division codes, * for all)."
    ),
    "patrolbook-server grants add 李敏 430103 --until 2026-12-31",
)
@click.argument("person")
@click.argument("area")
@option("--role", type=ROLE, about=Label("角色，默认为此人的角色", "Role; the person's own if left out"))
@option(
    "--compartment",
    type=click.Choice(["open", *COMPARTMENTS]),
    about=Label(
        "密封范围；默认按角色：暗访组为密封，其余为公开",
        "Behind which wall; by role if left out: sealed for an undercover team, open for others",
    ),
)
@option(
    "--department",
    type=click.Choice(list(DEPARTMENTS)),
    about=Label("角色为“其他部门”时：哪个部门", "For the role of other departments: which one"),
)
@option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), about=Label("从哪天起，默认现在", "From which day; now if left out")
)
@option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), about=Label("到哪天为止（不含）", "Until which day (not included)")
)
def add_grant(
    run: Run,
    person: str,
    area: str,
    role: str | None,
    compartment: str | None,
    department: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    house = run.house
    with house.database.write() as conn:
        who = rights.the_person(conn, person)
        new = Grant(
            house.keys.new_id(house.now()),
            who.id,
            "" if area == "*" else area,
            role or who.role,
            _ms(since) if since else house.now(),
            _ms(until) if until else None,
            rights.BEHIND.get(role or who.role, "") if compartment is None else compartment.removeprefix("open"),
            department or "",
        )
        staffing.give(conn, new, house.now())
    run.say(
        Label(f"已授权 {who.name}：{_area(run, new)}（{new.id}）", f"Granted {who.name} {_area(run, new)} ({new.id})")
    )


@command(
    GRANTS, "list", Label("列出授权，包括已结束的。", "List grants, ended ones too."), "patrolbook-server grants list"
)
@as_json
def list_grants(run: Run, as_json: bool) -> None:
    with run.house.database.read() as conn:
        found = people.every_grant(conn)
    if as_json:
        run.json([{**one._asdict(), "person_name": name} for one, name in found])
        return
    run.table(
        [_ID, _PERSON, _AREA, _ROLE, Label("起", "since"), Label("止", "until")],
        [
            (one.id, name, _area(run, one), run.text(ROLES[one.role]), run.when(one.since), run.when(one.until))
            for one, name in found
        ],
    )


@command(
    GRANTS,
    "remove",
    Label("立即结束一项授权；此前的工作不受影响。", "End a grant now; work that was done under it stays."),
    "patrolbook-server grants remove 01a202f7-0e2e-7a03-a06d-0afab0ed9a61",
)
@click.argument("grant")
def remove_grant(run: Run, grant: str) -> None:
    now = run.house.now()
    with run.house.database.write() as conn:
        held = next((one for one, _ in people.every_grant(conn) if one.id == grant), None)
        if held is None:
            raise NotFound(what=grant)
        staffing.end_grant(conn, held, now)
    run.say(Label(f"已结束 {grant}", f"Ended {grant}"))


def _area(run: Run, grant: Grant) -> str:
    area = grant.area or run.text(Label("全部", "everywhere"))
    department = run.text(DEPARTMENTS[grant.department]) if grant.department else ""
    return f"{area} {run.text(WALLS[grant.compartment])} {department}".strip()


def _ms(day: datetime) -> int:
    """The beginning of a day where this server stands."""
    return int(day.astimezone().timestamp() * 1000)


@command(
    OFFICERS,
    "add",
    Label(
        "登记执法人员及其证件，平板可离线选用。",
        "Add an officer and the certificate; tablets can then name them offline.",
    ),
    "patrolbook-server officers add 李敏 43010012345 --area 430103 --until 2027-12-31",
)
@click.argument("name")
@click.argument("certificate")
@option("--area", required=True, about=Label("行政区划代码", "Division code"))
@option("--until", type=click.DateTime(["%Y-%m-%d"]), about=Label("证件有效期至", "Certificate valid until"))
@option("--unit", about=Label("单位", "Unit"))
@by
def add_officer(
    run: Run, name: str, certificate: str, area: str, until: datetime | None, unit: str | None, by: str | None
) -> None:
    person = run.person(by)
    values = {
        "name": name,
        "certificate_number": certificate,
        "valid_until": until.date().isoformat() if until else None,
        "unit": unit,
        "area": area,
        "status": "active",
    }
    given = {path: value for path, value in values.items() if value is not None}
    written = decisions.write(run.house.desk, "officer", None, given, by=[person.id], rights=run.rights_of(person))
    run.say(Label(f"已登记 {name}：{written.record}", f"Added {name}: {written.record}"))


@command(
    OFFICERS,
    "list",
    Label("列出执法人员。", "List the officers."),
    "patrolbook-server officers list",
)
@as_json
def list_officers(run: Run, as_json: bool) -> None:
    listing = Listing(run.house, "officer", run.language)
    if as_json:
        run.json(list(listing.rows()))
        return
    run.table(listing.header(listing.names), list(listing.lines(listing.names)))


@command(
    OFFICERS,
    "card",
    Label(
        "证件卡的二维码：平板扫它选检查人员；到期、暂停与否由平板上的名册决定。",
        "The QR code of an officer's card, which tablets scan; whether it counts, their list of officers decides.",
    ),
    "patrolbook-server officers card 李敏 --out 李敏.png",
)
@click.argument("officer")
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    about=Label("写入 .png 或 .svg 文件（不写则显示在终端）", "A .png or .svg file; on the terminal if left out"),
)
def card(run: Run, officer: str, out: Path | None) -> None:
    with run.house.database.read() as conn:
        rows = [
            row
            for row in run.house.projections.rows(conn, "officer")
            if officer in (row["name"], row["certificate_number"], row["record"]) and row["certificate_number"]
        ]
    if len(rows) != 1:
        raise NotFound(what=Label(f"唯一的执法人员 {officer}", f"a single officer {officer}"))
    name, certificate = rows[0]["name"], rows[0]["certificate_number"]
    code = segno.make(card_text(certificate), error="m")
    run.say(Label(f"{name}，证号 {certificate}", f"{name}, certificate {certificate}"), "bold")
    if (why := why_not(rows[0], day(run.house.now()))) is not None:
        run.say(Label(f"平板今天会拒绝这张卡：{why.zh}", f"Tablets refuse this card today: {why.en}"))
    if out is None:
        code.terminal(compact=True)
        return
    if out.suffix.lower() not in (".png", ".svg"):
        raise InvalidField(field="--out", detail=Label("应为 .png 或 .svg 文件", "is a .png or .svg file"))
    code.save(str(out), scale=10, border=4)
    run.say(Label(f"已写入 {out}", f"Written: {out}"))


# --- Officers' own keys -----------------------------------------------------------------------------------------


@command(
    OFFICERS,
    "keys",
    Label("列出执法人员用于会签的密钥。", "List the keys with which officers co-sign."),
    "patrolbook-server officers keys",
)
@as_json
def list_keys(run: Run, as_json: bool) -> None:
    listing = Listing(run.house, officer_keys.KIND, run.language)
    if as_json:
        run.json(list(listing.rows()))
        return
    names = ["name", "area", "device", "status", "withdrawn_at"]
    run.table(listing.header(names), list(listing.lines(names)))


@command(
    OFFICERS,
    "confirm-key",
    Label(
        "确认密钥属于该执法人员：当面或电话核对本人念出的 32 位编号后执行。",
        "Confirm that a key is the officer's, after comparing the 32 characters that the officer reads out.",
    ),
    "patrolbook-server officers confirm-key 4f20a91be2d37c5508c61f7a90de3b42",
)
@click.argument("key")
@by
def confirm_key(run: Run, key: str, by: str | None) -> None:
    person = run.person(by)
    one = officer_keys.found(run.house, key)
    who = officer_keys.officer_of(run.house, one)
    officer_keys.confirm(run.house, one, person, run.rights_of(person))
    name, certificate = who["name"], who["certificate_number"]
    run.say(Label(f"已确认 {name}（证号 {certificate}）的密钥", f"Confirmed the key of {name} ({certificate})"))


@command(
    OFFICERS,
    "withdraw-key",
    Label(
        "撤销密钥：平板丢失、忘记 PIN 或离岗。此前的会签仍有效。",
        "Withdraw a key: tablet lost, PIN forgotten, officer gone. Co-signatures from before still count.",
    ),
    "patrolbook-server officers withdraw-key 4f20a91b --since 2026-11-22T16:00 --reason 平板丢失",
)
@click.argument("key")
@option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    about=Label("从何时起不再可信，默认现在", "Since when it is not to be trusted; now if left out"),
)
@reason
@by
def withdraw_key(run: Run, key: str, since: datetime | None, reason: str, by: str | None) -> None:
    person = run.person(by)
    one = officer_keys.found(run.house, key)
    ms = _ms(since) if since else run.house.now()
    officer_keys.withdraw(run.house, one, moment(ms), reason, person, run.rights_of(person))
    run.say(Label(f"已撤销 {one['record']}", f"Withdrew {one['record']}"))
