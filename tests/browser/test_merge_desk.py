"""The merge desk in a real browser: a morning's work, two people at once, a newcomer, a reload, and the second person."""

from __future__ import annotations

import io
from collections.abc import Iterator
from hashlib import sha256
from uuid import uuid4

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from server.merging import decisions
from tests.browser.conftest import DESK, WIDE, Opener, faults, overflow, shot
from tests.support.conflicts import Scene
from tests.support.console import PASSWORD, account
from tests.support.server import TestDevice, TestServer, running_server

COUNTY = "430102"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("merge-desk")) as running:
        yield running


@pytest.fixture(scope="module")
def scene(server: TestServer) -> Scene:
    return Scene(server)


def at_desk(open_page: Opener, server: TestServer, role: str, name: str, size: object = DESK) -> Page:
    login = f"{role}-{uuid4().hex[:8]}"
    account(server, role, COUNTY, name=name, login=login)
    page = open_page(size)
    page.goto(f"{server.url}/console/sign-in")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{server.url}/console/")
    return page


def picture(text: str, colour: tuple[int, int, int]) -> bytes:
    image = Image.new("RGB", (1200, 900), colour)
    draw = ImageDraw.Draw(image)
    draw.rectangle((120, 300, 620, 860), fill=(110, 80, 60))
    draw.rectangle((700, 200, 1100, 860), fill=(190, 190, 180))
    draw.text((60, 60), text, fill=(255, 255, 255))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def add_photo(device: TestDevice, record: str, content: bytes, kind: str = "hazard") -> None:
    device.send_blob(content)
    value = {"sha256": sha256(content).hexdigest(), "size": len(content), "mime": "image/jpeg"}
    device.push(device.change(kind, record, {f"evidence/{uuid4()}": value}))


def test_a_morning_at_the_merge_desk(server: TestServer, scene: Scene, open_page: Opener) -> None:
    row = scene.conflict(
        one="疏散通道内的课桌、纸箱已全部清走，楼梯口加贴“禁止堆放”标识，并由前台每日两次巡查登记。",
        other="疏散通道内的课桌已清走，纸箱仍有少量待处理；楼梯口加装常闭式防火门一樘，施工单位承诺三日内完成。",
    )
    add_photo(scene.a, row.record, picture("A 10:20", (60, 96, 92)))
    add_photo(scene.b, row.record, picture("B 15:41", (96, 84, 60)))
    for _ in range(3):
        scene.conflict("funds", 1200_00, 1500_00)
    scene.conflict("findings", "现场未见两名任课教师的教师资格证。", "现场未见三名任课教师的教师资格证。", kind="inspection")
    scene.conflict("answers/FIR-05", {"answer": "yes"}, {"answer": "no", "remark": "两具过期"}, kind="inspection")
    page = at_desk(open_page, server, "staff", "孙丽")
    page.goto(f"{server.url}/console/merge")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "merge-queue")
    page.goto(f"{server.url}/console/merge/{row.id}")
    page.wait_for_load_state("networkidle")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "merge-conflict")
    page.locator(".claim[data-side=B] a.photo").click()
    expect(page.locator(".viewer-title")).to_contain_text("2 / 2")
    expect(page.locator(".viewer-wait")).to_be_hidden()
    shot(page, "merge-viewer", whole=False)
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    assert page.locator("input[name=choice]:checked").count() == 1
    page.locator("label.choice", has_text="合并两份内容").click()
    box = page.locator("textarea[name=combined]")
    assert box.is_visible() and "施工单位承诺" in box.input_value()
    box.fill("通道已清走，楼梯口加装常闭式防火门，三日内完成。")
    page.locator("label.choice", has_text="互为补充").click()
    page.reload()
    assert box.input_value() == "通道已清走，楼梯口加装常闭式防火门，三日内完成。", "a reload loses nothing"
    shot(page, "merge-combining")
    page.locator("button", has_text="裁决，回到列表").click()
    page.wait_for_url("**/console/merge?**")
    shot(page, "merge-decided-notice")
    assert scene.row(row.id).status == "resolved"
    page.locator(".notice.done button", has_text="撤销").click()
    page.wait_for_url(f"**/console/merge/{row.id}")
    assert scene.row(row.id).status == "reopened"
    shot(page, "merge-reopened")


