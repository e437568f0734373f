"""What holds for every kind, shipped or yet to come; then the few rules that belong to one kind."""

from __future__ import annotations

import types
from typing import Any, get_args

import marshmallow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.base import DESK_ROLES, FIELD_ROLES, Invalid, RecordSchema, flatten, nest
from schemas.certificates import may_enforce
from schemas.fields import Answers, Area, Choice, MergeType, RecordField, Ref, Signatures, Tags, Text, Workflowed
from schemas.kinds.clue import CLOCKS, Clue, due_day
from schemas.kinds.evidence import Evidence
from schemas.kinds.hazard import RECTIFIERS, VERIFIERS, Hazard, overdue
from schemas.kinds.informer import Informer
from schemas.kinds.inspection import Inspection
from schemas.kinds.institution import Institution
from schemas.kinds.patrol_note import ENFORCEMENT_WORDS, URGENCIES, PatrolNote
from schemas.kinds.task import Task
from schemas.registry import Registry, kinds_in, shipped
from sync.core.rules import GUARDS
from tests.support.field_values import ANY_JSON, KEYS, right_keys, right_values

ROLES = FIELD_ROLES | DESK_ROLES
KINDS = sorted(shipped(), key=lambda kind: kind.kind)
FIELDS = [(kind, name, field) for kind in KINDS for name, field in kind.fields_by_name().items()]

every_kind = pytest.mark.parametrize("kind", [pytest.param(k, id=k.kind) for k in KINDS])
every_field = pytest.mark.parametrize(
    ("kind", "name", "field"), [pytest.param(k, n, f, id=f"{k.kind}.{n}") for k, n, f in FIELDS]
)
every_workflow = pytest.mark.parametrize("kind", [pytest.param(k, id=k.kind) for k in KINDS if k.workflow])


def loads(kind: type[RecordSchema], record: dict[str, Any]) -> bool:
    return not kind().validate(record, partial=True)


def checks(kind: type[RecordSchema], path: str, value: Any) -> bool:
    try:
        kind.check_path(path, value)
    except Invalid as invalid:
        assert invalid.path == path and invalid.problem.zh and invalid.problem.en
        return False
    return True


# --- Full load and path check --------------------------------------------------------------------------------


@every_field
@settings(max_examples=20, deadline=None)  # for each of some 120 fields
@given(data=st.data())
def test_what_a_field_is_meant_for_is_accepted(
    kind: type[RecordSchema], name: str, field: RecordField, data: st.DataObject
) -> None:
    value = data.draw(right_values(field))
    path = f"{name}/{data.draw(right_keys(field))}" if field.keyed else name
    assert checks(kind, path, value)
    assert loads(kind, nest({path: value}))


@every_field
@settings(max_examples=20, deadline=None)  # for each of some 120 fields
@given(data=st.data())
def test_load_and_check_agree_on_any_json(
    kind: type[RecordSchema], name: str, field: RecordField, data: st.DataObject
) -> None:
    value = data.draw(ANY_JSON | right_values(field))
    if not field.keyed:
        assert loads(kind, {name: value}) == checks(kind, name, value)
        return
    key = data.draw(right_keys(field) | KEYS | st.text(max_size=5))
    assert loads(kind, {name: {key: value}}) == checks(kind, f"{name}/{key}", value)


@every_kind
@settings(deadline=None)
@given(name=st.from_regex(r"[a-z_]{1,12}", fullmatch=True) | st.text(max_size=9), value=ANY_JSON)
@example(name="spin", value={"speed": 1.5})
@example(name="answers/FIR-05", value={"answer": "perhaps"})
@example(name="_deleted", value={"seen": []})
def test_load_and_check_agree_on_what_no_field_describes(kind: type[RecordSchema], name: str, value: Any) -> None:
    if name not in kind.fields_by_name():
        assert loads(kind, {name: value}) == checks(kind, name, value)


@every_kind
def test_an_unknown_field_is_kept(kind: type[RecordSchema]) -> None:
    loaded = kind().load({"from_the_future": {"a": [1, "二"]}}, partial=True)
    assert loaded == {"from_the_future": {"a": [1, "二"]}}
    assert kind.check_path("from_the_future", 1) is False


