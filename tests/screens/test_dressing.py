"""Every page has the same words, files and headers, and nothing inline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient

import screens
from schemas.labels import Label
from screens import HEADERS, dress, icons

ROOMS = Path(screens.__file__).parents[1]
TEMPLATES = sorted(file for room in ("screens", "server", "field_client") for file in (ROOMS / room).rglob("*.html"))
STYLES = sorted(file for room in ("screens", "server", "field_client") for file in (ROOMS / room).rglob("static/**/*.css"))


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("dressed")
    dress(app, lambda: "en")
    app.add_url_rule("/page", view_func=lambda: render_template_string(
        '{% extends "screens/base.html" %}{% block main %}<h1>{{ name }}</h1>{{ t("今日", "Today") }} {{ said|label }} {{ 1764000000000|moment }}{% endblock %}',
        name="<script>alert(1)</script>", said=Label("机构", "Institution"),
    ))  # fmt: skip
    return app.test_client()


def test_a_page_says_everything_in_the_language_of_its_reader(client: FlaskClient) -> None:
    page = client.get("/page").text
    assert "Today Institution 2025-11-25 00:00" in page and 'lang="en"' in page


def test_a_name_typed_on_a_tablet_is_text_and_never_a_script(client: FlaskClient) -> None:
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in client.get("/page").text


def test_every_page_forbids_what_is_inline_or_from_elsewhere(client: FlaskClient) -> None:
    headers = client.get("/page").headers
    assert all(headers[name] == value for name, value in HEADERS.items())
    assert "unsafe" not in HEADERS["Content-Security-Policy"] and "http" not in HEADERS["Content-Security-Policy"]


def test_files_are_kept_by_browsers_until_their_content_changes(client: FlaskClient) -> None:
    address = re.search(r'href="(/look/patrolbook\.css\?v=[0-9a-f]{12})"', client.get("/page").text)
    assert address is not None
    assert "max-age=31536000" in client.get(address[1]).headers["Cache-Control"]
    assert "max-age=31536000" not in (client.get("/look/patrolbook.css?v=old").headers["Cache-Control"] or "")


@pytest.mark.parametrize("name", ["../forms.py", "..%2fforms.py", "none.css", "%00"])
def test_nothing_but_the_shared_files_is_given_out(client: FlaskClient, name: str) -> None:
    assert client.get(f"/look/{name}").status_code == 404


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(ROOMS)))
def test_no_template_has_anything_inline(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "a script without a file"
    assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=[\"']|javascript:", text), "style or script inside the page"
    assert not re.search(r"(src|href)=[\"'](https?:)?//", text), "something from elsewhere"
    assert "|safe" not in text, "text that is not escaped"


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_no_style_loads_anything_from_elsewhere(file: Path) -> None:
    assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", file.read_text("utf-8"))


def test_every_icon_that_a_template_names_exists() -> None:
    named = {name for file in TEMPLATES for name in re.findall(r"icon\(\"([a-z-]+)\"\)|icon_name=\"([a-z-]+)\"", file.read_text("utf-8")) for name in name if name}
    assert named and named <= set(icons.names())
