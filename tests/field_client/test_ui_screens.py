"""The screens over real HTTP: set-up, locking, places, practice, today, institutions, the ledger; and hands that slip."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import segno

from field_client.evidence.capture import capture
from field_client.platform.desktop import desktop
from field_client.tablet import Tablet
from field_client.ui import preferences
from field_client.ui.setup import read_code
from field_client.work import agenda
from server.exchange import revocations
from sync.core.errors import DiskFull, NotCanonical, Refused
from sync.core.note import fingerprint
from tests.support.clocks import HandClock
from tests.support.patrols import enrolled as tablets_enrolled
from tests.support.patrols import round_of
from tests.support.pictures import jpeg
from tests.support.screens import PIN, Screen, field, shown
from tests.support.server import TestServer, running_server

AREA = "430102001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[Screen]:
    with shown(tmp_path / "home") as screen:
        yield screen.open()


@pytest.fixture
def enrolled(ui: Screen, server: TestServer) -> Screen:
    return ui.enrol(server.url, server.code(server.person("officer", AREA, name="李敏")))


def settled(ui: Screen) -> dict[str, object]:
    """What the pages are told once the background has nothing more to do."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        told = ui.get("/sync/state.json").json()
        if told["rounds"] and told["state"] != "running" and not told["waiting"]:
            return dict(told)
        time.sleep(0.05)
    raise AssertionError(told)


def site(ui: Screen, name: str, **more: str) -> str:
    """Enter a suspected site; the page that follows."""
    record = ui.value("/institutions/new", "record")
    return ui.post("/institutions", record=record, name=name, address="", area=AREA, **more).text


# ---- set-up ------------------------------------------------------------------------------------------------


def test_a_new_tablet_is_led_to_the_set_up(ui: Screen) -> None:
    assert ui.get("/").url.endswith("/setup")


def test_a_code_and_a_pin_make_a_tablet_that_fills_itself(enrolled: Screen) -> None:
    assert settled(enrolled)["problem"] == ""
    assert "李敏" in enrolled.get("/").text


def test_a_wrong_code_is_said_and_the_pin_stays(ui: Screen, server: TestServer) -> None:
    answer = ui.post("/setup", url=server.url, code="WRNG-CODE-2222", pin=PIN, again=PIN)
    assert "notice wrong" in answer.text and server.url in answer.text
    code = server.code(server.person("officer", AREA))
    assert "已有 PIN" in ui.post("/setup/pin", url=server.url, code=code).text
    assert ui.post("/setup", url=server.url, code=code).url.endswith("/setup/filling")


@pytest.mark.parametrize(("first", "again"), [("480215", "480216"), ("111111", "111111"), ("1234", "1234")])
def test_a_weak_or_mistyped_pin_makes_nothing(ui: Screen, server: TestServer, first: str, again: str) -> None:
    answer = ui.post("/setup", url=server.url, code="K7M2-P9XD-4HTR", pin=first, again=again)
    assert "notice wrong" in answer.text and ui.seats is not None and not ui.seats.current.exists


def test_the_county_s_qr_code_is_read_from_a_picture(ui: Screen, server: TestServer) -> None:
    said = {"url": "https://county.example", "code": "K7M2-P9XD-4HTR", "log": "ab12"}
    picture = io.BytesIO()
    segno.make(f"patrolbook:enrol?{urlencode(said)}", error="m").save(picture, kind="png", scale=8, border=4)
    answer = ui.post("/setup/picture", files={"picture": ("qr.png", picture.getvalue(), "image/png")})
    assert field(answer.text, "url") == said["url"] and field(answer.text, "code") == said["code"]


def test_a_still_of_the_camera_is_answered_to_the_script(ui: Screen) -> None:
    said = {"url": "https://county.example", "code": "K7M2-P9XD-4HTR", "log": ""}
    picture = io.BytesIO()
    segno.make(f"patrolbook:enrol?{urlencode(said)}", error="m").save(picture, kind="png", scale=8, border=4)
    headers = {"Origin": ui.origin, "Accept": "application/json"}
    files = {"picture": ("still.png", picture.getvalue(), "image/png")}
    assert ui.post("/setup/picture", files=files, headers=headers).json() == said
    assert ui.post("/setup/picture", files={"picture": ("still.jpg", jpeg(64, 48))}, headers=headers).status_code == 409