@every_kind
@settings(deadline=None)
@given(data=st.data())
def test_a_record_and_its_paths_are_the_same_thing(kind: type[RecordSchema], data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(kind.fields_by_name())), max_size=4))
    values = {}
    for name in names:
        field = kind.fields_by_name()[name]
        path = f"{name}/{data.draw(right_keys(field))}" if field.keyed else name
        values[path] = data.draw(right_values(field))
    assert flatten(nest(values), kind) == values


@every_kind
def test_a_required_field_is_never_cleared_and_is_missed_by_a_full_load(kind: type[RecordSchema]) -> None:
    required = {name for name, field in kind.fields_by_name().items() if field.required}
    assert all(not checks(kind, name, None) for name in required)
    assert kind().validate({}).keys() == required


# --- Declarations --------------------------------------------------------------------------------------------


@every_kind
def test_a_kind_names_itself_in_both_languages_and_knows_its_makers(kind: type[RecordSchema]) -> None:
    assert kind.label.zh and kind.label.en and kind.__doc__
    assert kind.makers and kind.makers <= ROLES
    assert kind.version >= 1


@every_field
def test_a_field_has_both_labels_and_a_known_merge_type(
    kind: type[RecordSchema], name: str, field: RecordField
) -> None:
    options = getattr(field, "options", None) or {}
    parts = [getattr(part, "label", part) for part in getattr(field, "parts", {}).values()]
    hints = [field.hint] if field.hint else []
    assert all(text.zh and text.en for text in [field.label, *hints, *options.values(), *parts])
    assert field.merge in get_args(MergeType)
    assert field.hidden_from <= ROLES


@every_field
def test_a_field_refers_to_kinds_and_roles_that_exist(
    kind: type[RecordSchema], name: str, field: RecordField
) -> None:
    if isinstance(field, Ref):
        assert field.target == "*" or field.target in shipped().names()
    if isinstance(field, Tags):
        assert (field.target is None) != (field.options is None)
        assert field.target is None or field.target in shipped().names()
    if isinstance(field, Choice):
        assert all(roles <= ROLES for roles in field.reserved.values())


@every_field
def test_a_keyed_field_is_not_required(kind: type[RecordSchema], name: str, field: RecordField) -> None:
    assert not (field.keyed and field.required), "a change writes one key, so nothing could ever satisfy it"


@every_kind
def test_title_search_and_sections_name_fields(kind: type[RecordSchema]) -> None:
    fields = kind.fields_by_name()
    assert isinstance(fields[kind.title], Text)
    assert set(kind.search) <= {name for name, field in fields.items() if not field.keyed}
    named = [name for section in kind.sections for name in section.names]
    assert set(named) <= set(fields) and len(named) == len(set(named))


@every_kind
def test_a_scoped_kind_has_its_area(kind: type[RecordSchema]) -> None:
    if kind.area_field is not None:
        field = kind.fields_by_name()[kind.area_field]
        assert isinstance(field, Area) and field.required


def test_the_newest_value_wins_on_a_short_list_of_cosmetic_fields_only() -> None:
    assert {f"{kind.kind}.{name}" for kind, name, field in FIELDS if field.merge == "latest"} == {
        *("institution.phone", "institution.verified_at", "institution.captions"),
        *("inspection.person_phone", "inspection.captions", "grid.phone"),
        *("patrol_note.captions", "hazard.captions", "evidence.caption", "clue.captions"),
    }


# --- Workflows -----------------------------------------------------------------------------------------------


@every_kind
def test_a_status_field_and_a_workflow_come_together(kind: type[RecordSchema]) -> None:
    fields = [field for field in kind.fields_by_name().values() if isinstance(field, Workflowed)]
    assert len(fields) == (kind.workflow is not None)
    if kind.workflow is not None:
        assert set(fields[0].statuses) == set(kind.workflow.statuses)


@every_workflow
def test_every_step_names_roles_that_make_the_kind_and_guards_that_exist(kind: type[RecordSchema]) -> None:
    assert kind.workflow is not None
    for step in kind.workflow.transitions:
        assert step.roles and step.roles <= kind.makers
        assert set(step.requires) <= set(GUARDS)
        assert step.label.zh and step.label.en


@every_workflow
def test_every_status_can_be_reached(kind: type[RecordSchema]) -> None:
    assert kind.workflow is not None
    reached, before = {kind.workflow.initial}, set[str]()
    while reached != before:
        before = set(reached)
        reached |= {step.target for step in kind.workflow.transitions if step.source in reached}
    assert reached == set(kind.workflow.statuses)


