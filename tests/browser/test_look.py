"""What pages are made of, in a real browser: readable, reachable, nothing cut off, in both languages and at night."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
from flask import Flask, render_template_string, request
from werkzeug.serving import make_server

from schemas.forms import form_of
from schemas.labels import Label
from schemas.registry import shipped
from screens import dress
from tests.browser.conftest import DESK, TABLET, UPRIGHT, WIDE, Opener, Size, faults, overflow, shot, small_targets

PAGE = """{% extends "screens/base.html" %}{% from "screens/macros.html" import field, button, badge, empty, progress, link, confirm with context %}
{% block kind %}{{ kind }}{% endblock %}
{% block bar %}<header class="bar">{% if kind == "desk" %}<a class="brand" href="/"><img src="{{ look('mark.svg') }}" alt="">巡查簿</a>
<form class="find" role="search">{{ icon("search") }}<input aria-label="{{ t('查找', 'Find') }}" placeholder="{{ t('查找机构、隐患、检查', 'Find') }}"></form>
{% else %}<h1>{{ t("今日", "Today") }}</h1><a class="icon-button" href="#">{{ icon("moon", t("夜间", "Night")) }}</a>{% endif %}</header>{% endblock %}
{% block side %}<nav class="side" aria-label="{{ t('导航', 'Navigation') }}"><a href="#" aria-current="page">{{ icon("home") }}<span>{{ t("今日", "Today") }}</span></a><a href="#">{{ icon("building") }}<span>{{ t("机构", "Institutions") }}</span></a><a href="#">{{ icon("sync") }}<span>{{ t("同步", "Sync") }}</span><span class="count">3</span></a></nav>{% endblock %}
{% block main %}<div class="page-head"><h1>{{ t("样张", "Specimen") }}</h1><div class="buttons">{{ button(t("保存", "Save"), "primary", "check") }}{{ link(t("取消", "Cancel"), "#") }}{{ button(t("删除", "Delete"), "danger", "trash") }}</div></div>
<div class="notice done">{{ icon("check") }}<p>{{ t("已保存", "Saved") }}</p></div><div class="notice wrong">{{ icon("alert") }}<div><p>{{ t("照片还没有传完", "A photo is not there yet") }}</p><p class="hint">{{ t("接上网络后会继续", "It goes on with a network") }}</p></div></div>
<p>{{ badge(t("已收存", "held"), "ok", "check") }} {{ badge(t("待传", "queued"), "wait", "wait") }} {{ badge(t("逾期", "overdue"), "late", "alert") }} {{ badge(t("冲突", "conflict"), "clash", "conflict") }} {{ badge(t("草稿", "draft")) }}</p>
{{ progress(3, 8) }}
<div class="card"><fieldset class="field"><legend>FIR-05 {{ t("安全出口是否畅通", "Are the exits clear?") }}</legend><div class="answers">{% for code, text in [("yes", t("符合", "Yes")), ("no", t("不符合", "No")), ("na", t("不适用", "Not applicable"))] %}<label class="choice {{ code }}"><input type="radio" name="a" value="{{ code }}" {% if loop.index == 2 %}checked{% endif %}>{{ text }}</label>{% endfor %}</div></fieldset></div>
<div class="card flush table-box"><table><thead><tr><th>{{ t("机构", "Institution") }}</th><th class="number">{{ t("学员", "Learners") }}</th></tr></thead><tbody><tr><td>长沙市雨花区学雅口才培训学校有限公司</td><td class="number">128</td></tr></tbody></table></div>
<form class="card form two" data-keep="specimen">{% for s in form.sections %}<h2 class="whole">{{ s.label|label }}</h2>{% for one in s.fields if one.widget not in ("evidence", "captions", "entries", "signatures", "answers") and (one.widget != "tags" or one.options) %}{{ field(one, values.get(one.name), problems.get(one.name)) }}{% endfor %}{% endfor %}</form>
{{ empty(t("没有冲突", "No conflicts"), t("新的冲突会出现在这里", "New ones appear here"), "merge") }}
{% endblock %}"""


@pytest.fixture(scope="module")
def specimen() -> Iterator[str]:
    app = Flask("specimen")
    app.secret_key = "specimen"
    dress(app, lambda: "en" if request.args.get("lang") == "en" else "zh")
    form = form_of(shipped()["institution"])
    values = {"name": "学雅口才", "status": "operating", "learners": 128, "prepaid_supervised": True, "place": {"lat": 282_282_000, "lon": 1_129_388_000}}

    @app.get("/")
    def page() -> str:
        return render_template_string(
            PAGE, form=form, values=values, problems={"credit_code": Label("校验位不符", "wrong check character")},
            kind=request.args.get("kind", "desk"), look_classes=request.args.get("look", ""),
        )  # fmt: skip

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("look", ["", "dark", "large"])
@pytest.mark.parametrize(("kind", "size"), [("desk", DESK), ("desk", WIDE), ("touch", TABLET), ("touch", UPRIGHT)])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_pages_are_made_of_can_be_read_reached_and_is_not_cut_off(
    open_page: Opener, specimen: str, kind: str, size: Size, look: str, language: str
) -> None:
    page = open_page(size)
    page.goto(f"{specimen}?kind={kind}&look={look}&lang={language}")
    shot(page, f"specimen-{kind}-{look or 'light'}-{language}")
    assert faults(page) == []
    assert overflow(page) == 0
    if kind == "touch":
        assert small_targets(page) == []


def test_what_was_typed_survives_a_reload(open_page: Opener, specimen: str) -> None:
    page = open_page()
    page.goto(specimen)
    page.fill("[name=remark]", "门口有新招牌")
    page.reload()
    assert page.input_value("[name=remark]") == "门口有新招牌"
