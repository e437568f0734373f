"""Finding an institution without a network, by any piece of what is known about it.

What a person types may be a few characters from the middle of the name (`口才`), pinyin initials (`kcpx`), pinyin in
full or half-way (`koucai`, `kouc`), a word in Latin letters, or a piece of an address, a person's name or a code. Several
pieces, separated by spaces, must all fit.

The index is an FTS5 table in the encrypted store, one token per character, so that any substring is a phrase. Pinyin is
kept beside it, one token per syllable and one per initial; a character that is read in two ways in names (曾, 单, 长)
is found under both. Triggers on the store note which records changed, and nothing else: a pull pays for a note, not for
pinyin. `Search.catch_up` works the notes off, a few at a time, when nothing else is to be done.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from field_client.platform.database import Database
from schemas.base import RecordSchema
from schemas.kinds.institution import Institution

AT_ONCE = 200
"""Records indexed in one transaction: about 80 ms, short enough for whoever waits to write an answer."""
MOST_READINGS = 8
MOST_SPLITS = 16
LONGEST_QUERY = 64

START = "start"  # a token that no character and no syllable equals; before the beginning of every text in the index

ALSO_READ = {
    "乐": ("le", "yue"), "仇": ("chou", "qiu"), "单": ("dan", "shan"), "区": ("qu", "ou"), "曾": ("ceng", "zeng"),
    "朴": ("pu", "piao"), "朝": ("chao", "zhao"), "查": ("cha", "zha"), "盛": ("sheng", "cheng"), "盖": ("gai", "ge"),
    "翟": ("zhai", "di"), "行": ("xing", "hang"), "晟": ("sheng", "cheng"), "覃": ("qin", "tan"), "解": ("jie", "xie"),
    "重": ("zhong", "chong"), "长": ("chang", "zhang"), "冼": ("xian", "sheng"), "缪": ("miao", "mou"),
}  # fmt: skip
"""Characters whose second reading is alive in names of people, places and schools; a dictionary picks only one."""

_TABLES = """
CREATE TABLE IF NOT EXISTS search_todo (record TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS search_entries (n INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    area TEXT NOT NULL, address TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS search_syllables (syllable TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS search_text USING fts5 (name, other, initials, pinyin, content = '',
    contentless_delete = 1, tokenize = 'ascii');
"""


class Found(NamedTuple):
    """An institution that fits; `area` and `address` are empty where they are not known."""

    record: str
    name: str
    area: str
    address: str


class Search:
    """The index of one kind of record in a store. `values` gives path → value of a record, None where it is gone."""

    def __init__(
        self,
        database: Database,
        values: Callable[[str], Mapping[str, Any] | None],
        schema: type[RecordSchema] = Institution,
    ) -> None:
        self._database = database
        self._values = values
        self._schema = schema

    def find(self, text: str, limit: int = 20) -> list[Found]:
        """The institutions that fit, best first: the name begins so; its pinyin does; it is inside the name; elsewhere.

        What `behind` counts is not found yet. An empty text finds nothing.
        """
        terms = terms_of(text)
        found: dict[str, Found] = {}
        for expression in _expressions(terms, self._syllables()) if terms else ():
            rows = self._database.rows(
                "SELECT record, name, area, address FROM search_text JOIN search_entries ON n = search_text.rowid"
                " WHERE search_text MATCH ? LIMIT ?",
                (expression, max(200, 4 * limit)),
            )
            for row in sorted(rows, key=lambda row: (len(row[1]), row[1], row[0])):
                found.setdefault(row[0], Found(*row))
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

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

    def _index(self, record: str) -> None:
        run = self._database.run
        run("DELETE FROM search_todo WHERE record = ?", (record,))
        known = self._database.value("SELECT n FROM search_entries WHERE record = ?", (record,))
        if known is not None:
            run("DELETE FROM search_text WHERE rowid = ?", (known,))
            run("DELETE FROM search_entries WHERE n = ?", (known,))
        values = self._values(record)
        name = values.get(self._schema.title) if values else None
        if not values or not isinstance(name, str):
            return
        area, address = (str(values.get(path) or "") for path in ("area", "address"))
        run("INSERT INTO search_entries (record, name, area, address) VALUES (?, ?, ?, ?)", (record, name, area, address))
        rest = [str(values[path]) for path in self._schema.search if path != self._schema.title and values.get(path)]
        readings = readings_of(name)
        run(
            "INSERT INTO search_text (rowid, name, other, initials, pinyin)"
            " SELECT n, ?, ?, ?, ? FROM search_entries WHERE record = ?",
            (
                _spaced([letters_of(name)]),
                _spaced([letters_of(one) for one in rest]),
                _spaced([[syllable[0] for syllable in reading] for reading in readings]),
                _spaced(readings),
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


def letters_of(text: str) -> list[str]:
    """The characters that count, one by one: full width and half width, upper and lower case are the same."""
    return [sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum()]


def terms_of(text: str) -> list[list[str]]:
    """The pieces of a query, each as its letters; a query is cut at 64 characters."""
    words = unicodedata.normalize("NFKC", text)[:LONGEST_QUERY].split()
    return [letters for word in words if (letters := letters_of(word))]


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
    yield _all([f'name : "{START} {" ".join(first)}"', *rest])
    if spelt := _spelt(first, syllables, START):
        yield _all([_any(spelt), *rest])
    yield _all([f'name : "{" ".join(first)}"', *rest])
    yield _all([_anywhere(first, syllables), *rest])


def _anywhere(term: list[str], syllables: frozenset[str]) -> str:
    return _any([f'{{name other}} : "{" ".join(term)}"', *_spelt(term, syllables)])


def _spelt(term: list[str], syllables: frozenset[str], start: str = "") -> list[str]:
    """The term as initials and as pinyin; nothing for what has other signs than a to z."""
    letters = "".join(term)
    if not letters.isascii() or not letters.isalpha():
        return []
    readings = [f'initials : "{start} {" ".join(term)}"']
    if len(letters) > 1:
        readings += [f'pinyin : "{start} {" ".join(split)}" *' for split in splits_of(letters, syllables)]
    return readings


def _any(parts: list[str]) -> str:
    return f"({' OR '.join(f'({part})' for part in parts)})"


def _all(parts: list[str]) -> str:
    return " AND ".join(f"({part})" for part in parts)


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

    return lazy_pinyin(text, errors=list)  # type: ignore[no-any-return]


def _spaced(texts: list[list[str]]) -> str:
    return " ".join(f"{START} {' '.join(text)}" for text in texts)