def test_a_clock_that_is_off_and_the_place_are_told_with_each_side(server: TestServer, scene: Scene, open_page: Opener) -> None:
    record, _ = scene.record("inspection")
    now = scene.a.now()
    clock = {"wall": now - 3 * 3_600_000, "mono": 0, "boot": "b", "off": 3 * 3_600_000}
    place = {"lat": 281_930_000, "lon": 1_129_800_000, "acc": 800, "src": "gnss"}
    scene.a.push(scene.a.change("inspection", record, {"address": "人民中路38号7栋", "place": place}, {"address": []}, clock=clock))
    scene.write(scene.b, record, "address", "人民中路38号6栋", kind="inspection")
    page = at_desk(open_page, server, "staff", "孙丽")
    page.goto(f"{server.url}/console/merge/{scene.waiting(record)[0].id}")
    said = page.locator(".claim[data-side=A]").inner_text()
    assert "时钟偏差 -180 分" in said and "平板时钟" in said and "±8 m" in said and "28.19300" in said
    assert "时钟偏差" not in page.locator(".claim[data-side=B]").inner_text()
    shot(page, "merge-drift")
    page.get_by_role("link", name="28.19300").click()
    page.wait_for_url("**/console/map?lat=28.19300*")


def test_two_colleagues_decide_the_same_conflict_at_once_and_nothing_is_lost(
    server: TestServer, scene: Scene, open_page: Opener
) -> None:
    row = scene.conflict()
    first, second = at_desk(open_page, server, "staff", "孙丽"), at_desk(open_page, server, "staff", "何芳")
    for page in (first, second):
        page.goto(f"{server.url}/console/merge/{row.id}")
    for page, side, why in ((first, "A", "现场看过"), (second, "B", "电话核实：防火门已装")):
        page.locator("label.choice", has_text=f"采用 {side}").click()
        page.fill("textarea[name=reason]", why)
    first.locator("button", has_text="回到列表").click()
    first.wait_for_url("**/console/merge?**")
    second.locator("button", has_text="回到列表").click()
    second.wait_for_selector("#decided-by-another")
    said = second.locator("main").inner_text()
    assert "同事已经裁决" in said and "孙丽" in said and "现场看过" in said and "电话核实：防火门已装" in said
    assert "已清理杂物" in said and "加装常闭式防火门" in said
    shot(second, "merge-colleague-was-quicker")
    second.fill("form.undo input[name=reason]", "防火门已装")
    second.locator("button", has_text="撤销裁决").click()
    second.wait_for_url(f"**/console/merge/{row.id}")
    assert len(scene.waiting(row.record)) == 1
    assert second.locator(".claim").count() == 2


def test_a_newcomer_while_the_page_is_open_is_marked_and_what_was_typed_stays(
    server: TestServer, scene: Scene, open_page: Opener
) -> None:
    row = scene.conflict()
    page = at_desk(open_page, server, "staff", "孙丽")
    page.goto(f"{server.url}/console/merge/{row.id}")
    page.locator("label.choice", has_text="采用 A").click()
    page.fill("textarea[name=reason]", "两张照片比对过")
    scene.write(server.enrol("officer", COUNTY), row.record, "measures", "已停业整改")
    page.locator("button", has_text="回到列表").click()
    page.wait_for_selector("#newcomer")
    assert "已停业整改" in page.locator(".claim.newcomer").inner_text()
    assert page.locator("textarea[name=reason]").input_value() == "两张照片比对过"
    assert page.locator("input[name=choice]:checked").count() == 1 and scene.row(row.id).status == "open"
    assert faults(page) == []
    shot(page, "merge-newcomer")


