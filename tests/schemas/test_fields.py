from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.fields import (
    LARGEST_INTEGER,
    Answers,
    Area,
    Attachments,
    Avoided,
    Choice,
    CreditCode,
    Date,
    Entries,
    Flag,
    Integer,
    Invalid,
    Moment,
    Money,
    Notes,
    Point,
    RecordField,
    Rows,
    Signatures,
    Tags,
    Text,
    check_opaque,
    check_value,
)
from schemas.labels import Label
from tests.support.field_values import ANY_JSON, CREDIT_CODES, PLAIN

LABEL = Label("字段", "Field")
DIGEST = "0" * 64


def accepts(field: RecordField, value: Any, key: str = "k") -> bool:
    try:
        check_value(field, "path", key, value)
    except Invalid:
        return False
    return True


def has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_float(one) for one in value.values())
    if isinstance(value, list):
        return any(has_float(one) for one in value)
    return isinstance(value, float)


# --- Credit codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["91350100M000100Y43", "914403001922038216"])
def test_published_credit_codes_are_accepted(code: str) -> None:
    assert accepts(CreditCode(LABEL), code)


@settings(deadline=None)
@given(CREDIT_CODES)
def test_a_code_with_its_check_character_is_accepted(code: str) -> None:
    assert accepts(CreditCode(LABEL), code)


@settings(deadline=None)
@given(CREDIT_CODES, st.integers(0, 17), st.sampled_from(CreditCode.ALPHABET))
def test_one_wrong_character_is_always_noticed(code: str, at: int, other: str) -> None:
    assume(code[at] != other)
    assert not accepts(CreditCode(LABEL), code[:at] + other + code[at + 1 :])


@settings(deadline=None)
@given(CREDIT_CODES, st.integers(0, 15))
def test_two_neighbours_swapped_are_always_noticed(code: str, at: int) -> None:
    assume(code[at] != code[at + 1])
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert not accepts(CreditCode(LABEL), swapped)


@pytest.mark.parametrize("code", ["", "91350100M000100Y4", "91350100m000100y43", "9135010OM000100Y43", 91, []])
def test_what_is_no_credit_code_is_refused(code: Any) -> None:
    assert not accepts(CreditCode(LABEL), code)


# --- No fractions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Integer(LABEL), 3.0),
        (Money(LABEL), 12.5),
        (Point(LABEL), {"lat": 28.19, "lon": 112.98}),
        (Point(LABEL), {"lat": 1, "lon": 1, "acc": 3.5}),
        (Rows(LABEL), [1, [2.5]]),
        (Answers(LABEL), {"measured": 3.25}),
        (Notes(LABEL), {"text": "t", "at": 1.5}),
        (Entries(LABEL, {}), {"a": {"b": math.nan}}),
        (Attachments(LABEL), {"sha256": DIGEST, "size": 1.0, "mime": "image/jpeg"}),
        (Signatures(LABEL), {"name": "n", "content": DIGEST, "at": 0.1}),
    ],
)
def test_a_float_is_refused_wherever_it_hides(field: RecordField, value: Any) -> None:
    assert not accepts(field, value)


@settings(deadline=None)
@given(ANY_JSON)
def test_nothing_with_a_float_is_kept_even_where_the_field_is_unknown(value: Any) -> None:
    try:
        check_opaque("unknown", value)
    except Invalid:
        return
    assert not has_float(value)


@settings(deadline=None)
@given(PLAIN)
def test_plain_json_is_kept_where_the_field_is_unknown(value: Any) -> None:
    check_opaque("unknown", value)


@pytest.mark.parametrize(("value", "fine"), [(LARGEST_INTEGER, True), (LARGEST_INTEGER + 1, False)])
def test_integers_stay_within_what_every_json_reader_holds(value: int, fine: bool) -> None:
    assert accepts(Rows(LABEL), [value]) is fine
    assert accepts(Integer(LABEL), value) is fine


def test_true_is_no_number_and_one_is_no_flag() -> None:
    assert not accepts(Integer(LABEL), True)
    assert not accepts(Flag(LABEL), 1)


def test_nesting_has_an_end() -> None:
    deep: Any = []
    for _ in range(40):
        deep = [deep]
    assert not accepts(Rows(LABEL), deep)


# --- Times and places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2026-11-22", "2028-02-29"])
def test_a_day_of_the_calendar_is_accepted(day: str) -> None:
    assert accepts(Date(LABEL), day)
    assert accepts(Moment(LABEL), f"{day}T23:59:59.999Z")


