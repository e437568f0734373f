"""The sync ledger: where everything that was made here is by now, and whether the tablet may be handed in."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify, request

from field_client.exchange.ledger import RecordLine
from field_client.tablet import Tablet
from field_client.ui import here, preferences
from field_client.ui.here import Nav, Screen
from field_client.ui.seats import Seat
from field_client.work import telling
from field_client.work.showing import called, title_of
from schemas.labels import Label
from schemas.words import label_of, same, value_of
from sync.core.errors import Locked, NotFound
from sync.core.fold import Conflict, values_of

screen = Screen("sync", __name__, nav=Nav(Label("同步", "Sync"), "sync", 60, "sync.ledger"), audience="both")

_ID = re.compile("[0-9a-f-]{32,64}")
SHOWN = 60
"""Of records and of files; the rest is counted."""


@screen.get("/sync")
def ledger() -> str:
    """The whole ledger; with `piece`, only what changes while a round goes on."""
    tablet, seat = here.tablet(), here.seat()
    found = tablet.ledger()
    reasons = telling.reasons_to_keep(tablet, found)
    blobs = found.blobs
    moving = [blob for blob in blobs if not blob.proven]
    open_lines = [line for line in found.records if not line.safe or line.waiting]
    safe = [line for line in found.records if line.safe and not line.waiting]
    facts: dict[str, Any] = {
        "told": told(seat, tablet.queued() + sum(not blob.held for blob in blobs)),
        "reasons": reasons,
        "moving": [(blob, telling.how_far(blob)) for blob in moving[:SHOWN]],
        "more_files": max(0, len(moving) - SHOWN),
        "lines": [_line(tablet, line) for line in open_lines[:SHOWN]],
        "more_lines": max(0, len(open_lines) - SHOWN),
        "held_files": sum(blob.proven for blob in blobs),
        "held_records": len(safe),
        "dead": sum(line.dead for line in found.records),
    }
    if "piece" in request.args:
        return here.page("sync/live.html", **facts)
    return here.page(
        "sync/ledger.html",
        **facts,
        dear=seat.preferences.dear(seat.rounds.metered),
        safe=[_line(tablet, line) for line in safe[:SHOWN]],
        conflicts=[_conflict(tablet, one) for one in tablet.conflicts()],
        aside=[_aside(tablet, one) for line in found.records if line.waiting or line.dead for one in telling.aside(tablet, line)],
    )


def _line(tablet: Tablet, line: RecordLine) -> dict[str, Any]:
    schema = tablet.registry.get(line.kind)
    return {
        "line": line,
        "label": schema.label if schema else same(line.kind),
        "title": _title(tablet, line.record),
        "changes": telling.changes_of(line),
        "done": sum(blob.proven for blob in line.blobs),
        "files": len(line.blobs),
        "first": any(not blob.held for blob in line.blobs),
    }


def _title(tablet: Tablet, record: str) -> str:
    """What a record is called; nothing where that is an id, which says nothing to a person."""
    try:
        state = tablet.view(record)
    except NotFound:
        return ""
    values = values_of(state, tablet.merge_of(state.kind))
    title = called(tablet.registry.get(state.kind), values)
    if title and title == values.get("mime"):  # a file without a caption goes by its name
        title = tablet.store.uploads.name_of(str(values.get("sha256")))
    return "" if _ID.fullmatch(title) else title


def _conflict(tablet: Tablet, conflict: Conflict) -> dict[str, Any]:
    kind = tablet.view(conflict.record).kind
    schema = tablet.registry.get(kind)
    values = [
        {
            "label": label_of(schema, one.path) if schema else same(one.path),
            "value": (value_of(schema, one.path, one.value) if schema else same(str(one.value))) or same("—"),
            "who": one.who,
            "mine": one.mine,
        }
        for one in telling.candidates(tablet, conflict)
    ]
    return {"record": conflict.record, "kind": kind, "title": title_of(tablet, conflict.record),
            "label": schema.label if schema else same(kind),
            "why": telling.CONFLICTS.get(conflict.kind, same(conflict.kind)), "values": values}  # fmt: skip


def _aside(tablet: Tablet, one: telling.Aside) -> dict[str, Any]:
    schema = tablet.registry.get(one.kind)
    change = next(own.change for own in tablet.history(one.record) if own.change.id == one.change)
    written = [
        (label_of(schema, path) if schema else same(path),
         (value_of(schema, path, change.value(path)) if schema else same(str(change.value(path)))) or same("—"))
        for path in one.paths
    ]  # fmt: skip
    return {"one": one, "title": title_of(tablet, one.record), "label": schema.label if schema else same(one.kind), "written": written}


# ---- acts --------------------------------------------------------------------------------------------------


@screen.post("/sync/now")
def now() -> Response:
    """A round now, also where rounds are paused: once."""
    seat = here.seat()
    held = seat.held()
    if not seat.practice:
        paused = seat.preferences.paused
        seat.rounds.start(held.tablet, held.vault, held.secrets, lambda: seat.peek() is not None, once=paused)
    return here.go(".ledger")


@screen.post("/sync/choose")
def choose() -> Response:
    """Pause or go on; whether bytes are dear, or the device shall say."""
    seat = here.seat()
    if here.posted("paused") in ("0", "1"):
        preferences.choose(seat.home, paused=here.posted("paused") == "1")
        if seat.preferences.paused:
            seat.rounds.stop()
        else:
            seat.set_off()
    if here.posted("line") in preferences.LINES:
        preferences.choose(seat.home, line=here.posted("line"))
        if seat.rounds.alive:
            seat.rounds.again()
    return here.go(".ledger")


@screen.post("/sync/first")
def first() -> Response:
    """Send a file, or all files of a record, before everything else."""
    tablet = here.tablet()
    wanted = [here.posted("sha256")] if here.posted("sha256") else [one.sha256 for one in tablet.store.uploads.all(here.posted("record"))]
    count = tablet.send_first(wanted)
    here.seat().rounds.again()
    return here.done(Label(f"{count} 个文件排到最前", f"{count} files go first"), ".ledger")


@screen.post("/sync/revive")
def revive() -> Response:
    """Send again what the server could not read."""
    count = here.tablet().revive()
    here.seat().rounds.again()
    return here.done(Label(f"{count} 条变更将重新发送", f"{count} changes are sent again"), ".ledger")


# ---- how far -----------------------------------------------------------------------------------------------


@screen.get("/sync/state.json")
def state() -> Response:
    """How far the background is, for the pages that watch. Looking is no use: the tablet locks all the same."""
    seat = here.seat()
    held = seat.peek()
    if held is None:
        raise Locked()
    tablet = held.tablet.another()
    try:
        waiting = tablet.queued() + tablet.store.uploads.waiting_count()
    finally:
        tablet.close()
    response = jsonify(told(seat, waiting))
    response.headers["Cache-Control"] = "no-store"
    return response


def told(seat: Seat, waiting: int) -> dict[str, Any]:
    """What the pages are told of the background; `state` is one of practice, paused, running, waiting, off."""
    rounds, chosen = seat.rounds, seat.preferences
    doing, last = rounds.doing, rounds.last
    state = (
        "practice" if seat.practice
        else "running" if doing is not None
        else "paused" if chosen.paused
        else "waiting" if rounds.alive
        else "off"
    )  # fmt: skip
    problem = last.problem if last is not None else None
    language = here.language()
    retrying = bool(doing and doing.phase == telling.PHASES["waiting"])  # what it then counts are tries
    return {
        "state": state,
        "waiting": waiting,
        "rounds": rounds.rounds,
        "phase": doing.phase.text(language) if doing else "",
        "retrying": retrying,
        "done": doing.done if doing and not retrying else 0,
        "total": doing.total if doing and not retrying else 0,
        "problem": problem.text(language) if problem else "",
        "hint": problem.next_step(language) if problem else "",
        "last": last.at_ms if last else None,
        "complete": bool(last and last.complete),
        "line": line_of(chosen, rounds.metered).text(language),
        "words": _chip("waiting" if retrying else state, waiting, retrying or problem is not None).text(language),
    }


def line_of(chosen: preferences.Preferences, detected: bool | None) -> Label:
    """Whether bytes are dear, and who says so."""
    if chosen.line != "auto":
        return Label("省着用（您选的）", "Dear (your choice)") if chosen.line == "dear" else Label("不限流量（您选的）", "Not dear (your choice)")
    return _DETECTED[detected]


_DETECTED: dict[bool | None, Label] = {
    True: Label("按流量计费（自动识别）", "Billed by volume (found by itself)"),
    False: Label("不按流量计费（自动识别）", "Not billed by volume (found by itself)"),
    None: Label("本机说不出线路是否按流量计费，当作不计费；需要时请选“省着用”", "This device cannot tell; taken as not billed by volume. Choose “Dear” where it is"),
}


def _chip(state: str, waiting: int, failed: bool) -> Label:
    if state == "practice":
        return Label("不上传", "Never sent")  # that this is practice, the mark beside it says
    if state == "paused":
        return Label(f"已暂停 · 待传 {waiting}", f"Paused · {waiting} to send") if waiting else Label("已暂停", "Paused")
    if state == "running":
        return Label(f"同步中 · {waiting}", f"Syncing · {waiting}") if waiting else Label("同步中", "Syncing")
    if waiting:
        return Label(f"未连上 · 待传 {waiting}", f"No line · {waiting} to send") if failed else Label(f"待传 {waiting}", f"{waiting} to send")
    return Label("未连上", "No line") if failed else Label("已送达", "All sent")
