"""What a browser would post of a form: a small reading of its HTML with the standard library."""

from __future__ import annotations

from html.parser import HTMLParser


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.posted: dict[str, str] = {}
        self.select = self.area = ""
        self.first = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        name, off = said.get("name", ""), "disabled" in said
        if tag == "input" and name and not off:
            if said.get("type") in ("radio", "checkbox") and "checked" not in said:
                return
            self.posted[name] = said.get("value", "")
        elif tag == "select" and not off:
            self.select, self.first = name, True
        elif tag == "option" and self.select and (self.first or "selected" in said):
            self.posted[self.select], self.first = said.get("value", ""), False
        elif tag == "textarea" and not off:
            self.area = name
            self.posted[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = ""
        elif tag == "textarea":
            self.area = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.posted[self.area] += data


def inputs_of(html: str) -> dict[str, str]:
    """name → value as a browser would send it."""
    form = _Form()
    form.feed(html)
    return form.posted
