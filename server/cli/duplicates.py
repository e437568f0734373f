"""Institutions that may be one: compare what is new, list what was found."""

from __future__ import annotations

from schemas.labels import Label
from server.access.policy import Sight
from server.cli.frame import Group, Run, as_json, command, main, option
from server.merging import duplicates
from server.merging.twins import REASONS

DUPLICATES = Group("duplicates", about=Label("机构：疑似重复", "Institutions that may have been entered twice"))
main.add_command(DUPLICATES)


@command(
    DUPLICATES,
    "find",
    Label(
        "比对新录入和改动过的机构；serve 运行时会自动进行。",
        "Compare institutions that are new or changed; a running server does so by itself.",
    ),
    "patrolbook-server duplicates find --all",
)
@option("--all", "everything", is_flag=True, about=Label("重新比对全部机构", "Compare all of them again"))
def find(run: Run, everything: bool) -> None:
    count = duplicates.catch_up(run.house, everything)
    run.say(Label(f"发现 {count} 对疑似重复", f"{count} pairs may be one"), "bold green")


@command(
    DUPLICATES,
    "list",
    Label("列出疑似重复，最相似的在前；用 merge 合并。", "List pairs that may be one, the most alike first; merge joins them."),
    "patrolbook-server duplicates list",
)
@option("--area", default="", about=Label("只看这个区划", "Only this division"))
@as_json
def list_pairs(run: Run, area: str, as_json: bool) -> None:
    found = duplicates.waiting(run.house, Sight("province", (area,)))
    if as_json:
        run.json([one._asdict() for one in found])
        return
    run.table(
        [Label("相似度", "score"), Label("机构", "one"), Label("机构", "other"), Label("理由", "reasons")],
        [(one.score, one.one, one.other, "、".join(run.text(REASONS[code][1]) for code in one.reasons)) for one in found],
    )