@pytest.mark.parametrize(
    "day", ["2026-02-29", "2026-04-31", "0000-01-01", "2026-1-2", "２０２６-11-22", "2026-11-22\n"]
)
def test_a_day_that_does_not_exist_is_refused(day: str) -> None:
    assert not accepts(Date(LABEL), day)
    assert not accepts(Moment(LABEL), f"{day}T12:00:00.000Z")


@pytest.mark.parametrize(
    "moment", ["2026-11-22T24:00:00.000Z", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00.000+08:00"]
)
def test_a_moment_has_milliseconds_and_is_utc(moment: str) -> None:
    assert not accepts(Moment(LABEL), moment)


@pytest.mark.parametrize("area", ["43", "4301", "430102", "430102001", "430102001001"])
def test_a_division_code_of_each_level_is_accepted(area: str) -> None:
    assert accepts(Area(LABEL), area)


@pytest.mark.parametrize("area", ["", "430", "43010", "4301020010011", "４３０１０２", "43010a", 430102])
def test_what_is_no_division_code_is_refused(area: Any) -> None:
    assert not accepts(Area(LABEL), area)


@pytest.mark.parametrize(
    "point",
    [
        {"lat": 900_000_001, "lon": 0},
        {"lat": 0},
        {"lat": 0, "lon": 0, "alt": 5},
        {"lat": 0, "lon": 0, "acc": -1},
        {"lat": True, "lon": 0},
        "28.19,112.98",
    ],
)
def test_what_is_no_position_is_refused(point: Any) -> None:
    assert not accepts(Point(LABEL), point)


# --- Text, choices and keys ----------------------------------------------------------------------------------


def test_a_pattern_holds_for_the_whole_text() -> None:
    code = Text(LABEL, pattern="[A-Z]{3}|[0-9]+")
    assert accepts(code, "FIR") and accepts(code, "12") and accepts(code, "")
    assert not accepts(code, "FIRE") and not accepts(code, "12\n") and not accepts(code, "x12")


def test_a_word_to_avoid_is_named_where_it_stands_and_never_refused() -> None:
    avoided = Avoided(("违法", "罚款"), Label("不写结论", "no conclusions"))
    assert avoided.warning("应罚款，系违法") == Label("不写结论：罚款、违法", "no conclusions: 罚款, 违法")
    assert avoided.warning("三楼有学生24人") is None
    assert accepts(Text(LABEL, avoid=avoided), "应罚款，系违法")


def test_a_reserved_option_is_open_to_its_roles_only() -> None:
    mode = Choice(LABEL, {"patrol": LABEL, "enforcement": LABEL}, reserved={"enforcement": {"officer"}})
    assert mode.open_to("officer", "enforcement") and mode.open_to("inspector", "patrol")
    assert not mode.open_to("inspector", "enforcement")


def test_reserving_an_option_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="guidance"):
        Choice(LABEL, {"patrol": LABEL}, reserved={"guidance": {"officer"}})


@pytest.mark.parametrize("field", [Tags(LABEL, options={"fire": LABEL}), Entries(LABEL, {}, options={"fire": LABEL})])
def test_a_closed_list_of_keys_is_closed(field: RecordField) -> None:
    value: Any = True if isinstance(field, Tags) else {"name": "李"}
    assert accepts(field, value, "fire")
    assert not accepts(field, value, "flood")


@pytest.mark.parametrize("key", ["a b", "a/b", "键", "x" * 101])
def test_a_key_is_short_and_plain(key: str) -> None:
    assert not accepts(Tags(LABEL, target="officer"), True, key)


def test_an_answer_is_one_value_of_known_members() -> None:
    assert accepts(Answers(LABEL), {"measured": "3.25", "unit": "㎡/人", "remark": "量两次"})
    assert not accepts(Answers(LABEL), {"answer": "perhaps"})
    assert not accepts(Answers(LABEL), {"score": 5})
    assert not accepts(Answers(LABEL), {})


def test_clearing_needs_a_field_that_may_be_empty() -> None:
    assert accepts(Text(LABEL), None)
    assert not accepts(Text(LABEL, required=True), None)


def test_a_refusal_says_in_both_languages_what_is_wrong() -> None:
    with pytest.raises(Invalid) as refused:
        check_value(Integer(LABEL, least=0), "learners", "", -1)
    assert refused.value.path == "learners"
    assert refused.value.problem.zh.startswith("应在 0 到") and "expected 0 to" in refused.value.problem.en
