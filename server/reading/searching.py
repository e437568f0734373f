"""Finding records of every kind by any piece of what somebody wrote in them, and what names what.

The index (`server.storage.texts`) is behind the log by as much as was kept since somebody last caught up. Whoever searches
catches up a little first; the server does the rest when it is quiet (`Keeper`). What was found is read again from the
records before it is shown, so that neither an old text nor an old place is.

Indexed is what people write: titles, texts, notes, captions, remarks; not what a role is kept from seeing, and no digests.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from schemas.base import DEPARTMENTS, RecordSchema
from schemas.fields import Attachments, CreditCode, Ref, Tags, Text
from schemas.letters import letters_of, terms_of
from server.instance import Instance
from server.storage import journal, states, texts
from server.storage.database import Connection
from server.storage.lists import Lists, Wanted
from server.storage.texts import Entry, Hit, Sight
from sync.core.fold import State, deleted, values_of

logger = logging.getLogger("patrolbook.server")

AT_ONCE, SOME = 2_000, 200
"""Changes looked at in one transaction of the index: where all are wanted, and where somebody waits for it to end."""
PATIENCE_S = 0.1
"""How long somebody who searches waits for the index to catch up."""
QUIET_S = 2.0
OVERDUE_S = 60.0
"""The server waits for quiet before it indexes, but no longer than this."""
SHORTEST_ID = 8
MOST = 2_000
"""Records that a search hands to a list to be filtered and put in order, or ranks by their titles."""


_Tier = Callable[[int | None, int], list[Hit]]
"""Hits below a number (None: all), the newest first, at most so many."""


class Found(NamedTuple):
    """A record that fits: its row, as lists have it."""

    kind: str
    row: dict[str, Any]


class Answer(NamedTuple):
    """What was found, best first; `after`: where the next page begins; `behind`: changes that are not indexed yet.

    A place is how well it fits and the last record, never its number in the index: that would count what is behind a wall too.
    """

    found: list[Found]
    after: tuple[int, str] | None
    behind: int


class Searcher:
    """Searches one server's records."""

    def __init__(self, house: Instance) -> None:
        self.house = house
        self.texts = house.texts
        self.lists = Lists(house.projections)

    # --- finding -----------------------------------------------------------------------------------------------------

    def find(
        self,
        text: str,
        sight: Sight,
        kinds: Collection[str] = (),
        *,
        after: tuple[int, str] | None = None,
        size: int = 50,
    ) -> Answer:
        """The records in sight that hold every word of a text: those whose title begins so, has it, all others; newest
        first among each; and what has or names an id that begins so. `after` is what the page before said. An empty text finds nothing.

        Of a text that more than `MOST` hold, the titles of the newest so many are looked at; what is older follows newest first."""
        behind = self.behind(sight) if self.catch_up(PATIENCE_S) else 0
        terms = terms_of(text)
        if not terms:
            return Answer([], None, behind)
        tier, below = after or (0, "")
        found: list[Found] = []
        last: tuple[int, str] | None = None
        with self.texts.reading() as index, self.house.database.read() as conn:
            for number, hits_below in enumerate(self._tiers(index, conn, sight, terms, kinds)):
                if number < tier:
                    continue
                mark = texts.number_of(index, below) if below else None
                below = ""
                while len(found) <= size:
                    hits = hits_below(mark, size + 1)
                    for one in self._seen(conn, sight, hits):
                        found.append(one)
                        if len(found) > size:
                            return Answer(found[:size], last, behind)
                        last = (number, one.row["record"])
                    if len(hits) <= size:
                        break
                    mark = hits[-1].n
        return Answer(found, None, behind)

    def _tiers(
        self, index: Connection, conn: Connection, sight: Sight, terms: Sequence[list[str]], kinds: Collection[str]
    ) -> list[_Tier]:
        """What is found together, best first; the places in this list are in the marks of pages."""

        def of(expression: str, most: int = 1 << 62) -> _Tier:
            return lambda mark, limit: texts.matching(index, sight, expression, kinds, before=min(mark or most, most), limit=limit)

        starts, titles, anywhere = texts.phrases(terms, "title", start=True), texts.phrases(terms, "title"), texts.phrases(terms)
        whole = "".join(terms[0])
        ids = [of(texts.naming([whole], whole=False))] if len(terms) == 1 and len(terms[0]) >= SHORTEST_ID and whole.isascii() else []
        newest = texts.matching(index, sight, anywhere, kinds, limit=MOST + 1)
        if len(newest) <= MOST:
            return [of(starts), of(f"({titles}) NOT ({starts})"), of(f"({anywhere}) NOT ({titles})"), *ids]
        # The index looks for a title in every record that holds the words anywhere, which for such a text are too many.
        ranked: list[list[Hit]] = [[], [], []]
        known = self._titles(conn, newest[:MOST])
        for hit in newest[:MOST]:
            ranked[_rank(letters_of(known.get(hit.record, "")), terms)].append(hit)
        return [*map(_listed, ranked), of(anywhere, newest[MOST - 1].n), *ids]

    def _titles(self, conn: Connection, hits: Sequence[Hit]) -> dict[str, str]:
        """record → its title, of those that have one."""
        found: dict[str, str] = {}
        for kind in {hit.kind for hit in hits}:
            schema = self.house.registry.get(kind)
            if schema is not None and schema.title in schema.fields_by_name():
                among = [hit.record for hit in hits if hit.kind == kind]
                found |= self.lists.values(conn, kind, schema.title, among)
        return found

    def ids(self, text: str, sight: Sight, kind: str, most: int = MOST) -> list[str] | None:
        """The newest records of a kind in sight that hold a text anywhere; None for an empty text."""
        terms = terms_of(text)
        if not terms:
            return None
        self.catch_up(PATIENCE_S)
        with self.texts.reading() as index:
            return [hit.record for hit in texts.matching(index, sight, texts.phrases(terms), (kind,), limit=most)]

    def naming(self, records: Sequence[str], sight: Sight, kinds: Collection[str] = (), most: int = 200) -> list[Found]:
        """The records in sight that name one of these, newest first."""
        self.catch_up(PATIENCE_S)
        with self.texts.reading() as index, self.house.database.read() as conn:
            hits = texts.matching(index, sight, texts.naming(records), kinds, limit=most)
            return [one for one in self._seen(conn, sight, hits) if one.row["record"] not in records]

    def _seen(self, conn: Connection, sight: Sight, hits: Sequence[Hit]) -> Iterator[Found]:
        """The hits as their records are now, without those that are not in sight (any more)."""
        rows: dict[str, dict[str, Any]] = {}
        for kind in {hit.kind for hit in hits}:
            schema = self.house.registry.get(kind)
            if schema is not None:
                among = [hit.record for hit in hits if hit.kind == kind]
                wanted = wanted_in(schema, sight, among=among)
                rows.update({row["record"]: row for row in self.lists.page(conn, wanted, len(among)).rows})
        for hit in hits:
            if hit.record in rows:
                yield Found(hit.kind, rows[hit.record])

    # --- indexing ----------------------------------------------------------------------------------------------------

    def behind(self, sight: Sight | None = None) -> int:
        """How many leaves of the logs the index does not know yet; with a sight, of those logs that it leads to."""
        logs = [log for log in self.house.keys.voices if sight is None or sight.areas.get(log)]
        with self.house.database.read() as conn:
            newest = {log: journal.newest_leaf(conn, log) for log in logs}
        with self.texts.reading() as index:
            known = self.texts.fits(index, self.house.epoch)
            reached = {log: texts.reached(index, log) if known else -1 for log in newest}
        return sum(max(0, newest[log] - reached[log]) for log in newest)

    def catch_up(
        self, patience: float | None = None, stop: Callable[[], bool] = lambda: False, at_once: int | None = None
    ) -> int:
        """Index what was kept since the last time, for at most so many seconds; returns what is still to do."""
        until = None if patience is None else time.monotonic() + patience
        with self.texts.reading() as index:
            there = self.texts.fits(index, self.house.epoch)  # on a new server not even the tables are
        if there and self.behind() == 0:
            return 0
        while True:
            with self.texts.writing(self.house.epoch) as index, self.house.database.read() as conn:
                for log in self.house.keys.voices:
                    self._advance(index, conn, log, at_once or (AT_ONCE if until is None else SOME))
                left = self._behind(index, conn)
            if not left or stop() or (until is not None and time.monotonic() > until):
                return left

    def rebuild(self, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
        """Make the index again from the records; returns how many leaves were gone through."""
        with self.texts.writing(self.house.epoch) as index:
            self.texts.begin(index, self.house.epoch)
        total = left = self.behind()
        while left:
            left = self.catch_up(patience=0, at_once=AT_ONCE)
            progress(total - left, total)
        return total

    def _behind(self, index: Connection, conn: Connection) -> int:
        return sum(
            max(0, journal.newest_leaf(conn, log) - texts.reached(index, log)) for log in self.house.keys.voices
        )

    def _told(self, kind: str) -> bool:
        schema = self.house.registry.get(kind)
        return schema is not None and not schema.at_desk

    def _advance(self, index: Connection, conn: Connection, log: str, at_once: int) -> None:
        kept = journal.since(conn, log, texts.reached(index, log), at_once)
        if not kept:
            return
        touched = journal.connected(conn, dict.fromkeys(one.record for one in kept))
        stored = states.load(conn, touched)
        standing = [State.read(bytes(one.bytes)) for one in stored.values() if one.bucket is not None]
        shown = [state for state in standing if self._told(state.kind) and not deleted(state)]
        shown.sort(key=lambda state: state.record)
        texts.put(index, (entry_of(self.house.registry[state.kind], state) for state in shown))
        texts.drop(index, touched - {state.record for state in shown})
        texts.note(index, log, kept[-1].leaf)


def _listed(hits: Sequence[Hit]) -> _Tier:
    return lambda mark, limit: [one for one in hits if mark is None or one.n < mark][:limit]


def _rank(title: list[str], terms: Sequence[list[str]]) -> int:
    """0: a title begins with the first term, and holds it as `texts.phrases` asks; 1: it holds it; 2: neither."""
    first = terms[0]
    at = next((at for at in range(len(title) - len(first) + 1) if title[at : at + len(first)] == first), -1)
    return 2 if at < 0 else 1 if at else 0


class Keeper:
    """Keeps the index up to date in a thread of the server: when nothing new came for a moment, or after a minute."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index of texts", daemon=True)

    def start(self) -> Keeper:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        before, since = 0, time.monotonic()
        while not self._stop.wait(QUIET_S):
            try:
                left = self._searcher.behind()
                if left and (left == before or time.monotonic() - since > OVERDUE_S):
                    self._searcher.catch_up(patience=QUIET_S, stop=self._stop.is_set)
                    left, since = 0, time.monotonic()
                before = left
                if not left:
                    since = time.monotonic()
            except Exception as error:  # a full disk, a restore under way: the next look may go well
                logger.warning("the index of texts waits", exc_info=error)


def wanted_in(schema: type[RecordSchema], sight: Sight, **more: Any) -> Wanted:
    """A list of a kind, as far as a sight goes."""
    if schema.area_field is None:  # reference data, for whoever sees anything in the open
        areas: Sequence[str] = ("",) if sight.areas.get("") else ()
    else:
        areas = sight.areas.get(schema.compartment, ())
    return Wanted(schema.kind, areas, departments=sight.departments, **more)


def entry_of(schema: type[RecordSchema], state: State) -> Entry:
    """What of a record is indexed. Of a path in conflict every live value is: each of them was written."""
    shown = values_of(state, schema.merge_of)
    title = shown.get(schema.title)
    written = {path: list(live.values()) for path, live in state.live.items()}
    return Entry(
        state.record,
        schema.kind,
        schema.compartment,
        _area(schema, state),
        title if isinstance(title, str) else "",
        list(_texts(schema, written)),
        {*_names(schema, written), *state.members, state.record},
        [path.partition("/")[2] for path, value in shown.items() if path.startswith(f"{DEPARTMENTS}/") and value is True],
    )


def _area(schema: type[RecordSchema], state: State) -> str | None:
    if schema.area_field is None:
        return None
    live = state.live.get(schema.area_field)
    value = live[max(live, key=lambda change: (state.acts[change].hlc, change))] if live else ""
    return value if isinstance(value, str) else ""


def _texts(schema: type[RecordSchema], written: dict[str, list[Any]]) -> Iterator[str]:
    for path, values in written.items():
        field = schema.field_of(path)
        if field is None or field.hidden_from:
            continue
        for value in values:
            if isinstance(value, str):
                if isinstance(field, CreditCode) or path in schema.search or (isinstance(field, Text) and not field.pattern):
                    yield value
                elif field.keyed and not isinstance(field, (Attachments, Tags)):
                    yield value  # a caption
            elif isinstance(value, dict) and field.keyed and not isinstance(field, Attachments):
                yield from (said for name in ("text", "remark", "reason", "measured", "name") if isinstance(said := value.get(name), str))


def _names(schema: type[RecordSchema], written: dict[str, list[Any]]) -> Iterable[str]:
    for path, values in written.items():
        field = schema.field_of(path)
        key = path.partition("/")[2]
        if isinstance(field, Ref):
            yield from (value for value in values if isinstance(value, str))
        elif isinstance(field, Attachments) or (isinstance(field, Tags) and field.target is not None):
            yield key
