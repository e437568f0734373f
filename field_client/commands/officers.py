"""officer list, officer key new/list/drop: who is certified, and officers' own keys on this tablet."""

from __future__ import annotations

import json
from typing import Any

import click

from field_client.commands.inspections import JSON
from field_client.holding.officers import OfficerKeys, in_groups
from field_client.session import Session, command, group, in_session, option, short
from field_client.work.showing import cells
from schemas.kinds.officer import Officer
from schemas.kinds.officer_key import OfficerKey
from schemas.labels import Label
from schemas.words import same
from sync.core.errors import NotFound, Refused
from sync.core.fold import values_of

LEAST_KEY = 4


@group("officer", label=Label("执法人员及其密钥", "Officers and their keys"), example="patrolbook officer list")
def officer() -> None:
    pass


@command("list", label=Label("本机上的执法人员", "Officers on this tablet"), example="patrolbook officer list")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def list_(session: Session, as_json: bool) -> None:
    names = ("name", "certificate_number", "valid_until", "unit", "status")
    known = list(session.tablet().browse(Officer.kind))
    if as_json:
        told = [{"id": one.record, **_shown(values_of(one, Officer.merge_of), names)} for one in known]
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    fields = Officer.fields_by_name()
    columns = (Label("编号", "Id"), *(fields[name].label for name in names))
    session.terminal.table(columns, [(short(one.record), *cells(Officer, one, *names)) for one in known])


@group(
    "key",
    label=Label("执法人员在本机的密钥，用于会签", "Officers' own keys on this tablet, for co-signing"),
    example="patrolbook officer key list",
)
def key() -> None:
    pass


@command(
    "new",
    label=Label(
        "为执法人员生成密钥，用其本人的 PIN 保护；由县级确认后会签才算数",
        "Make an officer's key under the officer's own PIN; co-signatures count once staff have confirmed it",
    ),
    example="patrolbook officer key new 李敏",
)
@click.argument("officer")
@in_session
def new(session: Session, officer: str) -> None:
    tablet = session.enrolled()
    who = session.officer(officer)
    name = tablet.values(who).get("name")
    words = Label(f"{name} 设置本人的 PIN（至少 6 位）", f"{name}: choose a PIN of your own (at least 6 characters)")
    made = OfficerKeys(tablet).make(who, session.officer_pin(words, new=True))
    say = session.terminal.say
    say(Label(f"已生成 {name} 的密钥：", f"The key of {name} was made:"), fg="green")
    say(f"    {in_groups(made)}", bold=True)
    say(
        Label(
            "请先 patrolbook sync，再由本人当面或电话把这 32 位念给县级确认",
            "Run patrolbook sync; then the officer reads these 32 characters to staff, in person or by telephone",
        )
    )


@command("list", label=Label("本机上的密钥", "The keys on this tablet"), example="patrolbook officer key list")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def keys(session: Session, as_json: bool) -> None:
    held = list(OfficerKeys(session.tablet()).held())
    if as_json:
        told = [{"id": one.id, **_shown(one.values, ("officer", "name", "status"))} for one in held]
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    columns = (Label("密钥", "Key"), Label("姓名", "Name"), Label("状态", "Status"))
    session.terminal.table(columns, [(one.id, str(one.values.get("name") or ""), _status(one.values)) for one in held])


@command(
    "drop",
    label=Label(
        "删除本机上的密钥（如忘记 PIN），不能恢复；已有的会签不受影响",
        "Delete a key from this tablet (a forgotten PIN, say) for good; what it signed stays signed",
    ),
    example="patrolbook officer key drop 4f20",
)
@click.argument("key")
@option("--yes", is_flag=True, label=Label("不再询问", "do not ask"))
@in_session
def drop(session: Session, key: str, yes: bool) -> None:
    wanted = key.replace(" ", "").lower()
    held = OfficerKeys(session.tablet())
    fits = [one for one in held.held() if len(wanted) >= LEAST_KEY and one.id.startswith(wanted)]
    if len(fits) != 1:
        raise NotFound(what=Label(f"唯一的密钥 {key}", f"a single key {key}"))
    one = fits[0]
    name = one.values.get("name") or one.id
    question = Label(f"删除 {name} 的密钥？输入 yes", f"Delete the key of {name}? Type yes")
    if not yes and session.terminal.ask(question) != "yes":
        raise Refused(detail=Label("没有删除", "nothing was deleted"))
    held.drop(one.id)
    session.terminal.say(Label(f"已删除 {one.id}", f"Deleted {one.id}"))
    if one.values.get("status") != "withdrawn":
        told = f"patrolbook-server officers withdraw-key {one.id}"
        session.terminal.say(Label(f"请县级撤销它的登记：{told}", f"Staff should withdraw it: {told}"))


def _status(values: dict[str, Any]) -> Label:
    workflow = OfficerKey.workflow
    assert workflow is not None  # the kind has one
    status = workflow.statuses.get(str(values.get("status")))
    return status.label if status else same("—")


def _shown(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values.get(name) for name in names}


for one in (new, keys, drop):
    key.add_command(one)
officer.add_command(list_)
officer.add_command(key)
