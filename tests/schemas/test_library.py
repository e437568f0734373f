from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from importlib import resources
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.fields import Answers
from schemas.kinds.checklist import Checklist
from schemas.kinds.institution import CATEGORIES, FEATURES, MODES
from schemas.labels import Label
from schemas.shipped import contents, items_for, library, template
from schemas.shipped.answers import Verdict, misfit, photo_due, verdict
from schemas.shipped.catalogue import CONDITIONS, AnswerType, Asked, Item, Mark, PhotoRule, Severity
from tests.support.field_values import ANY_JSON

TODAY = "2026-11-22"
ITEMS = {item.code: item for item in library().items}
every_item = pytest.mark.parametrize("item", [pytest.param(item, id=item.code) for item in library().items])


# --- What ships ----------------------------------------------------------------------------------------------


def test_the_library_is_whole() -> None:
    shipped = library()
    assert (len(shipped.items), len(shipped.groups)) == (160, 15)
    assert (len(shipped.violations), len(shipped.documents), len(shipped.clocks)) == (17, 25, 14)
    assert len(ITEMS) == 160, "item codes are unique"
    assert sum(violation.core13 for violation in shipped.violations.values()) == 13


@every_item
def test_an_item_names_a_group_a_violation_and_sources_that_exist(item: Item) -> None:
    shipped = library()
    assert item.group in {group.code for group in shipped.groups}
    assert item.violation is None or item.violation in shipped.violations
    assert item.basis, "every item says why it is asked"
    for place in (*item.basis, *item.penalty):
        assert place.source in shipped.sources
        assert place.mark in shipped.marks
        assert shipped.cite(place)


@every_item
def test_an_item_is_asked_in_both_languages_and_in_a_known_way(item: Item) -> None:
    asked = item.asked
    assert asked.type in get_args(AnswerType) and asked.type in library().answer_types
    assert item.photo in get_args(PhotoRule) and item.severity in get_args(Severity)
    assert bool(asked.options) == (asked.type in ("choice", "multi"))
    assert bool(asked.columns) == (asked.type == "table")
    assert all(text.zh and text.en for text in [item.question, *asked.options, *asked.columns])
    assert len({option.zh for option in asked.options}) == len(asked.options)


@every_item
def test_an_item_applies_under_conditions_that_can_be_known(item: Item) -> None:
    known = {"all", "subject", "nonsubject", "daycare", "online", "offline"} | CONDITIONS
    assert item.applies_to and set(item.applies_to) <= known


def test_only_items_of_procedure_have_no_violation() -> None:
    without = {item.code for item in library().items if item.violation is None}
    assert without == {code for code in ITEMS if code.startswith("PRC-")} | {"GOV-05"}


def test_every_mark_is_explained_and_used() -> None:
    shipped = library()
    marks = Counter(place.mark for item in shipped.items for place in (*item.basis, *item.penalty))
    assert set(marks) == set(shipped.marks) == set(get_args(Mark))
    assert all(label.zh and label.en for label in shipped.marks.values())
    assert marks.total() == 399, "no mark was lost on the way"


def test_what_law_texts_it_was_read_from_and_who_must_review_it_is_said() -> None:
    assert "2025-04-19" in library().snapshot
    assert "法制机构审核" in library().notice.zh and "legal office" in library().notice.en
    assert template()[1]["notice"] == library().notice.zh


def test_documents_and_clocks_belong_together() -> None:
    shipped = library()
    assert all(document.fields and document.basis for document in shipped.documents.values())
    starts = {clock.starts.partition(".")[0] for clock in shipped.clocks.values()}
    assert {start for start in starts if start.startswith("D")} <= set(shipped.documents)
    assert shipped.clocks["T01"].length == 7 and shipped.clocks["T01"].starts == "D08"
    assert shipped.clocks["T09"].unit == "years" and shipped.clocks["T10"].unit == "hours"
    assert shipped.clocks["T11"].length is None, "an order sets it"


