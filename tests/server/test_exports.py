"""An undercover clip goes outside as a redacted copy, approved by two, in time, and the log knows before the file is there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from custody import sealing
from custody.pictures.orders import Redaction
from server import acts
from server.cli import main
from server.evidence import exports
from server.merging import decisions
from sync.core.errors import InvalidField, MinorsVisible, NotFound, NotLogged, Problem, Refused, WrongSealKey
from tests.server import test_handover
from tests.server.test_handover import DAY, World, world_in
from tests.support.pictures import camera_exif, encoded, scene

PHOTO = encoded(scene(640, 480), "JPEG", exif=camera_exif(1), comment=b"SECRET-COMMENT")
BOX = (100, 100, 200, 150)
UNTIL = "2026-12-01"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """As with hand-overs, but what the team sealed is a photo."""
    monkeypatch.setattr(test_handover, "FILM", PHOTO)
    with world_in(tmp_path) as made:
        yield made


def propose(world: World, name: str = "赵刚", **more: Any) -> str:
    said = {"film": False, "nobody": False, "recipient": "全省工作会", "purpose": "通报典型问题", "until": UNTIL} | more
    boxes = said.pop("boxes", (BOX,))
    return exports.propose(*world.who(name), world.evidence, Redaction(boxes), **said)


def approved(world: World, **more: Any) -> str:
    world.review()
    made = propose(world, **more)
    for name in ("赵刚", "钱敏"):
        exports.approve(*world.who(name), made)
    return made


def make(world: World, export: str, key: str = "43", out: str = "out.jpg") -> exports.Exported:
    return exports.make(*world.who("钱敏"), export, world.keys[key].secret, world.folder / out)


def test_what_two_people_approved_goes_out_redacted_and_the_sealed_log_says_so(world: World) -> None:
    export = approved(world)
    before = world.sizes()[0]
    made = make(world, export)
    content = (world.folder / "out.jpg").read_bytes()
    assert sha256(content).hexdigest() == made.sha256
    with Image.open(io.BytesIO(content)) as copy:
        assert all(high <= 8 for _, high in copy.crop((100, 100, 300, 250)).getextrema()) and not copy.getexif()
    assert b"SECRET" not in content
    opened, exported = world.acts("sealed", acts.OPENED, acts.EXPORTED)
    assert opened["blob"] == exported["blob"] == world.sha256 and exported["derived"] == made.sha256
    assert len(exported["approved_by"]) == 2 and exported["recipient"] == "全省工作会"
    assert world.sizes()[0] == before and not world.acts("", acts.OPENED, acts.EXPORTED)  # nothing in front of the wall
    assert world.seen("export", export).values["status"] == "exported"


def two_pages() -> bytes:
    """A red page and a blue one."""
    out, (first, second) = io.BytesIO(), (Image.new("RGB", (600, 800), colour) for colour in ("red", "blue"))
    first.save(out, "PDF", save_all=True, append_images=[second])
    return out.getvalue()


def test_a_page_of_a_sealed_pdf_goes_out_as_a_picture_and_the_page_is_what_was_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_handover, "FILM", two_pages())
    with world_in(tmp_path) as world:
        world.review()
        export = exports.propose(
            *world.who("赵刚"), world.evidence, Redaction((BOX,), page=2), film=False, nobody=False, recipient="全省工作会",
            purpose="通报典型问题", until=UNTIL,
        )  # fmt: skip
        assert world.seen("export", export).values["page"] == 2
        for name in ("赵刚", "钱敏"):
            exports.approve(*world.who(name), export)
        make(world, export, out="page.png")
        with Image.open(world.folder / "page.png") as page:
            red, _, blue = page.getpixel((page.width - 40, page.height - 40))
            assert page.format == "PNG" and red < 20 and blue > 200 and page.getpixel((150, 150)) == (0, 0, 0)


def test_a_page_or_a_moment_of_a_whole_film_is_refused(world: World) -> None:
    for wish in (Redaction((BOX,), page=2), Redaction((BOX,), at_ms=1000)):
        with pytest.raises(InvalidField):
            exports.propose(
                *world.who("赵刚"), world.evidence, wish, film=True, nobody=False, recipient="r", purpose="p", until=UNTIL
            )


def test_nothing_of_the_original_is_left_in_the_clear(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(exports, "_scratch", lambda size: str(scratch))
    make(world, approved(world))
    assert list(scratch.iterdir()) == []


def test_one_person_is_not_two(world: World) -> None:
    world.review()
    export = propose(world)
    assert exports.approve(*world.who("赵刚"), export) == 1
    with pytest.raises(Refused):
        exports.approve(*world.who("赵刚"), export)
    with pytest.raises(Refused):
        make(world, export)
    assert not world.acts("sealed", acts.OPENED)


def test_each_proposal_goes_out_once_and_never_over_a_file(world: World) -> None:
    export = approved(world)
    (world.folder / "out.jpg").write_bytes(b"x")
    with pytest.raises(Refused):
        make(world, export)
    assert not world.acts("sealed", acts.OPENED, acts.EXPORTED)
    make(world, export, out="a.jpg")
    with pytest.raises(Refused):
        make(world, export, out="b.jpg")
    assert len(world.acts("sealed", acts.EXPORTED)) == 1 and not (world.folder / "b.jpg").exists()


def test_after_its_day_it_has_to_be_proposed_anew(world: World) -> None:
    export = approved(world)
    assert world.server.clock.ms is not None
    world.server.clock.ms += 12 * DAY
    with pytest.raises(Refused, match="12-01"):
        make(world, export)
    assert not (world.folder / "out.jpg").exists() and not world.acts("sealed", acts.OPENED)


@pytest.mark.parametrize("until", ["2026-11-19", "2026-12-21"])
def test_the_limit_of_time_is_within_thirty_days(world: World, until: str) -> None:
    with pytest.raises(InvalidField):
        propose(world, until=until)


def test_without_a_box_somebody_has_to_say_that_nobody_could_be_known(world: World) -> None:
    with pytest.raises(InvalidField):
        propose(world, boxes=())
    assert propose(world, boxes=(), nobody=True)


def test_where_minors_are_visible_something_has_to_be_covered(world: World) -> None:
    world.review(minors=True)
    with pytest.raises(MinorsVisible):
        propose(world, boxes=(), nobody=True)
    assert propose(world)


def test_without_a_legality_review_nothing_is_approved(world: World) -> None:
    export = propose(world)
    exports.approve(*world.who("赵刚"), export)
    with pytest.raises(Problem):
        exports.approve(*world.who("钱敏"), export)
    with pytest.raises(Refused):
        make(world, export)


def test_a_proposal_that_was_changed_has_lost_its_approvals(world: World) -> None:
    world.review()
    export = propose(world)
    exports.approve(*world.who("赵刚"), export)
    house, person, rights = world.who("钱敏")
    decisions.write(house.desk, "export", export, {"boxes": [[0, 0, 1, 1]]}, by=[person.id], rights=rights)
    assert exports.approve(*world.who("钱敏"), export) == 1


def test_a_county_knows_of_no_proposal(world: World) -> None:
    export = approved(world)
    for name in ("周强", "孙浩"):
        with pytest.raises(NotFound):
            exports.make(*world.who(name), export, world.keys["43"].secret, world.folder / "out.jpg")
        with pytest.raises(Problem):
            propose(world, name)


@pytest.mark.parametrize("what", [acts.OPENED, acts.EXPORTED])
def test_where_the_log_cannot_be_written_no_byte_leaves(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    export, append = approved(world), acts.append

    def broken(conn: Any, compartment: str, kind: str, now: int, /, **said: Any) -> acts.Act:
        if kind == what:
            raise OSError("no space")
        return append(conn, compartment, kind, now, **said)

    monkeypatch.setattr(acts, "append", broken)
    with pytest.raises(NotLogged):
        make(world, export)
    assert not (world.folder / "out.jpg").exists()
    monkeypatch.undo()
    assert world.seen("export", export).values["status"] == "approved"


def test_the_log_is_written_before_the_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    export = approved(world)

    def full(target: Path, content: bytes, mode: int = 0o644) -> None:
        raise OSError("no space")

    monkeypatch.setattr(exports, "write_new", full)
    with pytest.raises(OSError, match="no space"):
        make(world, export)
    assert len(world.acts("sealed", acts.EXPORTED)) == 1


def test_another_key_opens_nothing(world: World) -> None:
    export = approved(world)
    with pytest.raises(WrongSealKey):
        make(world, export, key="430104")
    assert not world.acts("sealed", acts.OPENED, acts.EXPORTED)


def test_a_refused_proposal_does_not_go_out(world: World) -> None:
    export = approved(world)
    exports.refuse(*world.who("钱敏"), export, "可识别店主")
    with pytest.raises(Refused):
        make(world, export)


def test_the_whole_way_from_the_command_line(world: World) -> None:
    world.review()
    env = {"PATROLBOOK_DATA": str(world.house.settings.data), "PATROLBOOK_LANG": "en"}
    (world.folder / "province.age").write_bytes(sealing.lock_identity(world.keys["43"].secret, "p"))

    def said(*words: str) -> str:
        done = CliRunner().invoke(main, ["clip", *words], env=env)
        assert done.exit_code == 0, done.output
        return done.output

    world.server.clock.ms = None
    until = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")
    told = said("propose", world.evidence, "--box", "1,1,50,50", "--for", "x", "--purpose", "y", "--until", until, "--by", "赵刚")
    export = told.split("Proposed: ")[1].split()[0]
    said("approve", export, "--by", "赵刚")
    assert "clip make" in said("approve", export, "--by", "钱敏")
    out, key = world.folder / "cli.jpg", world.folder / "province.age"
    assert "leaf" in said("make", export, "--identity", str(key), "--passphrase", "p", "--out", str(out), "--by", "赵刚")
    assert out.exists() and "Exported" in said("list", "--by", "赵刚")
