"""Division codes in words on the pages of the console, and words back into codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import g
from markupsafe import Markup

from schemas import words
from schemas.base import RecordSchema
from schemas.fields import Area
from schemas.kinds.division import shortened
from schemas.labels import Label
from server.console.frame import instance, language
from server.instance import Instance
from server.register import divisions

NAMES = divisions.Names()
EVERYWHERE = Label("全部区划", "everywhere")


class Places:
    """The names of divisions for one page, which looks them up once. Called with a code it says its name."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def __call__(self, code: str) -> str:
        """A code by its name; as it is where it has none."""
        return divisions.full(self.names, code)

    def code(self, text: str) -> str:
        """What was typed or chosen as a code. Raises InvalidField where it is no division, or several."""
        return divisions.code_of(self.names, text)

    def typed(self, code: str) -> str:
        """A code as a field shows it, to be read back by `code`: `长沙市天心区 430103`."""
        name = self(code)
        return name if name == code else f"{name} {code}"

    def find(self, text: str, within: Sequence[str]) -> list[str]:
        """Codes of divisions that somebody may be typing."""
        return divisions.find(self.names, text, within)


def placed(house: Instance) -> Places:
    """The names of divisions, for one page."""
    return Places(NAMES.all(house))


def here() -> Places:
    """The same for the page that is being drawn, however often it asks."""
    if not hasattr(g, "places"):
        g.places = placed(instance())
    return g.places  # type: ignore[no-any-return]


def place(code: str | None) -> Markup:
    """An area as people read it: its name, with the code small beside it. The empty code is everywhere."""
    if not code:
        return Markup("{}").format(EVERYWHERE.text(language()) if code == "" else "")
    name = here()(code)
    said = Markup("{} ").format(name) if name != code else ""
    return Markup('<span class="place">{}<small class="mono">{}</small></span>').format(said, code)


def area_text(code: str | None) -> str:
    """An area as a field shows it; what is no code stays as it was typed."""
    return here().typed(code) if code else ""


def typed_code(text: str) -> str:
    """What was typed or chosen for an area that is looked below, without zeros at its end. Raises InvalidField."""
    return shortened(here().code(text))


def value_of(schema: type[RecordSchema], path: str, value: Any) -> Label | None:
    """A value of a record in words, an area by its name and code. None for nothing."""
    if isinstance(schema.field_of(path), Area) and isinstance(value, str):
        return words.same(here().typed(value))
    return words.value_of(schema, path, value)


def caption(label: Label) -> Label:
    """What a field for a division code is called where its name is shown, not the code: 行政区划代码 is 行政区划."""
    if not label.zh.endswith("区划代码"):
        return label
    return Label(label.zh.removesuffix("代码"), label.en.replace("Division code", "Division"))