def test_the_two_officer_item_and_the_gates_are_data() -> None:
    assert ITEMS["PRC-01"].asked.least == Decimal(2)
    assert {code for code, item in ITEMS.items() if item.gate} == {
        *("PRC-01", "PRC-02", "PRC-03", "PRC-04", "PRC-06"),
    }
    assert ITEMS["FIR-29"].hazard == "decision"


def no_float(number: str) -> None:
    raise AssertionError(f"a float: {number}")


def test_the_shipped_files_hold_no_float_and_no_trace_of_a_machine() -> None:
    files = [file for file in resources.files("schemas.shipped").iterdir() if file.name.endswith(".json")]
    assert len(files) == 5
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert json.loads(text, parse_float=no_float)
        assert not any(trace in text for trace in ("http", "file:", "/home", "/tmp", "localhost"))


def test_a_place_is_cited_as_in_a_document() -> None:
    shipped = library()
    assert [shipped.cite(place) for place in ITEMS["LIC-01"].penalty] == [
        "《校外培训行政处罚暂行办法》第十七条",
        "《中华人民共和国民办教育促进法》第六十四条",
    ]


# --- Which items apply ---------------------------------------------------------------------------------------


def test_what_is_not_known_leaves_nothing_out() -> None:
    assert items_for("other") == list(library().items)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("mode", MODES)
def test_items_for_all_apply_everywhere(category: str, mode: str) -> None:
    always = [item for item in library().items if "all" in item.applies_to]
    assert set(items_for(category, mode, ())) >= set(always)
    assert set(items_for(category, mode, ())) <= set(items_for(category, mode))


def test_an_offline_art_school_is_not_asked_about_subjects_and_live_streams() -> None:
    codes = {item.code for item in items_for("art", "offline", ())}
    assert {"STF-03", "FEE-05", "TIM-02"} <= codes
    assert not codes & {"STF-02", "TIM-01", "TIM-03", "FDM-01", "FDM-08", "SUB-07", "SUB-10", "LIC-09"}


def test_each_feature_of_an_institution_brings_its_items() -> None:
    assert set(FEATURES) | {"unlicensed"} == CONDITIONS
    plain = set(items_for("subject", "offline", ()))
    for condition in CONDITIONS:
        more = set(items_for("subject", "offline", {condition})) - plain
        assert more and all(condition in item.applies_to for item in more)


def test_a_category_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        items_for("astronomy")


# --- The template --------------------------------------------------------------------------------------------


def test_the_template_is_a_record_that_the_checklist_kind_accepts() -> None:
    _, values = template()
    assert all(Checklist.check_path(path, value) for path, value in values.items())
    assert values["status"] == "draft" and "effective_from" not in values, "publishing is the authority's act"


def test_the_template_is_the_same_record_on_every_server() -> None:
    assert template() == template()
    assert template()[0] == "ea7e7e73-a151-5fc8-8171-2973b7011e8b"


def test_a_checklist_record_reads_back_as_the_library() -> None:
    groups, items = contents(template()[1])
    assert (groups, items) == (library().groups, library().items)


def test_an_item_taken_out_of_a_checklist_is_gone_and_one_without_a_group_is_last() -> None:
    _, values = template()
    values["items/LIC-01"] = None
    values["items/AAA-01"] = {**values["items/LIC-02"], "group": "AAA"}
    _, items = contents(values)
    assert items[0].code == "LIC-02" and items[-1].code == "AAA-01" and len(items) == 160


