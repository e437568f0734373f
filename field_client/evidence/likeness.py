"""Photos on this tablet that look alike: a warning at capture, while the person still knows why.

A new photo is compared with the photos of the same institution, whoever took them, and with those that this tablet took
in the last seven days. It is the index that is asked, not the photos: how long that takes does not depend on how many
there are. Photos of others come with their records, fingerprint included; triggers note them and `catch_up` puts them in.

Nothing is held up by a likeness. The reason is asked for, and kept on the evidence record beside the evidence that it
repeats; the server looks for itself later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from custody.likeness import Likeness, NotAPrint, Print, Seen, find
from field_client.evidence.repeats import settle
from field_client.moments import moment
from field_client.platform.database import Database
from schemas.kinds.evidence import REPEAT_REASONS, Evidence
from schemas.labels import Label
from sync.core.errors import InvalidField, NotFound
from sync.core.fold import deleted, values_of

if TYPE_CHECKING:  # the tablet makes the index when it is new
    from field_client.tablet import Tablet

WEEK = timedelta(days=7)
KIND = Evidence.kind
MANY = 900

SORTS = {
    "same": Label("同一画面", "the same picture"),
    "part": Label("裁剪自该照片", "cut out of it"),
    "whole": Label("该照片裁剪自它", "it is cut out of this one"),
    "overlap": Label("有共同部分", "they share a part"),
}

# No INSERT OR IGNORE in a trigger: the statement that fires it may say OR FAIL or ON CONFLICT, and that would count instead.
_SCHEMA = f"""
CREATE TABLE likeness_todo (record TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE likeness_prints (n INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE, print BLOB NOT NULL);
CREATE TABLE likeness_keys (key INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (key, n)) WITHOUT ROWID;
CREATE TRIGGER likeness_state_put AFTER INSERT ON states WHEN new.kind = '{KIND}'
    BEGIN INSERT INTO likeness_todo SELECT new.id WHERE new.id NOT IN (SELECT record FROM likeness_todo); END;
CREATE TRIGGER likeness_state_changed AFTER UPDATE ON states WHEN new.kind = '{KIND}'
    BEGIN INSERT INTO likeness_todo SELECT new.id WHERE new.id NOT IN (SELECT record FROM likeness_todo); END;
CREATE TRIGGER likeness_state_gone AFTER DELETE ON states WHEN old.kind = '{KIND}'
    BEGIN INSERT INTO likeness_todo SELECT old.id WHERE old.id NOT IN (SELECT record FROM likeness_todo); END;
CREATE TRIGGER likeness_change_written AFTER INSERT ON changes WHEN new.kind = '{KIND}'
    BEGIN INSERT INTO likeness_todo SELECT new.record WHERE new.record NOT IN (SELECT record FROM likeness_todo); END;
INSERT OR IGNORE INTO likeness_todo SELECT id FROM states WHERE kind = '{KIND}';
INSERT OR IGNORE INTO likeness_todo SELECT record FROM changes WHERE kind = '{KIND}';
"""


class Similar(NamedTuple):
    """An earlier photo that a new one is like.

    captured_at  when the earlier one was taken in, a `Moment`
    institution  its institution's name, empty where that is not known here
    subject      the record that it belongs to: the visit, the hazard
    repeated     one is from before and one from after a rectification
    """

    evidence: str
    alike: Likeness
    captured_at: str
    institution: str
    subject: str
    repeated: bool


class Shelf:
    """The index in the tablet's database, a `custody.likeness.Shelf`; makes its tables where there are none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make("likeness_todo", _SCHEMA)

    def under(self, keys: Collection[int]) -> tuple[list[int], list[str]]:
        asked: list[int] = sorted(keys)
        found: list[tuple[int, str]] = []
        for start in range(0, len(asked), MANY):
            some = asked[start : start + MANY]
            marks = ",".join("?" * len(some))
            sql = f"SELECT k.key, p.record FROM likeness_keys k JOIN likeness_prints p ON p.n = k.n WHERE k.key IN ({marks})"
            found += self._database.rows(sql, some)
        return [key for key, _ in found], [record for _, record in found]

    def prints(self, photos: Collection[str]) -> Mapping[str, Print]:
        held = {}
        for photo in photos:
            content = self._database.value("SELECT print FROM likeness_prints WHERE record = ?", (photo,))
            if content is not None:
                held[photo] = Print.load(content)
        return held

    def catch_up(self, tablet: Tablet) -> None:
        """Put in what came, and take out what went, since the last time."""
        for (record,) in self._database.rows("SELECT record FROM likeness_todo"):
            with self._database.writing():
                self._put(record, _print_of(tablet, record))

    def _put(self, record: str, held: Print | None) -> None:
        run = self._database.run
        run("DELETE FROM likeness_todo WHERE record = ?", (record,))
        content = held.dump() if held is not None else None
        known = self._database.row("SELECT n, print FROM likeness_prints WHERE record = ?", (record,))
        if known is not None and known[1] == content:
            return
        if known is not None:
            self._database.run_many(
                "DELETE FROM likeness_keys WHERE key = ? AND n = ?",
                [(key, known[0]) for key in Print.load(known[1]).keys().tolist()],
            )
            run("DELETE FROM likeness_prints WHERE n = ?", (known[0],))
        if held is not None:
            run("INSERT INTO likeness_prints(record, print) VALUES (?, ?)", (record, content))
            number = self._database.value("SELECT n FROM likeness_prints WHERE record = ?", (record,))
            self._database.run_many(
                "INSERT OR IGNORE INTO likeness_keys VALUES (?, ?)", [(key, number) for key in held.keys().tolist()]
            )


def fields(looks: Mapping[str, str]) -> dict[str, str]:
    """path → value of an evidence record: what is kept of what was seen in a photo; nothing where nothing was."""
    seen = _seen(looks)
    return {} if seen is None else {"fingerprint": seen.print.dump().hex(), "phash": seen.gist.hex()}


def similar(tablet: Tablet, evidence: str, looks: Mapping[str, str]) -> tuple[Similar, ...]:
    """The earlier photos of this institution, or of this tablet's last week, that a new one is like; the likest first."""
    seen = _seen(looks)
    if seen is None:
        return ()
    shelf = Shelf(tablet.store.database)
    shelf.catch_up(tablet)
    own = tablet.values(evidence)
    here = _institution_of(tablet, own)
    told = []
    for record, alike in find(seen, shelf):
        values = _values(tablet, record)
        if record == evidence or not values:
            continue
        place = _institution_of(tablet, values)
        if (here and place == here) or _this_week(tablet, record, values):
            stages = {own.get("stage"), values.get("stage")}
            told.append(
                Similar(
                    record,
                    alike,
                    str(values.get("captured_at") or ""),
                    str(_values(tablet, place).get("name") or ""),
                    str(values.get("subject") or ""),
                    stages == {"before", "after"},
                )
            )
    return tuple(told)


def explain(tablet: Tablet, evidence: str, repeats: str | None, reason: str, note: str = "") -> None:
    """Write down why a photo repeats an earlier one. Raises InvalidField where "other" has no words."""
    if reason not in REPEAT_REASONS:
        detail = Label(f"应为 {'、'.join(REPEAT_REASONS)} 之一", f"is one of {', '.join(REPEAT_REASONS)}")
        raise InvalidField(field="repeat_reason", detail=detail)
    if reason == "other" and not note:
        raise InvalidField(field="repeat_note", detail=Label("“其他”应写明原因", '"other" needs the reason in words'))
    given = {"repeats": repeats, "repeat_reason": reason, "repeat_note": note}
    with tablet.store.writing():
        tablet.write(KIND, evidence, {path: value for path, value in given.items() if value})
        settle(tablet, evidence)


def _seen(looks: Mapping[str, str]) -> Seen | None:
    try:
        return Seen.load(bytes.fromhex(looks["seen"]))
    except (KeyError, NotAPrint, ValueError):
        return None


def _print_of(tablet: Tablet, record: str) -> Print | None:
    """The print in an evidence record; a derived copy is no photo of its own."""
    try:
        state = tablet.view(record)
    except NotFound:
        return None
    values = values_of(state, tablet.merge_of(state.kind))
    if deleted(state) or values.get("role") != "original" or state.record != record:
        return None
    try:
        return Print.load(bytes.fromhex(str(values.get("fingerprint") or "")))
    except ValueError:  # NotAPrint is one
        return None


def _this_week(tablet: Tablet, record: str, values: Mapping[str, Any]) -> bool:
    captured = values.get("captured_at")
    if not isinstance(captured, str) or not tablet.history(record):
        return False
    return datetime.fromisoformat(captured) >= datetime.fromisoformat(moment(tablet)) - WEEK


def _institution_of(tablet: Tablet, evidence: Mapping[str, Any]) -> str:
    subject = str(evidence.get("subject") or "")
    if evidence.get("subject_kind") == "institution":
        return subject
    return str(_values(tablet, subject).get("institution") or "")


def _values(tablet: Tablet, record: str) -> Mapping[str, Any]:
    try:
        return tablet.values(record) if record else {}
    except NotFound:
        return {}
