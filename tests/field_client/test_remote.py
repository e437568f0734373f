"""What the tablet makes of the answers that come over a real network, most of which are not the server's."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import requests
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask, Response, request

from field_client.platform import Line
from field_client.platform.remote import LARGEST_ANSWER, Remote
from sync.core.errors import (
    DiskFull,
    EpochChanged,
    InvalidField,
    Malformed,
    NotFound,
    Overloaded,
    Problem,
    Refused,
    TooLarge,
    Unavailable,
)
from sync.peer import Batch, PullRequest
from tests.support.server import WsgiAdapter

OURS = {"Patrolbook-Epoch": "e-1", "Patrolbook-Time": "1795000000000"}
HELLO = {
    "epoch": "e-1",
    "time": 1,
    "encodings": ["zstd"],
    "limits": {},
    "schemas": {},
    "logs": [{"origin": "o", "key": ""}],
}
BATCH = Batch("e-1", (), (b'{"a":1}' * 300,), ("c",))


def remote(answer: Callable[[], Response]) -> Remote:
    """A remote whose every request is answered by a function."""
    app = Flask("elsewhere")
    for rule in ("/", "/<path:any>"):
        app.add_url_rule(rule, rule, lambda any="": answer(), methods=["GET", "POST", "PUT"])
    session = requests.Session()
    session.mount("http://", WsgiAdapter(app))
    return Remote(
        Line("http://far", "d", Ed25519PrivateKey.generate().sign, lambda: 1_795_000_000_000), session=session
    )


def told(status: int, body: Any, **headers: str) -> Callable[[], Response]:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return lambda: Response(content, status, {**OURS, **{name.replace("_", "-"): v for name, v in headers.items()}})


def problem(code: str, status: int, detail: str = "x", **facts: Any) -> dict[str, Any]:
    return {"type": f"urn:patrolbook:{code}", "title": "t", "status": status, "code": code, "detail": detail, **facts}


def caught(answer: Callable[[], Response]) -> Problem:
    with pytest.raises(Problem) as raised:
        remote(answer).have(["c"])
    return raised.value


def test_a_problem_comes_back_as_itself_with_its_facts() -> None:
    changed = caught(told(409, problem("epoch-changed", 409, epoch="e-2")))
    assert isinstance(changed, EpochChanged) and changed.facts["epoch"] == "e-2"
    invalid = caught(told(400, problem("invalid-field", 400, "字段 ids：过多", field="ids")))
    assert isinstance(invalid, InvalidField) and invalid.text("zh") == "字段 ids：过多"


def test_the_same_words_are_not_framed_twice() -> None:
    malformed = caught(told(400, problem("malformed", 400, "内容无法读取：第 3 行")))
    assert isinstance(malformed, Malformed) and malformed.text("zh") == "内容无法读取：第 3 行"
    assert malformed.text("en") == "The content cannot be read: 第 3 行"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "overloaded", Overloaded),
        (503, "unavailable", Unavailable),
        (500, "problem", Unavailable),
        (500, "broken-store", Unavailable),
        (503, "not-ready", Unavailable),
        (507, "disk-full", DiskFull),
        (418, "of-a-newer-server", Refused),
        (502, "of-a-newer-server", Unavailable),
        (404, "not-found", NotFound),
    ],
)
def test_a_fault_of_the_server_is_worth_another_try_and_a_refusal_is_not(
    status: int, code: str, kind: type[Problem]
) -> None:
    assert type(caught(told(status, problem(code, status)))) is kind


def test_the_wish_to_be_left_alone_is_heard() -> None:
    busy = caught(told(503, problem("overloaded", 503), Retry_After="17"))
    assert isinstance(busy, Overloaded) and busy.retry_after == 17
    between = caught(lambda: Response("busy", 429, {"Retry-After": "9"}))
    assert isinstance(between, Overloaded) and between.retry_after == 9


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 401, 403, 404, 409, 500, 502])
def test_what_something_in_between_answers_says_nothing_about_what_was_sent(status: int) -> None:
    login = caught(lambda: Response("<html>log in</html>", status, {"Location": "http://login"}))
    assert type(login) is Unavailable


def test_a_proxy_that_finds_a_body_too_large_is_believed() -> None:
    with pytest.raises(TooLarge):
        remote(lambda: Response("nginx", 413)).push(BATCH)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"lacking": 1}', b"\xff"])
def test_an_answer_that_cannot_be_read_is_no_answer(body: bytes) -> None:
    assert isinstance(caught(told(200, body)), Unavailable)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"results": [{}], "epoch": "e"}', b'{"results": 3, "epoch": "e"}'])
def test_an_acknowledgement_that_cannot_be_read_acknowledges_nothing(body: bytes) -> None:
    with pytest.raises(Unavailable):
        remote(told(200, body)).push(BATCH)


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_answers_may_be_packed(encoding: str) -> None:
    content = orjson.dumps({"lacking": ["c"] * 500})
    packed = zstandard.compress(content) if encoding == "zstd" else gzip.compress(content)
    assert remote(told(200, packed, Content_Encoding=encoding)).have(["c"]) == ["c"] * 500
    damaged = packed[: len(packed) // 2] + b"\0" + packed[len(packed) // 2 :]
    assert isinstance(caught(told(200, damaged, Content_Encoding=encoding)), Unavailable)


def test_an_answer_that_grows_without_end_is_cut_off() -> None:
    bomb = zstandard.compress(bytes(LARGEST_ANSWER + 1))
    assert len(bomb) < 100_000
    assert isinstance(caught(told(200, bomb, Content_Encoding="zstd")), Unavailable)


def test_an_encoding_that_nobody_asked_for_is_no_answer() -> None:
    assert isinstance(caught(told(200, b"x", Content_Encoding="br")), Unavailable)


def test_a_server_that_takes_no_packed_bodies_after_all_gets_plain_ones() -> None:
    seen: list[str | None] = []

    def answer() -> Response:
        if request.path.endswith("/capabilities"):
            return told(200, HELLO)()
        seen.append(request.headers.get("Content-Encoding"))
        return (
            told(415, problem("unsupported-encoding", 415))()
            if seen[-1]
            else told(200, {"epoch": "e", "results": []})()
        )

    peer = remote(answer)
    peer.hello()
    peer.push(BATCH)
    peer.push(BATCH)
    assert seen == ["zstd", None, None]


def test_requests_are_signed_over_the_body_as_it_is_sent() -> None:
    seen: list[tuple[str, bytes]] = []

    def answer() -> Response:
        seen.append((request.headers["Authorization"], request.get_data()))
        return told(200, {"proof": []})()

    remote(answer).consistency(1, 2)
    header, body = seen[0]
    assert header.startswith('Patrolbook device="d", time="1795000000000", nonce="') and body == b""


def test_a_pull_that_is_cut_is_no_answer() -> None:
    head = orjson.dumps({"head": {"epoch": "e", "time": 1, "buckets": {}}})
    with pytest.raises(Unavailable):
        remote(told(200, head)).pull(PullRequest("e", {}))
