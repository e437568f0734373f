"""Places, four levels of responsibility, the access log, settings and backups, over real HTTP."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import divisions as hunan
from server import acts
from server.evidence import openings
from server.merging import decisions
from server.sequencer import EVERYWHERE
from server.storage.backup import MANIFEST
from tests.support.console import Browser, signed_in, text_of
from tests.support.server import TestServer, running_server

HUNAN = Path(hunan.__file__).with_name("hunan_divisions.csv")
COUNTY = "430103"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: TestServer) -> Browser:
    return signed_in(server, "admin", "")


def institution(server: TestServer, name: str, area: str, **values: str) -> str:
    said = {"name": name, "area": area, "status": "operating", **values}
    return decisions.write(server.instance.desk, "institution", None, said, by=["p"], rights=EVERYWHERE).record


def test_names_are_imported_at_the_desk_and_seen_within_sight(server: TestServer, admin: Browser) -> None:
    admin.get("places")
    with open(HUNAN, "rb") as content:
        answer = admin.post("places/import", files={"file": ("区划.csv", content)})
    assert answer.status_code == 303
    assert "137" in text_of(admin.get("places"))
    county = text_of(signed_in(server, "staff", COUNTY).get("places"))
    assert "天心区" in county and "岳麓区" not in county, "a county sees itself and what it lies in"


def test_a_person_is_put_in_for_a_whole_area_and_nobody_is_overwritten(server: TestServer, admin: Browser) -> None:
    free, held = institution(server, "学雅口才", "430103001001"), institution(server, "博文书法", "430103001002")
    institution(server, "别县机构", "430104001001")
    gone = institution(server, "已注销机构", "430103001003", status="cancelled")
    decisions.write(
        server.instance.desk, "institution", held, {"responsible/county": {"name": "老局长"}}, by=["p"], rights=EVERYWHERE
    )
    staff = signed_in(server, "staff", COUNTY)
    assert "0 / 2" in text_of(staff.get(f"places/responsible?area={COUNTY}"))
    said = {"area": COUNTY, "level": "county", "name": "周副局长", "post": "副局长", "phone": ""}
    assert staff.post("places/responsible", said).status_code == 303
    page = text_of(staff.get(f"places/responsible?area={COUNTY}&all=1"))
    assert "周副局长" in page and "老局长" in page and "2 / 2" in page

    def person(record: str) -> object:
        return decisions_value(server, record, "responsible/county")

    assert (person(free), person(held), person(gone)) == (
        {"name": "周副局长", "post": "副局长"}, {"name": "老局长"}, None,
    )  # fmt: skip
    staff.post("places/responsible", said | {"replace": "1"})
    assert person(held) == {"name": "周副局长", "post": "副局长"}


def decisions_value(server: TestServer, record: str, path: str) -> object:
    from server.reading import finding

    house = server.instance
    with house.database.read() as conn:
        return finding.read(house, conn, record).values.get(path)


def test_a_county_puts_nobody_in_elsewhere(server: TestServer) -> None:
    other = institution(server, "邻县机构", "430105001001")
    staff = signed_in(server, "staff", COUNTY)
    staff.get(f"places/responsible?area={COUNTY}")
    staff.post("places/responsible", {"area": "430105", "level": "county", "name": "越界者"})
    assert decisions_value(server, other, "responsible/county") is None
    wide = staff.post("places/responsible", {"area": "43", "level": "county", "name": "越界者"})
    assert wide.status_code == 400 and "4 位" in wide.text


def test_the_access_log_is_read_filtered_and_exported_without_formulas(server: TestServer) -> None:
    house, reader = server.instance, signed_in(server, "oversight", COUNTY)
    ours, theirs = server.person("staff", COUNTY, name="周强").id, server.person("staff", "430105", name="邻县人员").id
    with house.database.write() as conn:
        for by, purpose in ((ours, "核对现场"), (ours, "=HYPERLINK(1)"), (theirs, "邻县的目的")):
            acts.append(conn, "", acts.OPENED, house.now(), by=by, device="d-1", record="r-1", blob="ab" * 32, purpose=purpose, part=openings.ORIGINAL)
    page = text_of(reader.get("access"))
    assert "核对现场" in page and "查阅" in page and "周强" in page
    assert "邻县的目的" not in page, "what was opened in another county is not told here"
    assert "没有查阅记录" in text_of(reader.get("access?record=r-2"))
    rows = list(csv.reader(io.StringIO(reader.get("access.csv").content.decode("utf-8-sig"))))
    assert {row[6] for row in rows[1:]} == {"核对现场", "'=HYPERLINK(1)"}
    assert reader.get("access?since=gestern").status_code == 400
    assert signed_in(server, "staff", COUNTY).get("access").status_code == 403


def test_settings_are_changed_by_administrators_and_the_log_says_by_whom(server: TestServer, admin: Browser) -> None:
    admin.get("settings")
    admin.post("settings/name", {"name": "长沙市教育局"})
    admin.post("settings/originals", {"originals": "all"})
    assert "长沙市教育局" in admin.get("settings").text
    with server.instance.database.read() as conn:
        told = [act.body for act in acts.every(conn, "", acts.SETTING)]
    assert told[-2]["name"] == "长沙市教育局" and told[-1]["originals"] == "all" and told[-1]["by"]
    reader = signed_in(server, "oversight", COUNTY)
    assert "长沙市教育局" in reader.get("settings").text
    assert reader.post("settings/name", {"name": "他人"}).status_code == 403


def test_a_backup_is_made_from_the_page_and_is_whole(server: TestServer, admin: Browser) -> None:
    admin.get("settings")
    assert admin.post("settings/backup").status_code == 303
    (manifest,) = (server.instance.settings.data / "backups").glob(f"*/{MANIFEST}")
    assert manifest.parent.name in admin.get("settings").text and not (manifest.parent / "keys").exists()
    lead = signed_in(server, "lead", COUNTY)
    assert lead.get("settings").status_code == 403 and lead.post("settings/backup").status_code == 403
