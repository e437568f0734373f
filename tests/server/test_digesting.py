"""What a tablet claims of a film beside its SHA-256: computed here from the bytes, told where it is wrong, and nothing is lost."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from custody.digests import CHUNK, digests_of, sm3_of
from server.attending import comparing
from server.cli import main
from server.keys import ServerKeys
from server.proofs import bundles, digesting
from server.storage import digests
from sync.core.rules import Rights
from tests.support.console import signed_in, text_of
from tests.support.pictures import film
from tests.support.server import TestDevice, TestServer, running_server

COUNTY, AREA = "430102", "430102001001"
LIE = "ab" * 32


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture(scope="module")
def content() -> bytes:
    """A real film with a box at its end that players skip, so that its tree has leaves below the root."""
    return film(2, size=(640, 480)) + (8 + CHUNK).to_bytes(4, "big") + b"free" + bytes(CHUNK)


@pytest.fixture
def tablet(server: TestServer) -> TestDevice:
    return server.enrol("inspector", AREA[:9])


def claims(tablet: TestDevice, content: bytes, **claimed: Any) -> str:
    """A record of evidence with these claims; its id."""
    id = ServerKeys.new_id(tablet.now())
    values = {"subject": id, "area": AREA, "sha256": sha256(content).hexdigest(), "size": len(content),
              "mime": "video/mp4", "role": "original", "caption": "录像"} | claimed  # fmt: skip
    (result,) = tablet.push(tablet.change("evidence", id, values))
    assert result["status"] == "accepted", result
    return id


def truth(content: bytes) -> dict[str, str]:
    return {"tree": digests_of(io.BytesIO(content)).tree, "sm3": sm3_of(io.BytesIO(content))}


def compared(server: TestServer, record: str) -> digesting.Compared | None:
    with server.instance.database.read() as conn:
        (row,) = server.instance.projections.find(conn, "evidence", "record", record)
        return digesting.compared(conn, row)


def ran(server: TestServer, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*words, "--data", str(server.instance.settings.data), "--lang", "zh"])
    return done.exit_code, done.output


def test_an_honest_film_agrees_and_a_lying_tablet_is_told_field_by_field(
    server: TestServer, tablet: TestDevice, content: bytes
) -> None:
    honest = claims(tablet, content, **truth(content))
    tablet.send_blob(content, 1 << 20, "video/mp4")
    liar = claims(tablet, content, tree=truth(content)["tree"], sm3=LIE)
    both = claims(tablet, content, tree=LIE, sm3=LIE)
    silent = claims(tablet, content)
    assert compared(server, honest) == digesting.Compared(False)  # nothing is said before it was computed
    assert comparing(server.instance) == []
    assert compared(server, honest) == digesting.Compared(True) and compared(server, silent) is None
    wrong = digesting.Claim("sm3", LIE, truth(content)["sm3"])
    assert compared(server, liar) == digesting.Compared(True, (wrong,))
    assert [one.name for one in compared(server, both).wrong] == ["tree", "sm3"]  # type: ignore[union-attr]
    assert {row["record"] for row, _ in digesting.contradicted(server.instance)} == {liar, both}


def test_a_wrong_claim_never_loses_the_file(server: TestServer, tablet: TestDevice, content: bytes) -> None:
    claims(tablet, content, tree=LIE)
    done = tablet.send_blob(content, 1 << 20, "video/mp4")
    comparing(server.instance)
    assert done["receipt"] and server.instance.files.path(sha256(content).hexdigest()).read_bytes() == content


def test_an_sm3_that_is_added_or_corrected_later_is_compared_without_reading_the_file_again(
    server: TestServer, tablet: TestDevice, content: bytes
) -> None:
    record = claims(tablet, content)
    tablet.send_blob(content, 1 << 20, "video/mp4")
    assert digesting.catch_up(server.instance).read == 1
    added = tablet.change("evidence", record, {"sm3": LIE})
    tablet.push(added)
    assert [one.name for one in compared(server, record).wrong] == ["sm3"]  # type: ignore[union-attr]
    tablet.push(tablet.change("evidence", record, {"sm3": truth(content)["sm3"]}, {"sm3": [added.id]}))
    assert compared(server, record) == digesting.Compared(True)
    assert digesting.catch_up(server.instance).read == 0


def test_the_page_of_the_record_the_command_and_the_bundle_say_it(
    server: TestServer, tablet: TestDevice, content: bytes, tmp_path: Path
) -> None:
    honest, liar = claims(tablet, content, **truth(content)), claims(tablet, content, sm3=LIE)
    tablet.send_blob(content, 1 << 20, "video/mp4")
    browser = signed_in(server, "lead", COUNTY)
    assert "待重算 1 个" in text_of(browser.get(f"record/{honest}"))
    status, told = ran(server, "evidence", "verify")  # it computes what is left
    assert status == 1 and liar in told and honest not in told and LIE[:12] in told
    status, told = ran(server, "evidence", "verify", "--json")
    assert [one["evidence"] for one in json.loads(told)["evidence"]] == [liar]
    assert ran(server, "evidence", "verify", "--area", COUNTY)[0] == 1
    status, told = ran(server, "evidence", "verify", "--area", "4399")
    assert status == 0 and liar not in told
    page = text_of(browser.get(f"record/{honest}"))
    assert "服务器重算相符 1 个" in page and "记录与文件不符" not in page
    page = text_of(browser.get(f"record/{liar}"))
    assert "记录与文件不符" in page and LIE[:16] in page and truth(content)["sm3"][:16] in page
    for record, odd in ((honest, False), (liar, True)):
        file = tmp_path / f"{record}.fib"
        made = bundles.make(server.instance, record, file, purpose="核对", by="p-1", rights=Rights("lead", ("",)))
        assert any("SM3" in gap and "不符" in gap for gap in made.report.gaps) == odd
        assert any(name.endswith(sha256(content).hexdigest()) for name in zipfile.ZipFile(file).namelist())


def test_a_file_that_rotted_is_told_and_left_in_the_queue_and_the_next_one_is_done(
    server: TestServer, tablet: TestDevice, content: bytes
) -> None:
    for some in (content, content + b"\0"):
        claims(tablet, some, **truth(some))
        tablet.send_blob(some, 1 << 20, "video/mp4")
    path = server.instance.files.path(sha256(content).hexdigest())
    os.chmod(path, 0o600)
    path.write_bytes(content[:-1] + b"?")
    done = digesting.catch_up(server.instance)
    assert done.read == 1 and [problem.code for problem in done.problems] == ["broken-file"]
    with server.instance.database.read() as conn:
        assert digests.waiting(conn) == [sha256(content).hexdigest()]


def test_what_only_the_sealed_log_knows_is_neither_read_nor_counted(server: TestServer, content: bytes) -> None:
    team = server.enrol("team", AREA[:6])
    team.send_blob(content, 1 << 20, "application/octet-stream")
    with server.instance.database.read() as conn:
        assert digests.waiting_count(conn) == 0
    assert digesting.catch_up(server.instance).read == 0
