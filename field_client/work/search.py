"""Finding an institution without a network, by any piece of what is known about it.

What a person types may be a few characters from the middle of the name (`口才`), pinyin initials (`kcpx`), pinyin in
full or half-way (`koucai`, `kouc`), a word in Latin letters, or a piece of an address, a person's name or a code.
Several pieces, separated by spaces, must all fit.

The index is an FTS5 table in the encrypted store: one token per character, or per pair of neighbours where letters and
digits are, so that any substring is a phrase. Pinyin is kept beside it, as syllables and as initials; a character that
is read in two ways in names (曾, 单, 长) is found under both.

Triggers in the database note which records changed, and nothing else: a pull pays for a note, not for pinyin, and no
program that writes to the store can forget it. `Search.catch_up` works the notes off, a few at a time.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from field_client.store import Store
from schemas.base import RecordSchema
from schemas.kinds.institution import Institution
from schemas.letters import START, letters_of, terms_of, tokens_of
from sync.core.errors import NotFound
from sync.core.fold import deleted, values_of

AT_ONCE = 200
"""Records indexed in one transaction: about 80 ms, short enough for whoever waits to write an answer."""
MOST_READINGS = 8
MOST_SPLITS = 16
REACHES_M = (500, 2_000, 10_000, 50_000, 500_000)
"""How far around a position is looked, one after the other."""
METRES_E7 = 0.011132
"""Metres in 1e-7 degree of latitude."""
ALIKE = 0.6
"""From here on two names are told as perhaps one: the share of their pairs of characters that both have."""
ALIKE_FROM = 60
COMMON = re.compile("培训|学校|中心|教育|机构|有限公司|工作室|俱乐部|辅导|托管|艺术|文化|咨询|[（(].*?[)）]")
"""What names of such places have in common says little about which one it is."""

ALSO_READ = {
    "乐": ("le", "yue"), "仇": ("chou", "qiu"), "单": ("dan", "shan"), "区": ("qu", "ou"), "曾": ("ceng", "zeng"),
    "朴": ("pu", "piao"), "朝": ("chao", "zhao"), "查": ("cha", "zha"), "盛": ("sheng", "cheng"), "盖": ("gai", "ge"),
    "翟": ("zhai", "di"), "行": ("xing", "hang"), "晟": ("sheng", "cheng"), "覃": ("qin", "tan"), "解": ("jie", "xie"),
    "重": ("zhong", "chong"), "长": ("chang", "zhang"), "冼": ("xian", "sheng"), "缪": ("miao", "mou"),
}  # fmt: skip
"""Characters whose second reading is alive in names of people, places and schools; a dictionary picks only one."""

_HAN = re.compile("([\u3400-\u9fff\U00020000-\U000323af]+)")

# No INSERT OR IGNORE in a trigger: where the statement that fires it says ON CONFLICT itself, that counts instead, and a
# record that was noted already would stop the pull.
_TRIGGERS = """
CREATE TRIGGER search_state_put AFTER INSERT ON states WHEN new.kind = '{kind}'
    BEGIN INSERT INTO search_todo SELECT new.id WHERE new.id NOT IN (SELECT record FROM search_todo); END;
CREATE TRIGGER search_state_changed AFTER UPDATE ON states WHEN new.kind = '{kind}'
    BEGIN INSERT INTO search_todo SELECT new.id WHERE new.id NOT IN (SELECT record FROM search_todo); END;
CREATE TRIGGER search_state_gone AFTER DELETE ON states WHEN old.kind = '{kind}'
    BEGIN INSERT INTO search_todo SELECT old.id WHERE old.id NOT IN (SELECT record FROM search_todo); END;
CREATE TRIGGER search_change_written AFTER INSERT ON changes WHEN new.kind = '{kind}'
    BEGIN INSERT INTO search_todo SELECT new.record WHERE new.record NOT IN (SELECT record FROM search_todo); END;
CREATE TRIGGER search_change_moved AFTER UPDATE OF status ON changes WHEN new.kind = '{kind}'
    BEGIN INSERT INTO search_todo SELECT new.record WHERE new.record NOT IN (SELECT record FROM search_todo); END;
CREATE TRIGGER search_merged AFTER INSERT ON aliases
    BEGIN INSERT INTO search_todo SELECT one FROM (SELECT new.member AS one UNION SELECT new.root)
        WHERE one NOT IN (SELECT record FROM search_todo); END;
CREATE TRIGGER search_unmerged AFTER DELETE ON aliases
    BEGIN INSERT INTO search_todo SELECT one FROM (SELECT old.member AS one UNION SELECT old.root)
        WHERE one NOT IN (SELECT record FROM search_todo); END;
