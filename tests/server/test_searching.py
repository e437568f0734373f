"""Search over all kinds: any piece of what was written finds the record, for whoever may see it and for nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.letters import letters_of, pairs_of
from server.config import Settings
from server.instance import Instance, create_instance, new_epoch
from server.merging import decisions
from server.reading import searching
from server.reading.searching import Searcher
from server.storage import texts
from server.storage.texts import Sight

EVERYWHERE = Sight({"": ("",), "sealed": ("",)})
LETTERS = st.text(st.sampled_from("长沙市启航艺术培训学校路432号Aａｂ㈱-（）·"), min_size=1, max_size=12)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Instance]:
    made = create_instance(Settings(tmp_path / "server"), "test.example/log")
    yield made
    made.close()


def write(house: Instance, kind: str, record: str | None = None, **values: Any) -> str:
    said = {name.replace("__", "/"): value for name, value in values.items()}
    return decisions.write(house.desk, kind, record, said, by=["p-1"]).record


def titles(found: list[Any]) -> list[str]:
    return [str(one.row.get("name") or one.row.get("description") or one.row.get("number")) for one in found]


def find(house: Instance, text: str, sight: Sight = EVERYWHERE, kinds: tuple[str, ...] = ()) -> list[str]:
    return titles(Searcher(house).find(text, sight, kinds).found)


def test_any_piece_of_any_text_finds_a_record_of_any_kind(house: Instance) -> None:
    place = write(house, "institution", name="长沙市启航艺术培训学校", area="430102001001", address="人民中路432号3栋")
    write(house, "hazard", institution=place, area="430102001001", description="三楼消防通道堆放杂物", grade="major",
          notes__a={"text": "已电话通知负责人"})  # fmt: skip
    for piece in ("启航", "航艺", "艺术培训学校", "432", "中路4", "３栋", "人民 启航", "校"):
        assert "长沙市启航艺术培训学校" in find(house, piece), piece
    assert find(house, "电话通知") == ["三楼消防通道堆放杂物"] == find(house, "消防", kinds=("hazard",))
    assert find(house, "消防", kinds=("institution",)) == [] == find(house, "航启") == find(house, "") == find(house, "…")


def test_titles_that_begin_so_come_first_then_titles_then_other_texts_each_newest_first(house: Instance) -> None:
    for name, remark in (("博文学堂", "育才旁边"), ("小育才", ""), ("育才一校", ""), ("育才二校", "")):
        write(house, "institution", name=name, area="430102", remark=remark or None)
    assert find(house, "育才") == ["育才二校", "育才一校", "小育才", "博文学堂"]
    assert leafed(house, "育才") == ["育才二校", "育才一校", "小育才", "博文学堂"]


def leafed(house: Instance, text: str) -> list[str]:
    """All that is found, one on a page."""
    pages: list[str] = []
    after = None
    while True:
        answer = Searcher(house).find(text, EVERYWHERE, after=after, size=1)
        pages += titles(answer.found)
        after = answer.after
        if after is None:
            return pages


@pytest.mark.parametrize(
    ("most", "order"),
    [(1, "旁边三 小育才 旁边二 育才学堂 旁边一"), (3, "小育才 旁边三 旁边二 育才学堂 旁边一"), (4, "育才学堂 小育才 旁边三 旁边二 旁边一"),
     (5, "育才学堂 小育才 旁边三 旁边二 旁边一")],
)  # fmt: skip
def test_of_a_text_that_very_many_hold_the_newest_are_ranked_and_nothing_is_lost(
    house: Instance, monkeypatch: pytest.MonkeyPatch, most: int, order: str
) -> None:
    for name, remark in (("旁边一", "在育才"), ("育才学堂", ""), ("旁边二", "育才"), ("小育才", ""), ("旁边三", "育才")):
        write(house, "institution", name=name, area="430102", remark=remark or None)
    monkeypatch.setattr(searching, "MOST", most)
    assert find(house, "育才") == order.split() == leafed(house, "育才")


def test_what_is_changed_moved_deleted_or_merged_is_found_as_it_is_now(house: Instance) -> None:
    one = write(house, "institution", name="旧名学校", area="430102001")
    other = write(house, "institution", name="另一所", area="430102001")
    assert find(house, "旧名") == ["旧名学校"]
    write(house, "institution", one, name="新名学校", area="430103001")
    assert find(house, "旧名") == [] and find(house, "新名") == ["新名学校"]
    assert find(house, "新名", Sight({"": ("430102",)})) == [] and find(house, "新名", Sight({"": ("430103",)})) != []
    merged = decisions.merge(house.desk, one, other, reason="同一家", by=["p-1"]).record
    found = Searcher(house).find("新名", EVERYWHERE).found + Searcher(house).find("另一所", EVERYWHERE).found
    assert {one.row["record"] for one in found} == {merged}
    decisions.unmerge(house.desk, one, other, reason="弄错", by=["p-1"])
    assert find(house, "另一所") == ["另一所"]
    write(house, "institution", other, _deleted={"seen": _seen(house, other), "reason": "错录"})
    assert find(house, "另一所") == []


def _seen(house: Instance, record: str) -> list[str]:
    from server.storage import states
    from sync.core.fold import State

    with house.database.read() as conn:
        return sorted(State.read(states.load(conn, [record])[record].bytes).acts)


def test_nothing_behind_a_wall_and_nothing_of_elsewhere_is_found_or_counted(house: Instance) -> None:
    write(house, "institution", name="启航在长沙", area="430102001")
    write(house, "institution", name="启航在湘潭", area="430302001")
    county = Sight({"": ("430102",)})
    assert find(house, "启航", county) == ["启航在长沙"]
    assert find(house, "启航", Sight({})) == [] == find(house, "启航", Sight({"sealed": ("",)}))
    assert sorted(find(house, "启航", Sight({"": ("430102", "4303")}))) == ["启航在湘潭", "启航在长沙"]
    assert find(house, "启航", Sight({"": ("",)}, frozenset({"fire"}))) == []


def test_what_lies_behind_the_wall_is_found_by_those_who_see_behind_it(house: Instance) -> None:
    write(house, "audit", name="晨星", area="430102001", target="启航培训")
    write(house, "institution", name="启航培训", area="430102001")
    assert find(house, "启航", Sight({"": ("",)})) == ["启航培训"]
    assert sorted(find(house, "启航", Sight({"": ("43",), "sealed": ("4301",)}))) == ["启航培训", "晨星"]
    assert find(house, "启航", Sight({"": ("43",), "sealed": ("4302",)})) == ["启航培训"]


def test_the_server_indexes_by_itself_when_it_is_quiet(house: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "QUIET_S", 0.01)
    write(house, "institution", name="启航", area="430102001")
    keeper = searching.Keeper(Searcher(house)).start()
    for _ in range(500):
        if Searcher(house).behind() == 0:
            break
        time.sleep(0.01)
    keeper.stop()
    assert Searcher(house).behind() == 0


def test_an_index_that_is_old_shows_nothing_that_has_left(house: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    record = write(house, "institution", name="搬走的学校", area="430102001")
    county = Sight({"": ("430102",)})
    assert find(house, "搬走", county) == ["搬走的学校"]
    write(house, "institution", record, area="430103001")
    monkeypatch.setattr(Searcher, "catch_up", lambda self, *_, **__: 1)
    assert find(house, "搬走", county) == []


def test_what_names_a_record_is_found_from_the_other_side(house: Instance) -> None:
    place = write(house, "institution", name="启航", area="430102001")
    hazard = write(house, "hazard", institution=place, area="430102001", description="通道堵塞", grade="general")
    case = write(house, "case", cause="无证办学", area="430102001", source="inspection", **{f"hazards__{hazard}": True})
    searcher = Searcher(house)
    assert [one.row["record"] for one in searcher.naming([place], EVERYWHERE)] == [hazard]
    assert [one.row["record"] for one in searcher.naming([hazard], EVERYWHERE)] == [case]
    assert searcher.naming([hazard], Sight({"": ("430103",)})) == []
    assert [one.row["record"] for one in searcher.find(hazard[:20], EVERYWHERE).found][:1] != []


def test_the_index_is_made_again_when_it_is_gone_or_of_another_epoch(house: Instance) -> None:
    write(house, "institution", name="启航", area="430102001")
    assert find(house, "启航") == ["启航"]
    new_epoch(house.settings.epoch_file)
    assert find(house, "启航") == ["启航"]
    house.texts.close()
    house.settings.text_index.unlink()
    for suffix in ("-wal", "-shm"):
        house.settings.text_index.with_name(house.settings.text_index.name + suffix).unlink(missing_ok=True)
    assert find(house, "启航") == ["启航"]
    assert Searcher(house).behind() == 0


@settings(max_examples=60, deadline=None)
@given(text=LETTERS, data=st.data())
def test_every_substring_is_a_phrase_of_the_index(text: str, data: st.DataObject) -> None:
    letters = letters_of(text)
    if not letters:
        return
    start = data.draw(st.integers(0, len(letters) - 1))
    end = data.draw(st.integers(start + 1, len(letters)))
    tokens, asked = pairs_of(letters), pairs_of(letters[start:end], typing=True)
    last = asked[-1]
    fits = [
        tokens[at : at + len(asked) - 1] == asked[:-1]
        and (tokens[at + len(asked) - 1].startswith(last) if end - start == 1 else tokens[at + len(asked) - 1] == last)
        for at in range(len(tokens) - len(asked) + 1)
    ]
    assert any(fits)


@pytest.mark.parametrize("text", ['"', "' OR 1", "a AND", "NEAR(", "*", "title:x", "(", "^", "\x00", "🏫", "id0"])
def test_signs_of_the_query_language_are_only_text(house: Instance, text: str) -> None:
    write(house, "institution", name="启航", area="430102001")
    find(house, text)
    assert texts.phrases([["a"]])
