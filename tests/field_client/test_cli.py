"""`patrolbook` as people use it: every command against a real tablet, and where it needs one a real server."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from field_client.cli import cli
from schemas.registry import shipped
from schemas.shipped import library
from server.merging import decisions
from sync.core.errors import Problem
from tests.support import papers
from tests.support.photographs import compressed, cropped, photograph
from tests.support.pictures import encoded, film, heic, jpeg, pdf, scene, sound
from tests.support.server import TestServer, running_server

PIN = "480215"
AREA = "430102001001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


class Hand:
    """Somebody at one tablet."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            "PATROLBOOK_HOME": str(home),
            "PATROLBOOK_PIN": PIN,
            "PATROLBOOK_PASSPHRASE": "竹子 and 河流",
            "PATROLBOOK_LANG": "zh",
            "XDG_RUNTIME_DIR": "",
            "PATROLBOOK_GUARD": "no",
        }

    def __call__(self, *words: str, input: str | None = None, **env: str | None) -> Result:
        """Run a command, whatever comes of it."""
        return CliRunner().invoke(cli, list(words), input=input, env={**self.env, **env}, prog_name="patrolbook")

    def said(self, *words: str, input: str | None = None) -> str:
        """The output of a command that must succeed."""
        result = self(*words, input=input)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *words: str) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *words: str, input: str | None = None) -> str:
        """The output of a command that must fail with exit status 1 and no stack trace."""
        result = self(*words, input=input)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
        return result.output


@pytest.fixture
def tablet(tmp_path: Path, server: TestServer) -> Hand:
    """An enrolled tablet of an inspector."""
    hand = Hand(tmp_path / "home")
    hand.said("enrol", server.url, server.code(server.person("inspector", "430102")), "--name", "T-14")
    hand.said("unlock")  # so that not every command has to stretch the PIN
    return hand


@pytest.fixture
def inspection(tablet: Hand) -> str:
    tablet.said("institutions", "add", "--name", "学雅口才培训中心", "--area", AREA, "--category", "culture")
    return _short(tablet.said("inspect", "start", "学雅口才"))


def _short(said: str) -> str:
    """The id that a command printed."""
    found = re.search("([0-9a-f]{8})（[0-9a-f-]{36}）", said)
    assert found is not None, said
    return found[1]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "IMG_7.jpg"
    path.write_bytes(jpeg(1600, 1200))
    return path


def commands(group: click.Command, *above: str) -> Iterator[tuple[str, ...]]:
    """Every command by the words that call it."""
    for name, command in getattr(group, "commands", {}).items():
        yield (*above, name)
        yield from commands(command, *above, name)


# ---- help, language, wrong use -----------------------------------------------------------------------------


@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_every_command_has_help_with_an_example_in_both_languages(words: tuple[str, ...], tmp_path: Path) -> None:
    zh, en = (Hand(tmp_path)(*words, "--help", PATROLBOOK_LANG=one).output for one in ("zh", "en"))
    assert "例" in zh and "Example" in en and f"patrolbook {' '.join(words)}" in zh
    assert "--home" in zh and zh != en


def test_an_option_speaks_another_language_than_the_environment(tmp_path: Path) -> None:
    assert "Options" in Hand(tmp_path).said("--lang", "en", "--help")
    assert "Options" in Hand(tmp_path).said("status", "--lang", "en", "--help")


def test_the_chosen_language_stays_and_needs_no_pin(tmp_path: Path) -> None:
    hand = Hand(tmp_path / "home")
    del hand.env["PATROLBOOK_LANG"]
    assert "语言" in hand.said("language")
    assert "Language" in hand.said("language", "en")
    assert "Options" in hand.said("--help")


