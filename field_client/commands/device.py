"""enrol, unlock, lock, pin, language, device: the tablet itself."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping

import click

from field_client.config import LANGUAGES
from field_client.session import Session, command, in_session, option
from field_client.tablet import DATABASE, Identity
from field_client.work.showing import lasting
from schemas.labels import Label, Language
from schemas.words import same, size
from sync.core.errors import BrokenStore
from sync.core.note import fingerprint


@command(
    "enrol",
    label=Label(
        "登记这台平板：服务器地址和一次性登记码", "Enrol this tablet: the server's address and a one-time code"
    ),
    example="patrolbook enrol https://county.example K7M2-P9XD-4HTR",
)
@click.argument("url")
@click.argument("code")
@option("--name", label=Label("平板的名字", "name of the tablet"), default=lambda: platform.node() or "tablet")
@in_session
def enrol(session: Session, url: str, code: str, name: str) -> None:
    session.require_standing()
    if session.vault.exists:
        secrets = session.secrets()
    elif (session.settings.home / DATABASE).exists():
        raise BrokenStore(file=session.vault.file.name, detail=Label("文件不见了", "the file is gone"))
    else:
        pin = session.pin(new=True)
        secrets = session.vault.create(pin)
        if session.settings.pin is None:
            session.vault.unlock(pin)
    identity = session.opened(secrets, new=True).enrol(url, code, name, f"{platform.system()} {platform.machine()}")
    say = session.terminal.say
    say(
        Label(
            f"已登记：{identity.person.name}，设备 {identity.device}",
            f"Enrolled: {identity.person.name}, {identity.device}",
        )
    )
    say(_areas(identity))
    say(
        Label(
            f"服务器日志公钥指纹：{_fingerprint(identity)}",
            f"Fingerprint of the server's log key: {_fingerprint(identity)}",
        )
    )
    say(Label("下一步：patrolbook sync", "Next: patrolbook sync"))


@command("unlock", label=Label("用 PIN 解锁", "Unlock with the PIN"), example="patrolbook unlock")
@in_session
def unlock(session: Session) -> None:
    session.unlock()
    session.terminal.say(Label("已解锁", "Unlocked"))
    if (left := session.vault.leases.left()) is not None:
        session.terminal.say(lasting(left))


@command("lock", label=Label("立即锁定", "Lock at once"), example="patrolbook lock")
@in_session
def lock(session: Session) -> None:
    session.vault.lock()
    session.terminal.say(Label("已锁定", "Locked"))


@command("pin", label=Label("更换 PIN", "Change the PIN"), example="patrolbook pin")
@in_session
def pin(session: Session) -> None:
    old = session.pin()
    ask = session.terminal.ask
    session.vault.change_pin(old, ask(Label("新 PIN（至少 6 位）", "New PIN (at least 6 characters)"), True, True))
    session.terminal.say(Label("PIN 已更换", "The PIN was changed"))


@command(
    "language",
    label=Label("查看或选择语言：zh 或 en", "Show or choose the language: zh or en"),
    example="patrolbook language en",
)
@click.argument("language", required=False, type=click.Choice(LANGUAGES))
@in_session
def language(session: Session, language: Language | None) -> None:
    if language is not None:
        session.settings.choose(language)
        session.terminal.language = language
    session.terminal.say(Label("语言：中文", "Language: English"))


@command("device", label=Label("这台平板的信息", "About this tablet"), example="patrolbook device --json")
@option("--json", "as_json", is_flag=True, label=Label("输出 JSON", "print JSON"))
@in_session
def device(session: Session, as_json: bool) -> None:
    tablet = session.tablet()
    identity = tablet.identity
    held = {blob.sha256: blob.size for blob in tablet.store.uploads.all()}
    facts = {
        "home": str(tablet.home),
        "device": identity.device if identity else None,
        "person": identity.person._asdict() if identity else None,
        "grants": [grant._asdict() for grant in identity.grants] if identity else [],
        "server": identity.url if identity else None,
        "log_key": _fingerprint(identity) if identity else None,
        "key": fingerprint(tablet.public_key),
        "replica": tablet.store.replica,
        "epoch": tablet.store.epoch,
        "clock_offset_ms": tablet.store.time()[1],
        "records": tablet.kinds(),
        "blobs": {"count": len(held), "bytes": sum(held.values())},
        "kept": tablet.retention._asdict(),
        "free_bytes": shutil.disk_usage(tablet.home).free,
    }
    if as_json:
        session.terminal.say(json.dumps(facts, ensure_ascii=False))
        return
    session.terminal.table((Label("项目", "What"), Label("内容", "Value")), _device_rows(session, facts, identity))


def _device_rows(session: Session, facts: Mapping[str, object], identity: Identity | None) -> list[tuple[Label, Label]]:
    tablet = session.tablet()
    who = same(f"{identity.person.name}（{identity.person.role}）") if identity else Label("未登记", "not enrolled")
    kinds = [(tablet.registry.get(kind), kind, count) for kind, count in tablet.kinds().items()]
    records = Label(
        "，".join(f"{schema.label.zh if schema else kind} {count}" for schema, kind, count in kinds),
        ", ".join(f"{schema.label.en if schema else kind} {count}" for schema, kind, count in kinds),
    )
    return [
        (Label("数据文件夹", "Folder"), same(str(facts["home"]))),
        (Label("人员", "Person"), who),
        (Label("授权", "Grants"), _areas(identity) if identity else same("—")),
        (Label("服务器", "Server"), same(str(facts["server"] or "—"))),
        (Label("日志公钥指纹", "Log key"), same(str(facts["log_key"] or "—"))),
        (Label("本机公钥指纹", "This tablet's key"), same(str(facts["key"]))),
        (Label("副本", "Replica"), same(str(facts["replica"]))),
        (Label("时钟与服务器相差", "Clock differs from the server's by"), same(f"{facts['clock_offset_ms']} ms")),
        (Label("租约", "Lease"), lasting(left) if (left := session.vault.leases.left()) is not None else _UNLEASED),
        (Label("记录", "Records"), records),
        (Label("可用空间", "Free space"), same(size(shutil.disk_usage(tablet.home).free))),
    ]


_UNLEASED = Label("没有：密钥只由 PIN 保护", "none: the PIN alone protects the keys")


def _areas(identity: Identity) -> Label:
    areas = "、".join(f"{grant.area or '*'}（{grant.role}）" for grant in identity.grants) or "—"
    return Label(f"区划：{areas}", f"Areas: {areas}")


def _fingerprint(identity: Identity) -> str:
    return fingerprint(identity.log.key)
