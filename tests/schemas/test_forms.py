from __future__ import annotations

import dataclasses

import pytest

from schemas.base import RecordSchema, Section
from schemas.fields import Area, Avoided, Choice, Text
from schemas.forms import REST, FormField, checklist_form, form_of
from schemas.kinds.hazard import Hazard
from schemas.kinds.inspection import Inspection
from schemas.kinds.institution import Institution
from schemas.kinds.officer import Officer
from schemas.labels import Label
from schemas.registry import shipped
from schemas.shipped import contents, library, template

WIDGETS = {
    *("text", "lines", "choice", "integer", "counter", "money", "flag", "date", "moment", "area", "ref", "blob"),
    *("point", "rows", "status", "composite", "answers", "notes", "evidence", "signatures", "tags", "entries", "captions"),
}

every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.kind) for kind in sorted(shipped(), key=lambda kind: kind.kind)]
)

AVOIDED = Avoided(("X",), Label("不写", "Not"))


class Sign(RecordSchema):
    """A kind with everything that a form treats in a special way."""

    kind = "sign"
    label = Label("标志", "Sign")
    makers = frozenset({"inspector", "staff"})
    sections = (Section(Label("一", "One"), ("name", "secret")),)

    area = Area(Label("区划", "Area"), required=True)
    name = Text(Label("名称", "Name"), most=40, pattern="[A-Z]+", avoid=AVOIDED, required=True)
    secret = Text(Label("内情", "Inside"), hidden_from=("inspector",))
    judged = Text(Label("结论", "Judged"), writer="staff")
    counted = Text(Label("自动", "Automatic"), writer="system")
    state = Choice(
        Label("状况", "State"),
        {"good": Label("好", "Good"), "bad": Label("坏", "Bad")},
        reserved={"bad": {"staff"}},
    )


def names(kind: type[RecordSchema], role: str | None = None) -> list[str]:
    return [field.name for section in form_of(kind, role).sections for field in section.fields]


@every_kind
def test_a_form_describes_each_field_once(kind: type[RecordSchema]) -> None:
    assert sorted(names(kind)) == sorted(kind.fields_by_name())


@every_kind
def test_a_described_field_can_be_drawn(kind: type[RecordSchema]) -> None:
    form = form_of(kind)
    for section in form.sections:
        assert section.label.zh and section.label.en and section.fields
        for field in section.fields:
            assert field.widget in WIDGETS
            assert field.widget not in ("choice", "status") or field.options
            assert field.widget != "ref" or field.target
            assert field.widget not in ("entries", "composite") or field.parts
            assert all(option.label.zh and option.label.en for option in (*field.options, *field.parts))


@every_kind
def test_a_form_is_plain_data(kind: type[RecordSchema]) -> None:
    described = dataclasses.asdict(form_of(kind))
    assert described["kind"] == kind.kind and described["label"] == kind.label


def test_fields_that_no_section_names_come_last() -> None:
    sections = form_of(Sign).sections
    assert [section.label for section in sections] == [Label("一", "One"), REST]
    assert [field.name for field in sections[1].fields] == ["area", "judged", "counted", "state"]


def test_limits_and_hints_are_passed_on() -> None:
    name = form_of(Sign).field("name")
    assert (name.longest, name.pattern, name.avoid, name.required) == (40, "[A-Z]+", AVOIDED, True)
    learners = form_of(Institution).field("learners")
    assert (learners.least, learners.unit) == (0, "人")
    assert form_of(Inspection).field("institution").target == "institution"
    assert form_of(Inspection).field("officers").target == "officer"
    hint = form_of(Inspection).field("findings").hint
    assert hint is not None and "结论" in hint.zh


def test_a_field_hidden_from_a_role_is_not_described_to_it() -> None:
    assert "secret" in names(Sign, "staff") and "secret" in names(Sign)
    assert "secret" not in names(Sign, "inspector")