@pytest.mark.parametrize(
    ("words", "zh", "en"),
    [
        (["nonsense"], "没有命令", "there is no command"),
        (["status", "--nonsense"], "没有选项", "there is no option"),
        (["enrol", "https://x.example"], "缺少", "is missing"),
        (["inspect", "start", "x", "--mode", "raid"], "不对", "is not right"),
    ],
)
def test_wrong_use_is_said_with_exit_status_2(tmp_path: Path, words: list[str], zh: str, en: str) -> None:
    for language, expected in (("zh", zh), ("en", en)):
        result = Hand(tmp_path)(*words, PATROLBOOK_LANG=language)
        assert result.exit_code == 2 and expected in result.output and "--help" in result.output


def test_home_as_an_option_wins_over_the_environment(tablet: Hand, tmp_path: Path) -> None:
    assert tablet("device", "--home", str(tmp_path / "elsewhere")).exit_code == 1
    assert tablet("--home", str(tmp_path / "elsewhere"), "device").exit_code == 1


# ---- before it is enrolled, and locked ---------------------------------------------------------------------


@pytest.mark.parametrize("words", [["status"], ["sync"], ["inspect", "list"], ["unlock"], ["rescue", "x", "--plain"]])
def test_a_tablet_that_is_not_enrolled_says_so_and_what_to_do(tmp_path: Path, words: list[str]) -> None:
    told = Hand(tmp_path / "home").refused(*words)
    assert "还没有登记" in told and "patrolbook enrol" in told
    assert not (tmp_path / "home").exists()


def test_a_wrong_code_can_be_corrected(tmp_path: Path, server: TestServer) -> None:
    hand = Hand(tmp_path / "home")
    assert "登记码无效" in hand.refused("enrol", server.url, "WRONG-CODE")
    assert "还没有登记" in hand.refused("sync")
    assert "已登记" in hand.said("enrol", server.url, server.code(server.person("inspector", "430102")))


def test_without_a_network_enrolling_says_that_the_server_cannot_be_reached(tmp_path: Path) -> None:
    assert "连不上服务器" in Hand(tmp_path / "home").refused("enrol", "http://127.0.0.1:9", "K7M2-P9XD")


def test_a_simple_pin_is_refused_when_enrolling(tmp_path: Path, server: TestServer) -> None:
    hand = Hand(tmp_path / "home")
    hand.env["PATROLBOOK_PIN"] = "123456"
    assert "太简单" in hand.refused("enrol", server.url, "K7M2-P9XD")


def test_a_locked_tablet_asks_for_the_pin_and_a_wrong_one_tells_the_wait(tablet: Hand) -> None:
    assert "已锁定" in tablet.said("lock")
    assert "PIN 不正确" in tablet("status", PATROLBOOK_PIN="975310").output
    nobody = tablet("status", PATROLBOOK_PIN=None)
    assert nobody.exit_code == 1 and "patrolbook unlock" in nobody.output
    tablet.said("unlock")
    assert tablet("status", PATROLBOOK_PIN=None).exit_code == 0


def test_language_and_lock_work_without_the_pin(tablet: Hand) -> None:
    assert tablet("lock", PATROLBOOK_PIN=None).exit_code == 0
    assert tablet("language", PATROLBOOK_PIN=None).exit_code == 0


# ---- institutions ------------------------------------------------------------------------------------------


def test_an_institution_is_found_by_pinyin_as_soon_as_it_was_added(tablet: Hand) -> None:
    tablet.said("institutions", "add", "--name", "学雅口才培训中心", "--area", AREA, "--address", "和平路432号")
    (found,) = tablet.json("institutions", "search", "kcpx", "和平")
    assert found["name"] == "学雅口才培训中心"
    assert "疑似无证" in tablet.said("institutions", "show", "学雅口才")
    assert tablet.json("institutions", "show", found["id"])["values"]["area"] == AREA


def test_the_area_of_an_institution_is_ones_own_where_none_is_given(tablet: Hand) -> None:
    tablet.said("institutions", "add", "--name", "茶楼后的数学班")
    assert tablet.json("institutions", "show", "茶楼后的数学班")["values"]["area"] == "430102"


