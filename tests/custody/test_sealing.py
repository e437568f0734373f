"""Sealing: what goes in comes out for the right key alone, whole or not at all, and in bounded memory."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody import sealing
from custody.commitments import Part
from custody.digests import Digests, digests_of
from custody.sealing import (
    Sealed,
    check_commitment,
    new_identity,
    open_key,
    open_meta,
    open_sealed,
    rewrap,
    seal,
    seal_meta,
    unlock_identity,
)
from sync.core.errors import BrokenSeal, InvalidField, NoSealKeys, NotCanonical, Problem, TooSlow, WrongSealKey

PROVINCE, ESCROW, COUNTY, STRANGER = (new_identity() for _ in range(4))
BOTH = [PROVINCE.recipient, ESCROW.recipient]
META = {"name": "MOV_1.mp4", "place": {"lat": 281234567, "lon": 1129876543}, "note": "三楼，无牌，约二十人"}


def sealed_bytes(content: bytes, recipients: list[str] = BOTH) -> tuple[Sealed, bytes]:
    out = io.BytesIO()
    return seal(io.BytesIO(content), out, recipients), out.getvalue()


def opened(tmp_path: Path, made: Sealed, content: bytes, secret: str, **expected: object) -> bytes:
    target = tmp_path / "opened"
    asked = {"sealed": made[:2], "plain": made.plain} | expected
    open_sealed(io.BytesIO(content), secret, target, **asked)  # type: ignore[arg-type]
    return target.read_bytes()


def damaged(content: bytes, at: int, bit: int, cut: bool) -> bytes:
    at %= len(content)
    return content[:at] if cut else content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


# --- the laws --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=5000), times=st.sampled_from([1, 13, 300]))
def test_what_was_sealed_is_opened_by_everyone_it_was_sealed_for(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, times: int
) -> None:
    content *= times
    made, out = sealed_bytes(content)
    assert made.plain == digests_of(io.BytesIO(content))
    assert made[:2] == digests_of(io.BytesIO(out))[:2]
    for one in (PROVINCE, ESCROW):
        secret = open_key(made.key_file, one.secret)
        assert opened(tmp_path_factory.mktemp("open"), made, out, secret) == content


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 100_000), bit=st.integers(0, 7), cut=st.booleans())
def test_no_flipped_bit_and_no_cut_of_the_content_is_missed(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    made, out = sealed_bytes(b"x" * 70_000)
    secret = open_key(made.key_file, PROVINCE.secret)
    bad = damaged(out, at, bit, cut)
    with pytest.raises(BrokenSeal):
        opened(folder, made, bad, secret)
    # Without the digests age finds it too, but a flip in the header may look to it as if no key matched.
    with pytest.raises((BrokenSeal, WrongSealKey)):
        opened(folder, made, bad, secret, sealed=None, plain=None)
    assert list(folder.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_key_file_or_meta_is_never_taken_for_another(at: int, bit: int, cut: bool) -> None:
    made, _ = sealed_bytes(b"x")
    for small, read in ((made.key_file, open_key), (seal_meta(Part.FACTS, META, BOTH).sealed, open_meta)):
        with pytest.raises((BrokenSeal, WrongSealKey)):
            read(damaged(small, at, bit, cut), ESCROW.secret)  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1), st.text() | st.integers(-(2**53) + 1, 2**53 - 1) | st.none()))
def test_meta_comes_back_as_it_was_told_and_fits_its_commitment(meta: dict[str, object]) -> None:
    try:
        made = seal_meta(Part.FACTS, meta, BOTH)
    except NotCanonical:
        assert any(isinstance(text, str) and not text.isprintable() for text in meta.values())  # a lone surrogate
        return
    told = open_meta(made.sealed, PROVINCE.secret)
    assert told.meta == meta
    check_commitment(Part.FACTS, made.commit, told)


def test_any_other_meta_or_any_other_random_bytes_break_the_commitment() -> None:
    made = seal_meta(Part.FACTS, META, BOTH)
    told = open_meta(made.sealed, PROVINCE.secret)
    for other in (
        told._replace(meta=META | {"note": "四楼"}),
        told._replace(r=bytes(32)),
        open_meta(seal_meta(Part.FACTS, META, BOTH).sealed, PROVINCE.secret),  # the same words, told another time
    ):
        with pytest.raises(BrokenSeal):
            check_commitment(Part.FACTS, made.commit, other)


def test_the_size_of_sealed_meta_does_not_tell_how_long_a_note_is() -> None:
    def inside(note: str) -> int:
        return len(pyrage.decrypt(seal_meta(Part.FACTS, {"note": note}, BOTH).sealed, [_identity(PROVINCE.secret)]))

    assert inside("") == inside("是" * 250) == sealing.META_BLOCK


# --- keys ------------------------------------------------------------------------------------------------------------


def test_every_object_has_a_key_of_its_own() -> None:
    one, two = sealed_bytes(b"x")[0], sealed_bytes(b"x")[0]
    secrets = {open_key(made.key_file, PROVINCE.secret) for made in (one, two)}
    assert len(secrets) == 2


def test_a_wrong_key_is_told_from_damage(tmp_path: Path) -> None:
    made, out = sealed_bytes(b"content")
    with pytest.raises(WrongSealKey):
        open_key(made.key_file, STRANGER.secret)
    with pytest.raises(WrongSealKey):
        open_meta(seal_meta(Part.FACTS, META, BOTH).sealed, STRANGER.secret)
    other = open_key(sealed_bytes(b"content")[0].key_file, PROVINCE.secret)
    with pytest.raises(WrongSealKey):
        opened(tmp_path, made, out, other)
    with pytest.raises(WrongSealKey):
        opened(tmp_path, made, out, "AGE-SECRET-KEY-1NOT-A-KEY")
    assert list(tmp_path.iterdir()) == []


def test_handing_over_wraps_the_key_again_and_leaves_the_content_alone(tmp_path: Path) -> None:
    made, out = sealed_bytes(b"content")
    with pytest.raises(WrongSealKey):
        open_key(made.key_file, COUNTY.secret)
    for_county = rewrap(made.key_file, PROVINCE.secret, [COUNTY.recipient])
    assert opened(tmp_path, made, out, open_key(for_county, COUNTY.secret)) == b"content"
    with pytest.raises(WrongSealKey):
        open_key(for_county, PROVINCE.secret)
    with pytest.raises(WrongSealKey):
        rewrap(made.key_file, STRANGER.secret, [STRANGER.recipient])


def test_meta_is_handed_over_in_the_same_way() -> None:
    made = seal_meta(Part.FACTS, META, BOTH)
    told = open_meta(rewrap(made.sealed, ESCROW.secret, [COUNTY.recipient]), COUNTY.secret)
    check_commitment(Part.FACTS, made.commit, told)
    assert told.meta == META


def test_nothing_is_sealed_for_nobody() -> None:
    out = io.BytesIO()
    with pytest.raises(NoSealKeys):
        seal(io.BytesIO(b"x"), out, [])
    with pytest.raises(NoSealKeys):
        seal_meta(Part.FACTS, META, [])
    with pytest.raises(InvalidField):
        seal(io.BytesIO(b"x"), out, ["age1" + "q" * 58])
    assert out.getvalue() == b""


def test_a_sealed_file_that_is_no_key_is_not_taken_for_one() -> None:
    for inside in (b"", b"hello", b"x" * 74):
        with pytest.raises(BrokenSeal):
            open_key(pyrage.encrypt(inside, [_recipient(PROVINCE.recipient)]), PROVINCE.secret)
        with pytest.raises(BrokenSeal):
            open_meta(pyrage.encrypt(inside, [_recipient(PROVINCE.recipient)]), PROVINCE.secret)
    with pytest.raises(BrokenSeal):
        open_key(bytes(sealing.LARGEST_SMALL + 1), PROVINCE.secret)


# --- streams that break ----------------------------------------------------------------------------------------------


class Breaking(io.BytesIO):
    """A stream that fails after some bytes."""

    def __init__(self, content: bytes, error: BaseException) -> None:
        super().__init__(content)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            raise self._error
        return piece

    def write(self, piece: object, /) -> int:
        raise self._error


@pytest.mark.parametrize("error", [OSError(28, "no space left"), KeyboardInterrupt(), ValueError("camera gone")])
def test_what_a_stream_raises_is_raised_as_it_was(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        seal(Breaking(b"x" * 100, error), io.BytesIO(), BOTH)
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        seal(io.BytesIO(b"x" * 100), Breaking(b"", error), BOTH)
    assert caught.value is error


def test_a_disk_that_fails_while_opening_is_no_broken_seal(tmp_path: Path) -> None:
    made, _ = sealed_bytes(b"x" * 100_000)
    secret = open_key(made.key_file, PROVINCE.secret)
    with pytest.raises(OSError, match="gone"):
        open_sealed(Breaking(b"age", OSError(5, "gone")), secret, tmp_path / "out", sealed=None, plain=None)
    assert list(tmp_path.iterdir()) == []


def test_content_that_is_not_what_the_meta_promised_is_refused(tmp_path: Path) -> None:
    made, out = sealed_bytes(b"content")
    other = Digests("0" * 64, 7, made.plain.tree)
    with pytest.raises(BrokenSeal):
        opened(tmp_path, made, out, open_key(made.key_file, PROVINCE.secret), plain=other)
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_behind_the_end_are_found(tmp_path: Path) -> None:
    made, out = sealed_bytes(b"content")
    secret = open_key(made.key_file, PROVINCE.secret)
    with pytest.raises(BrokenSeal):
        opened(tmp_path, made, out + b"more", secret)


def test_a_machine_that_is_too_slow_is_no_wrong_passphrase() -> None:
    """The work that a file asks for was measured where it was made."""
    made = pyrage.passphrase.encrypt(PROVINCE.secret.encode(), "竹子")
    (work,) = re.findall(rb"-> scrypt \S+ (\d+)\n", made)
    with pytest.raises(TooSlow) as refused:
        unlock_identity(made.replace(b" " + work + b"\n", b" 30\n", 1), "竹子")
    assert "与口令对错无关" in refused.value.text("zh") and "faster machine" in refused.value.next_step("en")
    with pytest.raises(WrongSealKey):
        unlock_identity(made, "河流")


@pytest.mark.parametrize("problem", [BrokenSeal(what="x", detail="y"), NoSealKeys(detail="x"), WrongSealKey(what="x")])
def test_each_problem_speaks_both_languages_and_names_the_next_step(problem: Problem) -> None:
    for language in ("zh", "en"):
        assert "{" not in problem.text(language)  # type: ignore[arg-type]
        assert problem.next_step(language)  # type: ignore[arg-type]


# --- memory ----------------------------------------------------------------------------------------------------------

_STREAMING = """
import json, resource, sys
from custody.sealing import new_identity, open_key, open_sealed, seal
from pathlib import Path

