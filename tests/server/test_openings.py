"""Opening a restricted file: in the log before the first byte leaves, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from server import acts
from server.cli import main
from server.evidence import openings
from server.evidence.openings import REST_MS, joined
from server.keys import ServerKeys
from server.storage import facts, merkle, people
from server.storage.people import Grant
from server.verify import verify
from sync.core.errors import DiskFull
from tests.support.pictures import jpeg
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430104001003"
SEALED = b"age-encryption.org/v1\n" + bytes(range(256)) * 40
DIGEST = sha256(SEALED).hexdigest()
WHY = "?purpose=" + quote("复核")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path)
    made.clock.ms = 1_795_200_000_000
    yield made
    made.instance.close()


@pytest.fixture
def team(server: TestServer) -> TestDevice:
    """An undercover team's tablet that has sent a sealed file and the record that names it."""
    tablet = server.enrol("team", "4301")
    send(tablet, "sealed_evidence", SEALED)
    return tablet


def send(tablet: TestDevice, kind: str, content: bytes) -> str:
    """A file, and a record that names it; returns the record."""
    record, digest = ServerKeys.new_id(tablet.now()), sha256(content).hexdigest()
    if kind == "sealed_evidence":
        values: dict[str, Any] = {"area": AREA, "recording": "r-1", "number": 1, "sha256": digest, "size": len(content)}
        values |= {"key_file": "QUFBQQ==", "recipients_version": 1, "facts_commit": "0" * 64, "facts": "QUFBQQ==", "team_commit": "0" * 64, "team": "QUFBQQ=="}
    else:
        named = {"sha256": digest, "size": len(content), "mime": "image/jpeg"}
        values = {"area": AREA, "status": "open", "description": "通道堆放杂物", "evidence/e1": named}
    tablet.push(tablet.change(kind, record, values))
    assert "receipt" in tablet.send_blob(content)
    return record


def told(server: TestServer, log: str, *kinds: str) -> list[dict[str, Any]]:
    with server.instance.database.read() as conn:
        return [act.body for act in acts.every(conn, log) if act.body["act"] in kinds]