def test_a_picture_without_a_code_says_so(ui: Screen) -> None:
    answer = ui.post("/setup/picture", files={"picture": ("x.png", b"no picture", "image/png")})
    assert "notice wrong" in answer.text


def test_a_server_with_another_log_than_the_code_says_gets_no_code(ui: Screen, server: TestServer) -> None:
    code = server.code(server.person("officer", AREA))
    answer = ui.post("/setup", url=server.url, code=code, log="00" * 16, pin=PIN, again=PIN)
    assert "指纹" in answer.text
    right = fingerprint(server.instance.keys.open.key).replace(" ", "") if hasattr(server.instance.keys.open, "key") else ""
    assert ui.post("/setup", url=server.url, code=code, log=right).url.endswith("/setup/filling")


def test_text_that_is_no_enrolment_code_is_none() -> None:
    assert read_code("https://evil.example/?url=x&code=y") is None
    assert read_code("patrolbook:enrol?url=x") is None
    assert read_code("patrolbook://[") is None and read_code("//[") is None


# ---- lock --------------------------------------------------------------------------------------------------


def test_a_locked_tablet_shows_no_page_but_the_pad(enrolled: Screen) -> None:
    enrolled.post("/lock")
    for path in ("/", "/institutions", "/sync", "/tablet", "/couriers"):
        assert "data-pad" in enrolled.get(path).text
    assert enrolled.get("/sync/state.json", Accept="application/json").status_code == 401


def test_unlocking_leads_back_to_the_page_that_was_asked_for(enrolled: Screen) -> None:
    enrolled.post("/lock")
    assert enrolled.post("/unlock", pin=PIN, after="/institutions?q=x").url.endswith("/institutions?q=x")


def test_wrong_pins_wait_longer_and_longer_and_the_page_says_how_long(enrolled: Screen) -> None:
    enrolled.post("/lock")
    for _ in range(5):
        assert "PIN 不正确" in enrolled.post("/unlock", pin="999999").text
    page = enrolled.post("/unlock", pin="999999").text
    assert int(re.search(r'data-wait="(\d+)"', page)[1]) > 0  # type: ignore[index]
    assert "data-pad" in enrolled.post("/unlock", pin=PIN).text, "the right PIN waits too"


def test_the_command_line_s_lock_locks_the_screens(enrolled: Screen) -> None:
    assert enrolled.seats is not None
    enrolled.seats.current.vault().lock()
    assert "data-pad" in enrolled.get("/").text


def test_looking_how_far_it_is_does_not_keep_the_tablet_unlocked(enrolled: Screen) -> None:
    assert enrolled.seats is not None
    before = enrolled.seats.current._used
    enrolled.get("/sync/state.json")
    assert enrolled.seats.current._used == before
    enrolled.get("/sync")
    assert enrolled.seats.current._used != before


def test_the_keys_are_on_no_disk_while_it_is_unlocked(enrolled: Screen) -> None:
    assert enrolled.seats is not None
    held = enrolled.seats.current.held()
    for file in enrolled.seats.base.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert held.secrets.seed not in content and held.secrets.seed.hex().encode() not in content, file


# ---- places ------------------------------------------------------------------------------------------------


def test_two_inspectors_have_drafts_of_their_own(enrolled: Screen, server: TestServer) -> None:
    site(enrolled, "茶楼后的数学班")
    enrolled.post("/sit/new")
    enrolled.enrol(server.url, server.code(server.person("officer", "430104", name="周强")))
    assert "周强" in enrolled.get("/").text and "茶楼后" not in enrolled.get("/institutions").text
    enrolled.post("/lock")
    assert {"李敏", "周强"} <= set(re.findall("<span>(..)</span>", enrolled.get("/lock").text))
    enrolled.post("/sit", seat="0")
    enrolled.post("/unlock", pin=PIN)
    assert "茶楼后" in enrolled.get("/institutions").text


def test_going_to_somebody_else_s_place_locks_one_s_own(enrolled: Screen) -> None:
    assert enrolled.seats is not None
    first = enrolled.seats.current
    enrolled.post("/sit/new")
    assert first.peek() is None
    enrolled.post("/sit", seat="0")
    assert "data-pad" in enrolled.get("/").text


