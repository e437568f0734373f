"""Finding institutions offline: any piece of a name, its pinyin, an address, a code; and an index that keeps up."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.roster import roster
from field_client.platform import database
from field_client.platform.clock import SystemClock
from field_client.store import Store
from field_client.work.search import AT_ONCE, Search, readings_of, splits_of
from schemas.letters import terms_of, tokens_of
from sync.core.change import compose
from sync.core.fold import Act, State, checksum

SYLLABLES = frozenset({"xi", "xian", "an", "chang", "sha", "shang", "kou", "cai"})
REGISTER = {
    "r1": {"name": "长沙市芙蓉区学雅口才培训中心", "address": "东湖街道和平路432号2楼", "legal_representative": "罗雨"},
    "r2": {"name": "口才训练营", "address": "韶山北路8号", "credit_code": "52430102MAY000017H"},
    "r3": {"name": "曾老师音乐工作室", "address": "解放路１２号", "permit_number": "教民143010270000010号"},
    "r4": {"name": "VIPKid英语（长沙）中心", "address": "口才大厦"},
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(database.create(tmp_path / "store.db", bytes(32)), SystemClock(), lambda _: bytes(64))


def pull(store: Store, values: dict[str, dict[str, str]], kind: str = "institution", rev: int = 1) -> None:
    """Put states into the store as a pull does."""
    with store.database.writing():
        for record, fields in values.items():
            state = State(record, kind)
            state.rev, state.acts = rev, {f"c{rev}": Act("0" * 12 + "-0000", ("p-1",), "staff")}
            state.live = {path: {f"c{rev}": value} for path, value in fields.items()}
            content = state.dump()
            store.database.run(
                "INSERT INTO states(id, kind, rev, bytes, sum, special) VALUES (?, ?, ?, ?, ?, 0)"
                " ON CONFLICT(id) DO UPDATE SET rev = excluded.rev, bytes = excluded.bytes",
                (record, kind, rev, content, checksum(content)),
            )


def write(store: Store, record: str, name: str, kind: str = "institution") -> None:
    """An own change, as the tablet writes one."""
    stamp = "0" * 12 + "-0001"
    change = compose(id=f"own-{record}", kind=kind, record=record, set={"name": (name, [])}, by=["p-1"], schema=1,
                     hlc=stamp, clock={"wall": 0, "mono": 0, "boot": "b", "off": 0})  # fmt: skip
    with store.database.writing():
        store.outbox.append(change)


@pytest.fixture
def search(store: Store) -> Search:
    pull(store, REGISTER)
    search = Search(store)
    assert search.catch_up() == 0
    return search


def ids(search: Search, text: str) -> list[str]:
    return [found.record for found in search.find(text)]


# ---- what is found -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_every_piece_of_every_name_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    search = _shared(tmp_path_factory)
    record = data.draw(st.sampled_from(sorted(REGISTER)))
    name = REGISTER[record]["name"]
    start = data.draw(st.integers(0, len(name) - 1))
    piece = name[start : data.draw(st.integers(start + 1, len(name)))]
    if any(sign.isalnum() for sign in piece):
        assert record in ids(search, piece)


_SEARCH: list[Search] = []


def _shared(factory: pytest.TempPathFactory) -> Search:
    if not _SEARCH:
        path = factory.mktemp("search") / "store.db"
        store = Store.create(database.create(path, bytes(32)), SystemClock(), lambda _: bytes(64))
        pull(store, REGISTER)
        _SEARCH.append(Search(store))
        _SEARCH[0].catch_up()
    return _SEARCH[0]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("kcxly", ["r2"]),  # initials
        ("kouc", ["r2", "r1"]),  # a syllable half typed
        ("koucai", ["r2", "r1"]),
        ("changshashifurong", ["r1"]),
        ("changsha furong", ["r1"]),
        ("zengls", []),  # half pinyin, half initials is neither
        ("zenglaoshi", ["r3"]),  # 曾 as a surname
        ("cenglaoshi", ["r3"]),
        ("zlsyy", ["r3"]),  # … and by initials; 音乐 is read yin yue
        ("yinyue", ["r3"]),
        ("vipkid", ["r4"]),
        ("PKI", ["r4"]),
        ("vipkidyy", ["r4"]),
        ("ＶＩＰ", ["r4"]),  # full width
        ("和平路432", ["r1"]),
        ("路43", ["r1"]),
        ("2楼", ["r1"]),
        ("解放路12", ["r3"]),
        ("罗雨", ["r1"]),
        ("000017h", ["r2"]),
        ("52430102may000017H", ["r2"]),
        ("0102MAY", ["r2"]),
        ("口才 芙蓉", ["r1"]),
        ("芙蓉 kc", ["r1"]),
        ("英语长沙", ["r4"]),  # brackets between them do not count
        ("口才学", []),
        ("沙长", []),
    ],
)
def test_what_is_typed_finds(search: Search, typed: str, found: list[str]) -> None:
    assert ids(search, typed) == found


def test_a_name_that_begins_so_comes_before_one_that_contains_it_before_an_address(search: Search) -> None:
    assert ids(search, "口才") == ["r2", "r1", "r4"]


def test_one_character_is_enough(search: Search) -> None:
    assert ids(search, "雅") == ["r1"]
    assert set(ids(search, "8")) == {"r2"}


@pytest.mark.parametrize("nothing", ["", "  ", "（）", '"', "' OR 1=1 --", "NOT", "name:", "*", "a* AND (", "\0", "🙂"])
def test_no_sign_breaks_the_query(search: Search, nothing: str) -> None:
    assert ids(search, nothing) == []


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_at_all_has_an_answer(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    _shared(tmp_path_factory).find(text)


def test_the_answer_says_where_the_institution_is(search: Search) -> None:
    assert search.find("训练营")[0] == ("r2", "口才训练营", "", "韶山北路8号")


# ---- keeping up --------------------------------------------------------------------------------------------


def test_a_pull_only_leaves_notes_and_the_index_catches_up_in_steps(store: Store) -> None:
    search = Search(store)
    pull(store, {f"n{number}": {"name": f"第{number}培训学校"} for number in range(AT_ONCE + 5)})
    assert search.behind() == AT_ONCE + 5 and search.find("培训") == []
    assert search.catch_up() == 5
    assert search.catch_up() == 0
    assert ids(search, "第204") == ["n204"]


def test_a_bucket_that_came_as_a_file_is_noted_too(store: Store, tmp_path: Path) -> None:
    search = Search(store)
    state = State("r9", "institution")
    state.rev, state.acts, state.live = 1, {"c": Act("0" * 12 + "-0000", ("p",))}, {"name": {"c": "快照里的学校"}}
    snapshot = sqlite3.connect(tmp_path / "bucket.snapshot")
    snapshot.executescript(
        "CREATE TABLE meta(key, value); CREATE TABLE states(id TEXT PRIMARY KEY, kind, rev, bytes BLOB, sum);"
        "INSERT INTO meta VALUES ('epoch', 'e-1'), ('bucket', 'area:43'), ('cursor', '1.0');"
    )
    snapshot.execute("INSERT INTO states VALUES ('r9', 'institution', 1, ?, 0)", (state.dump(),))
    snapshot.commit()
    snapshot.close()
    store.realign("e-1")
    store.fill("area:43", tmp_path / "bucket.snapshot")
    assert search.catch_up() == 0 and ids(search, "kzldxx") == ["r9"]


def test_a_new_name_replaces_the_old_one(store: Store, search: Search) -> None:
    pull(store, {"r2": {"name": "演讲训练营"}}, rev=2)
    search.catch_up()
    assert ids(search, "演讲") == ["r2"] and "r2" not in ids(search, "口才")


def test_a_record_that_is_pulled_again_before_it_was_indexed_stops_no_pull(store: Store, search: Search) -> None:
    for rev in (2, 3):
        pull(store, {"r2": {"name": f"第{rev}次更名"}}, rev=rev)
    search.catch_up()
    assert ids(search, "第3次") == ["r2"]


def test_triggers_that_an_older_program_made_are_made_anew(store: Store, search: Search) -> None:
    store.database.run("DROP TRIGGER search_state_put")
    store.database.run(
        "CREATE TRIGGER search_state_put AFTER INSERT ON states BEGIN INSERT OR IGNORE INTO search_todo VALUES (new.id); END"
    )
    Search(store)
    for name in ("search_state_put", "search_merged"):
        assert "OR IGNORE" not in store.database.value("SELECT sql FROM sqlite_master WHERE name = ?", (name,))


def test_what_was_written_here_is_found_before_it_was_ever_sent(store: Store, search: Search) -> None:
    write(store, "new", "新世界围棋")
    search.catch_up()
    assert ids(search, "xsjwq") == ["new"]


def test_what_leaves_the_scope_is_no_longer_found(store: Store, search: Search) -> None:
    with store.database.writing():
        store.database.run("DELETE FROM states WHERE id = 'r2'")
    search.catch_up()
    assert "r2" not in ids(search, "口才")


def test_a_record_that_was_merged_away_is_found_once_under_its_root(store: Store, search: Search) -> None:
    with store.database.writing():
        store.database.run("DELETE FROM states WHERE id = 'r2'")
        store.database.run("INSERT INTO aliases(member, root) VALUES ('r2', 'r1')")
    search.catch_up()
    assert ids(search, "口才") == ["r1", "r4"]


def test_other_kinds_of_record_are_not_in_the_index(store: Store, search: Search) -> None:
    pull(store, {"h1": {"name": "口才"}}, kind="officer")
    write(store, "h2", "口才", kind="officer")
    assert search.behind() == 0


def test_a_store_that_was_filled_before_the_index_existed_is_indexed(store: Store) -> None:
    pull(store, REGISTER)
    write(store, "new", "新世界围棋")
    assert Search(store).behind() == len(REGISTER) + 1


def test_another_program_sees_the_same_index(store: Store, search: Search) -> None:
    assert ids(Search(store), "口才") == ids(search, "口才")


def test_a_crash_while_indexing_leaves_the_notes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(store, REGISTER)
    search = Search(store)

    def fails(record: str) -> dict[str, str]:
        raise RuntimeError(record)

    monkeypatch.setattr(search, "_values", fails)
    with pytest.raises(RuntimeError):
        search.catch_up()
    assert Search(store).behind() == len(REGISTER)


# ---- pieces ------------------------------------------------------------------------------------------------


def test_letters_go_in_pairs_and_characters_alone() -> None:
    assert tokens_of(list("路432号a")) == ["路", "43", "32", "2", "号", "a"]
    assert tokens_of(list("路432"), typing=True) == ["路", "43", "32"]
    assert tokens_of(list("路4"), typing=True) == ["路", "4"]


def test_pinyin_is_split_in_every_way_that_syllables_allow() -> None:
    assert sorted(splits_of("xian", SYLLABLES)) == [["xi", "an"], ["xian"]]
    assert splits_of("kouca", SYLLABLES) == [["kou", "ca"]]
    assert splits_of("q", SYLLABLES) == []


def test_a_name_is_read_in_the_usual_way_first() -> None:
    first, second = readings_of("曾氏A")
    assert {first[0], second[0]} == {"zeng", "ceng"} and first[1:] == second[1:] == ["shi", "a"]


def test_a_query_is_cut_before_it_costs_time() -> None:
    assert len(terms_of("口" * 10_000)[0]) == 64


@pytest.mark.slow
def test_a_search_costs_what_it_finds_and_not_what_there_is(store: Store) -> None:
    """Counted in steps of the database's own machine, which are the same on every machine and at every load."""
    rows = (roster() * 2)[:10_000]
    told = [{"name": row["name"], "address": row["address"], "credit_code": row["credit_code"]} for row in rows]
    pull(store, {f"r{number:05}": values for number, values in enumerate(told)})
    search = Search(store)
    while search.catch_up():
        pass
    reading_all = _steps(store, lambda: store.database.rows("SELECT count(*) FROM states WHERE length(bytes) > 0"))
    for typed in ("口才", "kcpx", "koucai", "和平路", "52430102MAY000017H", "没有这家"):
        assert _steps(store, lambda typed=typed: search.find(typed)) < reading_all / 4, typed


def _steps(store: Store, ask: Callable[[], object]) -> int:
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    store.database.connection.set_progress_handler(count, 100)
    try:
        ask()
    finally:
        store.database.connection.set_progress_handler(None, 100)
    return counted
