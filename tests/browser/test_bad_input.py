"""What goes wrong on a tablet in somebody's hands, over its pages: the clock, the disk, the checklist, files, a forgotten PIN."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect

from custody import sealing
from field_client.platform.desktop import desktop
from field_client.work import shifts
from server.cli import main
from server.proofs import trusts
from sync.core.trust import Seal
from tests.browser.conftest import TABLET, UPRIGHT, Opener, cut_off, overflow, shot
from tests.support.clocks import HandClock
from tests.support.homes import Home, waited
from tests.support.pictures import hollow_png, jpeg, mp4
from tests.support.screens import PIN, Screen, shown
from tests.support.server import running_server
from tests.support.tablet_pages import Hand, unlock

NEW_PIN = "864209"
DAY_S = 86_400


def enter(page: Page, screen: Screen) -> None:
    """Be the browser that was started with the screens, and unlock them."""
    from field_client.ui.guard import start_url

    page.goto(start_url(screen.port, screen.secret))
    if page.locator("[data-pad]").count():
        unlock(page, Hand())
        expect(page.locator("[data-pad]")).to_have_count(0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 160 MB in memory: a tablet keeps 64 MB free for its database."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(("days", "said"), [(1, "调 86400 秒"), (-1, "调 -86400 秒")], ids=["forward", "back"])
def test_a_clock_that_is_set_while_the_page_is_open_is_said_and_begins_no_day(
    open_page: Opener, used_homes: dict[str, Home], tmp_path: Path, days: int, said: str
) -> None:
    clock = HandClock(wall_ms=int(time.time() * 1000))
    home = used_homes["inspector"].copy(tmp_path / "home")
    with shown(home, desktop()._replace(clock=clock)) as screen:
        page = open_page(TABLET)
        enter(page, screen)
        page.locator("button[name=act]").click()  # a shift that is opened under this clock
        page.locator("button[name=act]").click()
        page.goto(f"{screen.origin}/institutions/new")
        page.fill("#name", "钟被拨过的点位")
        page.fill("#address", "朝阳路 9 号")
        clock.set(days * DAY_S)
        clock.go(60)
        page.locator("form[data-keep] button.primary").click()
        expect(page.locator("h1")).to_have_text("钟被拨过的点位")
        page.goto(screen.origin)
        expect(page.locator("main")).to_contain_text(said)
        shot(page, f"bad-clock-{days}")
        assert screen.seats is not None
        with closing(screen.seats.current.tablet()) as tablet:
            standing = shifts.current(tablet)
            assert standing is not None and standing.open
            site = next(one for one in tablet.records("institution") if tablet.values(one).get("name") == "钟被拨过的点位")
            facts = tablet.history(site)[0].change.body["clock"]
            assert (facts["wall"], facts["mono"], facts["boot"]) == (clock.wall, clock.mono, clock.boot())
            assert len(tablet.records("shift")) == 2, "the one of the morning and the one that was opened here"


def test_a_disk_that_is_full_while_a_film_is_taken_says_so_and_the_film_goes_on_once_there_is_room(
    open_page: Opener, used_homes: dict[str, Home], small_disk: Path
) -> None:
    home = used_homes["team"].copy(small_disk / "home")
    filler = small_disk / "filler"
    with shown(home) as screen:
        page = open_page(UPRIGHT, permissions=["camera", "microphone"])
        enter(page, screen)
        page.goto(f"{screen.origin}/notes")
        told, wrong = page.locator("[data-told]"), page.locator("[data-wrong]")
        page.locator("[data-film]").click()
        expect(told).to_have_text(re.compile(r"· 1 ·"), timeout=60_000)
        room = os.statvfs(small_disk)
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - (8 << 20))))
        expect(wrong).to_contain_text("空间", timeout=60_000)
        shot(page, "bad-disk-film")
        filler.unlink()
        expect(wrong).to_be_hidden(timeout=60_000)
        page.locator("[data-film]").click()
        expect(page.locator("[data-film]")).not_to_have_class(re.compile(r"\bon\b"))
        page.wait_for_timeout(1_000)
        page.goto(f"{screen.origin}/notes/counts")
        expect(page.locator("main")).not_to_contain_text("没有收尾")


def test_a_piece_that_is_on_its_way_when_a_film_is_stopped_is_not_the_last_one(open_page: Opener, used_homes: dict[str, Home], tmp_path: Path) -> None:
    with shown(used_homes["team"].copy(tmp_path / "home")) as screen:
        page = open_page(UPRIGHT, permissions=["camera", "microphone"])
        page.add_init_script("const stop = MediaRecorder.prototype.stop; MediaRecorder.prototype.stop = function () { this.requestData(); stop.call(this); };")
        pieces = list[str]()
        page.on("request", lambda request: pieces.append(request.url.rsplit("/", 1)[1]) if "/notes/piece/" in request.url else None)
        enter(page, screen)
        page.goto(f"{screen.origin}/notes")
        film, told = page.locator("[data-film]"), page.locator("[data-told]")
        film.click()
        expect(told).to_have_text(re.compile(r"· 1 ·"), timeout=60_000)
        film.click()
        expect(told).to_have_text(re.compile(r"· 3 ·"), timeout=30_000)
        assert pieces == ["1?last=0", "2?last=0", "3?last=1"]


def test_a_disk_that_is_full_when_a_photo_is_taken_keeps_it_in_the_window_until_there_is_room(
    open_page: Opener, used_homes: dict[str, Home], small_disk: Path
) -> None:
    made = used_homes["inspector"]
    home, filler = made.copy(small_disk / "home"), small_disk / "filler"
    with shown(home) as screen:
        page = open_page(UPRIGHT)
        enter(page, screen)
        page.goto(screen.origin + made.fill("/records/{visit}/camera"))
        room = os.statvfs(small_disk)
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - (8 << 20))))
        page.locator("[data-pick=gallery]").set_input_files({"name": "door.jpg", "mimeType": "image/jpeg", "buffer": jpeg(900, 700)})
        expect(page.locator("main .notice.warn", has_text="空间")).to_be_visible(timeout=30_000)
        shot(page, "bad-disk-photo")
        filler.unlink()
        expect(page.locator("[data-taken] .badge.ok")).to_be_visible(timeout=30_000)


def test_a_new_edition_of_the_checklist_in_the_middle_of_a_visit_breaks_nothing(
    open_page: Opener, used_homes: dict[str, Home], tmp_path: Path
) -> None:
    made = used_homes["inspector"]
    with shown(made.copy(tmp_path / "home")) as screen:
        page = open_page(TABLET)
        enter(page, screen)
        page.goto(screen.origin + made.fill("/inspections/{visit}/items/LIC"))
        assert screen.seats is not None
        item = {"group": "NEW", "zh": "新增的一项", "en": "New", "answer": {"type": "yes_no_na"}, "photo": "none", "severity": "minor",
                "applies_to": ["all"], "basis": [], "penalty": [], "violation": "PROC", "handler": "教育局"}  # fmt: skip
        with closing(screen.seats.current.tablet()) as tablet:
            edition = tablet.values(made.ids["visit"])["edition"]
            tablet.write("checklist", None, {"name": "省清单", "edition": "2027.r1", "effective_from": "2026-01-01", "status": "published",
                                             "groups": [{"code": "NEW", "zh": "新组", "en": "New"}], "items/NEW-01": item})  # fmt: skip
        page.locator("[id='LIC-03'] .choice.yes").click()
        expect(page.locator("[id='LIC-03'] [data-saved]")).to_contain_text("已保存")
        page.reload()
        expect(page.locator("[id='LIC-03'] .choice.yes input")).to_be_checked()
        assert page.locator("[data-group=NEW]").count() == 0
        page.goto(screen.origin + made.fill("/inspections/{visit}"))
        expect(page.locator("main")).to_contain_text(f"清单 {edition}")


def test_files_that_are_not_what_they_seem_are_each_answered_in_words(open_page: Opener, used_homes: dict[str, Home], tmp_path: Path) -> None:
    made = used_homes["inspector"]
    with shown(made.copy(tmp_path / "home")) as screen:
        page = open_page(UPRIGHT)
        enter(page, screen)
        page.goto(screen.origin + made.fill("/records/{visit}/camera"))
        page.locator("[data-pick=gallery]").set_input_files(
            [
                {"name": "IMG_0.jpg", "mimeType": "image/jpeg", "buffer": b""},
                {"name": "IMG_200MP.png", "mimeType": "image/png", "buffer": hollow_png(20_000, 10_000)},
                {"name": "IMG_film.jpg", "mimeType": "image/jpeg", "buffer": mp4()},
            ]
        )
        expect(page.locator("[data-taken] .badge.ok")).to_have_count(2, timeout=60_000)
        for name, words in (("IMG_0.jpg", "空"), ("IMG_200MP.png", "百万像素"), ("IMG_film.jpg", "已按视频保存")):
            expect(page.locator(".notice.warn", has_text=name).filter(has_text=words)).to_be_visible()
        shot(page, "bad-files")
        assert cut_off(page) == [] and overflow(page) == 0


def test_a_forgotten_pin_is_recovered_over_the_pages(open_page: Opener, tmp_path: Path) -> None:
    province = sealing.new_identity()
    (tmp_path / "secret").write_bytes(sealing.lock_identity(province.secret, "p"))
    with running_server(tmp_path / "server") as server, shown(tmp_path / "home") as screen:
        house = server.instance
        trust = replace(trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None), seal=Seal(7, (province.recipient,)))
        trusts.publish(house.settings, trust, bytes(range(32)))
        screen.open().enrol(server.url, server.code(server.person("officer", "430102001", name="李敏")))
        waited(lambda: "一、写出恢复请求" in screen.get("/forgotten").text)
        record = screen.value("/institutions/new", "record")
        screen.post("/institutions", record=record, name="忘记之前写的", area="430102001")
        screen.post("/lock")
        page = open_page(UPRIGHT)
        from field_client.ui.guard import start_url

        page.goto(start_url(screen.port, screen.secret))
        page.get_by_role("link", name="忘记 PIN").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="保存恢复请求").dblclick()
        code = download.value.suggested_filename.removesuffix(".ask")
        download.value.save_as(tmp_path / "ask")
        words = ["trust", "recover", str(tmp_path / "ask"), str(tmp_path / "answer"), "--identity", str(tmp_path / "secret"),
                 "--passphrase", "p", "--code", code]  # fmt: skip
        done = CliRunner().invoke(main, words, env={"PATROLBOOK_DATA": str(house.settings.data), "PATROLBOOK_LANG": "en"})
        assert done.exit_code == 0, done.output
        page.locator("#answer").set_input_files(tmp_path / "answer")
        expect(page.locator("[data-chosen]")).to_have_text("answer")
        page.fill("#new", NEW_PIN)
        page.fill("#new-again", "111112")
        page.locator("form[action$=finish] button").click()
        expect(page.locator("main > .notice.wrong")).to_contain_text("两次输入不一样")
        page.locator("#answer").set_input_files(tmp_path / "answer")
        page.fill("#new", NEW_PIN)
        page.fill("#new-again", NEW_PIN)
        page.locator("form[action$=finish] button").dblclick()
        expect(page.locator(".notice.done")).to_contain_text("已恢复")
        page.goto(f"{screen.origin}/institutions/{record}")
        expect(page.locator("h1")).to_have_text("忘记之前写的")
        page.locator("header form button.icon-button").click()
        for pin, opens in ((PIN, False), (NEW_PIN, True)):
            for digit in pin:
                page.locator(f"[data-digit='{digit}']").click()
            page.locator(".pad .primary").click()
            expect(page.locator("[data-pad]")).to_have_count(0 if opens else 1)