def test_language_theme_and_size_are_kept_for_a_locked_tablet(enrolled: Screen) -> None:
    enrolled.post("/look", language="en")
    enrolled.post("/look", theme="dark")
    enrolled.post("/look", large="1")
    enrolled.post("/lock")
    page = enrolled.get("/lock").text
    assert 'lang="en"' in page and 'class="dark large"' in page and "Forgotten PIN" in page


def test_damaged_preferences_are_as_usual(tmp_path: Path) -> None:
    (tmp_path / preferences.FILE).write_bytes(b'{"theme": 7, "large"')
    assert preferences.read(tmp_path) == preferences.Preferences()


# ---- practice ----------------------------------------------------------------------------------------------


def test_practice_has_no_way_to_any_server(ui: Screen) -> None:
    ui.practise()
    assert "练习" in ui.get("/").text and "被退回" in ui.get("/").text
    assert ui.seats is not None and not ui.seats.current.rounds.alive
    ui.post("/sync/now")
    assert not ui.seats.current.rounds.alive
    tablet = ui.seats.current.tablet()
    try:
        with pytest.raises(Refused, match="practice"):
            tablet.sync()
    finally:
        tablet.close()


def test_the_bar_says_practice_once_and_beside_it_that_nothing_is_sent(ui: Screen) -> None:
    ui.practise()
    bar = re.search(r'<header class="bar">.*?</header>', ui.get("/").text, re.DOTALL)
    assert bar is not None and bar[0].count("练习") == 1 and "不上传" in bar[0]
    assert ui.get("/sync/state.json").json()["words"] == "不上传"  # which the page's script puts there


def test_practice_and_real_work_do_not_meet(enrolled: Screen) -> None:
    enrolled.practise()
    site(enrolled, "练习里的点位")
    enrolled.post("/practice/end")
    enrolled.post("/unlock", pin=PIN)
    assert "练习里的点位" not in enrolled.get("/institutions").text
    assert settled(enrolled)["waiting"] == 0


# ---- institutions ------------------------------------------------------------------------------------------


def test_search_forgives(ui: Screen) -> None:
    ui.practise()
    for asked in ("口才", "xykc", "koucai", "芙蓉中路", "练习许可 0001"):
        assert "学雅口才" in ui.get(f"/institutions?{urlencode({'q': asked})}").text, asked
    assert "没有找到" in ui.get("/institutions?q=zzzz").text


def test_near_me_names_the_nearest_first(ui: Screen) -> None:
    ui.practise()
    page = ui.get("/institutions?lat=28.19&lon=112.97").text
    names = re.findall(r"<b>([^<]*)（练习）</b>", page)
    assert names[0] == "学雅口才培训中心" and "0 m" in page
    assert ui.get("/institutions?lat=x&lon=y").status_code == 400


def test_a_site_that_looks_like_one_that_exists_is_warned_about_and_not_blocked(ui: Screen) -> None:
    ui.practise()
    page = site(ui, "学雅口才班")
    assert "是同一家吗" in page and "学雅口才培训中心" in page
    record = field(page, "record")
    made = ui.post("/institutions", record=record, name="学雅口才班", address="", area=AREA, anyway="1")
    assert made.url.endswith(record) and "疑似无证" in made.text


def test_a_name_unlike_any_other_is_not_warned_about(ui: Screen) -> None:
    ui.practise()
    assert "是同一家吗" not in site(ui, "白沙井象棋社")


def test_a_second_tap_makes_no_second_site(enrolled: Screen) -> None:
    record = enrolled.value("/institutions/new", "record")
    for _ in range(3):
        answer = enrolled.post("/institutions", record=record, name="夜间晚托班", address="", area=AREA)
        assert answer.url.endswith(record)
    assert enrolled.get("/institutions").text.count("夜间晚托班") == 1


def test_a_second_tap_writes_no_second_note(ui: Screen) -> None:
    ui.practise()
    card = re.search(r'href="(/institutions/[0-9a-f-]{36})"', ui.get("/institutions").text)[1]  # type: ignore[index]
    note = ui.value(card, "note")
    for _ in range(2):
        page = ui.post(f"{card}/note", note=note, text="门口贴了收费公示").text
    assert page.count("门口贴了收费公示") == 1


