"""Blobs: parts in any order and as often as needed, held only when hashed, safe at every point of a crash."""

import errno
import os
import random
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from server import acts
from server.evidence import imaging
from server.exchange import uploads
from server.storage import blobs, merkle, states
from server.storage.files import disk_full_told
from server.storage.tables_access import blob_mentions
from server.storage.tables_access import uploads as upload_rows
from sync.core.change import compose
from sync.core.errors import BrokenFile, DiskFull
from sync.core.log import leaf_hash, verify_inclusion
from sync.core.note import Verifier, open_note
from tests.support.pictures import film, heic, hollow_png, jpeg, pdf
from tests.support.server import TestDevice, TestServer, running_server, wsgi_server

PART = 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path)
    yield made
    made.instance.close()


@pytest.fixture
def device(server: TestServer) -> TestDevice:
    return server.enrol("inspector", "430102")


def content_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def begin(device: TestDevice, content: bytes, **changed: Any) -> dict[str, Any]:
    claim = {"sha256": sha256(content).hexdigest(), "size": len(content), "mime": "image/jpeg", "part_size": PART,
             "role": "original"}  # fmt: skip
    answer: dict[str, Any] = device.post("/blobs", claim | changed).json()
    return answer


def part(content: bytes, number: int) -> bytes:
    return content[(number - 1) * PART : number * PART]


def send(device: TestDevice, upload: str, content: bytes, numbers: list[int]) -> None:
    for number in numbers:
        assert device.put_part(upload, number, part(content, number)).status_code == 204


def check(server: TestServer, receipt: dict[str, Any], content: bytes) -> None:
    """A receipt holds: its act names the digest, is in the log, and the log's key signed the checkpoint."""
    keys = server.instance.keys
    note = open_note(receipt["checkpoint"], [Verifier(keys.open.origin, keys.open.log_public)])
    leaf = leaf_hash(merkle.act_leaf(receipt["act"].encode()))
    proof = [b64decode(one) for one in receipt["proof"]]
    assert verify_inclusion(leaf, receipt["leaf"], note.checkpoint.size, proof, note.checkpoint.root)
    assert f'"sha256":"{sha256(content).hexdigest()}","size":{len(content)}' in receipt["act"]


def files_below(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def test_a_blob_in_parts_is_held_and_the_receipt_holds(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    begun = begin(device, content)
    assert (begun["part_size"], begun["have"], begun["upload"][:2]) == (PART, [], "u-")
    send(device, begun["upload"], content, [3, 1, 2])
    done = device.post(f"/blobs/{begun['upload']}/complete").json()
    check(server, done["receipt"], content)
    path = server.instance.files.path(done["sha256"])
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o444
    assert files_below(server.instance.settings.uploads) == []


def test_a_part_sent_twice_is_stored_once(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1, 1, 1])
    assert device.get(f"/blobs/{upload}").json()["have"] == [1]
    assert files_below(server.instance.settings.uploads) == [f"{upload}/1.part"]


def test_other_bytes_under_the_same_number_are_a_conflict(device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1])
    response = device.put_part(upload, 1, bytes(PART))
    assert (response.status_code, response.json()["code"], response.json()["part"]) == (409, "part-conflict", 1)
    assert device.put_part(upload, 1, part(content, 1)).status_code == 204


def test_a_part_that_differs_from_its_digest_leaves_nothing(server: TestServer, device: TestDevice) -> None:
    upload = begin(device, content_of(2500))["upload"]
    response = device.put_part(upload, 1, bytes(PART), digest=sha256(b"other").digest())
    assert response.status_code in (400, 401)  # signed over the body, so the door may see it first
    assert files_below(server.instance.settings.uploads) == []


def test_a_part_damaged_on_the_way_leaves_nothing(server: TestServer, device: TestDevice) -> None:
    upload = begin(device, content_of(2500))["upload"]
    whole = bytes(PART)
    target = f"/api/v1/blobs/{upload}/parts/1"
    digest = b64encode(sha256(whole).digest()).decode()
    headers = device.headers("PUT", target, whole) | {"Content-Digest": f"sha-256=:{digest}:"}
    response = device.session.put(device.url + target, data=b"x" + whole[1:], headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "digest-mismatch")
    assert files_below(server.instance.settings.uploads) == []


@pytest.mark.parametrize(("size", "status"), [(PART - 1, 400), (PART + 1, 413), (0, 400)])
def test_a_part_of_the_wrong_length_is_refused(server: TestServer, device: TestDevice, size: int, status: int) -> None:
    upload = begin(device, content_of(2500))["upload"]
    assert device.put_part(upload, 1, bytes(size)).status_code == status
    assert files_below(server.instance.settings.uploads) == []


