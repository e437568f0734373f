"""Push, pull and first fill over HTTP: what the sequencer's own tests cannot see."""

import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from schemas import wire
from server.keys import ServerKeys
from server.storage import people
from sync.core.change import Change
from sync.core.fold import State
from tests.support.server import TestDevice, TestServer, running_server, wsgi_server

AREA = "430103"
GRID = f"{AREA}001001"
BUCKET = f"area:{GRID}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path)
    yield made
    made.instance.close()


@pytest.fixture
def device(server: TestServer) -> TestDevice:
    return server.enrol("inspector", AREA)


def note(device: TestDevice, area: str = GRID, **values: Any) -> Change:
    record = ServerKeys.new_id(device.now())
    return device.change("patrol_note", record, {"area": area, "spot": "三楼", **values})


def pull(device: TestDevice, cursors: dict[str, str] | None = None, **more: Any) -> list[dict[str, Any]]:
    wanted = {"epoch": device.answer["epoch"], "cursors": cursors or {}, **more}
    response = device.post("/pull", wanted)
    response.raise_for_status()
    assert response.headers["Content-Type"].startswith("application/x-ndjson")
    return [orjson.loads(line) for line in response.content.splitlines()]


def test_what_is_pushed_comes_back_in_a_pull(device: TestDevice) -> None:
    change = note(device)
    (result,) = device.push(change)
    assert (result["status"], result["bucket"], result["record"]) == ("accepted", BUCKET, change.record)
    head, *items, end = pull(device)
    assert head["head"]["buckets"][BUCKET] == 1
    (state,) = [State.of(item["put"]) for item in items if item["b"] == BUCKET]
    assert state.live["spot"] == {change.id: "三楼"}
    assert end["end"]["more"] is False
    assert pull(device, end["end"]["cursors"])[1:-1] == []


def test_answers_keep_to_the_wire(device: TestDevice) -> None:
    device.push(note(device), note(device))
    for line in pull(device, log={"size": 1}):
        assert not wire.PullLine().validate(line)


def test_a_pull_is_cut_into_pages(device: TestDevice) -> None:
    device.push(*(note(device, seen="字" * 1000) for _ in range(20)))
    cursors: dict[str, str] = {}
    seen = pages = 0
    while True:
        _, *items, end = pull(device, cursors, limit_bytes=8000)
        cursors, seen, pages = end["end"]["cursors"], seen + len(items), pages + 1
        if not end["end"]["more"]:
            break
    assert (seen, pages > 4) == (20, True)


def test_others_areas_are_not_pulled(server: TestServer, device: TestDevice) -> None:
    device.push(note(device))
    stranger = server.enrol("inspector", "430281")
    head, *items, _ = pull(stranger)
    assert BUCKET not in head["head"]["buckets"] and items == []


def test_a_revoked_tablets_changes_are_parked_not_lost(server: TestServer, device: TestDevice) -> None:
    with server.instance.database.write() as conn:
        people.revoke(conn, device.id, server.clock(), "lost")
    (result,) = device.push(note(device))
    assert (result["status"], result["reason"], result["detail"]) == ("parked", "revoked", "设备已停用")


def test_the_reason_is_in_the_language_asked_for(device: TestDevice) -> None:
    (linked,) = device.carried(note(device, area="430281001001"))
    device.post("/replicas", {"replica": device.replica}).raise_for_status()
    sig = b64encode(linked[1].signature).decode()
    run = {"replica": device.replica, "n": 1, "prev": linked[1].prev, "sigs": [sig]}
    body = orjson.dumps({"epoch": device.answer["epoch"], "runs": [run]}) + b"\n" + linked[0].content
    answer = device.request("POST", "/push", zstandard.compress(body), Content_Encoding="zstd", Accept_Language="en")
    assert not wire.PushAnswer().validate(answer.json())
    assert "outside the granted area" in answer.json()["results"][0]["detail"]


def test_a_push_for_a_replica_of_another_tablet_is_refused(server: TestServer, device: TestDevice) -> None:
    device.push(note(device))
    other = server.enrol("inspector", AREA)
    other.replica = device.replica
    body = orjson.dumps({"epoch": other.answer["epoch"], "runs": [{"replica": other.replica, "n": 1, "prev": "0" * 64,
                                                                    "sigs": []}]})  # fmt: skip
    assert other.request("POST", "/push", body).json()["code"] == "not-allowed"


