"""Blob files: whole or not at all, unreadable without the key, and no flipped byte goes unseen."""

import errno
import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.digests import digests_of
from field_client.platform import files
from field_client.platform.files import ABANDONED_S, CHUNK, HEADER_BYTES, EncryptedFiles, replace_file
from sync.core.errors import BrokenFile, DiskFull, EmptyFile, NotFound

KEY = bytes(range(32))
SIZES = [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]


def content(size: int) -> bytes:
    return (b"patrolbook evidence " * (size // 20 + 1))[:size]


@pytest.fixture
def blobs(tmp_path: Path) -> EncryptedFiles:
    return EncryptedFiles(tmp_path / "blobs", KEY)


def everything_in(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out_under_its_sha256(blobs: EncryptedFiles, size: int) -> None:
    original = content(size)
    stored = blobs.add(io.BytesIO(original))
    assert stored == digests_of(io.BytesIO(original))
    assert stored[:2] == (hashlib.sha256(original).hexdigest(), size)
    with blobs.open(stored.sha256) as back:
        assert back.read() == original
    assert blobs.size(stored.sha256) == size


@settings(deadline=None)
@given(st.integers(0, 3 * CHUNK + 9), st.integers(0, CHUNK + 5))
def test_any_range_is_what_the_original_has_there(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int
) -> None:
    original = content(3 * CHUNK + 7)
    blobs = EncryptedFiles(tmp_path_factory.getbasetemp() / "ranges", KEY)
    sha256 = hashlib.sha256(original).hexdigest()
    if not blobs.has(sha256):
        blobs.add(io.BytesIO(original))
    with blobs.open(sha256) as back:
        back.seek(start)
        assert back.read(length) == original[start : start + length]


def test_a_stream_that_gives_little_at_a_time_is_stored_the_same(blobs: EncryptedFiles) -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 70_001))

    original = content(2 * CHUNK + 3)
    assert blobs.add(Dripping(original)).sha256 == hashlib.sha256(original).hexdigest()


def test_no_piece_of_the_original_is_on_the_disk(blobs: EncryptedFiles, tmp_path: Path) -> None:
    blobs.add(io.BytesIO(content(CHUNK)))
    assert not any(b"evidence" in one.read_bytes() for one in everything_in(tmp_path))


def test_the_same_content_twice_is_one_file(blobs: EncryptedFiles, tmp_path: Path) -> None:
    assert blobs.add(io.BytesIO(b"once")) == blobs.add(io.BytesIO(b"once"))
    assert len(everything_in(tmp_path)) == 1


def test_the_same_content_again_heals_a_damaged_file(blobs: EncryptedFiles) -> None:
    sha256 = blobs.add(io.BytesIO(b"photo")).sha256
    blobs.path(sha256).write_bytes(b"\0" * 40)
    blobs.add(io.BytesIO(b"photo"))
    assert blobs.open(sha256).read() == b"photo"


def test_zero_bytes_are_no_evidence_and_leave_nothing(blobs: EncryptedFiles, tmp_path: Path) -> None:
    with pytest.raises(EmptyFile) as told:
        blobs.add(io.BytesIO(b""), "IMG_1.jpg")
    assert "IMG_1.jpg" in told.value.text()
    assert everything_in(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_only_the_owner_may_enter(blobs: EncryptedFiles, tmp_path: Path) -> None:
    stored = blobs.add(io.BytesIO(b"photo"))
    assert stat.S_IMODE(blobs.path(stored.sha256).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "blobs").stat().st_mode) == 0o700


def test_what_is_not_here_is_not_found_and_no_name_is_a_path(blobs: EncryptedFiles) -> None:
    for name in ("0" * 64, "../../etc/passwd", "A" * 64, "", "/" * 64):
        with pytest.raises(NotFound):
            blobs.open(name)


def test_listing_names_the_blobs_and_deleting_removes_them(blobs: EncryptedFiles) -> None:
    first, second = (blobs.add(io.BytesIO(one)).sha256 for one in (b"1", b"2"))
    assert set(blobs.list()) == {first, second}
    blobs.delete(first)
    blobs.delete(first)
    assert list(blobs.list()) == [second]


# ---- damage ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    blobs = EncryptedFiles(tmp_path_factory.mktemp("flipped"), KEY)
    stored = blobs.add(io.BytesIO(content(300)))
    path = blobs.path(stored.sha256)
    sealed = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(sealed)
    with pytest.raises(BrokenFile), blobs.open(stored.sha256) as back:
        back.read()


@pytest.mark.parametrize("cut", [0, 5, HEADER_BYTES, HEADER_BYTES + CHUNK + 16, -1])
def test_a_cut_file_is_refused_before_anything_is_read(blobs: EncryptedFiles, cut: int) -> None:
    sha256 = blobs.add(io.BytesIO(content(2 * CHUNK))).sha256
    path = blobs.path(sha256)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BrokenFile):
        blobs.open(sha256)