def test_a_name_that_the_register_has_already_is_told(tablet: Hand) -> None:
    tablet.said("institutions", "add", "--name", "同名学校")
    assert "已有同名" in tablet.said("institutions", "add", "--name", "同名学校")
    assert "不止一家" in tablet.refused("institutions", "show", "同名学校")


def test_what_is_not_there_is_said(tablet: Hand) -> None:
    assert "没有找到" in tablet("institutions", "search", "不存在").output
    assert "没有找到" in tablet.refused("institutions", "show", "不存在")
    assert "没有找到" in tablet.refused("inspect", "show", "01234567")


def test_a_value_that_the_field_refuses_is_named(tablet: Hand) -> None:
    told = tablet.refused("institutions", "add", "--name", "x", "--credit-code", "52430102MAY0000170")
    assert "credit_code" in told and "校验位" in told


# ---- an inspection -----------------------------------------------------------------------------------------


def test_each_answer_is_saved_before_it_is_echoed(tablet: Hand, inspection: str) -> None:
    told = tablet.said("inspect", "answer", inspection, "lic-01", "不符合", "--reason", "无公示")
    assert "已保存 LIC-01 不符合" in told
    shown = tablet.json("inspect", "show", inspection)
    assert shown["values"]["answers/LIC-01"] == {"answer": "no", "reason": "无公示"}


@pytest.mark.parametrize(("item", "said"), [("LIC-01", "maybe"), ("NOPE-9", "yes")])
def test_what_is_no_answer_is_refused_with_the_reason(tablet: Hand, inspection: str, item: str, said: str) -> None:
    assert item in tablet.refused("inspect", "answer", inspection, item, said)


def test_a_file_of_answers_is_taken_one_by_one_and_the_bad_ones_are_named(tablet: Hand, inspection: str) -> None:
    told = json.dumps({"LIC-01": "yes", "NOPE": "yes", "LIC-02": {"answer": "no", "remark": "见照片"}, "LIC-03": "?"})
    output = tablet.refused("inspect", "answer", inspection, "--all", "-", input=told)
    assert "NOPE 未保存" in output and "LIC-03 未保存" in output
    saved = tablet.json("inspect", "show", inspection)["values"]
    assert saved["answers/LIC-01"] == {"answer": "yes"} and saved["answers/LIC-02"]["remark"] == "见照片"


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_file_that_holds_no_answers_is_malformed(tablet: Hand, inspection: str, tmp_path: Path, content: str) -> None:
    (tmp_path / "answers.json").write_text(content)
    assert "无法读取" in tablet.refused("inspect", "answer", inspection, "--all", str(tmp_path / "answers.json"))


