"""The card of an officer, at the desk and by command: what is printed is what a tablet reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from custody.pictures import qr
from schemas.cards import card_text
from server.cli import main
from server.merging import decisions
from tests.support.console import Browser, signed_in
from tests.support.server import TestServer, running_server

COUNTY = "430103"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def staff(server: TestServer) -> Browser:
    return signed_in(server, "staff", COUNTY)


def record(server: TestServer, kind: str, **values: object) -> str:
    desk = server.instance.desk
    return decisions.write(desk, kind, None, values, by=["system"]).record


def officer(server: TestServer, name: str, certificate: str, area: str = COUNTY, **more: object) -> str:
    return record(server, "officer", **{"name": name, "certificate_number": certificate, "area": area, "status": "active", **more})


def test_the_page_of_an_officer_leads_to_a_card(server: TestServer, staff: Browser) -> None:
    id = officer(server, "李敏", "43010012345", unit="市场监管局", valid_until="2031-12-31")
    assert f"/console/record/{id}/card" in staff.get(f"record/{id}").text
    card = staff.get(f"record/{id}/card").text
    assert all(one in card for one in ("李敏", "43010012345", "2031-12-31")) and "data:image/svg+xml" in card
    assert "今天会拒绝" not in card


def test_a_card_that_tablets_refuse_today_says_so(server: TestServer, staff: Browser) -> None:
    id = officer(server, "王强", "43010054321", valid_until="2020-12-31")
    assert "今天会拒绝" in staff.get(f"record/{id}/card").text


def test_there_is_no_card_out_of_sight_nor_of_other_records(server: TestServer, staff: Browser) -> None:
    away = officer(server, "外地", "43020000001", area="430204")
    place = record(server, "institution", name="学雅口才", area=COUNTY)
    assert staff.get(f"record/{away}/card").status_code == staff.get(f"record/{place}/card").status_code == 404


def test_all_cards_that_count_today_and_are_in_sight_are_printed_at_once(server: TestServer, staff: Browser) -> None:
    officer(server, "在册", "43010066661")
    officer(server, "过期", "43010066662", valid_until="2020-12-31")
    officer(server, "停职", "43010066663", status="suspended")
    officer(server, "邻县", "43020066664", area="430204")
    assert "/console/cards" in staff.get("records/officer").text
    page = staff.get("cards").text
    assert "在册" in page and not [name for name in ("过期", "停职", "邻县") if name in page]


def test_a_department_is_not_shown_the_officers(server: TestServer) -> None:
    officer(server, "在册", "43010066665")
    assert signed_in(server, "department", COUNTY, department="fire").get("cards").status_code == 403


def test_the_picture_that_the_command_writes_is_read_as_that_card(server: TestServer, tmp_path: Path) -> None:
    officer(server, "陈露", "43010077777")
    run, file = command(server), tmp_path / "card.png"
    assert "43010077777" in run("card", "陈露", "--out", str(file)).output
    with Image.open(file) as picture:
        assert qr.texts(picture) == (card_text("43010077777"),)


def test_the_command_makes_no_card_of_somebody_it_cannot_tell(server: TestServer) -> None:
    officer(server, "同名", "43010088881")
    officer(server, "同名", "43010088882")
    run = command(server)
    assert run("card", "同名").exit_code != 0 and run("card", "查无此人").exit_code != 0
    assert run("card", "43010088882").exit_code == 0


def command(server: TestServer) -> Callable[..., Result]:
    environment = {"PATROLBOOK_DATA": str(server.instance.settings.data), "PATROLBOOK_LANG": "zh"}
    return lambda *words: CliRunner().invoke(main, ["officers", *words], env=environment)
