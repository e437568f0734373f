"""A forgotten PIN on the touch screen: the request, the province's answer, a new PIN; and everything that may go wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

from tests.support.scene import NEW, Province, Scene, province_in, scene_in
from tests.support.screens import PIN, Screen, shown


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    return province_in(tmp_path_factory.mktemp("province"))


@pytest.fixture
def scene(tmp_path: Path, province: Province, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A tablet whose keys the province can recover, with something written that was not sent yet."""
    with scene_in(tmp_path, province, monkeypatch) as made:
        made.trust()
        made.enrol()
        made.said("institutions", "add", "--name", "未上传的点位", "--area", "430102001001")
        made.said("lock")
        yield made


@pytest.fixture
def ui(scene: Scene) -> Iterator[Screen]:
    with shown(scene.home) as screen:
        yield screen.open()


def asked(ui: Screen, scene: Scene) -> str:
    """Write the request on the screen; the code that is its name, to be read out."""
    answer = ui.post("/forgotten/ask")
    found = re.search(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)\.ask", answer.headers["Content-Disposition"])
    assert found is not None, answer.headers
    (scene.folder / "ask").write_bytes(answer.content)
    return unquote(found[1])


def answered(scene: Scene, code: str) -> bytes:
    """What the province's station writes for the request whose code was read out."""
    files = [str(scene.folder / name) for name in ("ask", "answer")]
    done = scene.at_the_server("trust", "recover", *files, "--identity", str(scene.secret), "--passphrase", "p", "--code", code)
    assert done.exit_code == 0, done.output
    return (scene.folder / "answer").read_bytes()


def finish(ui: Screen, content: bytes, pin: str = NEW, again: str = NEW) -> requests.Response:
    ours = {"Origin": ui.origin, "Sec-Fetch-Site": "same-origin"}
    return ui.post("/forgotten/finish", files={"answer": ("answer", content)}, headers=ours, pin=pin, again=again)


def test_request_answer_and_new_pin_open_it_with_everything_in_it(ui: Screen, scene: Scene) -> None:
    assert "忘记 PIN" in ui.get("/lock").text and "保存恢复请求" in ui.get("/forgotten").text
    answer = answered(scene, asked(ui, scene))
    assert "新 PIN 生效" in finish(ui, answer).text
    assert "未上传的点位" in ui.get("/institutions?q=未上传").text
    ui.post("/lock")
    ui.post("/unlock", pin=PIN)  # the old one
    assert "/lock" in ui.get("/").url
    ui.post("/unlock", pin=NEW)
    assert "未上传的点位" in ui.get("/institutions?q=未上传").text


@pytest.mark.parametrize(("first", "again"), [("864209", "864208"), ("111111", "111111"), ("12", "12")])
def test_a_new_pin_that_is_mistyped_or_weak_spends_no_answer(ui: Screen, scene: Scene, first: str, again: str) -> None:
    answer = answered(scene, asked(ui, scene))
    assert "notice wrong" in finish(ui, answer, first, again).text
    assert "新 PIN 生效" in finish(ui, answer).text


def test_an_answer_that_is_none_says_so_and_the_next_one_is_taken(ui: Screen, scene: Scene) -> None:
    answer = answered(scene, asked(ui, scene))
    for wrong in (b"", b"nonsense", answer[:-7], bytes([answer[0] ^ 1]) + answer[1:], answer[:-1] + bytes([answer[-1] ^ 1])):
        assert "notice wrong" in finish(ui, wrong).text
    assert "新 PIN 生效" in finish(ui, answer).text


def test_a_later_request_voids_the_answer_to_the_earlier_one(ui: Screen, scene: Scene) -> None:
    early = answered(scene, asked(ui, scene))
    code = asked(ui, scene)
    (scene.folder / "answer").unlink()
    assert "notice wrong" in finish(ui, early).text
    assert "新 PIN 生效" in finish(ui, answered(scene, code)).text


def test_an_answer_is_good_once(ui: Screen, scene: Scene) -> None:
    answer = answered(scene, asked(ui, scene))
    finish(ui, answer)
    ui.post("/lock")
    assert "notice wrong" in finish(ui, answer, "975310", "975310").text
    ui.post("/unlock", pin=NEW)
    assert "未上传的点位" in ui.get("/institutions?q=未上传").text


def test_no_answer_is_taken_where_nothing_was_asked(ui: Screen) -> None:
    assert "notice wrong" in finish(ui, b"nonsense").text


def test_a_tablet_that_nobody_can_recover_says_so_and_offers_no_request(tmp_path: Path) -> None:
    with shown(tmp_path / "home") as screen:
        screen.open().practise()
        screen.post("/lock")
        page = screen.get("/forgotten").text
        assert "省级帮不上" in page and "保存恢复请求" not in page
        assert screen.post("/forgotten/ask").status_code >= 400
