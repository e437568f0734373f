"""A form that is drawn, posted and read says what the record said."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, render_template_string
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.base import RecordSchema
from schemas.forms import Form, form_of
from schemas.registry import shipped
from screens import dress, read
from tests.support.field_values import right_values
from tests.support.html5 import inputs_of

KINDS = sorted(schema.kind for schema in shipped())
PAGE = """{% from "screens/macros.html" import field with context %}<form>{% for s in form.sections %}{% for one in s.fields %}
{{ field(one, values.get(one.name)) }}{% endfor %}{% endfor %}</form>"""
"""Every field of a form, as a page draws it."""


@pytest.fixture(scope="module")
def app() -> Flask:
    made = Flask("drawn")
    dress(made, lambda: "zh")
    return made


TYPED = {"text", "lines", "choice", "status", "integer", "money", "flag", "date", "moment", "area", "ref", "blob", "point"}


def typed(value: Any) -> Any:
    """A text as a browser leaves it."""
    return "".join(c for c in value if c.isprintable()).strip() if isinstance(value, str) else value


def typable(value: Any) -> bool:
    """Whether a person could type it: a browser takes control signs away, and a form the spaces around."""
    if isinstance(value, dict):
        return "src" not in value or (value["src"].isprintable() and value["src"] != "")
    if isinstance(value, str) and value.endswith("Z") and value[4:5] == "-" and value < "1900":
        return False
    return not isinstance(value, str) or (value.isprintable() and value == value.strip() != "")


def values_of(schema: type[RecordSchema], form: Form) -> st.SearchStrategy[dict[str, Any]]:
    fields = [one for section in form.sections for one in section.fields if one.widget in TYPED and one.editable]
    by_name = {one.name: right_values(schema.fields_by_name()[one.name]).map(typed).filter(typable) for one in fields}
    return st.fixed_dictionaries({}, optional=by_name)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_what_a_form_shows_is_what_it_reads_back(app: Flask, kind: str, data: st.DataObject) -> None:
    schema = shipped()[kind]
    form = form_of(schema)
    values = data.draw(values_of(schema, form))
    with app.test_request_context():
        posted = inputs_of(render_template_string(PAGE, form=form, values=values))
    found = read(schema, form, posted)
    said = {name: value for name, value in found.values.items() if value is not None and value is not False or name in values}
    assert {name: said.get(name) for name in values} == values
    assert all(value is None for name, value in found.values.items() if name not in values and "/" not in name)


@pytest.mark.parametrize(
    ("name", "typed", "kept"),
    [
        ("learners", "１２", 12),
        ("learners", "1,250", 1250),
        ("permit_until", "２０２７-01-31", "2027-01-31"),
        ("name", "  学雅口才\r\n", "学雅口才"),
        ("learners", "", None),
    ],
)
def test_what_a_chinese_keyboard_types_is_read(name: str, typed: str, kept: Any) -> None:
    schema = shipped()["institution"]
    assert read(schema, form_of(schema), {name: typed}).values == {name: kept}


@pytest.mark.parametrize(
    ("kind", "name", "typed"),
    [
        ("institution", "learners", "许多"),
        ("institution", "learners", "-1"),
        ("institution", "permit_until", "2027-02-30"),
        ("institution", "credit_code", "91430102MA4L0000X0"),
        ("institution", "name", ""),
        ("hazard", "funds", "12.345"),
        ("hazard", "funds", "1e999"),
        ("patrol_note", "seen_at", "昨天"),
    ],
)
def test_what_cannot_be_a_value_is_named_and_not_kept(kind: str, name: str, typed: str) -> None:
    schema = shipped()[kind]
    found = read(schema, form_of(schema), {name: typed})
    assert name in found.problems and name not in found.values


def test_a_field_that_a_role_may_not_write_is_not_read() -> None:
    schema = shipped()["hazard"]
    form: Form = form_of(schema, "inspector")
    assert read(schema, form, {"conclusion": "已整改"}).values == {}


def test_time_typed_at_a_desk_is_the_time_of_day_in_china() -> None:
    schema = shipped()["patrol_note"]
    assert read(schema, form_of(schema), {"seen_at": "2026-11-22T14:30"}).values == {"seen_at": "2026-11-22T06:30:00.000Z"}


def test_half_a_position_is_a_problem_and_none_at_all_is_empty() -> None:
    schema = shipped()["institution"]
    form = form_of(schema)
    assert "place" in read(schema, form, {"place.lat": "28.2", "place.lon": ""}).problems
    assert read(schema, form, {"place.lat": "", "place.lon": ""}).values == {"place": None}