@pytest.mark.parametrize("number", [0, 4, 99999])
def test_a_part_that_the_plan_does_not_have_is_not_found(device: TestDevice, number: int) -> None:
    upload = begin(device, content_of(2500))["upload"]
    assert device.put_part(upload, number, b"x").status_code == 404


def test_an_upload_is_found_again_and_goes_on(device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [2])
    again = begin(device, content, part_size=700)
    assert (again["upload"], again["part_size"], again["have"]) == (upload, PART, [2])


def test_completing_without_all_parts_names_the_missing(device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [2])
    response = device.post(f"/blobs/{upload}/complete")
    assert (response.status_code, response.json()["code"], response.json()["numbers"]) == (409, "parts-missing", [1, 3])


def test_bytes_that_are_another_file_drop_the_upload(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content, sha256=sha256(b"another").hexdigest())["upload"]
    send(device, upload, content, [1, 2, 3])
    response = device.post(f"/blobs/{upload}/complete")
    assert (response.status_code, response.json()["code"]) == (400, "digest-mismatch")
    assert device.get(f"/blobs/{upload}").status_code == 404
    assert files_below(server.instance.settings.uploads) == files_below(server.instance.settings.blobs) == []


def test_completing_again_gives_the_receipt_again(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1, 2, 3])
    first, second = (device.post(f"/blobs/{upload}/complete").json() for _ in range(2))
    assert first["receipt"]["act"] == second["receipt"]["act"]
    check(server, second["receipt"], content)
    with server.instance.database.read() as conn:
        assert [act.body["act"] for act in acts.every(conn, "")] == ["device-enrolled", "blob-held"]


def test_a_part_that_comes_late_is_compared_with_the_blob(device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1, 2, 3])
    device.post(f"/blobs/{upload}/complete")
    assert device.put_part(upload, 3, part(content, 3)).status_code == 204
    assert device.put_part(upload, 2, bytes(PART)).status_code == 409
    assert device.get(f"/blobs/{upload}").json()["have"] == [1, 2, 3]


def test_the_sender_is_told_that_a_blob_is_held(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    device.send_blob(content)
    again = begin(device, content)
    assert again["held"] is True
    check(server, again["receipt"], content)


def test_the_same_blob_from_two_tablets_is_stored_once(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    first = device.send_blob(content)
    stranger = server.enrol("inspector", "430281")
    assert "upload" in begin(stranger, content)  # it is not told that somebody else has this file
    second = stranger.send_blob(content)
    assert first["receipt"]["act"] == second["receipt"]["act"]
    assert len(files_below(server.instance.settings.blobs)) == 1


def test_another_tablets_upload_does_not_exist(server: TestServer, device: TestDevice) -> None:
    upload = begin(device, content_of(2500))["upload"]
    stranger = server.enrol("inspector", "430102")
    assert stranger.get(f"/blobs/{upload}").status_code == 404
    assert stranger.put_part(upload, 1, bytes(PART)).status_code == 404
    assert stranger.post(f"/blobs/{upload}/complete").status_code == 404


def test_parts_may_be_larger_than_the_server_takes(server: TestServer, device: TestDevice) -> None:
    begun = begin(device, content_of(10), size=100 << 20, part_size=64 << 20)
    assert begun["part_size"] == server.instance.settings.body_bytes


# --- Crashes ------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The power goes: nothing after it runs, not even what tidies up errors."""


PUT_STEPS = ["os.fsync", "os.rename", "server.storage.files.sync_folder"]
COMPLETE_STEPS = [*PUT_STEPS, "server.storage.blobfiles.sync_folder", "server.storage.merkle.append_act",
                  "server.storage.blobs.hold", "server.storage.blobs.finish", "shutil.rmtree"]  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*(f"put {s}" for s in PUT_STEPS), *(f"complete {s}" for s in COMPLETE_STEPS)])
def test_a_crash_at_any_step_loses_nothing(
    server: TestServer, device: TestDevice, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    stage, _, name = step.partition(" ")
    send(device, upload, content, [1, 2] if stage == "put" else [1, 2, 3])
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, name, when)
        if stage == "put":
            device.put_part(upload, 3, part(content, 3))
        else:
            device.post(f"/blobs/{upload}/complete")
    send(device, upload, content, [1, 2, 3])
    done = device.post(f"/blobs/{upload}/complete").json()
    check(server, done["receipt"], content)
    assert server.instance.files.path(done["sha256"]).read_bytes() == content
    with server.instance.database.read() as conn:
        assert [act.body["act"] for act in acts.every(conn, "")] == ["device-enrolled", "blob-held"]


