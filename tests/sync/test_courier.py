"""Couriers: what goes in comes out, once; what was changed, cut or made by a stranger is refused."""

import hashlib
import io
import os
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import courier
from sync.core.change import START, Change, Link, compose, signature_input
from sync.core.errors import BadCourier, BrokenFile, DiskFull, Refused, TooLarge
from sync.courier import Carried, Courier, Lost, Maker, Parcel, Taken

DEVICE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = DEVICE.public_key().public_bytes_raw()
MAKER = Maker("d-17", KEY, DEVICE.sign)
MADE = 1_795_000_000_000
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
PHOTOS = [b"photo one", b"photo two" * 100_000]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def chain(count: int, text: str = "楼道堆放杂物") -> list[Carried]:
    """Changes of one replica, each signed over its place in the chain."""
    carried, prev = [], START
    for n in range(1, count + 1):
        change = compose(
            id=f"0192ee70-0000-7000-8000-{n:012d}", kind="hazard", record="0192ee70-1111-7000-8000-000000000000",
            set={"description": (f"{text}\n“{n}”", [])}, by=["p-1"], schema=1, hlc=f"{n:012x}-0000", clock={"wall": n, "mono": 0, "boot": "b", "off": 0},
        )  # fmt: skip
        place = Link("r-1", n, prev, b"")
        prev = place.chain(change.hash)
        carried.append(Carried(change, place._replace(signature=DEVICE.sign(signature_input(prev)))))
    return carried


def source(contents: list[bytes]) -> Callable[[str], BinaryIO]:
    by_name = {digest(one): one for one in contents}
    return lambda sha256: io.BytesIO(by_name[sha256])


def parcels(contents: list[bytes]) -> list[Parcel]:
    return [Parcel(digest(one), "image/jpeg", "original", "IMG_1.jpg", ("record-1",)) for one in contents]


def packed(changes: int = 3, photos: list[bytes] | None = None, lost: tuple[Lost, ...] = ()) -> bytes:
    photos = PHOTOS if photos is None else photos
    out = io.BytesIO()
    courier.write(out, MAKER, MADE, chain(changes), parcels(photos), source(photos), lost)
    return out.getvalue()


def opened(content: bytes, key: bytes | None = KEY) -> Courier:
    return Courier.read(io.BytesIO(content), "a.courier", key)


def refused(content: bytes) -> None:
    """Refused at opening, or at the latest when everything has been read."""
    with pytest.raises(BadCourier) as told:
        courier.take(opened(content), Shelf())
    assert "a.courier" in told.value.text()


class Shelf:
    """Takes couriers into memory."""

    def __init__(self) -> None:
        self.changes: dict[str, Carried] = {}
        self.blobs: dict[str, bytes] = {}

    def has_blob(self, sha256: str) -> bool:
        return sha256 in self.blobs

    def take_blob(self, parcel: Parcel, stream: BinaryIO) -> None:
        self.blobs[parcel.sha256] = stream.read()

    def take_changes(self, carried: list[Carried]) -> int:
        before = len(self.changes)
        self.changes.update({one.change.id: one for one in carried})
        return len(self.changes) - before


# ---- there and back ----------------------------------------------------------------------------------------


def test_changes_envelopes_and_blobs_come_out_as_they_went_in() -> None:
    shelf = Shelf()
    assert courier.take(opened(packed(3)), shelf) == Taken(3, 0, 2, 0)
    assert list(shelf.changes.values()) == chain(3)
    assert list(shelf.blobs.values()) == PHOTOS


def test_the_same_courier_twice_changes_nothing() -> None:
    shelf = Shelf()
    courier.take(opened(packed()), shelf)
    before = dict(shelf.changes), dict(shelf.blobs)
    assert courier.take(opened(packed()), shelf) == Taken(0, 3, 0, 2)
    assert (shelf.changes, shelf.blobs) == before


def test_a_courier_may_be_empty() -> None:
    assert courier.take(opened(packed(0, [])), Shelf()) == Taken(0, 0, 0, 0)


def test_the_same_tablet_makes_the_same_file_again() -> None:
    assert packed() == packed()


def test_it_says_who_made_it_when_and_what_is_in_it() -> None:
    manifest = opened(packed(2)).manifest
    assert (manifest.device, manifest.key, manifest.made, manifest.changes) == ("d-17", KEY, MADE, 2)
    assert list(manifest.parcels) == parcels(PHOTOS)


