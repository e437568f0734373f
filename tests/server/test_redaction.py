"""Redacted copies at the desk, and minors: what leaves, what the log says of it, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from server import acts
from server.cli import main
from server.evidence import minors
from server.reading import finding
from tests.support.pictures import camera_exif, encoded, scene
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430102001001"
PHOTO = encoded(scene(640, 480), "JPEG", exif=camera_exif(1), comment=b"SECRET-COMMENT")
DIGEST = sha256(PHOTO).hexdigest()
VISIT, PHOTO_ID = "01a202f7-0e2e-7a03-a06d-0afab0ed9a61", "01a202f7-0e2e-7a03-a06d-0afab0ed9a62"


class Desk:
    """A server with one photo of one visit, and the command line beside it."""

    def __init__(self, folder: Path, server: TestServer) -> None:
        self.folder, self.server = folder, server
        device: TestDevice = server.enrol("inspector", "430102")
        visit = device.change("inspection", VISIT, {"area": AREA, "name": "学雅口才", "mode": "patrol"})
        values = {"subject": VISIT, "subject_kind": "inspection", "area": AREA, "sha256": DIGEST, "size": len(PHOTO),
                  "mime": "image/jpeg", "role": "original"}  # fmt: skip
        photo = device.change("evidence", PHOTO_ID, values)
        named = {f"evidence/{PHOTO_ID}": {"sha256": DIGEST, "size": len(PHOTO), "mime": "image/jpeg"}}
        link = device.change("inspection", VISIT, named)
        for result in device.push(visit, photo, link):
            assert result["status"] == "accepted", result
        device.send_blob(PHOTO)
        server.person("staff", "430102", name="赵刚")

    def __call__(self, *words: str) -> Result:
        env = {"PATROLBOOK_DATA": str(self.server.instance.settings.data), "PATROLBOOK_LANG": "en"}
        return CliRunner().invoke(main, [*words, "--by", "赵刚"], env=env)

    def said(self, *words: str) -> str:
        done = self(*words)
        assert done.exit_code == 0, done.output
        return done.output

    def refused(self, *words: str) -> str:
        done = self(*words)
        assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.output
        return done.output

    def redacted(self, *words: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(
            self.said("evidence", "redact", DIGEST[:12], "--box", "100,100,200,150", "--reason", "遮挡面部", "--json", *words)
        )
        return told

    def record(self, id: str) -> dict[str, Any]:
        with self.server.instance.database.read() as conn:
            return finding.read(self.server.instance, conn, id).values

    def acts(self, what: str) -> list[dict[str, Any]]:
        with self.server.instance.database.read() as conn:
            return [{**one.body, "leaf": one.leaf} for one in acts.every(conn, "", what)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    server = wsgi_server(tmp_path)
    yield Desk(tmp_path, server)
    server.instance.close()


def test_a_redacted_copy_is_evidence_of_its_own_that_names_its_original(desk: Desk) -> None:
    made = desk.redacted()
    values = desk.record(made["evidence"])
    assert (values["role"], values["operation"], values["original"]) == ("derived", "redact", PHOTO_ID)
    assert values["parameters"]["boxes"] == [[100, 100, 200, 150]] and values["parameters"]["original_sha256"] == DIGEST
    assert "Pillow" in values["tool"] and values["subject"] == VISIT and values["sha256"] == made["sha256"]
    content = desk.server.instance.files.path(made["sha256"]).read_bytes()
    assert sha256(content).hexdigest() == made["sha256"] and len(content) == values["size"]
    assert desk.record(PHOTO_ID)["sha256"] == DIGEST
    assert desk.server.instance.files.path(DIGEST).read_bytes() == PHOTO


def test_nothing_of_what_was_covered_is_in_the_copy(desk: Desk) -> None:
    content = desk.server.instance.files.path(desk.redacted()["sha256"]).read_bytes()
    with Image.open(io.BytesIO(content)) as copy, Image.open(io.BytesIO(PHOTO)) as original:
        assert all(high <= 8 for _, high in copy.crop((100, 100, 300, 250)).getextrema())
        assert any(high > 100 for _, high in original.crop((100, 100, 300, 250)).getextrema())
        assert not copy.getexif() and "comment" not in copy.info
    assert b"SECRET" not in content and b"Exif" not in content


def test_the_log_says_what_was_made_of_what_by_whom(desk: Desk) -> None:
    made = desk.redacted()
    (act,) = desk.acts(acts.DERIVED)
    assert (act["blob"], act["derived"], act["record"]) == (DIGEST, made["sha256"], made["evidence"])
    assert act["leaf"] == made["leaf"] and act["by"]


def test_a_smaller_picture_of_the_copy_is_made_of_the_copy(desk: Desk) -> None:
    made = desk.redacted()
    reader = desk.server.enrol("inspector", "430102")
    small = reader.get(f"/blobs/{made['sha256']}?width=320")
    assert small.status_code == 200, small.text
    with Image.open(io.BytesIO(small.content)) as shown:
        assert all(high <= 16 for _, high in shown.crop((55, 55, 145, 120)).getextrema())


@pytest.mark.parametrize(
    "words",
    [["--box", "9000,1,5,5"], []],
)
def test_without_a_box_inside_the_picture_nothing_is_made(desk: Desk, words: list[str]) -> None:
    desk.refused("evidence", "redact", DIGEST[:12], *words, "--reason", "x")
    assert not desk.acts(acts.DERIVED)


def test_evidence_of_another_area_does_not_exist_for_whoever_asks(desk: Desk) -> None:
    desk.server.person("staff", "430203", name="钱多")
    env = {"PATROLBOOK_DATA": str(desk.server.instance.settings.data), "PATROLBOOK_LANG": "en"}
    for words in (["redact", DIGEST[:12], "--box", "1,1,5,5", "--reason", "x"], ["minors", DIGEST[:12], "visible"]):
        done = CliRunner().invoke(main, ["evidence", *words, "--by", "钱多"], env=env)
        assert done.exit_code == 1 and not desk.acts(acts.DERIVED)


# ---- minors ------------------------------------------------------------------------------------------------


def test_a_file_in_which_minors_are_visible_is_not_exported_and_the_next_step_is_told(desk: Desk) -> None:
    out = desk.folder / "a.jpg"
    desk.said("evidence", "export", DIGEST[:12], str(out), "--purpose", "案审会")
    assert out.read_bytes() == PHOTO and len(desk.acts(acts.EXPORTED)) == 1
    out.unlink()
    desk.said("evidence", "minors", DIGEST[:12], "visible")
    told = desk.refused("evidence", "export", DIGEST[:12], str(out), "--purpose", "案审会")
    assert "evidence redact" in told and not out.exists() and len(desk.acts(acts.EXPORTED)) == 1


def test_a_copy_may_go_only_where_somebody_said_that_it_covers_them(desk: Desk) -> None:
    desk.said("evidence", "minors", DIGEST[:12], "visible")
    some, all_ = desk.redacted(), desk.redacted("--hides-minors", "--box", "300,200,40,40")
    desk.refused("evidence", "export", some["evidence"], str(desk.folder / "a.jpg"), "--purpose", "x")
    desk.said("evidence", "export", all_["evidence"], str(desk.folder / "b.jpg"), "--purpose", "x")
    desk.refused("evidence", "minors", DIGEST[:12], "hidden")


def bundled(desk: Desk, *words: str) -> set[str]:
    """The digests of the files in a bundle of the visit."""
    target = desk.folder / f"{len(list(desk.folder.iterdir()))}.fib"
    desk.said("bundle", VISIT, "--purpose", "随卷移送", "--out", str(target), *words)
    with zipfile.ZipFile(target) as opened:
        return {name.rpartition("/")[2] for name in opened.namelist() if "/blobs/" in name}


def test_a_bundle_has_the_covered_copy_in_place_of_the_original_unless_it_says_so(desk: Desk) -> None:
    assert DIGEST in bundled(desk)
    desk.said("evidence", "minors", DIGEST[:12], "visible")
    told = desk.refused("bundle", VISIT, "--purpose", "x", "--out", str(desk.folder / "no.fib"))
    assert "evidence redact" in told and not (desk.folder / "no.fib").exists()
    made = desk.redacted("--hides-minors")
    assert bundled(desk) == {made["sha256"]}
    assert bundled(desk, "--with-minors") == {made["sha256"], DIGEST}
    assert [act.get("minors") for act in desk.acts(acts.EXPORTED)] == [None, None, True]


def test_a_copy_shows_what_its_original_shows() -> None:
    evidence: dict[str, dict[str, Any]] = {
        "o": {"role": "original", "minors": "visible"},
        "mark": {"role": "derived", "original": "o"},
        "cut": {"role": "derived", "original": "mark"},
        "black": {"role": "derived", "original": "o", "minors": "hidden"},
        "mark of black": {"role": "derived", "original": "black"},
        "other": {"role": "original", "minors": "none"},
        "loop": {"role": "derived", "original": "loop"},
    }
    assert minors.exposing(evidence) == {"o", "mark", "cut"}


def test_an_export_that_the_log_cannot_tell_of_writes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.evidence.redaction.acts.append", broken)
    desk.refused("evidence", "export", DIGEST[:12], str(desk.folder / "a.jpg"), "--purpose", "x")
    assert not (desk.folder / "a.jpg").exists()


def broken(*_: object, **__: object) -> None:
    raise OSError("no space")