class Camera:
    def __init__(self, size): self.left, self.piece = size, bytes(range(256)) * 4096
    def read(self, size=-1):
        piece = self.piece[: min(size, self.left)]
        self.left -= len(piece)
        return piece

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

folder, size = Path(sys.argv[1]), int(sys.argv[2])
key = new_identity()
with open(folder / "warm", "wb+") as file:   # what the libraries need once
    made = seal(Camera(3 << 20), file, [key.recipient]); file.seek(0)
    open_sealed(file, open_key(made.key_file, key.secret), folder / "warm.out", sealed=made[:2], plain=made.plain)
before = peak()
with open(folder / "sealed", "wb+") as file:
    made = seal(Camera(size), file, [key.recipient])
    sealing = peak() - before
    file.seek(0)
    open_sealed(file, open_key(made.key_file, key.secret), folder / "out", sealed=made[:2], plain=made.plain)
print(json.dumps([made.plain.size, (folder / "out").stat().st_size, sealing, peak() - before]))
"""


def test_a_long_video_is_sealed_and_opened_in_little_memory(tmp_path: Path) -> None:
    size = 300 << 20
    ran = subprocess.run(
        [sys.executable, "-c", _STREAMING, str(tmp_path), str(size)], capture_output=True, text=True, check=True
    )
    plain, out, sealing_peak, both_peak = json.loads(ran.stdout)
    shutil.rmtree(tmp_path)
    assert plain == out == size
    assert sealing_peak < 16 << 20
    assert both_peak < 16 << 20


def _identity(secret: str) -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.from_str(secret)


_recipient: Callable[[str], pyrage.x25519.Recipient] = pyrage.x25519.Recipient.from_str