def test_an_interactive_walk_saves_as_it_goes_and_can_be_left(
    tablet: Hand, inspection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("field_client.terminal.Terminal.interactive", True)
    output = tablet.said("inspect", "answer", inspection, input="2\n没有公示\nmaybe\n1\n\nq\n")
    assert "已保存 LIC-01 不符合 没有公示" in output and "需要拍照" in output
    assert "已保存 LIC-02 符合" in output and "请选择" in output
    saved = tablet.json("inspect", "show", inspection)["values"]
    assert {path for path in saved if path.startswith("answers/")} == {"answers/LIC-01", "answers/LIC-02"}


def test_a_photo_is_taken_in_once_and_belongs_to_its_item(tablet: Hand, inspection: str, photo: Path) -> None:
    assert "已保存 IMG_7.jpg" in tablet.said("inspect", "photo", inspection, str(photo), "--item", "LIC-01")
    assert "已有这个文件" in tablet.said("inspect", "photo", inspection, str(photo))
    values = tablet.json("inspect", "show", inspection)["values"]
    (evidence,) = [value for path, value in values.items() if path.startswith("evidence/")]
    assert evidence["item"] == "LIC-01" and evidence["size"] == photo.stat().st_size


def test_each_of_the_seven_kinds_of_files_is_taken_in_untouched_and_shown_as_what_it_is(
    tablet: Hand, inspection: str, tmp_path: Path
) -> None:
    contents = {
        "a.jpg": (jpeg(640, 480), "image/jpeg"), "b.heic": (heic(640, 480), "image/heic"),
        "c.png": (encoded(scene(640, 481), "PNG"), "image/png"), "d.webp": (encoded(scene(641, 480), "WEBP"), "image/webp"),
        "e.mp4": (film(), "video/mp4"), "f.m4a": (sound(), "audio/mp4"), "g.pdf": (pdf(2), "application/pdf"),
    }  # fmt: skip
    for name, (content, _) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert f"已保存 {name}" in tablet.said("inspect", "photo", inspection, str(tmp_path / name))
    values = tablet.json("inspect", "show", inspection)["values"]
    named = {value["sha256"]: value["mime"] for path, value in values.items() if path.startswith("evidence/")}
    assert {sha256(content).hexdigest(): mime for content, mime in contents.values()}.items() <= named.items()


def test_a_recycled_photo_is_named_and_saved_and_the_reason_may_be_given_then_or_later(
    tablet: Hand, inspection: str, tmp_path: Path
) -> None:
    for number, content in enumerate([photograph("nagasaki-boats"), cropped(photograph("nagasaki-boats"))] * 2):
        (tmp_path / f"{number}.jpg").write_bytes(compressed(content, 90 - 10 * number))
    assert "疑似重复" not in tablet.said("inspect", "photo", inspection, str(tmp_path / "0.jpg"))
    told = tablet.said("inspect", "photo", inspection, str(tmp_path / "1.jpg"))
    assert "已保存 1.jpg" in told and "裁剪自该照片" in told and "学雅口才" in told
    later = re.search(r"evidence reason (\w+)", told)
    assert later is not None
    assert "已保存" in tablet.said("evidence", "reason", later[1], "same-scene")
    assert tablet.json("evidence", "show", later[1])["values"]["repeat_reason"] == "same-scene"
    assert "同一现场" in tablet.said("inspect", "photo", inspection, str(tmp_path / "2.jpg"), "--reason", "same-scene")
    words = ("--reason", "other", "--reason-note", "演示")
    assert "演示" in tablet.said("inspect", "photo", inspection, str(tmp_path / "3.jpg"), *words)


def test_a_photo_that_is_not_there_or_empty_is_said(tablet: Hand, inspection: str, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert "打不开" in tablet.refused("inspect", "photo", inspection, str(tmp_path / "nothing.jpg"))
    assert "0 字节" in tablet.refused("inspect", "photo", inspection, str(tmp_path / "empty.jpg"))


def test_a_finding_that_draws_conclusions_is_saved_with_a_warning(tablet: Hand, inspection: str) -> None:
    assert "违法" in tablet.said("inspect", "set", inspection, "findings=构成违法")
    assert tablet.json("inspect", "show", inspection)["values"]["findings"] == "构成违法"
    assert "没有这个字段" in tablet.refused("inspect", "set", inspection, "nonsense=x")


def test_submitting_says_everything_that_is_missing_and_then_goes_through(
    tablet: Hand, inspection: str, photo: Path
) -> None:
    assert "未作答" in tablet.refused("inspect", "submit", inspection)
    told = tablet.refused("inspect", "submit", inspection, "--anyway")
    assert "检查情况" in told and "没有签字" in told
    tablet.said("inspect", "set", inspection, "findings=通道净宽约 0.8 米")
    assert "已签字" in tablet.said("inspect", "sign", inspection, "罗雨", "--image", str(photo))
    assert "已提交" in tablet.said("inspect", "submit", inspection, "--anyway")
    assert "已提交" in tablet.said("inspect", "list")
    assert "当前状态不能提交" in tablet.refused("inspect", "submit", inspection, "--anyway")


def test_an_enforcement_inspection_needs_two_officers(tablet: Hand, inspection: str) -> None:
    tablet.said("inspect", "set", inspection, "mode=enforcement")
    tablet.said("inspect", "sign", inspection, "罗雨")
    assert "两名" in tablet.refused("inspect", "submit", inspection, "--anyway")


def test_what_changes_after_the_signature_is_shown_as_changed(tablet: Hand, inspection: str) -> None:
    tablet.said("inspect", "sign", inspection, "罗雨")
    assert "签字后" not in tablet.said("inspect", "show", inspection)
    tablet.said("inspect", "answer", inspection, "LIC-01", "no")
    assert "签字后内容有改动：罗雨" in tablet.said("inspect", "show", inspection)


def test_a_refused_signature_is_noted_with_its_reason(tablet: Hand, inspection: str) -> None:
    tablet.said("inspect", "sign", inspection, "--refused", "负责人不在场", "--witness", "社区 张某")
    shown = tablet.said("inspect", "show", inspection)
    assert "负责人不在场" in shown and "社区 张某" in shown


def test_notes_are_shown_with_their_time(tablet: Hand, inspection: str) -> None:
    tablet.said("inspect", "note", inspection, "负责人外出 [bold]不是标记[/bold]")
    assert "负责人外出 [bold]不是标记[/bold]" in tablet.said("inspect", "show", inspection)


# ---- hazards -----------------------------------------------------------------------------------------------


def test_a_hazard_is_noted_listed_and_overdue_after_its_deadline(tablet: Hand, inspection: str, photo: Path) -> None:
    tablet.said("hazard", "add", "学雅口才", "通道堆放杂物", "--deadline", "2020-01-01", "--inspection", inspection)
    tablet.said("hazard", "add", "学雅口才", "灭火器压力不足", "--deadline", "2999-01-01", "--grade", "major")
    assert len(tablet.json("hazard", "list")) == 2
    (late,) = tablet.json("hazard", "list", "--overdue")
    assert late["description"] == "通道堆放杂物" and late["overdue"]
    tablet.said("hazard", "photo", late["id"][-8:], str(photo))
    assert "image/jpeg" in tablet.said("hazard", "show", late["id"][-8:])
    order = photo.parent / "order.pdf"
    tablet.said("hazard", "print", late["id"][-8:], "--out", str(order))
    assert "通道堆放杂物" in papers.words(order.read_bytes())


# ---- bringing it home --------------------------------------------------------------------------------------


def test_status_is_honest_before_and_after_a_round(tablet: Hand, inspection: str, photo: Path) -> None:
    tablet.said("inspect", "photo", inspection, str(photo))
    before = tablet.json("status")
    assert not before["safe_to_hand_in"] and "还不能交回" in tablet.said("status")
    assert {blob["role"] for blob in before["blobs"]} == {"thumbnail", "preview", "original"}
    assert "可以交回" in tablet.said("sync")
    after = tablet.json("status")
    assert after["safe_to_hand_in"] and all(blob["proven"] for blob in after["blobs"])


def test_a_round_without_a_network_fails_with_a_next_step_and_loses_nothing(
    tablet: Hand, inspection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("field_client.tablet.Tablet.sync", _no_network)
    told = tablet.refused("sync")
    assert "连不上服务器" in told and "数据已保存在平板上" in told
    assert tablet.json("inspect", "list")[0]["id"].endswith(inspection)


def _no_network(tablet: Any, progress: Any, until: str) -> Any:
    from sync.core.errors import Unavailable
    from sync.replicator import RoundReport

    return RoundReport(problem=Unavailable(detail="no route"))


def test_two_tablets_that_disagree_both_see_their_own_value(tmp_path: Path, server: TestServer) -> None:
    person = server.person("inspector", "430102")
    first, second = Hand(tmp_path / "first"), Hand(tmp_path / "second")
    for hand in (first, second):
        hand.said("enrol", server.url, server.code(person))
    first.said("institutions", "add", "--name", "分歧学校", "--area", AREA)
    id = _short(first.said("inspect", "start", "分歧学校"))
    first.said("sync")
    second.said("sync")
    first.said("inspect", "set", id, "findings=一楼有积水")
    second.said("inspect", "set", id, "findings=一楼干燥")
    first.said("sync")
    second.said("sync")
    told = second.said("conflicts")
    assert "一楼有积水" in told and "一楼干燥" in told and "本机" in told
    assert "有冲突" in second.said("inspect", "show", id)
    assert "有冲突" in second.refused("inspect", "sign", id, "罗雨")
    (one,) = second.json("conflicts")
    assert [value["own"] for value in one["values"]] == [False, True]


def test_the_device_tells_who_it_is(tablet: Hand, server: TestServer) -> None:
    told = tablet.json("device")
    assert told["server"] == server.url and told["grants"][0]["area"] == "430102"
    assert "430102" in tablet.said("device")


# ---- rescue and import -------------------------------------------------------------------------------------


def test_a_database_that_is_gone_is_never_replaced_by_an_empty_one(
    tablet: Hand, inspection: str, photo: Path, server: TestServer
) -> None:
    tablet.said("inspect", "photo", inspection, str(photo))
    for left in tablet.home.glob("patrolbook.db*"):
        left.unlink()
    code = server.code(server.person("inspector", "430102"))
    for words in (["status"], ["inspect", "list"], ["enrol", server.url, code]):
        assert "patrolbook rescue" in tablet.refused(*words)
    assert not (tablet.home / "patrolbook.db").exists()


def test_keys_that_are_gone_are_never_replaced_by_new_ones(tablet: Hand, server: TestServer) -> None:
    tablet.said("lock")
    (tablet.home / "keys.json").unlink()
    code = server.code(server.person("inspector", "430102"))
    assert "keys.json" in tablet.refused("enrol", server.url, code)
    assert not (tablet.home / "keys.json").exists()


def test_what_one_tablet_rescues_another_imports_and_brings_home(
    tablet: Hand, inspection: str, photo: Path, tmp_path: Path, server: TestServer
) -> None:
    tablet.said("inspect", "photo", inspection, str(photo))
    tablet.said("rescue", str(tmp_path / "t.courier"), "--plain")
    other = Hand(tmp_path / "other")
    other.said("enrol", server.url, server.code(server.person("inspector", "430102")))
    # The opening of the shift is one of the changes.
    assert "新增 7 条变更、4 个文件" in other.said("import", str(tmp_path / "t.courier"))
    assert "新增 0 条变更、0 个文件" in other.said("import", str(tmp_path / "t.courier"))
    assert other.json("inspect", "list")[0]["id"].endswith(inspection)
    assert "可以交回" in other.said("sync")
    assert "可以交回" in tablet.said("sync")  # the first one comes back to life: the server knows its changes


def test_a_courier_without_passphrase_must_be_asked_for(tablet: Hand, inspection: str, tmp_path: Path) -> None:
    result = tablet("rescue", str(tmp_path / "t.courier"), PATROLBOOK_PASSPHRASE=None)
    assert result.exit_code == 1 and "--plain" in result.output
    assert not list(tmp_path.glob("t.courier*"))
    tablet.said("rescue", str(tmp_path / "t.courier"), "--plain")
    assert "学雅口才".encode() in (tmp_path / "t.courier").read_bytes()


def test_a_wrong_passphrase_and_a_damaged_courier_are_told_apart(tablet: Hand, inspection: str, tmp_path: Path) -> None:
    file = tmp_path / "t.courier"
    tablet.said("rescue", str(file))
    assert "学雅口才".encode() not in file.read_bytes()
    assert "口令不对" in tablet("import", str(file), PATROLBOOK_PASSPHRASE="another").output
    assert "已有 3 条" in tablet.said("import", str(file))
    file.write_bytes(file.read_bytes()[:-200])
    assert "不完整或被改动" in tablet.refused("import", str(file))


def test_a_courier_that_cannot_be_written_leaves_nothing_behind(tablet: Hand, tmp_path: Path) -> None:
    assert "不能写入" in tablet.refused("rescue", str(tmp_path / "no" / "such" / "folder.courier"), "--plain")
    assert "打不开" in tablet.refused("import", str(tmp_path / "nothing.courier"))


def test_rescue_saves_the_photos_even_when_the_database_is_gone(
    tablet: Hand, inspection: str, photo: Path, tmp_path: Path
) -> None:
    tablet.said("inspect", "photo", inspection, str(photo))
    for left in tablet.home.glob("patrolbook.db*"):
        left.write_bytes(b"\0" * 8192)
    told = tablet.refused("rescue", str(tmp_path / "t.courier"), "--plain")
    assert "已导出 0 条变更、4 个文件" in told and "未能读出" in told
    assert photo.read_bytes() in (tmp_path / "t.courier").read_bytes()


# ---- as a program ------------------------------------------------------------------------------------------


def test_as_a_program_of_its_own_it_speaks_utf8_and_exits_as_promised(tablet: Hand, inspection: str) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "field_client", *words], env={**os.environ, **tablet.env, "PYTHONPATH": os.getcwd()},
            capture_output=True, text=True, encoding="utf-8", timeout=120,
        )  # fmt: skip

    listed = run("inspect", "list")
    assert listed.returncode == 0 and "学雅口才培训中心" in listed.stdout and "\x1b" not in listed.stdout
    missing = run("inspect", "show", "00000000")
    assert missing.returncode == 1 and "没有找到" in missing.stderr and missing.stdout == ""
    assert run("nonsense").returncode == 2


@pytest.mark.skipif(os.name == "nt", reason="interrupting a process is that of POSIX")
def test_watching_keeps_synchronising_until_it_is_interrupted(tablet: Hand, inspection: str) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "field_client", "sync", "--watch"], stdout=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, **tablet.env, "PYTHONPATH": os.getcwd(), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert watching.stdout is not None
    while "可以交回" not in watching.stdout.readline():
        assert watching.poll() is None
    tablet.said("inspect", "note", inspection, "写于同步之间")
    while "上传 1 条变更" not in watching.stdout.readline():
        assert watching.poll() is None
    watching.send_signal(signal.SIGINT)
    assert "已停止同步" in watching.communicate(timeout=60)[0] and watching.returncode == 0


