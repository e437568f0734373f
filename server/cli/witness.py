"""Witnesses from the command line: who they are to be told, asking them, and what they have seen."""

from __future__ import annotations

from schemas.labels import Label
from server.cli.frame import Group, Run, as_json, command, main
from server.proofs import witnesses
from server.storage import attested, merkle
from sync.core.errors import NotReady
from sync.core.note import Verifier, fingerprint, vkey

WITNESS = Group(
    "witness", about=Label("见证：另一单位为日志会签", "Witnesses: other organisations that cosign the log")
)
main.add_command(WITNESS)


@command(
    WITNESS,
    "keys",
    Label(
        "显示本服务器各日志的公钥，交给见证单位（patrolbook-witness log add），并当面核对指纹。",
        "The keys of this server's logs, for a witness to add (patrolbook-witness log add). Compare fingerprints in person.",
    ),
    "patrolbook-server witness keys",
)
def keys(run: Run) -> None:
    for voice in run.house.keys.voices.values():
        key = vkey(Verifier(voice.origin, voice.log_public))
        run.say(Label(f"日志 {voice.origin}", f"Log {voice.origin}"), "bold")
        run.say(Label(f"  patrolbook-witness log add '{key}'", f"  patrolbook-witness log add '{key}'"))
        told = fingerprint(voice.log_public)
        run.say(Label(f"  指纹：{told}", f"  fingerprint: {told}"))


@command(
    WITNESS,
    "ask",
    Label(
        "请信任文件中的各见证会签最新检查点。serve 运行时会自动进行。",
        "Have every witness of the trust file cosign the newest checkpoints. A running `serve` does it by itself.",
    ),
    "patrolbook-server witness ask",
)
def ask(run: Run) -> None:
    asked = witnesses.ask(run.house)
    if not asked:
        hint = Label(
            "信任文件没有列出带地址的见证：trust sign --witness 公钥,地址",
            "the trust file names no witness with an address: trust sign --witness KEY,URL",
        )
        raise NotReady(action=Label("请求见证", "ask witnesses"), detail=hint)
    run.outcomes((_told(one), one.problem) for one in asked)


def _told(one: witnesses.Asked) -> Label:
    if one.problem is None:
        return Label(f"{one.witness} 已会签 {one.log} 大小 {one.size}", f"{one.witness} cosigned {one.log} at {one.size}")
    zh, en = one.problem.text("zh"), one.problem.text("en")
    return Label(f"{one.witness} 没有会签 {one.log}：{zh}", f"{one.witness} did not cosign {one.log}: {en}")


@command(
    WITNESS,
    "status",
    Label("各见证会签到哪里，是否达到要求的数目。", "How far each witness has cosigned, and whether that is enough."),
    "patrolbook-server witness status",
)
@as_json
def status(run: Run, as_json: bool) -> None:
    house, trust = run.house, witnesses.trusted(run.house)
    rows, enough = [], []
    with house.database.read() as conn:
        for voice in house.keys.voices.values():
            size = merkle.size(conn, voice.compartment)
            for one in trust.witnesses if trust is not None else ():
                newest = attested.newest_by(conn, voice.compartment, one.name) or (0, None)
                rows.append((voice.origin, size, one.name, newest[0], newest[1]))
            note = witnesses.newest_witnessed(conn, voice, trust) if trust is not None else None
            enough.append((voice.origin, size, int(note.split("\n")[1]) if note is not None else 0))
    quorum = trust.quorum if trust is not None else 0
    if as_json:
        names = ("log", "size", "witness", "cosigned", "at")
        told = [dict(zip(names, row, strict=True)) for row in rows]
        logs = [dict(zip(("log", "size", "witnessed"), row, strict=True)) for row in enough]
        run.json({"quorum": quorum, "logs": logs, "witnesses": told})
        return
    run.attested(Label("见证", "Witness"), Label("已会签到", "Cosigned"), rows)
    for origin, size, seen in enough:
        said = f"{origin}：要求 {quorum} 个见证，已到 {seen}/{size}"
        run.say(Label(said, f"{origin}: {quorum} witnesses asked for, reached {seen} of {size}"))
