"""Grades computed again from the changes in a bundle: what follows from them, and what only the server's word says.

follows    the values that a grade rests on (folded, merged and withdrawn as everywhere), on what people disagree, officers
           and their keys as they stand, that evidence is no better than what it belongs to, who wrote after a revocation
its word   a role that is not the one under which the log enrolled the device; a path with several values that it does not
           call contested (kinds say which ones merge by themselves); grades of what is not in the bundle
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.labels import Label
from schemas.paths import DELETED
from sync.core import grade as grading
from sync.core.change import canonical
from sync.core.fold import Entry, State, fold
from sync.core.grade import Author, Graded, Known
from sync.core.signing import signed_hash


class Wrong(Exception):
    """What the server states does not follow from the changes."""

    def __init__(self, zh: str, en: str) -> None:
        self.detail = Label(zh, en)
        super().__init__(en)


class Wrote(NamedTuple):
    """A kept change, who wrote it as the log has it (`role` empty where it does not say), and whether the device was
    revoked by then. `server`: it is the server's own."""

    entry: Entry
    role: str = ""
    revoked: bool = False
    server: bool = False


class Regraded(NamedTuple):
    """A grade that agrees with what was stated, and what of it rests on the server's word."""

    record: str
    grade: str
    unproved: tuple[Label, ...] = ()


def regraded(lines: list[dict[str, Any]], wrote: list[Wrote]) -> list[Regraded]:
    """Every stated grade, computed again. Raises Wrong for one that does not follow."""
    book = {one.entry.change.id: one for one in wrote}
    states = fold(one.entry for one in wrote)
    stated = {str(line["record"]): line for line in lines}
    return [_regraded(line, states, stated, book) for line in lines]


def _regraded(
    line: dict[str, Any], states: Mapping[str, State], stated: Mapping[str, dict[str, Any]], book: Mapping[str, Wrote]
) -> Regraded:
    record, state = str(line["record"]), states.get(str(line["record"]))
    if state is None or state.kind != line["kind"]:
        raise Wrong(f"{record} 没有变更", f"there are no changes of {record}")
    _stands(record, line["values"], state)
    for officer, values in line["officers"].items():
        _stands(officer, values, states.get(officer))
    for key, values in line["keys"].items():
        if not any(_difference(values, one) is None for one in states.values() if one.kind == "officer_key"):
            raise Wrong(f"密钥 {key} 没有人登记过", f"nobody registered the key {key}")
    covered = {path: line["values"][path] for path in line["covered"]}
    if signed_hash(line["kind"], record, covered) != line["content"]:
        raise Wrong(f"{record} 的内容校验值不符", f"the content hash of {record} is wrong")
    weighed = [path for path in state.live if path in covered or path.startswith("signatures/")]
    unproved = [
        *_contested(record, state, weighed, line["contested"]),
        *_authors(record, state, weighed, line["authors"], book),
    ]
    sources, missing = _sources(record, state, line, stated)
    unproved += missing
    known = Known(
        line["content"], [Author(*one) for one in line["authors"]], line["officers"], line["keys"], line["contested"], sources
    )  # fmt: skip
    again = grading.grade_of(line["kind"], line["values"], known)
    if again is None or again.grade != line["grade"]:
        raise Wrong(f"{record} 重新计算的等级不同", f"{record} has another grade when computed again")
    if not missing and [[reason.zh, reason.en] for reason in again.reasons] != line["reasons"]:
        raise Wrong(f"{record} 的定级理由不同", f"{record} has other reasons for its grade")
    return Regraded(record, again.grade, tuple(unproved) if again.grade != "D" else ())  # nothing makes a D worse


def _stands(record: str, values: Mapping[str, Any], state: State | None) -> None:
    path = _difference(values, state)
    if path is not None:
        raise Wrong(f"{record} 的 {path} 与变更不符", f"{path} of {record} is not what the changes say")


def _difference(values: Mapping[str, Any], state: State | None) -> str | None:
    """The first path on which values are not those that stand; None where all are, and none is left out."""
    live = state.live if state is not None else {}
    for path in sorted(values.keys() | live.keys() - {DELETED}):
        if path not in values or path not in live or not _shows(values[path], list(live[path].values())):
            return path
    return None


def _shows(value: Any, live: list[Any]) -> bool:
    """Whether a value is what several live ones may be shown as: one of them, or their union or sum."""
    shown = {canonical(one) for one in live}
    if len(live) > 1:
        shown.add(canonical(any(one is True for one in live)))
        if all(type(one) is int for one in live):
            shown.add(canonical(sum(live)))
    return canonical(value) in shown


def _contested(record: str, state: State, weighed: list[str], told: list[str]) -> Iterator[Label]:
    several = {path for path in weighed if len({canonical(one) for one in state.live[path].values()}) > 1}
    if invented := sorted(set(told) - several):
        raise Wrong(f"{record} 的 {invented[0]} 没有冲突", f"nobody disagrees on {invented[0]} of {record}")
    for path in sorted(several - set(told)):
        yield Label(
            f"{path} 有多个值，称可自动合并", f"{path} has several values, which are said to merge by themselves"
        )


def _authors(
    record: str, state: State, weighed: list[str], told: list[list[Any]], book: Mapping[str, Wrote]
) -> Iterator[Label]:
    authors = {one for path in weighed for one in _writers(state, path, book)}
    stated = {(str(role), bool(revoked)) for role, revoked in told}
    if any(one.revoked for one in authors) != any(revoked for _, revoked in stated) or bool(authors) != bool(stated):
        raise Wrong(f"{record} 的作者与变更不符", f"the authors of {record} are not those of the changes")
    proved = {(one.role, one.revoked) for one in authors if one.role}
    roles = sorted(role for role, _ in stated - proved)
    if roles or proved - stated or any(not one.role for one in authors):
        named = "、".join(roles) or "—"
        yield Label(f"作者角色（{named}）以服务器所述为准", f"roles of authors ({named}) are the server's word")


def _writers(state: State, path: str, book: Mapping[str, Wrote]) -> Iterator[Wrote]:
    """Who wrote what lives on a path, and everybody whose values a decision chose between."""
    todo, seen = list(state.live[path]), set()
    while todo:
        id = todo.pop()
        if id in seen or id not in book:
            continue
        seen.add(id)
        yield book[id]
        change = book[id].entry.change
        if (change.decision is not None or book[id].server) and path in change.set:
            todo.extend(change.parents(path))


def _sources(
    record: str, state: State, line: dict[str, Any], stated: Mapping[str, dict[str, Any]]
) -> tuple[list[Graded], list[Label]]:
    """The grades that a record cannot be better than, with their reasons where they are in the bundle."""
    told = [Graded(grade) for grade in line["sources"]]
    if state.members:
        return told, [Label("并入记录的等级以服务器所述为准", "grades of what was merged in are the server's word")]
    subject = stated.get(str(line["values"].get("subject") or "")) if line["kind"] == "evidence" else None
    if subject is None:
        return told, [Label("所属记录不在包内", "what it belongs to is not in the bundle")] if told else []
    if [one.grade for one in told] != [subject["grade"]]:
        raise Wrong(f"{record} 的等级未计入所属检查", f"the grade of {record} leaves out what it belongs to")
    return [Graded(subject["grade"], tuple(Label(zh, en) for zh, en in subject["reasons"]))], []