def editable(kind: type[RecordSchema], role: str | None) -> set[str]:
    return {f.name for section in form_of(kind, role).sections for f in section.fields if f.editable}


def test_a_role_may_edit_what_it_writes() -> None:
    assert editable(Sign, "inspector") == {"area", "name", "state"}
    assert editable(Sign, "staff") == {"area", "name", "state", "secret", "judged"}
    assert editable(Sign, "supervisor") == set(), "not a maker of the kind"
    assert "counted" not in editable(Sign, None)
    assert editable(Officer, "officer") == set() and "name" in editable(Officer, "staff")


def test_nobody_is_offered_an_option_that_is_reserved_to_others() -> None:
    def options(field: FormField) -> list[str]:
        return [option.code for option in field.options]

    assert options(form_of(Sign, "inspector").field("state")) == ["good"]
    assert options(form_of(Sign, "staff").field("state")) == ["good", "bad"]
    assert options(form_of(Inspection, "inspector").field("mode")) == ["patrol", "guidance"]
    assert options(form_of(Inspection, "officer").field("mode")) == ["patrol", "guidance", "enforcement"]


def test_a_role_sees_the_steps_that_it_may_take() -> None:
    assert [step.target for step in form_of(Hazard, "officer").steps] == ["rectified"]
    assert "verified" in {step.target for step in form_of(Hazard, "staff").steps}
    assert form_of(Institution).steps == ()


def test_a_form_without_such_a_field_says_so() -> None:
    with pytest.raises(KeyError):
        form_of(Sign).field("colour")


# --- Items of a checklist ------------------------------------------------------------------------------------


def test_a_checklist_is_a_form_of_all_its_items_in_order() -> None:
    shipped_library = library()
    form = checklist_form(shipped_library.groups, shipped_library.items, shipped_library)
    assert [group.code for group in form] == [group.code for group in shipped_library.groups]
    assert [one.item.code for group in form for one in group.items] == [item.code for item in shipped_library.items]


def test_an_item_is_described_with_law_mark_violation_and_where_its_answer_goes() -> None:
    shipped_library = library()
    form = checklist_form(shipped_library.groups, shipped_library.items, shipped_library)
    exits = next(one for group in form for one in group.items if one.item.code == "FIR-04")
    assert (exits.path, exits.member) == ("answers/FIR-04", "measured")
    assert exits.asked.unit == Label("个", "") and exits.asked.least == 2
    assert exits.photo.zh.startswith("必须拍照") and exits.severity == Label("严重", "Critical")
    assert exits.basis and exits.penalty
    for place in (*exits.basis, *exits.penalty):
        assert place.text and place.verified == shipped_library.marks[place.mark]
    assert exits.violation is not None and exits.violation.code == "V12" and exits.violation.consequence


def test_conforming_is_asked_as_conforming_whatever_the_wording() -> None:
    """“有无…” and “是否…” would turn yes and no around; 符合 and 不符合 cannot be mistaken."""
    shipped_library = library()
    form = checklist_form(shipped_library.groups, shipped_library.items, shipped_library)
    asked = [one for group in form for one in group.items if one.asked.type == "yes_no_na"]
    assert len(asked) == 121
    for one in asked:
        assert [(option.code, option.label.zh) for option in one.options] == [
            *(("yes", "符合"), ("no", "不符合"), ("na", "不适用")),
        ]
        assert one.member == "answer"


def test_the_items_of_a_record_are_drawn_like_the_shipped_ones() -> None:
    shipped_library = library()
    groups, items = contents(template()[1])
    drawn = checklist_form(groups, items, shipped_library)
    assert drawn == checklist_form(shipped_library.groups, shipped_library.items, shipped_library)


def test_an_item_without_its_group_is_still_drawn() -> None:
    shipped_library = library()
    form = checklist_form((), shipped_library.items[:1], shipped_library)
    assert [(group.code, group.label) for group in form] == [("LIC", Label("LIC", "LIC"))]