def test_a_sensitive_field_takes_two_people(server: TestServer, scene: Scene, open_page: Opener) -> None:
    row = scene.conflict("findings", "现场未见两名教师的资格证。", "现场未见三名教师的资格证。", kind="inspection")
    staff = at_desk(open_page, server, "staff", "孙丽")
    staff.goto(f"{server.url}/console/merge/{row.id}")
    staff.locator("label.choice", has_text="采用 B").click()
    staff.locator("label.choice", has_text="现场复核为准").click()
    staff.locator("button", has_text="提出，回到列表").click()
    staff.wait_for_url("**/console/merge?**")
    lead = at_desk(open_page, server, "lead", "罗勇")
    lead.goto(f"{server.url}/console/merge/second")
    shot(lead, "merge-second")
    lead.goto(f"{server.url}/console/merge/{row.id}")
    shot(lead, "merge-proposal")
    assert faults(lead) == []
    lead.locator("button", has_text="复核通过").click()
    lead.wait_for_url("**/console/merge/second")
    assert scene.row(row.id).status == "resolved"


def test_late_edits_and_a_tablet_at_once(server: TestServer, open_page: Opener) -> None:
    scene = Scene(server)
    record, _ = scene.record()
    decisions.write(server.instance.desk, "hazard", record, {"status": "void"}, by=["system"])
    scene.write(scene.b, record, "contingency", "迟到的说明")
    (late,) = scene.waiting(record)
    rows = [scene.conflict(), scene.conflict("funds", 100_00, 200_00)]
    page = at_desk(open_page, server, "lead", "罗勇", WIDE)
    page.goto(f"{server.url}/console/merge/{late.id}")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "merge-late-edit")
    page.set_viewport_size({"width": DESK.width, "height": DESK.height})
    page.goto(f"{server.url}/console/merge/sweep?device={scene.b.id}&rule=tablet")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "merge-sweep")
    page.locator("label.choice", has_text="现场复核为准").click()
    page.locator("button", has_text="执行 2 项").click()
    page.wait_for_url("**/console/merge/sweeps/*")
    shot(page, "merge-swept")
    assert {scene.row(row.id).status for row in rows} == {"resolved"}
    page.fill("form.undo input[name=reason]", "规则选错")
    page.locator("button", has_text="整批撤销").click()
    page.wait_for_selector("text=已整批撤销")
    assert {scene.row(row.id).status for row in rows} == {"reopened"}
    page.goto(f"{server.url}/console/merge/decided")
    shot(page, "merge-decided")


def test_the_desk_fits_a_small_window(server: TestServer, scene: Scene, open_page: Opener) -> None:
    row = scene.conflict()
    page = at_desk(open_page, server, "staff", "孙丽")
    page.set_viewport_size({"width": 800, "height": 1100})
    for address in ("merge", f"merge/{row.id}", "merge/decided"):
        page.goto(f"{server.url}/console/{address}")
        assert overflow(page) == 0
    shot(page, "merge-narrow")




def test_a_person_responsible_is_put_together_from_both_sides_in_plain_fields(open_page: Opener, server: TestServer, scene: Scene) -> None:
    one, other = {"name": "王建国", "post": "副局长"}, {"name": "王建国", "phone": "0731-84000000"}
    row = scene.conflict("responsible/county", one, other, kind="institution", name="启文艺术培训中心")
    page = at_desk(open_page, server, "staff", "孙丽")
    page.goto(f"{server.url}/console/merge/{row.id}")
    expect(page.locator("h1")).to_have_text("四级包保责任人 县级")
    page.keyboard.press("e")
    page.get_by_label("电话").fill("0731-84000000")
    page.get_by_label("职务").fill("副局长")
    shot(page, "merge-parts")
    assert faults(page) == [] and overflow(page) == 0
    page.get_by_text("双方核对一致").click()
    page.get_by_role("button", name="回到列表").click()
    page.wait_for_url("**/merge?*")
    assert scene.row(row.id).status == "resolved"
