"""Duplicate photos at the server: planted copies are found, of other areas no more than that, and a crash costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import main
from server.evidence import photos as looking
from server.storage import photos
from server.storage.photos import IndexShelf, PhotoIndex
from sync.core.errors import NotFound, Refused
from tests.support.photographs import NAMES, compressed, cropped, photograph
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA, FAR = "430102001001", "430203001001"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path)
    yield made
    made.instance.close()


class Inspector:
    """A tablet that sends evidence."""

    def __init__(self, server: TestServer, area: str) -> None:
        self.device: TestDevice = server.enrol("inspector", area[:6])
        self.area = area

    def sends(self, content: bytes, **more: Any) -> str:
        """A photo and its evidence record; the id of that."""
        evidence = self.records(content, **more)
        self.device.send_blob(content)
        return evidence

    def records(self, content: bytes, **more: Any) -> str:
        now = self.device.now()
        evidence = (
            more.pop("id", None)
            or f"{now:012x}"[:8] + f"-{now:012x}"[8:] + f"-7000-8000-{sha256(content).hexdigest()[:12]}"
        )
        values = {"subject": f"visit-{evidence}", "area": self.area, "sha256": sha256(content).hexdigest(),
                  "size": len(content), "mime": "image/jpeg", "role": "original"} | more  # fmt: skip
        (result,) = self.device.push(self.device.change("evidence", evidence, values))
        assert result["status"] == "accepted", result
        return evidence


@pytest.fixture
def near(server: TestServer) -> Inspector:
    return Inspector(server, AREA)


def found(server: TestServer, *areas: str) -> list[looking.Pair]:
    return list(looking.pairs(server.instance, areas or ("",)))


def test_a_cropped_copy_is_found_and_other_photographs_are_not(server: TestServer, near: Inspector) -> None:
    sent = [near.sends(compressed(photograph(name), 90)) for name in NAMES]
    copy = near.sends(compressed(cropped(photograph(NAMES[2])), 50))
    done = looking.catch_up(server.instance)
    assert done == (len(NAMES) + 1, 0, 1)
    (pair,) = found(server)
    assert {pair.found.record, pair.found.earlier} == {sent[2], copy} and pair.found.sort in ("part", "whole")


def test_the_same_file_in_two_records_is_found_whichever_came_first(server: TestServer, near: Inspector) -> None:
    content = compressed(photograph(NAMES[0]))
    near.sends(content, id="e-1")
    looking.catch_up(server.instance)
    near.records(content, id="e-2")
    looking.catch_up(server.instance)
    assert [(pair.found.record, pair.found.earlier, pair.found.sort) for pair in found(server)] == [
        ("e-2", "e-1", "identical")
    ]


def test_of_a_photo_outside_the_area_nothing_is_told_but_that_there_is_one(server: TestServer, near: Inspector) -> None:
    picture = photograph(NAMES[1])
    far = Inspector(server, FAR).sends(compressed(picture, 90), caption="秘密")
    own = near.sends(compressed(cropped(picture), 60))
    looking.catch_up(server.instance)
    (pair,) = found(server, "430102")
    assert pair.outside and pair.earlier == {} and pair.found.record == own
    assert far not in str(pair) and "秘密" not in str(pair)
    assert found(server, "430999") == []


def test_before_and_after_of_one_rectification_that_look_the_same_are_flagged(
    server: TestServer, near: Inspector
) -> None:
    picture = photograph(NAMES[3])
    near.sends(compressed(picture, 90), subject="hazard-1", stage="before")
    near.sends(compressed(picture, 50), subject="hazard-1", stage="after")
    looking.catch_up(server.instance)
    (pair,) = found(server)
    assert pair.repeated


def test_two_photos_of_one_visit_are_listed_only_when_all_are_asked_for(server: TestServer, near: Inspector) -> None:
    for quality in (90, 50):
        near.sends(compressed(photograph(NAMES[3]), quality), subject="visit-1")
    looking.catch_up(server.instance)
    assert found(server) == []
    assert len(list(looking.pairs(server.instance, everything=True))) == 1


def test_a_watermarked_copy_that_says_so_is_no_duplicate(server: TestServer, near: Inspector) -> None:
    picture = photograph(NAMES[0])
    original = near.sends(compressed(picture, 90))
    near.sends(compressed(picture, 60), role="derived", original=original, operation="watermark")
    looking.catch_up(server.instance)
    assert found(server) == []


def test_a_job_killed_at_any_step_goes_on_and_finds_the_same(
    server: TestServer, near: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    near.sends(compressed(photograph(NAMES[0]), 90))
    near.sends(compressed(cropped(photograph(NAMES[0])), 60))
    for step in ("keep_print", "digests_of", "keep_found", "looked_at"):
        with monkeypatch.context() as broken:

            def killed(*_: Any, **__: Any) -> None:
                raise KeyboardInterrupt

            broken.setattr(photos, step, killed)
            with pytest.raises(KeyboardInterrupt):
                looking.catch_up(server.instance)
    with monkeypatch.context() as broken:
        broken.setattr(PhotoIndex, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            looking.catch_up(server.instance)
    looking.catch_up(server.instance)
    assert len(found(server)) == 1


def test_an_index_that_is_gone_is_made_again_from_the_prints(server: TestServer, near: Inspector) -> None:
    near.sends(compressed(photograph(NAMES[0]), 90))
    looking.catch_up(server.instance)
    server.instance.settings.photo_index.unlink()
    near.sends(compressed(cropped(photograph(NAMES[0])), 60))
    looking.catch_up(server.instance)
    assert len(found(server)) == 1
    assert looking.rebuild(server.instance) == 2


def test_a_file_that_only_pretends_to_be_a_photo_stops_nothing(server: TestServer, near: Inspector) -> None:
    near.sends(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20)
    near.sends(compressed(photograph(NAMES[0])))
    assert looking.catch_up(server.instance) == (2, 1, 0)
    assert looking.catch_up(server.instance) == (0, 0, 0)


def test_the_tablets_own_fingerprint_counts_for_nothing(server: TestServer, near: Inspector) -> None:
    near.sends(compressed(photograph(NAMES[0])), fingerprint="00" * 35, id="e-1")
    near.sends(compressed(photograph(NAMES[0]), 50), fingerprint="ff" * 35, id="e-2")
    looking.catch_up(server.instance)
    assert len(found(server)) == 1


def test_two_jobs_at_once_are_refused(server: TestServer) -> None:
    with looking._alone(server.instance), pytest.raises(Refused):
        looking.catch_up(server.instance)


def test_a_key_that_many_photos_share_takes_no_more(tmp_path: Path) -> None:
    from custody.likeness import look

    index = PhotoIndex(tmp_path / "photos.db")
    index.create()
    held = look(photograph(NAMES[0])).print
    for number in range(1, 101):
        index.put([(number, held)])
    filled = PhotoIndex(tmp_path / "filled.db")
    filled.create()
    filled.fill(iter([(number, held) for number in range(1, 101)]))
    for one in (index, filled):
        shelf = IndexShelf(None, one)  # type: ignore[arg-type]
        key = int(held.keys()[0])
        assert shelf.under([key])[1].tolist() == list(range(1, 65))
        one.close()


def run(server: TestServer, *words: str) -> str:
    told = CliRunner().invoke(main, [*words, "--data", str(server.instance.settings.data), "--lang", "en"])
    assert told.exit_code == 0, told.output
    return told.output


def test_the_commands_find_list_and_compare(server: TestServer, near: Inspector, tmp_path: Path) -> None:
    picture = photograph(NAMES[4])
    near.sends(compressed(picture, 90), id="e-1")
    near.sends(compressed(cropped(picture), 60), id="e-2", repeat_reason="other", repeat_note="=1+1")
    assert "files wait" in run(server, "photos", "duplicates")
    assert "1 suspected" in run(server, "photos", "index")
    assert "cut out of the earlier one" in run(server, "photos", "duplicates")
    (told,) = json.loads(run(server, "photos", "duplicates", "--json", "--since", "2020-01-01"))
    assert told["record"]["repeat_reason"] == "other" and told["sort"] == "part"
    run(server, "photos", "duplicates", "--csv", str(tmp_path / "found.csv"))
    assert "e-2" in (tmp_path / "found.csv").read_text("utf-8-sig")
    assert "Suspected duplicate" in run(server, "photos", "compare", "e-1", "e-2")
    assert "Made the index again: 2" in run(server, "photos", "index", "--rebuild")


def test_comparing_what_is_not_there_says_so(server: TestServer) -> None:
    with pytest.raises(NotFound):
        looking.compared(server.instance, "e-1", "e-2")