def test_every_change_is_still_signed_by_its_author() -> None:
    for change, link, _ in opened(packed(3)).changes():
        DEVICE.public_key().verify(link.signature, signature_input(link.chain(change.hash)))


def test_it_says_which_changes_the_server_had_already() -> None:
    out = io.BytesIO()
    first, second = chain(2)
    courier.write(out, MAKER, MADE, [first._replace(leaf=41), second], [], source([]))
    assert [one.leaf for one in opened(out.getvalue()).changes()] == [41, -1]


def test_a_change_that_the_device_did_not_sign_is_refused() -> None:
    out = io.BytesIO()
    first, second = chain(2)
    forged = second._replace(link=second.link._replace(signature=first.link.signature))
    courier.write(out, MAKER, MADE, [first, forged], [], source([]))
    refused(out.getvalue())


def test_members_are_ordinary_files_that_any_unzip_shows() -> None:
    with zipfile.ZipFile(io.BytesIO(packed(1, [b"x"]))) as archive:
        assert archive.testzip() is None
        assert [stat.S_ISREG(one.external_attr >> 16) for one in archive.infolist()] == [True] * 4


def test_a_blob_named_twice_travels_once() -> None:
    assert len(opened(packed(0, [b"x", b"x"])).manifest.parcels) == 1


# ---- what cannot be read -----------------------------------------------------------------------------------


def test_a_damaged_blob_is_listed_and_the_rest_travels() -> None:
    def failing(sha256: str) -> BinaryIO:
        if sha256 == digest(b"damaged"):
            raise BrokenFile(file=sha256, detail="flipped")
        return source(PHOTOS)(sha256)

    out = io.BytesIO()
    blobs = parcels([PHOTOS[0], b"damaged", PHOTOS[1]])
    courier.write(out, MAKER, MADE, chain(2), blobs, failing, [Lost("change 7", "page 3")])
    manifest = opened(out.getvalue()).manifest
    assert [one.what for one in manifest.lost] == ["change 7", f"blob {digest(b'damaged')}"]
    assert list(manifest.parcels) == parcels(PHOTOS)


def test_a_blob_whose_bytes_changed_is_not_passed_off_as_the_original() -> None:
    out = io.BytesIO()
    manifest = courier.write(out, MAKER, MADE, [], parcels([b"before"]), lambda _: io.BytesIO(b"behind"))
    assert manifest.parcels == () and len(manifest.lost) == 1


def test_more_blobs_than_a_courier_holds_are_refused_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "MOST_BLOBS", 2)
    with pytest.raises(TooLarge):
        packed(0, [b"1", b"2", b"3"])
    assert len(opened(packed(0, [b"1", b"2"])).manifest.parcels) == 2


# ---- changed, cut, made up ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    whole = bytearray(packed(2, [b"x" * 50]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    shelf = Shelf()
    try:
        courier.take(opened(bytes(whole)), shelf)
    except BadCourier:
        return
    assert list(shelf.changes.values()) == chain(2) and list(shelf.blobs.values()) == [b"x" * 50]


@settings(deadline=None)
@given(st.integers(0, 2000))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    whole = packed(2, [b"x" * 50])
    refused(whole[: min(length, len(whole) - 1)])


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_rubbish_is_refused(content: bytes) -> None:
    refused(content)


def test_another_device_than_expected_is_refused() -> None:
    with pytest.raises(BadCourier):
        opened(packed(), key=bytes(32))
    assert opened(packed(), key=None).manifest.device == "d-17"