def crash_at(patch: pytest.MonkeyPatch, name: str, when: str) -> None:
    real = resolve_name(name)

    def crash(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            real(*args, **kwargs)
        patch.setattr("os.unlink", lambda *_: None)  # nobody tidies up after a power cut
        raise Crash

    patch.setattr(name, crash)


def test_a_full_disk_keeps_nothing_half(
    server: TestServer, device: TestDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1, 2])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("server.storage.blobfiles.write_all", full)
        response = device.put_part(upload, 3, part(content, 3))
        assert (response.status_code, response.json()["code"]) == (507, "disk-full")
    assert files_below(server.instance.settings.uploads) == [f"{upload}/1.part", f"{upload}/2.part"]
    send(device, upload, content, [3])
    with monkeypatch.context() as patch:
        patch.setattr("server.storage.blobfiles.write_all", full)
        assert device.post(f"/blobs/{upload}/complete").status_code == 507
    assert files_below(server.instance.settings.blobs) == []
    check(server, device.post(f"/blobs/{upload}/complete").json()["receipt"], content)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_really_full_says_so() -> None:
    with pytest.raises(DiskFull), disk_full_told(Path("/dev")), open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")


def test_two_requests_to_complete_do_not_disturb_each_other(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        device = server.enrol("inspector", "430102")
        content = content_of(400_000)
        upload = begin(device, content, part_size=100_000)["upload"]
        for number, start in enumerate(range(0, len(content), 100_000), start=1):
            assert device.put_part(upload, number, content[start : start + 100_000]).status_code == 204
        with ThreadPoolExecutor(4) as pool:
            answers = [f.result() for f in [pool.submit(device.post, f"/blobs/{upload}/complete") for _ in range(4)]]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert len({answer.json()["receipt"]["act"] for answer in answers}) == 1


def test_parts_may_come_in_parallel(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        device = server.enrol("inspector", "430102")
        content = content_of(50 * PART)
        upload = begin(device, content)["upload"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: send(device, upload, content, [n]), [*range(1, 51), *range(1, 51)]))
        check(server, device.post(f"/blobs/{upload}/complete").json()["receipt"], content)


# --- Housekeeping -------------------------------------------------------------------------------------------------


def age(folder: Path, days: int) -> None:
    for one in folder.rglob("*"):
        old = one.stat().st_mtime - days * 86_400
        os.utime(one, (old, old))


def test_an_upload_that_nobody_goes_on_with_expires(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1])
    now = server.clock()
    assert uploads.expire(server.instance.depot(""), now + 29 * 86_400_000) == []
    assert uploads.expire(server.instance.depot(""), now + 31 * 86_400_000) == [upload]
    assert files_below(server.instance.settings.uploads) == []
    assert device.get(f"/blobs/{upload}").status_code == 404