def test_an_area_that_is_none_is_refused_with_what_was_typed(enrolled: Screen) -> None:
    record = enrolled.value("/institutions/new", "record")
    page = enrolled.post("/institutions", record=record, name="夜校", address="巷口", area="43x").text
    assert "notice wrong" in page and 'value="夜校"' in page and 'value="巷口"' in page


def test_a_form_without_an_id_of_its_own_makes_nothing(enrolled: Screen) -> None:
    assert enrolled.post("/institutions", record="../../x", name="夜校", area=AREA).status_code == 400


def test_what_does_not_exist_is_a_page_with_a_way_back(enrolled: Screen) -> None:
    for path in ("/institutions/none", "/nothing/here"):
        answer = enrolled.get(path)
        assert answer.status_code == 404 and "回到今日" in answer.text


# ---- today -------------------------------------------------------------------------------------------------


def test_today_says_what_is_late_before_what_is_due(ui: Screen) -> None:
    ui.practise()
    page = ui.get("/").text
    assert page.index("逾期 3 天") < page.index("还有 2 天") and "还有 9 天" not in page
    assert "请补充公示栏的照片" in page and "冒烟" in page


def test_a_shift_is_opened_and_closed_once_however_often_it_is_tapped(enrolled: Screen) -> None:
    for _ in range(2):
        assert "结束班次" in enrolled.post("/shift", act="open").text
    for _ in range(2):
        assert "开始班次" in enrolled.post("/shift", act="close").text
    assert enrolled.seats is not None
    tablet = enrolled.seats.current.tablet()
    try:
        assert tablet.identity is not None
        mine = [one for one in tablet.records("shift") if tablet.values(one)["device"] == tablet.identity.device]
        assert len(mine) == 1
    finally:
        tablet.close()


# ---- the ledger --------------------------------------------------------------------------------------------


def test_the_ledger_says_yes_only_when_everything_has_a_receipt(enrolled: Screen) -> None:
    settled(enrolled)
    enrolled.post("/sync/choose", paused="1")
    site(enrolled, "地下室补习点")
    page = enrolled.get("/sync").text
    assert "还不能交回平板" in page and "地下室补习点" in page
    enrolled.post("/sync/choose", paused="0")
    settled(enrolled)
    page = enrolled.get("/sync").text
    assert "可以交回平板" in page and "还不能" not in page


def test_a_paused_tablet_sends_nothing_by_itself_and_goes_on_when_told(enrolled: Screen) -> None:
    settled(enrolled)
    enrolled.post("/sync/choose", paused="1")
    enrolled.post("/lock")
    enrolled.post("/unlock", pin=PIN)
    assert enrolled.get("/sync/state.json").json()["state"] == "paused"
    site(enrolled, "楼上的画室")
    enrolled.post("/sync/now")
    assert settled(enrolled)["problem"] == ""


def test_without_a_network_the_page_says_what_is_next_and_nothing_is_lost(ui: Screen, tmp_path: Path) -> None:
    with running_server(tmp_path / "server") as server:
        ui.enrol(server.url, server.code(server.person("officer", AREA)))
        settled(ui)
    site(ui, "断网时的点位")
    ui.post("/sync/now")
    end = time.monotonic() + 30
    while time.monotonic() < end and "不会从头再来" not in ui.get("/sync?piece=1").text:
        time.sleep(0.2)
    page = ui.get("/sync").text
    assert "还不能交回平板" in page and "断网时的点位" in ui.get("/institutions").text


# ---- couriers ----------------------------------------------------------------------------------------------


def test_work_goes_to_another_tablet_by_stick_and_twice_changes_nothing(enrolled: Screen, server: TestServer, tmp_path: Path) -> None:
    settled(enrolled)
    enrolled.post("/sync/choose", paused="1")
    site(enrolled, "携行的点位")
    stick = tmp_path / "usb"
    stick.mkdir()
    said = {"folder": str(stick), "passphrase": "竹子 and 河流", "again": "竹子 and 河流"}
    assert "已写入" in enrolled.post("/couriers/export", **said).text
    file = next(stick.glob("*.courier"))
    with shown(tmp_path / "other") as other:
        other.open().enrol(server.url, server.code(server.person("officer", AREA)))
        for new in ("新增 2 条变更", "新增 0 条变更"):
            page = other.post("/couriers/import", file=str(file), passphrase=said["passphrase"]).text
            assert new in page, page
        assert "携行的点位" in other.get("/institutions").text
        assert "notice wrong" in other.post("/couriers/import", file=str(file), passphrase="wrong").text
        assert "notice wrong" in other.post("/couriers/import", file=str(stick / "none")).text