def test_chunks_cannot_change_places(blobs: EncryptedFiles) -> None:
    sha256 = blobs.add(io.BytesIO(content(2 * CHUNK) + b"end")).sha256
    path = blobs.path(sha256)
    sealed, step = path.read_bytes(), CHUNK + 16
    head, first, second = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:][:step], sealed[HEADER_BYTES + step :][:step]
    path.write_bytes(head + second + first + sealed[HEADER_BYTES + 2 * step :])
    with pytest.raises(BrokenFile), blobs.open(sha256) as back:
        back.read()


def test_one_blob_cannot_pose_as_another(blobs: EncryptedFiles) -> None:
    mine, theirs = (blobs.add(io.BytesIO(one)).sha256 for one in (b"before", b"behind"))
    os.replace(blobs.path(theirs), blobs.path(mine))
    with pytest.raises(BrokenFile):
        blobs.open(mine)


def test_another_key_opens_nothing(blobs: EncryptedFiles) -> None:
    sha256 = blobs.add(io.BytesIO(b"photo")).sha256
    with pytest.raises(BrokenFile):
        EncryptedFiles(blobs.folder, bytes(32)).open(sha256)


# ---- full disks and killed programs ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_nothing_half_kept(
    blobs: EncryptedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(handle: int) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(files.os, "fsync", full)
    (tmp_path / "blobs").mkdir()
    with pytest.raises(DiskFull):
        blobs.add(io.BytesIO(content(CHUNK)))
    assert everything_in(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="file size limits are those of POSIX")
def test_a_disk_that_really_takes_no_more_leaves_the_first_photo_whole(blobs: EncryptedFiles, tmp_path: Path) -> None:
    import resource
    import signal

    first = blobs.add(io.BytesIO(b"first photo"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, before[1]))
    try:
        with pytest.raises(DiskFull):
            blobs.add(io.BytesIO(content(4 * CHUNK)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert everything_in(tmp_path) == [blobs.path(first.sha256)]
    assert blobs.open(first.sha256).read() == b"first photo"


def test_a_camera_that_fails_half_way_leaves_nothing(blobs: EncryptedFiles, tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(errno.EIO, "card removed")
            return super().read(size)

    with pytest.raises(OSError, match="card removed"):
        blobs.add(Failing(content(2 * CHUNK)))
    assert everything_in(tmp_path) == []


def test_what_a_killed_program_left_is_swept_after_a_day_and_not_before(blobs: EncryptedFiles) -> None:
    stored = blobs.add(io.BytesIO(b"photo"))
    left = blobs.folder / ".new-0011223344556677"
    left.write_bytes(b"half")
    written = left.stat().st_mtime
    blobs.sweep(written + ABANDONED_S - 1)
    assert left.exists()
    blobs.sweep(written + ABANDONED_S + 1)
    assert not left.exists() and blobs.has(stored.sha256)


def test_a_small_file_is_replaced_whole_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    replace_file(path, b"old")

    def fails(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(DiskFull):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old" and everything_in(tmp_path) == [path]