@contextmanager
def log_that_fails(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As when the disk is full at the moment in which an act is to be written."""

    def fail(*_: Any) -> int:
        raise DiskFull(where="server")

    with monkeypatch.context() as broken:
        broken.setattr(merkle, "append_act", fail)
        yield


# --- In the log first -----------------------------------------------------------------------------------------------


def test_an_opening_of_a_sealed_original_is_in_the_log_and_the_answer_names_its_leaf(
    server: TestServer, team: TestDevice
) -> None:
    answer = team.get(f"/blobs/{DIGEST}{WHY}", Range="bytes=10-19")
    assert (answer.status_code, answer.content) == (206, SEALED[10:20])
    (opened,) = told(server, "sealed", acts.OPENED)
    assert (opened["blob"], opened["purpose"], opened["range"], opened["part"]) == (DIGEST, "复核", [10, 19], "original")
    assert (opened["device"], opened["by"]) == (team.id, team.answer["person"]["id"])
    assert len(opened["nonce"]) == 32
    with server.instance.database.read() as conn:
        assert orjson.loads(merkle.act_bytes(conn, "sealed", int(answer.headers["Patrolbook-Leaf"])) or b"") == opened
    assert answer.headers["Cache-Control"] == "no-store"


def test_where_the_log_cannot_be_written_not_a_byte_leaves(
    server: TestServer, team: TestDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log_that_fails(monkeypatch):
        answer = team.get(f"/blobs/{DIGEST}{WHY}")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-logged")
    assert SEALED[:20] not in answer.content and "Patrolbook-Leaf" not in answer.headers
    assert told(server, "sealed", acts.OPENED) == []
    assert team.get(f"/blobs/{DIGEST}{WHY}").content == SEALED  # and all is well again
    assert verify(server.instance).findings == []


def test_a_sealed_original_is_not_opened_without_a_purpose(server: TestServer, team: TestDevice) -> None:
    for asked in ("", "?purpose=", "?purpose=%20%20", f"?purpose={'x' * 201}"):
        answer = team.get(f"/blobs/{DIGEST}{asked}")
        assert (answer.status_code, answer.json()["field"]) == (400, "purpose")
    assert told(server, "sealed", acts.OPENED) == []


def test_an_ordinary_original_needs_no_act_until_the_server_is_told_so(server: TestServer) -> None:
    county = server.enrol("officer", "4301")
    photo = jpeg(1200, 900)
    send(county, "hazard", photo)
    place = f"/blobs/{sha256(photo).hexdigest()}"
    answer = county.get(place)
    assert answer.content == photo and "Patrolbook-Leaf" not in answer.headers
    assert told(server, "", acts.OPENED) == []
    with server.instance.database.write() as conn:
        facts.put(conn, facts.ORIGINALS, facts.LOGGED)
    assert county.get(place).status_code == 400
    assert county.get(place + WHY).headers["Patrolbook-Leaf"]
    smaller = county.get(f"{place}?width=320")
    assert smaller.status_code == 200 and smaller.headers["Patrolbook-Leaf"]
    assert [one["part"] for one in told(server, "", acts.OPENED)] == ["original", "320"]


# --- One viewing, one opening -----------------------------------------------------------------------------------


def test_the_requests_of_one_viewing_have_one_opening_and_one_closing_act(server: TestServer, team: TestDevice) -> None:
    leaves = set()
    for start in (0, 100, 200, 5000):
        leaves.add(team.get(f"/blobs/{DIGEST}{WHY}", Range=f"bytes={start}-{start + 99}").headers["Patrolbook-Leaf"])
        server.clock.ms += 60_000  # type: ignore[operator]
    assert len(leaves) == 1 and len(told(server, "sealed", acts.OPENED)) == 1
    server.clock.ms += REST_MS  # type: ignore[operator]
    with server.instance.database.write() as conn:
        assert openings.close(conn, server.clock()) == 1
        assert openings.close(conn, server.clock()) == 0
    (viewed,) = told(server, "sealed", acts.VIEWED)
    assert (viewed["opening"], viewed["requests"]) == (int(leaves.pop()), 4)
    assert viewed["ranges"] == [[0, 299], [5000, 5099]]
    assert viewed["until"] - viewed["from"] == 180_000


def test_a_later_viewing_another_purpose_and_another_tablet_are_openings_of_their_own(
    server: TestServer, team: TestDevice
) -> None:
    team.get(f"/blobs/{DIGEST}{WHY}")
    team.get(f"/blobs/{DIGEST}?purpose=other")
    server.clock.ms += REST_MS + 1  # type: ignore[operator]
    team.get(f"/blobs/{DIGEST}{WHY}")
    server.enrol("team", "4301").get(f"/blobs/{DIGEST}{WHY}")
    assert len(told(server, "sealed", acts.OPENED)) == 4
    assert len(told(server, "sealed", acts.VIEWED)) == 2


spans = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda one: (one[0], one[0] + one[1]))


@given(st.lists(spans))
def test_joined_spans_hold_the_same_bytes_in_order_and_apart(asked: list[tuple[int, int]]) -> None:
    known: tuple[tuple[int, int], ...] = ()
    for one in asked:
        known = joined(known, (one,))
    assert {byte for first, last in known for byte in range(first, last + 1)} == {
        byte for first, last in asked for byte in range(first, last + 1)
    }
    assert all(one[1] + 1 < other[0] for one, other in zip(known, known[1:], strict=False))


def test_of_very_many_spans_none_is_lost() -> None:
    known: tuple[tuple[int, int], ...] = ()
    for at in range(0, 3000, 10):
        known = joined(known, ((at, at),))
    assert len(known) == openings.MOST_SPANS
    assert all(any(first <= at <= last for first, last in known) for at in range(0, 3000, 10))


# --- Denied -----------------------------------------------------------------------------------------------------


def test_a_denied_attempt_is_logged_and_leaves_the_asker_no_trace(server: TestServer, team: TestDevice) -> None:
    county = server.enrol("officer", "4301")
    before = county.get("/log/checkpoint").content
    there, nowhere = county.get(f"/blobs/{DIGEST}{WHY}"), county.get(f"/blobs/{'0' * 64}{WHY}")
    assert there.status_code == nowhere.status_code == 404
    assert there.content.replace(DIGEST.encode(), b"") == nowhere.content.replace(b"0" * 64, b"")
    assert dict(there.headers) == dict(nowhere.headers)
    assert county.get("/log/checkpoint").content == before
    assert [one["blob"] for one in told(server, "sealed", acts.DENIED)] == [DIGEST, "0" * 64]
    assert told(server, "", acts.DENIED, acts.OPENED) == []


def test_naming_a_digest_and_asking_for_it_is_a_denied_attempt(server: TestServer, team: TestDevice) -> None:
    county = server.enrol("officer", "4301")
    named = {"sha256": DIGEST, "size": 1, "mime": "image/jpeg"}
    county.push(county.change("hazard", ServerKeys.new_id(1), {"area": AREA, "evidence/e1": named}))
    assert county.get(f"/blobs/{DIGEST}{WHY}").status_code == 404
    assert [one["device"] for one in told(server, "sealed", acts.DENIED)] == [county.id]


def test_a_tablet_that_tries_digests_at_random_does_not_fill_the_log(server: TestServer) -> None:
    county = server.enrol("officer", "4301")
    for number in range(openings.MOST_DENIED + 20):
        assert county.get(f"/blobs/{number:064x}").status_code == 404
    assert len(told(server, "sealed", acts.DENIED)) == openings.MOST_DENIED + 1
    server.clock.ms += REST_MS + 1  # type: ignore[operator]
    with server.instance.database.write() as conn:
        while openings.close(conn, server.clock()):
            pass
    (rest,) = told(server, "sealed", acts.VIEWED)
    assert (rest["blob"], rest["requests"]) == ("", 20)


def test_a_revoked_tablet_that_asks_is_told_so_and_logged(server: TestServer, team: TestDevice) -> None:
    with server.instance.database.write() as conn:
        people.revoke(conn, team.id, server.clock(), "lost")
    assert team.get(f"/blobs/{DIGEST}{WHY}").json()["code"] == "device-revoked"
    (denied,) = told(server, "sealed", acts.DENIED)
    assert (denied["device"], denied["reason"]) == (team.id, "revoked")


# --- Reading it -------------------------------------------------------------------------------------------------


def run(server: TestServer, *words: str) -> Any:
    environment = {"PATROLBOOK_DATA": str(server.instance.settings.data), "PATROLBOOK_LANG": "en"}
    return CliRunner().invoke(main, list(words), env=environment, catch_exceptions=False)


def test_the_access_log_is_read_by_those_whose_grants_lead_there(server: TestServer, team: TestDevice) -> None:
    team.get(f"/blobs/{DIGEST}{WHY}")
    inside, outside = server.person("province", name="赵刚"), server.person("lead", "4301", name="孙丽")
    elsewhere = server.person("province", name="王远")
    with server.instance.database.write() as conn:
        people.add_grant(conn, Grant("g-in", inside.id, "43", "province", 0, None, "sealed"))
        people.add_grant(conn, Grant("g-else", elsewhere.id, "11", "province", 0, None, "sealed"))
    (found,) = orjson.loads(run(server, "access", "list", "--by", inside.id, "--blob", DIGEST, "--json").output)
    assert (found["act"], found["purpose"], found["closed"]) == ("opened", "复核", None)
    assert "under way" in run(server, "access", "list", "--by", "赵刚").output
    for who in (["--by", outside.id], ["--by", elsewhere.id], []):
        assert DIGEST[:12] not in run(server, "access", "list", *who).output
    person = team.answer["person"]["id"]
    assert len(orjson.loads(run(server, "access", "list", "--by", inside.id, "--person", person, "--json").output)) == 1
    assert orjson.loads(run(server, "access", "list", "--by", inside.id, "--record", "none", "--json").output) == []


def test_logging_every_original_is_switched_on_by_an_act(server: TestServer) -> None:
    boss = server.person("admin", name="王芳")
    assert run(server, "access", "originals", "all", "--by", boss.id).exit_code == 0
    (setting,) = told(server, "", acts.SETTING)
    assert (setting["by"], setting["originals"]) == (boss.id, "all")


def test_grants_and_their_ends_are_acts(server: TestServer) -> None:
    run(server, "people", "add", "李敏", "--role", "team", "--area", "4301")
    run(server, "people", "add", "周强", "--role", "staff", "--area", "430103")
    assert [one["compartment"] for one in told(server, "sealed", acts.GRANTED)].count("sealed") == 1
    (granted,) = told(server, "", acts.GRANTED)
    assert (granted["area"], granted["role"]) == ("430103", "staff")
    assert run(server, "grants", "remove", granted["grant"]).exit_code == 0
    assert [one["grant"] for one in told(server, "", acts.GRANT_ENDED)] == [granted["grant"]]
