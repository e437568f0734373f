"""What goes wrong at the door, and how it is told: one status for each problem, in the reader's language."""

import errno
import gzip
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests
import zstandard

from server import errors as table
from server.storage import people
from sync.core import errors
from tests.support.server import BASE, TestDevice, TestServer, wsgi_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path_factory.mktemp("server"))
    yield made
    made.instance.close()


@pytest.fixture(scope="module")
def device(server: TestServer) -> TestDevice:
    return server.enrol("inspector", "430102")


def problem(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["type"] == f"urn:patrolbook:{code}"
    assert body["hint"]
    return body


# --- The table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", errors.by_code())
def test_every_problem_has_a_status_and_both_languages(code: str) -> None:
    kind = errors.by_code()[code]
    assert 400 <= table.status_of(kind) <= 599
    for language in ("zh", "en"):
        document = table.document(kind(), language)
        assert document["title"] and "{" not in document["title"]
        assert document["hint"]


def test_the_more_special_problem_has_its_own_status() -> None:
    assert table.status_of(errors.Malformed(detail="x")) == 400
    assert table.status_of(errors.TooLarge(limit=1)) == 413
    assert table.status_of(errors.Overloaded(detail="x")) == 503


def test_facts_are_told_but_cannot_replace_the_members_of_a_problem() -> None:
    told = table.document(errors.ReplicaForked(replica="r", n=4, status=200, type="x"), "en")
    assert (told["replica"], told["n"], told["status"]) == ("r", 4, 409)
    assert told["type"] == "urn:patrolbook:replica-forked"


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "zh"), ("", "zh"), ("en", "en"), ("en-GB,zh;q=0.5", "en"), ("zh-CN,en", "zh"), ("fr", "zh"),
     ("en;q=0.2, zh;q=0.9", "zh"), ("en;q=nonsense", "zh"), ("*", "zh"), ("fr, en;q=0.1", "en")],
)  # fmt: skip
def test_chinese_unless_english_is_preferred(header: str | None, language: str) -> None:
    assert table.language_of(header) == language


# --- Signatures -------------------------------------------------------------------------------------------------


def sent(device: TestDevice, **changed: Any) -> requests.Response:
    """A signed POST /have whose parts can be exchanged after signing."""
    body = b'{"ids":[]}'
    headers = device.headers("POST", f"{BASE}/have", body, time=changed.get("time"), nonce=changed.get("nonce", ""))
    headers["Authorization"] = headers["Authorization"].replace(*changed.get("replaced", ("", "")))
    path = changed.get("path", "/have")
    return device.session.request(
        changed.get("method", "POST"), device.url + BASE + path, data=changed.get("body", body), headers=headers
    )


def test_a_signed_request_passes(device: TestDevice) -> None:
    assert sent(device).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [{"body": b'{"ids":["x"]}'}, {"path": "/have?x=1"}, {"replaced": ('nonce="', 'nonce="0')},
     {"replaced": ('time="', 'time="1')}, {"replaced": ('sig="', 'sig="AA')}, {"replaced": ("Patrolbook", "Bearer")},
     {"replaced": ('device="', 'device="x')}, {"replaced": ('sig="', 'sig="!')}],
)  # fmt: skip
def test_whatever_is_changed_after_signing_is_not_believed(device: TestDevice, changed: dict[str, Any]) -> None:
    body = problem(sent(device, **changed), 401, "not-authenticated")
    assert abs(body["time"] - device.now()) < 60_000


def test_a_request_without_credentials_is_told_the_time(server: TestServer) -> None:
    body = problem(server.session.post(f"{server.url}{BASE}/pull", json={}), 401, "not-authenticated")
    assert body["time"] > 0


def test_a_request_cannot_be_sent_twice(device: TestDevice) -> None:
    assert sent(device, nonce="ab" * 16).status_code == 200
    problem(sent(device, nonce="ab" * 16), 401, "not-authenticated")


