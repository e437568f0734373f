"""institutions search, show, add."""

from __future__ import annotations

import json

import click

from field_client.commands.printing import print_record, saved
from field_client.session import Session, command, group, in_session, option, short
from schemas.kinds.institution import CATEGORIES, STATUSES
from schemas.labels import Label
from sync.core.errors import InvalidField

JSON = Label("输出 JSON", "print JSON")


@group("institutions", label=Label("机构", "Institutions"), example="patrolbook institutions search 口才")
def institutions() -> None:
    pass


@command(
    "search",
    label=Label(
        "按名称、拼音、首字母、地址、法人或代码查找，可离线", "Find by name, pinyin, initials, address or code, offline"
    ),
    example="patrolbook institutions search 芙蓉 kcpx",
)
@click.argument("text", nargs=-1, required=True)
@option("--limit", label=Label("最多几条", "at most so many"), default=20, type=click.IntRange(1, 1000))
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def search(session: Session, text: tuple[str, ...], limit: int, as_json: bool) -> None:
    found = session.search().find(" ".join(text), limit)
    if as_json:
        told = [{"id": one.record, "name": one.name, "area": one.area, "address": one.address} for one in found]
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    if not found:
        session.terminal.warn(Label("没有找到", "Nothing was found"))
        return
    columns = (Label("编号", "Id"), Label("名称", "Name"), Label("区划", "Area"), Label("地址", "Address"))
    session.terminal.table(columns, [(short(one.record), one.name, one.area, one.address) for one in found])


@command(
    "show",
    label=Label(
        "显示一家机构：编号、编号的一段，或能唯一查到的名称",
        "Show one: its id, a piece of it, or a name that is found once",
    ),
    example="patrolbook institutions show 学雅口才",
)
@click.argument("institution")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def show(session: Session, institution: str, as_json: bool) -> None:
    print_record(session, session.institution(institution), as_json)


@command(
    "add",
    label=Label("登记一家名册上没有的机构", "Add one that the register does not have"),
    example='patrolbook institutions add --name "茶楼后的数学班" --area 430102001001 --status unlicensed',
)
@option("--name", label=Label("名称", "name"), required=True)
@option("--area", label=Label("区划代码，缺省为本人授权区划", "division code; your granted area without it"))
@option("--address", label=Label("详细地址", "address"))
@option("--credit-code", label=Label("统一社会信用代码", "unified social credit code"))
@option("--category", label=Label("机构类别", "category"), type=click.Choice(list(CATEGORIES)))
@option(
    "--status",
    label=Label("状态", "status"),
    type=click.Choice(list(STATUSES)),
    default="unlicensed",
    show_default=True,
)
@in_session
def add(
    session: Session,
    name: str,
    area: str | None,
    address: str | None,
    credit_code: str | None,
    category: str | None,
    status: str,
) -> None:
    tablet = session.tablet()
    tablet.require_maker("institution")
    alike = [one for one in session.search().find(name, 5) if one.name == name]
    values = {
        "name": name,
        "area": area or own_area(session),
        "address": address,
        "credit_code": credit_code,
        "category": category,
        "status": status,
    }
    made = tablet.write("institution", None, {path: value for path, value in values.items() if value is not None})
    for one in alike:
        told = f"{one.name} {short(one.record)}"
        session.terminal.warn(Label(f"名册上已有同名：{told}", f"the register has one of this name: {told}"))
    session.terminal.say(saved(made.record))


def own_area(session: Session) -> str:
    """The area that the person is granted; raises InvalidField where that is none or several."""
    identity = session.tablet().identity
    areas = sorted({grant.area for grant in identity.grants if grant.area}) if identity else []
    if len(areas) != 1:
        raise InvalidField(field="area", detail=Label("请用 --area 写明区划代码", "give a division code with --area"))
    return areas[0]


for one in (search, show, add):
    institutions.add_command(one)