"""
_OLD_TRIGGERS_GO = """
DROP TRIGGER search_state_put;
DROP TRIGGER search_state_changed;
DROP TRIGGER search_state_gone;
DROP TRIGGER search_change_written;
DROP TRIGGER search_change_moved;
DROP TRIGGER search_merged;
DROP TRIGGER search_unmerged;
"""
_SCHEMA = """
CREATE TABLE search_todo (record TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE search_entries (n INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    area TEXT NOT NULL, address TEXT NOT NULL, lat INTEGER, lon INTEGER);
CREATE INDEX search_places ON search_entries (lat) WHERE lat IS NOT NULL;
CREATE TABLE search_syllables (syllable TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE search_text USING fts5 (name, other, initials, pinyin, content = '',
    contentless_delete = 1, tokenize = 'ascii');
INSERT OR IGNORE INTO search_todo SELECT id FROM states WHERE kind = '{kind}';
INSERT OR IGNORE INTO search_todo SELECT record FROM changes WHERE kind = '{kind}';
"""
_OLD_TABLES_GO = """
DROP TABLE search_todo;
DROP TABLE search_entries;
DROP TABLE search_syllables;
DROP TABLE search_text;
"""


class Found(NamedTuple):
    """An institution that fits; `area` and `address` are empty where they are not known."""

    record: str
    name: str
    area: str
    address: str


class Search:
    """The index of the institutions in a store; makes its tables when it meets a store without them."""

    def __init__(self, store: Store, schema: type[RecordSchema] = Institution) -> None:
        self._store = store
        self._database = store.database
        self._schema = schema
        if self._lacking():
            with self._database.writing():
                for script in self._lacking():  # looked at again: another thread may have made them meanwhile
                    self._database.run_script(script.replace("{kind}", schema.kind))

    def _lacking(self) -> Sequence[str]:
        """The scripts that make the index what this program needs; none where it is."""
        if not self._database.has("search_todo"):
            return _SCHEMA, _TRIGGERS
        if not self._database.value("SELECT 1 FROM pragma_table_info('search_entries') WHERE name = 'lat'"):
            return _OLD_TRIGGERS_GO, _OLD_TABLES_GO, _SCHEMA, _TRIGGERS  # one without positions is made anew
        old = "SELECT 1 FROM sqlite_master WHERE name = 'search_state_put' AND sql LIKE '%OR IGNORE%'"
        return (_OLD_TRIGGERS_GO, _TRIGGERS) if self._database.value(old) else ()

    def find(self, text: str, limit: int = 20) -> list[Found]:
        """The institutions that fit, best first: the name begins so; its pinyin does; it is inside the name; elsewhere.

        What `behind` counts is not found yet. An empty text finds nothing.
        """
        terms = terms_of(text)
        found: dict[str, Found] = {}
        for expression in _expressions(terms, self._syllables()) if terms else ():
            rows = self._database.rows(
                "SELECT e.record, e.name, e.area, e.address FROM search_text t JOIN search_entries e ON e.n = t.rowid"
                " WHERE t.search_text MATCH ? LIMIT ?",
                (expression, max(200, 4 * limit)),
            )
            for row in sorted(rows, key=lambda row: (len(row[1]), row[1], row[0])):
                found.setdefault(row[0], Found(*row))
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def some(self, limit: int = 20) -> list[Found]:
        """Institutions to begin with where nothing was asked: those that were entered last."""
        rows = self._database.rows(
            "SELECT record, name, area, address FROM search_entries ORDER BY record DESC LIMIT ?", (limit,)
        )
        return [Found(*row) for row in rows]

    def names(self, records: Collection[str]) -> dict[str, str]:
        """record → name of those that are in the index."""
        told = orjson.dumps(list(records)).decode()
        sql = "SELECT e.record, e.name FROM json_each(?) j JOIN search_entries e ON e.record = j.value"
        return dict(self._database.rows(sql, (told,)))

    def count(self) -> int:
        """How many institutions are in the index."""
        return int(self._database.value("SELECT count(*) FROM search_entries"))

    def near(self, lat: int, lon: int, limit: int = 20) -> list[tuple[Found, int]]:
        """The institutions with a position nearest to one (in 1e-7 degrees), each with its distance in metres."""
        found: list[tuple[Found, int]] = []
        for reach_m in REACHES_M:
            reach = round(reach_m / METRES_E7)
            rows = self._database.rows(
                "SELECT record, name, area, address, lat, lon FROM search_entries"
                " WHERE lat BETWEEN ? AND ? AND lon BETWEEN ? AND ?",
                (lat - reach, lat + reach, lon - 2 * reach, lon + 2 * reach),
            )
            found = sorted(
                ((Found(*row[:4]), distance_m(lat, lon, row[4], row[5])) for row in rows), key=lambda one: one[1]
            )
            if sum(metres <= reach_m for _, metres in found) >= limit:
                break
        return found[:limit]

    def alike(self, name: str, address: str = "", limit: int = 5) -> list[Found]:
        """The institutions that a new one may be already, likeliest first: most of the characters of the name are the
        same ones in the same neighbourhood, or the name is in the other, or address and half the name agree."""
        wanted = core_of(name)
        if len(wanted) < 2:
            return []
        pieces = {wanted[place : place + 2] for place in range(len(wanted) - 1)}
        either = " OR ".join(f'"{" ".join(tokens_of(list(piece)))}"' for piece in sorted(pieces))
        rows = self._database.rows(
            "SELECT e.record, e.name, e.area, e.address FROM search_text t JOIN search_entries e ON e.n = t.rowid"
            f" WHERE t.search_text MATCH ? ORDER BY t.rank LIMIT {ALIKE_FROM}",
            (f"name : ({either})",),
        )
        scored = [(likeness(wanted, core_of(row[1])), Found(*row)) for row in rows]
        there = "".join(letters_of(address))
        same_place = {one for _, one in scored if there and _same_address(there, "".join(letters_of(one.address)))}
        near = [(score, one) for score, one in scored if score >= ALIKE or (score >= ALIKE / 2 and one in same_place)]
        return [one for _, one in sorted(near, key=lambda one: (-one[0], one[1].name))[:limit]]

    def behind(self) -> int:
        """How many changed records are not in the index yet."""
        return int(self._database.value("SELECT count(*) FROM search_todo"))

    def catch_up(self, limit: int = AT_ONCE) -> int:
        """Index at most `limit` changed records in one transaction; returns how many are still to do."""
        todo = [row[0] for row in self._database.rows("SELECT record FROM search_todo LIMIT ?", (limit,))]
        if todo:
            _read_aloud("机构")  # the dictionary loads for half a second: before the transaction, not in it
            with self._database.writing():
                for record in todo:
                    self._index(record)
        return self.behind()

    def _values(self, record: str) -> dict[str, Any]:
        """path → value as it is shown; empty for what is gone, deleted, or known under another id now."""
        try:
            state = self._store.view(record)
        except NotFound:
            return {}
        if state.record != record or state.kind != self._schema.kind or deleted(state):
            return {}
        return values_of(state, self._schema.merge_of)

    def _index(self, record: str) -> None:
        run = self._database.run
        run("DELETE FROM search_todo WHERE record = ?", (record,))
        known = self._database.value("SELECT n FROM search_entries WHERE record = ?", (record,))
        if known is not None:
            run("DELETE FROM search_text WHERE rowid = ?", (known,))
            run("DELETE FROM search_entries WHERE n = ?", (known,))
        values = self._values(record)
        name = values.get(self._schema.title)
        if not isinstance(name, str):
            return
        area, address = (str(values.get(path) or "") for path in ("area", "address"))
        run(
            "INSERT INTO search_entries (record, name, area, address, lat, lon) VALUES (?, ?, ?, ?, ?, ?)",
            (record, name, area, address, *_position_of(values.get("place"))),
        )
        rest = [str(values[path]) for path in self._schema.search if path != self._schema.title and values.get(path)]
        readings = readings_of(name)
        run(
            "INSERT INTO search_text (rowid, name, other, initials, pinyin)"
            " SELECT n, ?, ?, ?, ? FROM search_entries WHERE record = ?",
            (
                _joined([tokens_of(letters_of(name))]),
                _joined([tokens_of(letters_of(one)) for one in rest]),
                _joined([tokens_of([syllable[0] for syllable in reading]) for reading in readings]),
                _joined(readings),
                record,
            ),
        )
        self._database.run_many(
            "INSERT OR IGNORE INTO search_syllables VALUES (?)",
            [(syllable,) for reading in readings for syllable in reading],
        )

    def _syllables(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._database.rows("SELECT syllable FROM search_syllables"))


# --- what was typed --------------------------------------------------------------------------------------------------


def splits_of(letters: str, syllables: frozenset[str]) -> list[list[str]]:
    """The ways to read letters as pinyin, the last syllable perhaps half typed: `xian` → [xian], [xi, an]."""
    found: list[list[str]] = []

    def split(done: list[str], rest: str) -> None:
        if len(found) >= MOST_SPLITS:
            return
        if any(syllable.startswith(rest) for syllable in syllables):
            found.append([*done, rest])
        for length in range(min(6, len(rest) - 1), 0, -1):
            if rest[:length] in syllables:
                split([*done, rest[:length]], rest[length:])

    split([], letters)
    return found


def _expressions(terms: list[list[str]], syllables: frozenset[str]) -> Iterator[str]:
    """FTS5 queries from the best fit to any; each later one finds what the earlier ones do, and more."""
    first, rest = terms[0], [_anywhere(term, syllables) for term in terms[1:]]
    yield _all([f"name : {_phrase(first, START)}", *rest])
    if spelt := _spelt(first, syllables, START):
        yield _all([_any(spelt), *rest])
    yield _all([f"name : {_phrase(first)}", *rest])
    yield _all([_anywhere(first, syllables), *rest])


def _anywhere(term: list[str], syllables: frozenset[str]) -> str:
    return _any([f"{{name other}} : {_phrase(term)}", *_spelt(term, syllables)])


def _spelt(term: list[str], syllables: frozenset[str], start: str = "") -> list[str]:
    """The term as initials and as pinyin; nothing for what has other signs than a to z."""
    letters = "".join(term)
    if not letters.isascii() or not letters.isalpha():
        return []
    readings = [f"initials : {_phrase(term, start)}"]
    if len(letters) > 1:
        readings += [f'pinyin : "{start} {" ".join(split)}" *' for split in splits_of(letters, syllables)]
    return readings


def _phrase(term: list[str], start: str = "") -> str:
    tokens = tokens_of(term, typing=True)
    alone = len(tokens[-1]) == 1 and tokens[-1].isascii()  # one letter so far: any pair that begins with it
    return f'"{start} {" ".join(tokens)}"{" *" if alone else ""}'


def _any(parts: list[str]) -> str:
    return f"({' OR '.join(f'({part})' for part in parts)})"


def _all(parts: list[str]) -> str:
    return " AND ".join(f"({part})" for part in parts)


# --- how like two are ------------------------------------------------------------------------------------------------


def core_of(name: str) -> str:
    """What tells a name from others: without the words that most of them have, unless nothing else is left."""
    whole = "".join(letters_of(name))
    core = "".join(letters_of(COMMON.sub("", unicodedata.normalize("NFKC", name))))
    return core if len(core) >= 2 else whole


def likeness(one: str, other: str) -> float:
    """How like two names are, from 0 to 1: pairs of neighbours that both have; 1 where one is within the other."""
    if len(one) >= 2 and len(other) >= 2 and (one in other or other in one):
        return 1.0
    first, second = ({text[n : n + 2] for n in range(len(text) - 1)} for text in (one, other))
    return 2 * len(first & second) / (len(first) + len(second)) if first and second else 0.0


def distance_m(lat: int, lon: int, to_lat: int, to_lon: int) -> int:
    """Metres between two positions in 1e-7 degrees, as exact as "near me" needs it."""
    up = (to_lat - lat) * METRES_E7
    across = (to_lon - lon) * METRES_E7 * math.cos(math.radians((lat + to_lat) / 2e7))
    return round(math.hypot(up, across))


def _position_of(place: Any) -> tuple[int | None, int | None]:
    if isinstance(place, dict) and type(place.get("lat")) is int and type(place.get("lon")) is int:
        return place["lat"], place["lon"]
    return None, None


def _same_address(one: str, other: str) -> bool:
    return len(one) >= 4 and len(other) >= 4 and (one in other or other in one)


# --- how names are read ----------------------------------------------------------------------------------------------


def readings_of(name: str) -> list[list[str]]:
    """How a name is read aloud: syllables, other signs one by one. The usual reading first, then one for each
    character of `ALSO_READ` read the other way."""
    letters = letters_of(name)
    usual = _read_aloud("".join(letters))
    found = [usual]
    if len(usual) == len(letters):
        for place, sign in enumerate(letters):
            for other in ALSO_READ.get(sign, ()):
                if other != usual[place] and len(found) < MOST_READINGS:
                    found.append([*usual[:place], other, *usual[place + 1 :]])
    return found


def _read_aloud(text: str) -> list[str]:
    from pypinyin import lazy_pinyin  # half a second to load: only for whoever indexes

    syllables: list[str] = []
    for place, run in enumerate(_HAN.split(text)):  # what lies between the runs of Han characters comes first
        syllables += lazy_pinyin(run) if place % 2 else run
    return syllables


def _joined(texts: list[list[str]]) -> str:
    return " ".join(f"{START} {' '.join(text)}" for text in texts)