@pytest.mark.parametrize(("off_s", "status"), [(0, 200), (290, 200), (-290, 200), (310, 401), (-310, 401)])
def test_the_time_of_a_request_may_be_five_minutes_off(device: TestDevice, off_s: int, status: int) -> None:
    assert sent(device, time=device.now() + off_s * 1000).status_code == status


def test_a_query_is_part_of_what_is_signed(device: TestDevice) -> None:
    assert device.get("/log/consistency?old=0&new=0").status_code == 200


def test_a_revoked_device_may_hand_in_its_work_but_reads_nothing(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    with server.instance.database.write() as conn:
        assert people.revoke(conn, device.id, server.clock(), "lost")
    problem(device.post("/pull", {"epoch": "x", "cursors": {}}), 403, "device-revoked")
    problem(device.get("/snapshots/area:430102"), 403, "device-revoked")
    problem(device.get(f"/blobs/{'0' * 64}"), 403, "device-revoked")
    assert device.post("/have", {"ids": []}).status_code == 200
    assert device.send_blob(b"the last photo")["size"] == 14
    assert device.post("/replicas", {"replica": "0" * 36}).status_code == 200


# --- Bodies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [zstandard.ZstdCompressor().compress, gzip.compress])
def test_compressed_bodies_are_read(device: TestDevice, pack: Any) -> None:
    encoding = "gzip" if pack is gzip.compress else "zstd"
    response = device.request("POST", "/have", pack(b'{"ids":["x"]}'), Content_Encoding=encoding)
    assert response.json() == {"lacking": ["x"]}


def test_a_bomb_is_too_large(device: TestDevice) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(200 << 20))
    problem(device.request("POST", "/have", bomb, Content_Encoding="zstd"), 413, "too-large")


def test_a_truncated_body_is_malformed(device: TestDevice) -> None:
    packed = zstandard.ZstdCompressor().compress(b'{"ids":["x"]}')
    problem(device.request("POST", "/have", packed[:-2], Content_Encoding="zstd"), 400, "malformed")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
def test_an_unknown_encoding_is_unsupported(device: TestDevice, encoding: str) -> None:
    problem(device.request("POST", "/have", b"x", Content_Encoding=encoding), 415, "unsupported-encoding")


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(device: TestDevice) -> None:
    body = problem(device.request("POST", "/have", b"x" * ((16 << 20) + 1)), 413, "too-large")
    assert body["limit"] == 16 << 20


def test_a_body_that_differs_from_its_digest_is_told_so(device: TestDevice) -> None:
    wrong = f"sha-256=:{'A' * 43}=:"
    problem(device.request("POST", "/have", b'{"ids":[]}', Content_Digest=wrong), 400, "digest-mismatch")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"ids":1}', b'{"ids":[1]}', b"\xff"])
def test_a_body_that_is_no_request_is_malformed(device: TestDevice, body: bytes) -> None:
    response = device.request("POST", "/have", body)
    assert response.status_code == 400
    assert response.json()["code"] in ("malformed", "invalid-field")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"size": 0}, "size"), ({"sha256": "x"}, "sha256"), ({"grade": "A"}, "grade"), ({"role": "boss"}, "role"),
     ({"size": 1 << 60}, "size"), ({"part_size": 1, "size": 10_001}, "part_size")],
)  # fmt: skip
def test_a_wrong_field_is_named(device: TestDevice, change: dict[str, Any], field: str) -> None:
    claim = {"sha256": "0" * 64, "size": 5, "mime": "image/jpeg", "part_size": 5, "role": "original"}
    assert problem(device.post("/blobs", claim | change), 400, "invalid-field")["field"] == field


@pytest.mark.parametrize("wanted", [[], {"cursors": {}}, {"epoch": "e"}, {"epoch": "e", "cursors": []},
                                    {"epoch": "e", "cursors": {"ref:x": 1}},
                                    {"epoch": "e", "cursors": {}, "limit_bytes": "x"},
                                    {"epoch": "e", "cursors": {}, "log": 3}])  # fmt: skip