def test_a_short_passphrase_or_no_folder_writes_nothing(enrolled: Screen, tmp_path: Path) -> None:
    for folder, word in ((str(tmp_path), "kurz"), ("/no/such/folder", "long enough"), ("", "long enough")):
        assert "notice wrong" in enrolled.post("/couriers/export", folder=folder, passphrase=word, again=word).text
    assert not list(tmp_path.glob("*.courier"))


# ---- the tablet itself -------------------------------------------------------------------------------------


def test_the_pin_is_changed_with_the_old_one_only(enrolled: Screen) -> None:
    assert "notice wrong" in enrolled.post("/tablet/pin", old="000000", pin="730915", again="730915").text
    assert "PIN 已更换" in enrolled.post("/tablet/pin", old=PIN, pin="730915", again="730915").text
    enrolled.post("/lock")
    assert "data-pad" in enrolled.post("/unlock", pin=PIN).text
    assert "data-pad" not in enrolled.post("/unlock", pin="730915").text


def test_every_screen_stands_in_english_too(ui: Screen, server: TestServer) -> None:
    ui.enrol(server.url, server.code(server.person("officer", "430181001", name="Li Min")))
    ui.post("/look", language="en")
    for path in ("/", "/institutions", "/institutions/new", "/sync", "/tablet", "/couriers", "/practice"):
        answer = ui.get(path)
        page = answer.text.replace("中文", "")
        assert answer.status_code == 200
        assert not re.search("[\u4e00-\u9fff]", page), (path, re.search(".{20}[\u4e00-\u9fff]+", page))


def other(server: TestServer, home: Path) -> Tablet:
    """A colleague's tablet in the same area."""
    return tablets_enrolled(server, home, areas=(AREA,))


def test_a_conflict_always_shows_what_was_written_here(enrolled: Screen, server: TestServer, tmp_path: Path) -> None:
    site(enrolled, "两人都改的点位")
    settled(enrolled)
    colleague = other(server, tmp_path / "colleague")
    round_of(colleague)
    record = next(one for one in colleague.records("institution") if colleague.values(one)["name"] == "两人都改的点位")
    enrolled.post("/sync/choose", paused="1")
    colleague.write("patrol_note", None, {"area": AREA, "spot": "x", "seen": "y", "seen_at": "2026-11-22T04:30:45.118Z"})
    assert enrolled.seats is not None
    mine = enrolled.seats.current.tablet()
    hazard = {"institution": record, "area": AREA, "description": "通道", "grade": "general", "status": "open"}
    danger = mine.write("hazard", None, hazard).record
    mine.sync()
    round_of(colleague)
    mine.write("hazard", danger, {"measures": "我写的措施"})
    colleague.write("hazard", danger, {"measures": "同事的措施"})
    round_of(colleague)
    mine.sync()
    mine.close()
    page = enrolled.get("/sync").text
    assert "我写的措施" in page and "同事的措施" in page
    assert re.search(r'class="mine"[^§]{0,300}我写的措施', page) and "等待县里处理" in enrolled.get("/").text
    colleague.close()


def test_a_file_that_a_person_wants_first_goes_first_also_on_a_dear_line(enrolled: Screen) -> None:
    settled(enrolled)
    enrolled.post("/sync/choose", paused="1")
    enrolled.post("/sync/choose", line="dear")
    site(enrolled, "有照片的点位")
    assert enrolled.seats is not None
    tablet = enrolled.seats.current.tablet()
    record = next(one for one in tablet.records("institution") if tablet.values(one)["name"] == "有照片的点位")
    first, second = (capture(tablet, record, io.BytesIO(jpeg(64 + n, 48)), name=f"IMG_{n}.jpg") for n in (1, 2))
    assert "IMG_2.jpg" in enrolled.get("/sync").text
    assert "1 个文件排到最前" in enrolled.post("/sync/first", sha256=second.sha256).text
    waiting = [one.sha256 for one in tablet.store.uploads.waiting(1)]
    assert waiting[0] == second.sha256 and first.sha256 not in waiting
    tablet.close()


