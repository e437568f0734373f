from __future__ import annotations

import base64
import warnings
from typing import Any

import marshmallow
import pytest
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import wire
from schemas.wire import Answer, Request

DIGEST = "0" * 64


def b64(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


NOTE = "patrolbook.example\n3\n" + b64(32) + "\n\n— patrolbook.example " + b64(68) + "\n"
LOG = {"origin": "patrolbook.example", "key": b64(32)}
RECEIPT = {"act": '{"act":"blob-held"}', "leaf": 2, "proof": [b64(32)], "checkpoint": NOTE}
RUN = {"replica": "r-1", "n": 1, "prev": DIGEST, "sigs": [b64(64)]}
RESULT = {
    "id": "c-1", "status": "parked", "reason": "locked", "field": "findings", "detail": "记录已锁定",
    "record": "i-1", "rev": 4, "bucket": "area:430102001001", "at": 17, "leaf": 2,
}
LIMITS = {
    "push_changes": 4000, "push_bytes": 8 << 20, "change_bytes": 1 << 20,
    "pull_bytes": 1 << 20, "part_bytes": 8 << 20, "blob_bytes": 1 << 34,
}

EXAMPLES: dict[type[marshmallow.Schema], dict[str, Any]] = {
    wire.Capabilities: {
        "api": 1, "epoch": "e-1", "time": 1795300000000, "encodings": ["zstd", "gzip"],
        "limits": LIMITS, "schemas": {"inspection": 1}, "logs": [LOG],
    },
    wire.EnrolRequest: {"code": "K7QM-2XHD", "key": b64(32), "name": "一号平板", "model": "X", "proof": b64(64)},
    wire.EnrolAnswer: {
        "device": "d-1", "person": {"id": "p-1", "name": "李", "role": "officer"}, "epoch": "e-1",
        "grants": [{"area": "430102", "role": "officer", "until": 1}], "log": LOG, "time": 1795300000000,
    },
    wire.Replica: {"replica": "r-1"},
    wire.PushHeader: {"epoch": "e-1", "runs": [RUN]},
    wire.PushAnswer: {
        "epoch": "e-1", "results": [RESULT, {"id": "line:" + DIGEST, "status": "quarantined", "line": 1}],
        "log": {"before": 2, "frontier": [b64(32)], "leaves": ["c-1"], "checkpoint": NOTE},
    },
    wire.PullRequest: {
        "epoch": "e-1", "cursors": {"area:430102": "0", "ref:checklist": "12.3", "home:d-1": "4"},
        "limit_bytes": 65536, "log": {"size": 3},
    },
    wire.PullLine: {"b": "area:430102", "q": 4, "gone": "i-1", "why": "merged", "into": "i-0"},
    wire.HaveRequest: {"ids": ["c-1"]},
    wire.HaveAnswer: {"lacking": []},
    wire.BlobDeclaration: {
        "sha256": DIGEST, "size": 1, "mime": "image/jpeg", "part_size": 5 << 20, "role": "original", "name": "",
    },
    wire.BlobAnswer: {"held": True, "receipt": RECEIPT},
    wire.UploadState: {"upload": "u-1", "sha256": DIGEST, "size": 9, "part_size": 9, "have": [1]},
    wire.BlobHeld: {"sha256": DIGEST, "size": 9, "receipt": RECEIPT},
    wire.InclusionRequest: {"size": 3, "leaves": [0, 2]},
    wire.InclusionAnswer: {"size": 3, "proofs": {"2": [b64(32)]}},
    wire.ConsistencyAnswer: {"proof": []},
    wire.ProblemBody: {
        "type": "urn:patrolbook:too-large", "title": "内容超过上限", "status": 413, "code": "too-large",
        "detail": "内容超过上限 8 字节", "hint": "请减小批量后重发", "limit": 8,
    },
}


def below(base: type[marshmallow.Schema]) -> list[type[marshmallow.Schema]]:
    shapes = [shape for shape in base.__subclasses__() if shape.__module__ == "schemas.wire"]
    return [one for shape in shapes for one in (shape, *below(shape))]


SHAPES = [*below(Request), *below(Answer), wire.ProblemBody]
every_shape = pytest.mark.parametrize("shape", [pytest.param(shape, id=shape.__name__) for shape in SHAPES])
every_example = pytest.mark.parametrize(
    ("shape", "example"), [pytest.param(shape, one, id=shape.__name__) for shape, one in EXAMPLES.items()]
)


@every_shape
def test_every_field_says_what_it_is(shape: type[marshmallow.Schema]) -> None:
    assert shape.__doc__
    for name, field in shape().fields.items():
        assert field.metadata.get("description"), f"{shape.__name__}.{name}"


@every_example
def test_an_example_passes_unchanged(shape: type[marshmallow.Schema], example: dict[str, Any]) -> None:
    assert shape().load(example) == example


@every_example
def test_a_missing_member_is_noticed(shape: type[marshmallow.Schema], example: dict[str, Any]) -> None:
    for name, field in shape().fields.items():
        if field.required:
            rest = {member: value for member, value in example.items() if member != name}
            assert name in shape().validate(rest)


@pytest.mark.parametrize("shape", [shape for shape in EXAMPLES if issubclass(shape, Request)])
def test_a_request_with_an_unknown_field_is_refused(shape: type[marshmallow.Schema]) -> None:
    assert shape().validate({**EXAMPLES[shape], "colour": "red"}) == {"colour": ["Unknown field."]}


def test_an_unknown_field_inside_a_request_is_refused_too() -> None:
    header = {"epoch": "e-1", "runs": [{**RUN, "colour": "red"}]}
    assert wire.PushHeader().validate(header) == {"runs": {0: {"colour": ["Unknown field."]}}}


@pytest.mark.parametrize("shape", [shape for shape in EXAMPLES if issubclass(shape, Answer)])
def test_an_old_tablet_reads_a_newer_answer(shape: type[marshmallow.Schema]) -> None:
    assert shape().load({**EXAMPLES[shape], "colour": "red"}) == EXAMPLES[shape]


def test_a_problem_keeps_its_facts() -> None:
    assert wire.ProblemBody().load(EXAMPLES[wire.ProblemBody])["limit"] == 8


@pytest.mark.parametrize("number", [True, 1.0, "1", -1, None, [1]])
def test_a_whole_number_is_written_as_one(number: Any) -> None:
    assert "size" in wire.LogSize().validate({"size": number})


@pytest.mark.parametrize(
    ("shape", "member", "value"),
    [
        (wire.EnrolRequest, "code", "short"),
        (wire.EnrolRequest, "key", b64(31)),
        (wire.EnrolRequest, "proof", "not base64!"),
        (wire.EnrolRequest, "name", ""),
        (wire.Replica, "replica", "../etc"),
        (wire.PushHeader, "runs", [{**RUN, "prev": "ABC"}]),
        (wire.PushHeader, "runs", [{**RUN, "n": 0}]),
        (wire.PushHeader, "runs", [{**RUN, "sigs": []}]),
        (wire.PullRequest, "cursors", {"area:43; drop": "0"}),
        (wire.PullRequest, "cursors", {"area:43": "now"}),
        (wire.BlobDeclaration, "sha256", DIGEST[:-1] + "G"),
        (wire.BlobDeclaration, "size", 0),
        (wire.BlobDeclaration, "mime", "jpeg"),
        (wire.BlobDeclaration, "role", "copy"),
        (wire.HaveRequest, "ids", [1]),
        (wire.InclusionRequest, "leaves", [-1]),
    ],
)
def test_what_has_the_wrong_form_is_named(shape: type[marshmallow.Schema], member: str, value: Any) -> None:
    assert list(shape().validate({**EXAMPLES[shape], member: value})) == [member]


@settings(deadline=None)
@given(st.binary(max_size=70))
def test_bytes_in_base64_are_taken_at_exactly_their_length(content: bytes) -> None:
    field = wire.Base64(length=32)
    text = base64.b64encode(content).decode()
    if len(content) == 32:
        assert field.deserialize(text) == text
    else:
        with pytest.raises(marshmallow.ValidationError):
            field.deserialize(text)


def test_a_query_is_read_from_digits() -> None:
    assert wire.ConsistencyQuery().load({"old": "3", "new": "8"}) == {"old": 3, "new": 8}
    assert "old" in wire.ConsistencyQuery().validate({"old": "-1", "new": "8"})


def test_every_shape_has_a_place_in_the_published_description() -> None:
    spec = APISpec("patrolbook", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in SHAPES:
            if shape.__name__ not in spec.components.schemas:
                spec.components.schema(shape.__name__, schema=shape)
    described = spec.to_dict()["components"]["schemas"]
    assert described["Run"]["properties"]["n"] == {
        "type": "integer", "minimum": 1, "description": "Number of the first change of the run",
    }
    assert described["Run"]["required"] == ["n", "prev", "replica", "sigs"]


def test_a_team_names_its_place_behind_the_wall() -> None:
    assert wire.PullRequest().validate({"epoch": "e", "cursors": {"sealed:430102": "3.0", "area:43": "1.0"}}) == {}
    assert wire.PullRequest().validate({"epoch": "e", "cursors": {"elsewhere:43": "1.0"}}) != {}