def test_a_pull_that_is_no_pull_is_malformed(device: TestDevice, wanted: Any) -> None:
    problem(device.post("/pull", wanted), 400, "invalid-field")


# --- Addresses and answers ----------------------------------------------------------------------------------------


def test_an_unknown_address_is_not_found(server: TestServer) -> None:
    problem(server.session.get(f"{server.url}{BASE}/nothing"), 404, "not-found")


def test_a_method_that_is_not_taken_names_those_that_are(server: TestServer) -> None:
    response = server.session.delete(f"{server.url}{BASE}/push")
    problem(response, 405, "refused")
    assert "POST" in response.headers["Allow"]


def test_every_answer_carries_epoch_and_time(server: TestServer, device: TestDevice) -> None:
    nowhere = server.session.get(f"{server.url}/nothing")
    for response in (device.get("/log/checkpoint"), nowhere, sent(device, path="/x")):
        assert response.headers["Patrolbook-Epoch"] == server.instance.epoch
        assert abs(int(response.headers["Patrolbook-Time"]) - server.clock()) < 60_000


def test_a_mistake_of_ours_gets_a_number_and_no_traceback(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    device = server.enrol()
    monkeypatch.setattr("server.storage.journal.lacking", lambda *_: 1 // 0)
    body = problem(device.post("/have", {"ids": []}), 500, "problem")
    assert len(body["number"]) == 8
    assert "Zero" not in str(body)


def test_a_full_disk_is_told_wherever_it_is_met(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    device = server.enrol()
    monkeypatch.setattr("server.storage.journal.lacking", full)
    problem(device.post("/have", {"ids": []}), 507, "disk-full")


def test_another_tablets_replica_is_a_clone(server: TestServer, device: TestDevice) -> None:
    replica = "01927b3c-7b00-7000-8000-00000000abcd"
    assert device.post("/replicas", {"replica": replica}).json() == {"replica": replica}
    assert device.post("/replicas", {"replica": replica}).json() == {"replica": replica}
    problem(server.enrol().post("/replicas", {"replica": replica}), 409, "replica-forked")


def test_a_tablet_cannot_take_the_servers_name(server: TestServer, device: TestDevice) -> None:
    problem(device.post("/replicas", {"replica": server.instance.keys.open.replica}), 400, "invalid-field")


def test_a_pull_from_another_epoch_is_told_the_right_one(server: TestServer, device: TestDevice) -> None:
    body = problem(device.post("/pull", {"epoch": "old", "cursors": {}}), 409, "epoch-changed")
    assert body["epoch"] == server.instance.epoch


def test_what_is_out_of_scope_does_not_exist(device: TestDevice) -> None:
    elsewhere, nowhere = device.get("/snapshots/area:430281"), device.get("/snapshots/area:999999")
    problem(elsewhere, 404, "not-found")
    assert elsewhere.text.replace("430281", "999999") == nowhere.text


def test_the_language_is_the_one_asked_for(device: TestDevice) -> None:
    path = f"/blobs/{sha256(b'').hexdigest()}"
    assert "没有找到" in device.get(path).json()["detail"]
    assert "was not found" in device.get(path, Accept_Language="en").json()["detail"]


def test_answers_are_compressed_for_those_who_ask(server: TestServer, device: TestDevice) -> None:
    wanted = {"ids": [f"{n:036}" for n in range(200)]}
    packed = device.post("/have", wanted, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json()["lacking"] == wanted["ids"]
    assert "Content-Encoding" not in device.post("/have", wanted, Accept_Encoding="identity").headers
    assert device.post("/have", wanted, Accept_Encoding="zstd").headers["Content-Encoding"] == "zstd"


def test_nothing_can_be_set_up_twice(tmp_path: Path) -> None:
    wsgi_server(tmp_path).instance.close()
    with pytest.raises(errors.Refused):
        wsgi_server(tmp_path)