def rebuilt(change: Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]) -> bytes:
    """A courier whose members went one by one through `change`, which writes what it likes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed(1, [b"x"]))) as old, zipfile.ZipFile(out, "w") as new:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # zipfile's word on repeated names
            for info in old.infolist():
                change(new, zipfile.ZipInfo(info.filename), old.read(info))
    return out.getvalue()


def with_member(name: str, mode: int = stat.S_IFREG | 0o600) -> bytes:
    def add(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        archive.writestr(info, content)
        if info.filename == courier.SIGNATURE:
            extra = zipfile.ZipInfo(name)
            extra.external_attr = mode << 16
            archive.writestr(extra, b"/etc/passwd")

    return rebuilt(add)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside", "blobs/../../out", "blobs\\x", "C:\\x", "blobs/", "readme.txt", "blobs/" + "A" * 64],
)
def test_a_member_of_another_name_is_refused(name: str) -> None:
    refused(with_member(name))


def test_a_blob_that_the_manifest_does_not_list_is_refused() -> None:
    refused(with_member("blobs/" + "0" * 64))


def test_a_link_is_refused() -> None:
    refused(with_member("blobs/" + "0" * 64, stat.S_IFLNK | 0o777))


def test_a_member_that_appears_twice_is_refused() -> None:
    def twice(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        archive.writestr(info, content)
        archive.writestr(info.filename, content)

    refused(rebuilt(twice))


def test_a_member_left_out_is_refused() -> None:
    def without(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        if not info.filename.startswith("blobs/"):
            archive.writestr(info, content)

    refused(rebuilt(without))


@pytest.mark.parametrize("name", [courier.CHANGES, courier.MANIFEST, courier.SIGNATURE, "blobs/" + digest(b"x")])
def test_a_member_with_other_bytes_is_refused(name: str) -> None:
    def other(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        archive.writestr(info, bytes(len(content)) if info.filename == name else content)

    refused(rebuilt(other))


def test_a_compressed_member_is_refused_before_it_is_inflated() -> None:
    def pressed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        grown = bytes(50_000_000) if info.filename.startswith("blobs/") else content
        archive.writestr(info, grown, zipfile.ZIP_DEFLATED)

    refused(rebuilt(pressed))


def test_a_directory_of_too_many_members_is_not_even_loaded() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(courier.MOST_MEMBERS + 1):
            archive.writestr(f"blobs/{number:064x}", b"")
    with pytest.raises(BadCourier, match="members"):
        opened(out.getvalue())


def test_a_line_that_is_no_change_is_refused_even_if_signed() -> None:
    bad = chain(1)[0]
    crooked = Change(bad.change.body, bad.change.content.replace(b'"v":1', b'"v": 1'), bad.change.hash)
    out = io.BytesIO()
    courier.write(out, MAKER, MADE, [Carried(crooked, bad.link)], [], source([]))
    refused(out.getvalue())


# ---- with a passphrase -------------------------------------------------------------------------------------


def locked(passphrase: str = "竹子 and 河流") -> bytes:
    out = io.BytesIO()
    with courier.locking(out, passphrase) as stream:
        courier.write(stream, MAKER, MADE, chain(2), parcels(PHOTOS), source(PHOTOS))
    return out.getvalue()


def test_with_the_passphrase_it_is_the_same_courier() -> None:
    sealed, scratch = io.BytesIO(locked()), io.BytesIO()
    assert courier.is_locked(sealed) and not courier.is_locked(io.BytesIO(packed()))
    courier.unlock(sealed, "竹子 and 河流", scratch)
    shelf = Shelf()
    assert courier.take(Courier.read(scratch, key=KEY), shelf) == Taken(2, 0, 2, 0)
    assert list(shelf.blobs.values()) == PHOTOS


def test_nothing_of_it_can_be_read_without_the_passphrase() -> None:
    sealed = locked()
    assert b"photo" not in sealed and b"hazard" not in sealed
    with pytest.raises(Refused):
        courier.unlock(io.BytesIO(sealed), "another", io.BytesIO())


def test_an_empty_passphrase_protects_nothing_and_is_refused() -> None:
    with pytest.raises(Refused), courier.locking(io.BytesIO(), ""):
        pass


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_an_encrypted_courier_with_a_flipped_byte_or_cut_is_refused(at: float) -> None:
    sealed = bytearray(locked("words"))
    where = int(len(sealed) * at)
    sealed[where] ^= 1
    for content in (bytes(sealed), bytes(sealed[:where])):
        with pytest.raises(BadCourier):
            courier.unlock(io.BytesIO(content), "words", io.BytesIO())


@needs_full
def test_a_full_stick_is_told_while_encrypting() -> None:
    with pytest.raises(OSError, match="space"), open("/dev/full", "wb") as full:
        with courier.locking(full, "words") as stream:
            stream.write(os.urandom(4 << 20))


@needs_full
def test_a_full_disk_while_decrypting_is_no_bad_courier() -> None:
    with open("/dev/full", "wb") as full, pytest.raises((DiskFull, OSError)) as told:
        courier.unlock(io.BytesIO(locked("words")), "words", full)
    assert not isinstance(told.value, BadCourier)
