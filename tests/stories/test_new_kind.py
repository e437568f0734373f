"""A new kind is one file: defined in a module of its own, it is validated, stored, synced, merged, listed and exported."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.forms import form_of
from schemas.registry import Registry, kinds_in, shipped
from server.merging import decisions
from server.reading.listing import Listing
from server.storage import conflicts
from sync.core.errors import InvalidField
from tests.support.patrols import AREA, enrolled, held, round_of, shown
from tests.support.server import TestServer, running_server

ONE_FILE = '''
"""道路标志: a road sign and its condition."""

from schemas.base import RecordSchema
from schemas.fields import Area, Choice, Notes, Text
from schemas.labels import Label


class Sign(RecordSchema):
    kind = "sign"
    label = Label("标志", "Sign")
    search = ("name",)

    area = Area(Label("区划", "Area"), required=True)
    name = Text(Label("名称", "Name"), required=True)
    condition = Choice(Label("状况", "Condition"), {"good": Label("完好", "Good"), "worn": Label("磨损", "Worn"),
                                                   "missing": Label("缺失", "Missing")})
    notes = Notes(Label("备忘", "Notes"))
'''


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    file = tmp_path / "temporary_sign.py"
    file.write_text(ONE_FILE)
    spec = importlib.util.spec_from_file_location("temporary_sign", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["temporary_sign"] = module
    spec.loader.exec_module(module)
    yield shipped().with_kinds(*kinds_in(module))
    del sys.modules["temporary_sign"]


def test_a_kind_in_one_file_goes_all_the_way(registry: Registry, tmp_path: Path) -> None:
    with running_server(tmp_path / "server", registry) as server:
        a, b = (enrolled(server, tmp_path / name, registry=registry) for name in "ab")
        with pytest.raises(InvalidField):
            a.write("sign", None, {"area": AREA, "name": "让行", "condition": "broken"})
        sign = a.write("sign", None, {"area": AREA, "name": "让行", "condition": "good"}).record
        round_of(a)
        round_of(b)
        a.write("sign", sign, {"condition": "worn", "notes/n1": {"text": "角上有锈"}})
        theirs = b.write("sign", sign, {"condition": "missing"})
        for tablet in (a, b, a):
            round_of(tablet)
        with server.instance.database.read() as conn:
            (conflict,) = conflicts.waiting(conn)
        assert (conflict.record_kind, conflict.path) == ("sign", "condition")
        assert _exported(server, tmp_path)["状况"] == "冲突待决"
        decisions.resolve(server.instance.desk, decisions.ticket(conflict), take=theirs.id, reason="复看", by=["s"])
        for tablet in (a, b):
            round_of(tablet)
        assert shown(a) == shown(b) == held(server)
        assert a.values(sign)["condition"] == "missing" and a.values(sign)["notes/n1"]["text"] == "角上有锈"
        with server.instance.database.read() as conn:
            (row,) = server.instance.projections.rows(conn, "sign")
        assert (row["name"], row["condition"], row["area"]) == ("让行", "missing", AREA)
        assert _exported(server, tmp_path)["名称"] == "让行"
        assert form_of(registry["sign"], "officer").field("condition").label.zh == "状况"
        a.close()
        b.close()


def _exported(server: TestServer, folder: Path) -> dict[str, str]:
    """The one row of an export, by column."""
    Listing(server.instance, "sign").write_csv(folder / "signs.csv")
    (row,) = csv.DictReader((folder / "signs.csv").open(encoding="utf-8-sig"))
    return row