def test_an_upload_that_a_change_names_is_kept(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    upload = begin(device, content)["upload"]
    send(device, upload, content, [1])
    mention(server, sha256(content).hexdigest(), "r-1")
    assert uploads.expire(server.instance.depot(""), server.clock() + 400 * 86_400_000) == []


def test_what_a_crash_left_behind_is_swept(server: TestServer, device: TestDevice) -> None:
    device.send_blob(content_of(10))
    left = server.instance.settings.blobs / ".tmp-1234"
    left.write_bytes(b"half")
    orphan = server.instance.settings.uploads / "u-orphan"
    orphan.mkdir(parents=True)
    age(server.instance.settings.blobs, 2)
    uploads.expire(server.instance.depot(""), server.clock())
    assert not left.exists() and not orphan.exists()
    assert len(files_below(server.instance.settings.blobs)) == 1


# --- Back out -----------------------------------------------------------------------------------------------------


def mention(server: TestServer, digest: str, record: str) -> None:
    """A record that names the blob, written by the device that sent it."""
    with server.instance.database.write() as conn:
        sender = conn.scalar(select(upload_rows.c.device).where(upload_rows.c.sha256 == digest))
        conn.execute(blob_mentions.insert().values(sha256=digest, record=record, device=sender))


def placed(server: TestServer, digest: str, area: str) -> None:
    """A record in the area's bucket that names the blob."""
    with server.instance.database.write() as conn:
        record = server.instance.keys.new_id(server.clock())
        states.write(conn, [states.Write(record, "institution", 1, 0, b"{}", f"area:{area}")], {}, 0)
    mention(server, digest, record)


def test_a_blob_is_seen_where_a_record_in_scope_names_it(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    digest = device.send_blob(content)["sha256"]
    assert device.get(f"/blobs/{digest}").status_code == 404
    placed(server, digest, "430102003001")
    assert device.get(f"/blobs/{digest}").content == content
    elsewhere = server.enrol("inspector", "430281")
    assert elsewhere.get(f"/blobs/{digest}").status_code == 404
    assert begin(server.enrol("inspector", "4301"), content)["held"] is True


def test_a_blob_is_sent_in_ranges(server: TestServer, device: TestDevice) -> None:
    content = content_of(2500)
    digest = device.send_blob(content)["sha256"]
    placed(server, digest, "430102")
    response = device.get(f"/blobs/{digest}", Range="bytes=1000-1009")
    assert (response.status_code, response.content) == (206, content[1000:1010])
    assert response.headers["Content-Range"] == "bytes 1000-1009/2500"
    assert device.get(f"/blobs/{digest}", If_None_Match=response.headers["ETag"]).status_code == 304


def test_nothing_is_sent_as_a_page(server: TestServer, device: TestDevice) -> None:
    digest = device.send_blob(b"<script>alert(1)</script>", mime="text/html")["sha256"]
    placed(server, digest, "430102")
    response = device.get(f"/blobs/{digest}")
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == "attachment"
    assert "sandbox" in response.headers["Content-Security-Policy"]


def test_a_thumbnail_is_small_upright_and_knows_nothing_of_the_camera(server: TestServer, device: TestDevice) -> None:
    digest = device.send_blob(jpeg(1200, 900, orientation=6))["sha256"]
    placed(server, digest, "430102")
    response = device.get(f"/blobs/{digest}?width=320")
    assert response.headers["Content-Type"] == "image/jpeg"
    small = Image.open(BytesIO(response.content))
    assert small.size == (320, 427) and not small.getexif()
    assert device.get(f"/blobs/{digest}?width=321").status_code == 400


@pytest.mark.parametrize("content", [heic(1000, 500), film(size=(640, 480)), pdf()], ids=["heic", "film", "pdf"])
def test_what_a_browser_cannot_show_has_a_thumbnail_too(server: TestServer, device: TestDevice, content: bytes) -> None:
    digest = device.send_blob(content)["sha256"]
    placed(server, digest, "430102")
    response = device.get(f"/blobs/{digest}?width=320")
    assert response.headers["Content-Type"] == "image/jpeg"
    small = Image.open(BytesIO(response.content))
    assert small.width == 320 and not small.getexif()


def test_what_is_no_picture_has_no_thumbnail(server: TestServer, device: TestDevice) -> None:
    digest = device.send_blob(b"GIF89a and nothing else")["sha256"]
    placed(server, digest, "430102")
    response = device.get(f"/blobs/{digest}?width=320")
    assert (response.status_code, response.json()["code"]) == (400, "broken-file")
    assert device.get(f"/blobs/{digest}").status_code == 200


def test_a_picture_bomb_does_not_burst_the_server(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(hollow_png(20_000, 20_000))
    with pytest.raises(BrokenFile):
        imaging.thumbnail(tmp_path / "bomb.png", tmp_path / "derived", "0" * 64, 320)


# --- What changes name --------------------------------------------------------------------------------------------


def test_changes_tell_which_blobs_they_name() -> None:
    digest, own = "a" * 64, "b" * 64
    evidence = {"sha256": digest, "size": 1, "mime": "image/jpeg"}
    common: dict[str, Any] = {
        "record": "r",
        "by": [],
        "schema": 1,
        "hlc": "0" * 12 + "-0000",
        "clock": {"wall": 0, "mono": 0, "boot": "", "off": 0},
    }
    named = compose(id="c-1", kind="inspection", set={"evidence/1": (evidence, []), "note": ("x", [])}, **common)
    file = compose(id="c-2", kind="evidence", set={"sha256": (own, [])}, **common)
    plain = compose(id="c-3", kind="inspection", set={"note": ("sha256", [])}, **common)
    assert [blobs.named_in(one) for one in (named, file, plain)] == [{digest}, {own}, set()]


def test_missing_names_only_what_is_not_held(server: TestServer, device: TestDevice) -> None:
    held = device.send_blob(b"x" * 10)["sha256"]
    with server.instance.database.read() as conn:
        assert blobs.missing(conn, [held, "0" * 64]) == {"0" * 64}
        assert blobs.missing(conn, []) == set()


def test_a_courier_brings_a_blob_in_one_piece(server: TestServer, device: TestDevice) -> None:
    content = content_of(5000)
    digest = sha256(content).hexdigest()
    house = server.instance
    size = house.files.put(digest, BytesIO(content))
    uploads.take_whole(house.depot(""), device.id, digest, size, "image/jpeg", "original", 1)
    uploads.take_whole(house.depot(""), device.id, digest, size, "image/jpeg", "original", 2)
    with house.database.read() as conn:
        assert [act.body["act"] for act in acts.every(conn, "")] == ["device-enrolled", "blob-held"]
        assert blobs.totals(conn) == (1, 5000)