@every_workflow
def test_a_record_begins_unlocked_and_only_the_desk_leaves_a_lock(kind: type[RecordSchema]) -> None:
    assert kind.workflow is not None
    assert not kind.workflow.locked(kind.workflow.initial)
    leaving = [step for step in kind.workflow.transitions if kind.workflow.locked(step.source)]
    assert all(step.roles <= DESK_ROLES for step in leaving)


@every_workflow
def test_what_stays_open_in_a_locked_record_is_a_field(kind: type[RecordSchema]) -> None:
    assert kind.workflow is not None
    assert kind.workflow.always_open <= set(kind.fields_by_name())


# --- The registry --------------------------------------------------------------------------------------------


def module_with(source: str) -> types.ModuleType:
    module = types.ModuleType("a_kind_of_its_own")
    exec(source, vars(module))
    return module


SIGN = """
from schemas.base import RecordSchema
from schemas.fields import Area, Text
from schemas.labels import Label

class Sign(RecordSchema):
    kind = "sign"
    label = Label("标志", "Sign")
    area = Area(Label("区划", "Area"), required=True)
    name = Text(Label("名称", "Name"), required=True)
"""


def test_a_kind_is_found_in_its_module_and_nothing_imported_with_it() -> None:
    module = module_with(SIGN + "from schemas.kinds.institution import Institution\n")
    assert [kind.kind for kind in kinds_in(module)] == ["sign"]
    registry = shipped().with_kinds(*kinds_in(module))
    assert registry["sign"] is module.Sign
    assert registry.names() == sorted([*shipped().names(), "sign"])
    assert shipped().get("sign") is None


def test_two_kinds_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="sign"):
        Registry([*kinds_in(module_with(SIGN)), *kinds_in(module_with(SIGN))])


def test_the_shipped_kinds_are_found() -> None:
    assert {"institution", "officer", "checklist", "inspection", "patrol_note", "hazard", "evidence"} <= set(
        shipped().names()
    )


# --- Rules of single kinds -----------------------------------------------------------------------------------


def test_an_inspection_is_submitted_complete_signed_and_by_two_officers_and_approved_whole() -> None:
    workflow = Inspection.workflow
    assert workflow is not None
    for source in ("draft", "returned"):
        step = workflow.step(source, "submitted")
        assert step is not None and set(step.requires) == {"required", "signed", "two_officers"}
    approve = workflow.step("submitted", "approved")
    assert approve is not None and set(approve.requires) == {"no_conflict", "blobs_held"}
    assert approve.roles == {"staff", "lead"}
    assert workflow.locked("approved") and workflow.locked("archived")


def test_a_grid_inspector_cannot_choose_enforcement() -> None:
    mode = Inspection.fields_by_name()["mode"]
    assert isinstance(mode, Choice)
    assert not mode.open_to("inspector", "enforcement")
    assert mode.open_to("inspector", "patrol") and mode.open_to("officer", "enforcement")


def test_what_signing_shows_is_frozen_and_what_follows_is_not() -> None:
    fields = Inspection.fields_by_name()
    for name in ("institution", "mode", "started_at", "ended_at", "officers", "answers", "findings", "evidence"):
        assert fields[name].frozen, name
    for name in ("signatures", "notes", "review", "captions", "status"):
        assert not fields[name].frozen, name


def test_a_finding_that_draws_a_conclusion_is_warned_about_and_kept() -> None:
    assert Inspection.warnings({"findings": "三楼有学生24人，当场未出示许可证", "led_by": "违法"}) == {}
    assert Inspection.warnings({"findings": "情节严重，属违法办学"})["findings"].zh.endswith("：情节严重、违法")
    assert checks(Inspection, "findings", "情节严重，属违法办学")


def test_a_patrol_note_speaks_no_enforcement() -> None:
    fields = PatrolNote.fields_by_name()
    assert not any(isinstance(field, Answers | Signatures) or name == "officers" for name, field in fields.items())
    assert not any(word in field.label.zh for word in ENFORCEMENT_WORDS.words for field in fields.values())
    assert PatrolNote.warnings({"seen": "敲门后询问负责人并责令改正"})["seen"].zh == "巡查记录不写执法用语：询问、责令"


def test_people_without_a_certificate_write_patrol_notes_and_the_supervisor_nothing_formal() -> None:
    assert {"inspector", "supervisor"} <= PatrolNote.makers
    for kind in (Inspection, Hazard, Institution):
        assert not {"supervisor", "team"} & kind.makers
    assert "team" not in PatrolNote.makers | Evidence.makers


