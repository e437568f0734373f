"""What strangers send is read or refused with a problem of ours: a short form of `make fuzz`, and values of wrong shapes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.core.change import canonical
from sync.core.errors import Malformed
from tests.fuzz.parsers import PARSERS, Parser
from tests.fuzz.running import Hang, run, tried

BY_NAME = {one.name: one for one in PARSERS}
every = pytest.mark.parametrize("name", BY_NAME)
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@every
def test_what_is_real_is_read(name: str) -> None:
    assert all(tried(BY_NAME[name], content) for content in BY_NAME[name].seeds())


@every
def test_bent_inputs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    ran = run(BY_NAME[name], 1, inputs=150 if BY_NAME[name].heavy else 2500, seconds=30, place=tmp_path)
    assert not ran.broken, [file.with_suffix(f"{file.suffix}.txt").read_text() for file in ran.broken]
    assert ran.inputs > 100


@every
@quick
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(name: str, content: bytes) -> None:
    tried(BY_NAME[name], content)


# --- JSON in its one form, with wrong shapes inside ------------------------------------------------------------------

ODD = st.recursive(
    st.none() | st.booleans() | st.sampled_from([-1, 0, 1, 2**53, 2**63, 2**64 - 1, 0.5, 1e300]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


def with_odd(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    value = copy.deepcopy(value)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = odd
    return value


@pytest.mark.parametrize("name", ["change", "trust file", "capture", "report"])
@settings(quick, max_examples=250)
@given(data=st.data())
def test_a_value_of_another_shape_anywhere_is_read_or_refused(name: str, data: st.DataObject) -> None:
    value = orjson.loads(data.draw(st.sampled_from(BY_NAME[name].seeds())))
    for _ in range(data.draw(st.integers(1, 2))):
        value = with_odd(value, data.draw(st.sampled_from(list(places(value)))), data.draw(ODD))
    tried(BY_NAME[name], canonical(value))


@settings(quick, max_examples=400)
@given(data=st.data())
def test_a_value_of_another_shape_anywhere_in_a_bundle_is_found_or_harmless(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from([one for one in BY_NAME["bundle member"].seeds() if one[1:2] == b"{"]))
    lines = content[1:].split(b"\n")
    at = data.draw(st.sampled_from([at for at, line in enumerate(lines) if line]))
    value = orjson.loads(lines[at])
    path = data.draw(st.sampled_from(list(places(value))))
    lines[at] = canonical(with_odd(value, path, data.draw(ODD)))
    tried(BY_NAME["bundle member"], content[:1] + b"\n".join(lines))


@pytest.mark.parametrize("depth", [200, 250, 260, 1000, 1030, 100_000])
@pytest.mark.parametrize("name", ["change", "trust file", "capture", "report", "bundle member"])
def test_json_may_be_nested_however_deeply(name: str, depth: int) -> None:
    BY_NAME[name].seeds()  # what the parser is tried with is made once, outside its bound of time
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opening * depth + (b"1" if closing == b"}" else b"") + closing * depth
        tried(BY_NAME[name], nested)
        tried(BY_NAME[name], b'{"clock":' + nested + b"}")
        tried(BY_NAME[name], b"\0" + nested + b"\n")


# --- The engine itself tells -----------------------------------------------------------------------------------------


def test_what_breaks_a_parser_is_kept_and_tells_how(tmp_path: Path) -> None:
    def fragile(content: bytes) -> None:
        if b"PK" in content:
            raise KeyError("a member")
        raise Malformed(detail="x")

    ran = run(Parser("fragile", fragile, lambda: [b"abc"]), 1, inputs=100_000, seconds=60, place=tmp_path)
    (file,) = ran.broken
    assert b"PK" in file.read_bytes() and "KeyError" in file.with_suffix(file.suffix + ".txt").read_text()


def test_a_parser_that_does_not_come_back_is_ended() -> None:
    def endless(content: bytes) -> None:
        while True:
            pass

    with pytest.raises(Hang):
        tried(Parser("endless", endless, lambda: [b""]), b"", 0.05)


def test_the_same_seed_gives_the_same_inputs(tmp_path: Path) -> None:
    seen: list[list[bytes]] = [[], []]
    for each in seen:
        run(Parser("noting", each.append, lambda: [b"abc", b"def"]), 7, inputs=300, place=tmp_path)
    assert seen[0] == seen[1] and len(set(seen[0])) > 100