def test_what_the_server_could_not_read_is_shown_with_the_reason_and_sent_again_by_a_button(enrolled: Screen) -> None:
    settled(enrolled)
    enrolled.post("/sync/choose", paused="1")
    site(enrolled, "读不了的点位")
    assert enrolled.seats is not None
    tablet = enrolled.seats.current.tablet()
    (own,) = [one for record in tablet.records("institution") for one in tablet.history(record) if one.status == "queued"]
    tablet.store.bury(own.change.id, NotCanonical(detail="test"))
    page = enrolled.get("/sync").text
    assert "不是规范 JSON" in page and "读不了的点位" in page and "重新发送 1 条" in page
    assert "1 条变更将重新发送" in enrolled.post("/sync/revive").text and tablet.queued() >= 1
    tablet.close()


def test_a_revoked_tablet_shows_one_page_hands_in_and_ends_with_no_key(enrolled: Screen, server: TestServer) -> None:
    settled(enrolled)
    enrolled.post("/sync/choose", paused="1")
    site(enrolled, "停用前的点位")
    assert enrolled.seats is not None
    seat = enrolled.seats.current
    tablet = seat.tablet()
    assert tablet.identity is not None
    revocations.revoke(server.instance, tablet.identity.device, "丢失")
    tablet.close()
    enrolled.post("/sync/now")
    end = time.monotonic() + 30
    while "密钥已清除" not in (page := enrolled.get("/").text):
        assert time.monotonic() < end, page
        time.sleep(0.2)
    assert "停用前的点位" not in page and not seat.exists
    for path in ("/", "/institutions", "/tablet"):
        assert "密钥已清除" in enrolled.get(path).text


# ---- bad days ----------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_with_the_next_step_and_nothing_half_is_there(enrolled: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Tablet, *_: object, **__: object) -> None:
        raise DiskFull(where="/home")

    record = enrolled.value("/institutions/new", "record")
    with monkeypatch.context() as patched:
        patched.setattr(Tablet, "write", full)
        answer = enrolled.post("/institutions", record=record, name="磁盘满时的点位", area=AREA)
    assert answer.status_code == 507 and "空间" in answer.text
    assert "磁盘满时的点位" not in enrolled.get("/institutions").text


def test_a_clock_that_is_set_while_it_is_open_keeps_nobody_out_and_is_told(tmp_path: Path, server: TestServer) -> None:
    clock = HandClock(wall_ms=int(time.time() * 1000))
    with shown(tmp_path / "home", desktop()._replace(clock=clock)) as ui:
        ui.open().enrol(server.url, server.code(server.person("officer", "430182001")))
        settled(ui)
        ui.post("/shift", act="open")
        clock.set(-600)
        clock.go(5)
        record = ui.value("/institutions/new", "record")
        assert ui.post("/institutions", record=record, name="钟拨慢的点位", area="430182001").url.endswith(record)
        assert "时钟被调" in ui.get("/").text
        clock.go(16 * 60)
        assert "data-pad" in ui.get("/").text, "idle time is counted by the device and not by the clock"


def test_a_mistake_of_ours_is_a_number_and_no_traceback(enrolled: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "visits", lambda tablet: 1 / 0)
    answer = enrolled.get("/")
    assert answer.status_code == 500 and "Traceback" not in answer.text and re.search("[0-9a-f]{8}", answer.text)


def test_two_tabs_on_one_record_each_keep_what_they_wrote(enrolled: Screen) -> None:
    site(enrolled, "两个标签页")
    card = re.search(r'href="(/institutions/[0-9a-f-]{36})"', enrolled.get("/institutions?q=两个标签页").text)[1]  # type: ignore[index]
    one, two = enrolled.value(card, "note"), enrolled.value(card, "note")
    enrolled.post(f"{card}/note", note=one, text="第一页写的")
    page = enrolled.post(f"{card}/note", note=two, text="第二页写的").text
    assert "第一页写的" in page and "第二页写的" in page
