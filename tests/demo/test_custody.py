import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from custody import media
from custody.bundle import Bundle, Draft, Manifest, read_manifest
from demo.custody import another_answer, forge, one_bit
from demo.films import SIZE, make_film
from demo.photos import make_photos

ANSWER = b'{"set":{"answers/FIR-07":{"parents":[],"value":{"answer":"no"}},"x":{"parents":[],"value":"no"}}}\n'
BLOB = bytes(range(256))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of one blob and one change, under a signature that nobody made."""
    name = hashlib.sha256(BLOB).hexdigest()
    draft = Draft({"changes/r.ndjson": ANSWER}, {f"blobs/{name}": (len(BLOB), name, lambda: io.BytesIO(BLOB))})
    manifest = Manifest("n", "r", "inspection", "t", "p", "a", 0, "s", "k", draft.listed())
    path = tmp_path / "case.fib"
    with open(path, "wb") as out:
        draft.write(out, manifest, bytes(64))
    return path


def test_the_film_is_a_real_mp4_of_a_few_megabytes(tmp_path: Path) -> None:
    (room,) = make_photos(tmp_path, 1, 7, (282345678, 1129388123), datetime(2026, 11, 21, 2, tzinfo=UTC))
    film = make_film(tmp_path / "MOV_1.mp4", room)
    with open(film, "rb") as stream:
        mime, told = media.examine(stream)
    assert mime == "video/mp4" and (told.width, told.height) == SIZE
    assert 1_000_000 < film.stat().st_size < 20_000_000


def test_a_forger_changes_one_bit_of_one_blob_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    forge(bundle, tmp_path / "forged.fib", "blobs/", one_bit, cover_up=False)
    before, after = bundle.read_bytes(), (tmp_path / "forged.fib").read_bytes()
    assert read_members(after)["changes/r.ndjson"] == ANSWER and len(before) == len(after)
    (blob,) = [content for name, content in read_members(after).items() if name.startswith("blobs/")]
    assert sum((one ^ other).bit_count() for one, other in zip(BLOB, blob, strict=True)) == 1


def test_a_forger_who_changes_an_answer_makes_the_manifest_s_digests_fit(bundle: Path, tmp_path: Path) -> None:
    forge(bundle, tmp_path / "forged.fib", "changes/", another_answer, cover_up=True)
    members = read_members((tmp_path / "forged.fib").read_bytes())
    manifest = read_manifest(members["bundle.json"])
    assert members["changes/r.ndjson"] == ANSWER.replace(b'{"answer":"no"', b'{"answer":"yes"')
    assert all(hashlib.sha256(members[one.name]).hexdigest() == one.sha256 for one in manifest.members)


def test_a_forger_who_finds_nothing_to_change_says_so(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        forge(bundle, tmp_path / "forged.fib", "acts", one_bit, cover_up=False)


def read_members(content: bytes) -> dict[str, bytes]:
    """Every member by its name without the prefix, read the strict way."""
    read = Bundle(io.BytesIO(content))
    return {name.removeprefix("fib/"): read.text(name.removeprefix("fib/")) for name in read.archive}