def test_a_whole_checklist_is_answered_from_one_file(tablet: Hand, inspection: str) -> None:
    told = {item.code: {"answer": "na"} for item in library().items}
    output = tablet.said("inspect", "answer", inspection, "--all", "-", input=json.dumps(told))
    assert output.count("已保存") == len(told) == 160
    assert "未作答" not in tablet.refused("inspect", "submit", inspection)


@pytest.mark.parametrize("kind", [Problem, *Problem.__subclasses__()])
def test_every_problem_has_words_and_a_next_step_in_both_languages(kind: type[Problem]) -> None:
    for language in ("zh", "en"):
        problem: Callable[[], Problem] = kind
        assert problem().text(language) and problem().next_step(language)  # type: ignore[arg-type]


def test_every_field_of_every_kind_can_be_shown() -> None:
    from schemas.words import label_of

    for schema in shipped():
        for name in schema.fields_by_name():
            assert label_of(schema, name).zh and label_of(schema, f"{name}/key").en


# ---- evidence ----------------------------------------------------------------------------------------------


def printed_code(said: str) -> str:
    found = re.search(r"核验码 ([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z])", said)
    assert found is not None, said
    return found[1]


def test_the_code_of_a_watermark_leads_to_the_original_here_and_on_a_colleagues_tablet(
    tablet: Hand, inspection: str, photo: Path, tmp_path: Path, server: TestServer
) -> None:
    code = printed_code(tablet.said("inspect", "photo", inspection, str(photo), "--item", "FIR-05"))
    original = next(one for one in tablet.json("evidence", "list", "--of", inspection) if one["role"] == "original")
    assert original["id"] in tablet.said("evidence", "lookup", code.lower())
    assert "打错" in tablet.refused("evidence", "lookup", ("1" if code[0] != "1" else "2") + code[1:])
    tablet.said("sync")
    colleague = Hand(tmp_path / "colleague")
    colleague.said("enrol", server.url, server.code(server.person("officer", "430102")))
    told = colleague.json("evidence", "lookup", code)  # nothing was pulled yet: the server is asked
    assert (told["id"], told["held"]) == (original["id"], True)
    assert original["sha256"] in colleague.said("evidence", "lookup", code)
    elsewhere = Hand(tmp_path / "elsewhere")
    elsewhere.said("enrol", server.url, server.code(server.person("officer", "430281")))
    assert original["id"] not in elsewhere.refused("evidence", "lookup", code)


