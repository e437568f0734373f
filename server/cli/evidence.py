"""Evidence at the desk: from the code on a watermarked copy to the original."""

from __future__ import annotations

from typing import Any

import click

from custody import codes
from schemas.kinds.evidence import Evidence
from schemas.labels import Label
from server import originals
from server.access.rights import Scope
from server.cli.frame import Group, Run, as_json, by, command, main
from server.listing import Listing

EVIDENCE = Group("evidence", about=Label("证据", "Evidence"))
main.add_command(EVIDENCE)

HELD = {True: Label("原件已在服务器", "the server holds it"), False: Label("原件尚未到达", "not at the server yet")}


@command(
    EVIDENCE,
    "lookup",
    Label(
        "凭水印副本上的核验码查原件；输错一位会提示。只查得到操作人授权区划内的证据。",
        "Find the original by the code on a watermarked copy; a mistyped character is told. Only what lies in the areas "
        "of whoever asks is found.",
    ),
    "patrolbook-server evidence lookup 7K3M-9XQ2-V4TD-P",
)
@click.argument("code")
@by
@as_json
def lookup(run: Run, code: str, by: str | None, as_json: bool) -> None:
    wanted = codes.read(code)
    areas = run.rights_of(run.person(by)).areas
    found = originals.by_code(run.house, wanted, Scope([f"area:{area}" for area in areas], []))
    if as_json:
        run.json(found._asdict())
        return
    listing = Listing(run.house, Evidence.kind, run.language)
    labels = Evidence.fields_by_name()
    row: dict[str, Any] = {**dict.fromkeys(listing.names), **found.values, "conflicted": "[]"}
    rows = [(run.text(labels[name].label), listing.cell(name, row)) for name in listing.names if found.values.get(name)]
    run.say(Label(f"{codes.printed(wanted)}：证据 {found.id}", f"{codes.printed(wanted)}: evidence {found.id}"), "bold")
    run.table([Label("栏目", "Field"), Label("内容", "Value")], rows)
    run.say(HELD[found.held], "green" if found.held else "yellow")
    for one in found.copies:
        operation = str(one.get("operation", ""))
        told = listing.cell("operation", row | one) if operation else ""
        run.say(Label(f"衍生件 {one['id']}：{told}", f"derived {one['id']}: {told}"))