# --- Answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "answer", "said"),
    [
        ("LIC-01", {"answer": "yes"}, "yes"),
        ("LIC-01", {"answer": "no", "reason": "未公示"}, "no"),
        ("LIC-04", {"measured": "2026-11-22"}, "yes"),
        ("LIC-04", {"measured": "2026-11-21"}, "no"),
        ("STF-09", {"measured": "49.9", "unit": "%"}, "no"),
        ("STF-09", {"measured": "50", "unit": "%"}, "yes"),
        ("TIM-02", {"measured": "20:30"}, "yes"),
        ("TIM-02", {"measured": "20:31"}, "no"),
        ("FEE-03", {"measured": "3.0", "unit": "月"}, "yes"),
        ("FEE-03", {"measured": "3.5", "unit": "月"}, "no"),
        ("FEE-09", {"measured": "80", "unit": "元/课时"}, None),
        ("FEE-09", {"measured": "80", "unit": "元/课时", "answer": "no"}, "no"),
        ("FIR-19", {"measured": "2026-03-01"}, None),
        ("PRC-01", {"officers": ["o-1", "o-2"]}, "yes"),
        ("PRC-01", {"officers": ["o-1", "o-1"]}, "no"),
        ("SUB-01", {"measured": "学科类"}, None),
        ("SUB-09", {"rows": [["三年级", "12"]]}, None),
        ("FDM-08", {"answer": "na"}, "na"),
    ],
)
def test_an_answer_is_held_against_its_item(code: str, answer: dict[str, Any], said: Verdict | None) -> None:
    Answers(Label("答案", "Answers")).check(answer)
    assert misfit(ITEMS[code].asked, answer) is None
    assert verdict(ITEMS[code].asked, answer, today=TODAY) == said


def test_children_below_school_age_need_more_staff() -> None:
    asked = ITEMS["STF-10"].asked
    answer = {"measured": "4", "unit": "%"}
    assert verdict(asked, answer, today=TODAY) == "yes"
    assert verdict(asked, answer, today=TODAY, preschool=True) == "no"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("LIC-01", {"measured": "yes"}),
        ("LIC-04", {"measured": "2026-02-30"}),
        ("STF-09", {"measured": "一半"}),
        ("STF-09", {"measured": "５０"}),
        ("TIM-02", {"measured": "8:30"}),
        ("SUB-01", {"measured": "数学"}),
        ("SUB-01", {"measured": ["学科类"]}),
        ("SUB-07", {"rows": []}),
        ("SUB-07", {"rows": ["①场所/网站", "①场所/网站"]}),
        ("SUB-09", {"rows": [["三年级"]]}),
        ("SUB-09", {"rows": [["三年级", ""]]}),
        ("GOV-05", {"measured": " "}),
        ("PRC-01", {"officers": []}),
    ],
)
def test_an_answer_to_something_else_is_named_and_amounts_to_nothing(code: str, answer: dict[str, Any]) -> None:
    problem = misfit(ITEMS[code].asked, answer)
    assert problem is not None and problem.zh and problem.en
    assert verdict(ITEMS[code].asked, answer, today=TODAY) is None


@settings(deadline=None)
@given(
    st.sampled_from(sorted(ITEMS)),
    st.dictionaries(st.sampled_from(("measured", "rows", "officers", "reason")), ANY_JSON),
)
def test_whatever_was_typed_gets_a_verdict_or_none(code: str, answer: dict[str, Any]) -> None:
    asked = ITEMS[code].asked
    said = verdict(asked, answer, today=TODAY)
    assert said in ("yes", "no", None)
    assert said is None or misfit(asked, answer) is None


@settings(deadline=None)
@given(st.decimals(0, 100, places=2), st.decimals(0, 100, places=2), st.decimals(0, 100, places=2))
def test_a_number_conforms_exactly_within_its_range(value: Decimal, one: Decimal, two: Decimal) -> None:
    least, most = sorted((one, two))
    asked = Asked("number", least=least, most=most)
    expected = "yes" if least <= value <= most else "no"
    assert verdict(asked, {"measured": str(value)}, today=TODAY) == expected


def test_a_photo_is_due_by_rule_and_never_for_what_does_not_apply() -> None:
    required, on_fail, none = ITEMS["LIC-01"], ITEMS["LIC-04"], ITEMS["STF-01"]
    assert [photo_due(required, said) for said in ("yes", "no", None, "na")] == [True, True, True, False]
    assert [photo_due(on_fail, said) for said in ("yes", "no", None, "na")] == [False, True, False, False]
    assert not any(photo_due(none, said) for said in ("yes", "no", None, "na"))