def test_the_watermarked_copy_is_given_out_and_the_original_is_not(
    tablet: Hand, inspection: str, photo: Path, tmp_path: Path
) -> None:
    tablet.said("inspect", "photo", inspection, str(photo))
    original = next(one for one in tablet.json("evidence", "list") if one["role"] == "original")
    tablet.said("evidence", "copy", original["id"][-8:], str(tmp_path / "out.jpg"))
    copy = (tmp_path / "out.jpg").read_bytes()
    assert copy.startswith(b"\xff\xd8\xff") and copy != photo.read_bytes() and b"HUAWEI" not in copy


@pytest.mark.parametrize("how", ["option", "environment"])
def test_no_watermark_where_none_is_wanted(tablet: Hand, inspection: str, photo: Path, how: str) -> None:
    words = ["inspect", "photo", inspection, str(photo)]
    result = tablet(*words, "--no-watermark") if how == "option" else tablet(*words, PATROLBOOK_WATERMARK="no")
    assert result.exit_code == 0 and "核验码" not in result.output
    assert [one["role"] for one in tablet.json("evidence", "list")] == ["original"]


def test_what_is_still_missing_is_completed_by_a_command(tablet: Hand, inspection: str, photo: Path) -> None:
    tablet.said("inspect", "photo", inspection, str(photo))
    assert all(one["sm3"] is None for one in tablet.json("evidence", "list"))
    assert "尚缺 0" in tablet.said("evidence", "complete")
    original = next(one for one in tablet.json("evidence", "list") if one["role"] == "original")
    assert len(original["sm3"]) == 64
    assert original["sm3"] in tablet.said("evidence", "show", original["id"][-8:])


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Hand, TestServer]]:
    """A tablet with a server of its own, for what the county gives to everybody there."""
    with running_server(tmp_path / "server") as server:
        hand = Hand(tmp_path / "home")
        hand.said("enrol", server.url, server.code(server.person("inspector", "430102")), "--name", "T-15")
        hand.said("unlock")
        yield hand, server


def test_a_task_is_listed_begun_and_a_clue_verified_by_commands(own: tuple[Hand, TestServer], tmp_path: Path) -> None:
    tablet, desk = own[0], own[1].instance.desk
    said = {"subject": "学雅口才", "text": "周末补数学", "area": AREA, "source": "hotline", "status": "received", "received_at": "2026-11-26T01:00:00.000Z"}
    clue = decisions.write(desk, "clue", None, said, by=["s-1"]).record
    task = decisions.write(desk, "task", None, {"name": "核实", "sort": "verify", "area": AREA, "clue": clue, "status": "planned", "due": "2020-01-01"}, by=["s-1"])
    tablet.said("sync")
    (job,) = [one for one in tablet.json("task", "list") if one["id"] == task.record]
    assert job["overdue"] and "周末补数学" in tablet.said("task", "show", task.record[-8:])
    assert "verify" in tablet.refused("task", "done", task.record[-8:], "去过了")
    (tmp_path / "IMG_9.jpg").write_bytes(jpeg(320, 240))
    tablet.said("task", "verify", task.record[-8:], "两间教室", "--outcome", "confirmed", "--photo", str(tmp_path / "IMG_9.jpg"))
    assert all(one["id"] != task.record for one in tablet.json("task", "list"))
