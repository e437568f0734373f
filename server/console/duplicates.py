"""Institutions that may be one: with reasons and a score, side by side, merged, told apart, and both taken back."""

from __future__ import annotations

from flask import request, url_for

from schemas.kinds.institution import Institution
from schemas.labels import Label
from schemas.words import label_of
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat
from server.console.naming import value_of
from server.merging import decisions, duplicates
from server.merging.twins import REASONS
from server.reading import records
from server.storage.twins import Mark
from sync.core.errors import Problem

desk = Desk("duplicates", __name__)

LONGEST = 300


@desk.get("/duplicates", may="duplicates.read")
def listing() -> Answer:
    house, who = instance(), seat()
    apart = request.args.get("which") == "apart"
    found, following = duplicates.page(house, who.sight, apart, _mark(request.args.get("after", "")))
    with house.database.read() as conn:
        states = decisions.merged(conn, list({id for pair in found for id in (pair.one, pair.other)}))
        titles = {id: records.title_of(house, state) for id, state in states.items()}
        people = records.people_of(conn, {pair.by for pair in found if pair.by})
    return page("duplicates/list.html", pairs=found, titles=titles, reasons=REASONS, apart=apart, people=people, after="~".join(map(str, following or ())))


def _mark(text: str) -> Mark | None:
    """Where the page before ended; None for the first, and for what is no such place."""
    score, _, ids = text.partition("~")
    one, _, other = ids.partition("~")
    return Mark(int(score), one, other) if score.isascii() and score.isdecimal() and len(score) < 4 and other else None


@desk.get("/duplicates/<one>/<other>", may="duplicates.read")
def pair(one: str, other: str) -> Answer:
    return _shown(one, other, None, 200)


@desk.post("/duplicates/<one>/<other>", may="duplicates.decide")
def decide(one: str, other: str) -> Answer:
    """Merge (`survivor` keeps its id), or remember that they are two."""
    house, who = instance(), seat()
    reason, survivor = request.form.get("reason", "").strip()[:LONGEST], request.form.get("survivor", "")
    do = request.form.get("do", "")
    if not reason or (do == "merge" and survivor not in (one, other)):
        return _shown(one, other, Label("请写明理由，并选定保留哪一条", "Say why, and which of the two stays"), 400)
    if do == "merge":
        gone = other if survivor == one else one
        try:
            duplicates.merge(house, who.sight, survivor, gone, reason=reason, person=who.person.id, rights=who.rights)
        except Problem as problem:
            if problem.code != "refused":
                raise
            return _shown(one, other, Label(problem.text("zh"), problem.text("en")), 409)
        say(Label("已合并；不同之处在合并台裁决", "Merged; what differs waits at the merge desk"))
        return onward(url_for("console.duplicates.merged", survivor=survivor, other=gone))
    duplicates.apart(house, who.sight, one, other, person=who.person.id, reason=reason, back=do == "back")
    say(Label("已记住：不是同一机构", "Remembered: not the same") if do != "back" else Label("已放回待办", "It waits again"))
    return onward(url_for("console.duplicates.listing"))


@desk.get("/duplicates/merged/<survivor>/<other>", may="duplicates.read")
def merged(survivor: str, other: str) -> Answer:
    """What became of a merge, with the way back."""
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, survivor)
        waiting = duplicates.open_on(conn, seen.state)
    return page(
        "duplicates/merged.html",
        seen=seen,
        survivor=survivor,
        other=other,
        title=records.title_of(house, seen.state),
        together=other in seen.state.members or survivor in seen.state.members,
        waiting=waiting,
        path_said=lambda path: label_of(Institution, path),
    )


@desk.post("/duplicates/merged/<survivor>/<other>/undo", may="duplicates.decide")
def undo(survivor: str, other: str) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        records.one(house, conn, who.sight, survivor)
    reason = request.form.get("reason", "").strip()[:LONGEST] or "撤销合并"
    decisions.unmerge(house.desk, survivor, other, reason=reason, by=[who.person.id], rights=who.rights)
    say(Label("已撤销合并，两条记录各自恢复", "Taken back: both stand for themselves again"))
    return onward(url_for("console.duplicates.pair", one=survivor, other=other))


def _shown(one: str, other: str, wrong: Label | None, status: int) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        first, second, found = duplicates.pair_of(house, conn, who.sight, one, other)
    return answered(
        "duplicates/pair.html",
        status,
        one=one,
        other=other,
        titles={one: records.title_of(house, first), other: records.title_of(house, second)},
        found=found,
        rows=duplicates.differences(first, second),
        reasons=REASONS,
        path_said=lambda path: label_of(Institution, path),
        value_said=lambda path, value: value_of(Institution, path, value),
        typed=request.form.get("reason", ""),
        survivor=request.form.get("survivor", one),
        wrong=wrong,
    )