def test_a_hazard_is_never_struck_off_by_the_role_that_rectified_it() -> None:
    assert Hazard.workflow is not None
    rectify, verify = Hazard.workflow.step("open", "rectified"), Hazard.workflow.step("rectified", "verified")
    assert rectify is not None and verify is not None
    assert not rectify.roles & verify.roles
    assert (rectify.roles, verify.roles) == (RECTIFIERS, VERIFIERS)
    assert Hazard.workflow.step("open", "verified") is None


@pytest.mark.parametrize(
    ("status", "deadline", "late"),
    [
        ("open", "2026-11-21", True),
        ("open", "2026-11-22", False),
        ("open", None, False),
        ("rectified", "2026-11-21", False),
        ("verified", "2026-11-21", False),
    ],
)
def test_a_hazard_is_overdue_from_the_day_after_its_deadline(status: str, deadline: str | None, late: bool) -> None:
    assert overdue({"status": status, "deadline": deadline}, "2026-11-22") is late


def test_a_clue_names_nobody_and_what_does_is_kept_at_the_desk() -> None:
    assert not {"name", "phone", "contact", "informer"} & set(Clue.fields_by_name())
    assert Informer.at_desk and Informer.bucket_sort() == "desk" and not Informer.makers & FIELD_ROLES
    assert [kind.kind for kind in KINDS if kind.at_desk] == ["informer"]
    assert Clue.warnings({"text": "举报人称三楼周末上课，联系电话见附件"})["text"].zh.endswith("：举报人、联系电话")


def test_what_blows_up_is_verified_within_a_day_and_a_county_sets_other_numbers() -> None:
    assert set(CLOCKS) == set(URGENCIES)
    assert [due_day("2026-11-26", one) for one in ("blow_up", "smouldering", "ordinary", None)] == [
        *("2026-11-27", "2026-11-29", "2026-12-11", "2026-12-11"),
    ]
    assert due_day("2026-11-26", "ordinary", {"ordinary": 5}) == "2026-12-01"


def test_the_county_settles_for_whom_and_until_when() -> None:
    assert {n for n, f in Task.fields_by_name().items() if f.merge == "authority"} == {"assigned", "due"}
    assert {n for n, f in Clue.fields_by_name().items() if f.merge == "authority"} == {"urgency", "due"}


def test_a_clue_ends_in_a_stated_outcome_and_only_the_desk_ends_it() -> None:
    assert Clue.workflow is not None
    closing = [step for step in Clue.workflow.transitions if step.target == "closed"]
    assert all("answered" in step.requires and step.roles <= DESK_ROLES for step in closing) and closing


def test_a_certificate_counts_until_its_last_day_and_not_while_suspended() -> None:
    officer = {"status": "active", "valid_until": "2026-11-22", "certificate_number": "43-1"}
    assert may_enforce(officer, "2026-11-22")
    assert not may_enforce(officer, "2026-11-23")
    assert not may_enforce({**officer, "status": "suspended"}, "2026-11-01")
    assert may_enforce({"certificate_number": "43-1"}, "2026-11-22")
    left = {**officer, "status": "left", "status_since": "2026-11-20"}
    assert may_enforce(left, "2026-11-19") and not may_enforce(left, "2026-11-20")


def test_the_county_settles_register_data_grade_deadline_and_responsible_person() -> None:
    assert {n for n, f in Hazard.fields_by_name().items() if f.merge == "authority"} == {
        *("grade", "responsible", "deadline"),
    }
    for name in ("name", "credit_code", "permit_number", "category", "address", "status", "learners"):
        assert Institution.merge_of(name) == "authority"


def test_a_full_institution_loads() -> None:
    record = {
        "name": "长沙市芙蓉区启航艺术培训学校有限公司",
        "credit_code": "91350100M000100Y43",
        "category": "art",
        "area": "430102001001",
        "place": {"lat": 281_942_460, "lon": 1_129_893_730},
        "learners": 120,
        "departments": {"culture": True, "fire": True},
        "responsible": {"county": {"name": "李建国", "phone": "199-0000-0001"}},
    }
    assert Institution().load(record) == record
    with pytest.raises(marshmallow.ValidationError):
        Institution().load({**record, "learners": 12.5})
