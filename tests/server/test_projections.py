"""Projections are made again where a program's kinds are not those that they were made for, and only those."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from schemas.kinds.hazard import Hazard
from schemas.kinds.institution import Institution
from schemas.registry import Registry
from server.merging import decisions
from server.reading.overview import WEEK_MS
from server.storage.overviews import Scope, made_since, stepped_since
from server.storage.projections import Projections
from tests.support.county import County


def test_only_the_kind_that_changed_is_made_again_and_has_its_rows(tmp_path: Path) -> None:
    county = County(tmp_path, Hazard, Institution)
    decisions.write(county.desk, "institution", None, {"name": "启航", "area": "430102"}, by=["p"])
    decisions.write(county.desk, "hazard", None, {"description": "堵塞", "area": "430102", "grade": "general"}, by=["p"])

    class Later(Hazard):
        sorts = (*Hazard.sorts, "responsible")

    later = Projections(Registry((Later, Institution)))
    with county.database.write() as conn:
        assert county.projections.current(conn) and not later.current(conn)
        conn.execute(text("UPDATE p_institution SET remark = 'as it was'"))
        later.renew(conn)
        assert later.current(conn)
        assert [row["remark"] for row in later.rows(conn, "institution")] == ["as it was"]
        assert [row["description"] for row in later.rows(conn, "hazard")] == ["堵塞"]
        names = conn.scalars(text("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'p_hazard'")).all()
        assert "p_hazard_order_responsible" in names
    county.database.close()


def test_a_row_tells_since_when_its_record_has_its_status(tmp_path: Path) -> None:
    county = County(tmp_path, Hazard)
    made = {"description": "堵塞", "area": "430102", "grade": "general", "status": "open", "institution": "i-1"}
    record = decisions.write(county.desk, "hazard", None, made, by=["p"]).record
    began = county.now
    for status in ("rectified", "verified"):
        county.now += WEEK_MS
        decisions.write(county.desk, "hazard", record, {"status": status}, by=["p"])
    county.now += WEEK_MS
    decisions.write(county.desk, "hazard", record, {"notes/a": {"text": "复查", "at": "2026-11-26T00:00:00.000Z"}}, by=["p"])
    with county.database.read() as conn:
        (row,) = county.projections.rows(conn, "hazard")
        assert 0 <= row["stepped"] - (began + 2 * WEEK_MS) < 1000 < row["newest"] - row["stepped"]
        found = stepped_since(conn, county.projections, "hazard", "verified", began, WEEK_MS, Scope(("4301",)))
        assert found == {2: 1} and stepped_since(conn, county.projections, "hazard", "verified", began, WEEK_MS, Scope(("4302",))) == {}
        assert made_since(conn, county.projections, "hazard", began - WEEK_MS // 2, WEEK_MS, 3, Scope(("43",))) == {0: 1}
    county.database.close()