def test_a_body_that_was_cut_changes_nothing(server: TestServer, device: TestDevice) -> None:
    run = {"replica": device.replica, "n": 1, "prev": "0" * 64, "sigs": [b64encode(bytes(64)).decode()]}
    body = orjson.dumps({"epoch": device.answer["epoch"], "runs": [run]})
    assert device.request("POST", "/push", body).json()["code"] == "malformed"


# --- First fill -----------------------------------------------------------------------------------------------------


def opened(folder: Path, content: bytes) -> dict[str, Any]:
    file = folder / "snapshot.sqlite"
    file.write_bytes(content)
    with closing(sqlite3.connect(file)) as conn:
        facts: dict[str, Any] = dict(conn.execute("SELECT key, value FROM meta"))
        facts["records"] = [row[0] for row in conn.execute("SELECT id FROM states")]
    return facts


def test_a_snapshot_is_a_bucket_as_a_file_with_its_cursor(device: TestDevice, tmp_path: Path) -> None:
    changes = [note(device) for _ in range(3)]
    device.push(*changes)
    response = device.get(f"/snapshots/{BUCKET}", Accept_Encoding="identity")
    facts = opened(tmp_path, response.content)
    assert sorted(facts["records"]) == sorted(change.record for change in changes)
    assert (facts["epoch"], facts["bucket"], facts["count"]) == (device.answer["epoch"], BUCKET, "3")
    head, *items, _ = pull(device, {BUCKET: facts["cursor"]})
    assert items == []
    digest = b64encode(sha256(response.content).digest()).decode()
    assert response.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_a_snapshot_is_packed_resumed_and_not_sent_twice(device: TestDevice) -> None:
    device.push(note(device))
    plain = device.get(f"/snapshots/{BUCKET}", Accept_Encoding="identity")
    packed = device.get(f"/snapshots/{BUCKET}", Accept_Encoding="zstd")
    assert packed.headers["Content-Encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed.content) == plain.content
    rest = device.get(f"/snapshots/{BUCKET}", Range="bytes=100-", Accept_Encoding="zstd")
    assert (rest.status_code, rest.content) == (206, plain.content[100:])
    for response, encoding in ((plain, "identity"), (packed, "zstd")):
        again = device.get(f"/snapshots/{BUCKET}", If_None_Match=response.headers["ETag"], Accept_Encoding=encoding)
        assert again.status_code == 304
    device.push(note(device))
    newer = device.get(f"/snapshots/{BUCKET}", If_None_Match=plain.headers["ETag"], Accept_Encoding="identity")
    assert newer.status_code == 200


def test_a_bucket_with_a_colon_is_found_however_it_is_written(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        device = server.enrol("inspector", AREA)
        device.push(note(device))
        assert device.get(f"/snapshots/{BUCKET}").status_code == 200
        assert device.get(f"/snapshots/{BUCKET.replace(':', '%3A')}").status_code == 200


# --- The log --------------------------------------------------------------------------------------------------------


def test_proofs_are_given_for_any_size_that_was(device: TestDevice) -> None:
    device.push(*(note(device) for _ in range(5)))
    answer = device.post("/log/inclusion", {"size": 4, "leaves": [0, 3]}).json()
    assert not wire.InclusionAnswer().validate(answer) and answer["proofs"].keys() == {"0", "3"}
    assert not wire.ConsistencyAnswer().validate(device.get("/log/consistency?old=2&new=5").json())


@pytest.mark.parametrize("path", ["/log/consistency?old=3&new=2", "/log/consistency?old=0&new=99"])
def test_a_size_that_never_was_is_not_found(device: TestDevice, path: str) -> None:
    device.push(*(note(device) for _ in range(3)))
    assert device.get(path).json()["code"] == "not-found"
    assert device.post("/log/inclusion", {"size": 9, "leaves": [1]}).json()["code"] == "not-found"


@pytest.mark.parametrize("query", ["", "?old=1", "?old=x&new=2", "?old=-1&new=2"])
def test_a_consistency_query_needs_two_sizes(device: TestDevice, query: str) -> None:
    assert device.get(f"/log/consistency{query}").json()["code"] == "invalid-field"
