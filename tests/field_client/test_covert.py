"""Undercover capture: sealed while locked, taken in afterwards, and never to be read here again."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyrage
import pytest

from custody import captures, sealing
from custody.commitments import Part
from custody.digests import digests_of
from field_client.evidence import covert
from field_client.evidence.dropbox import CONTENT, SEGMENT_BYTES, About, DropBox, Stopped
from field_client.exchange import trustfile
from field_client.platform.clock import SystemClock
from field_client.platform.files import EncryptedFiles
from field_client.platform.pipes import Pipe
from field_client.tablet import Tablet
from server.proofs import trusts
from server.storage import blobs, merkle
from sync.core.errors import BadSignature, BrokenSeal, EmptyFile, NoSealKeys, Problem, Refused, WrongSealKey
from sync.core.trust import Seal
from tests.support.server import TestServer, running_server

FILM = b"\x00\x00\x00\x18ftypisom" + os.urandom(3_000_000)
AREA = "430104"
KEY, SEED = bytes(range(32)), bytes(range(1, 33))


class Team(NamedTuple):
    """A province with its seal key, its server, and an undercover team's enrolled tablet."""

    server: TestServer
    province: sealing.Identity
    tablet: Tablet
    root: bytes


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with running_server(tmp_path / "server") as server:
        house, province = server.instance, sealing.new_identity()
        root = trusts.create_root(tmp_path / "root.age", "p")
        trust = replace(
            trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None), seal=Seal(7, (province.recipient,))
        )
        trusts.publish(house.settings, trust, trusts.open_root(tmp_path / "root.age", "p"))
        home = tmp_path / "tablet"
        tablet = Tablet.create(home, KEY, SEED, EncryptedFiles(home / "blobs", KEY))
        tablet.enrol(server.url, server.code(server.person("team", AREA)), "T-1")
        assert tablet.sync().problem is None
        covert.settle(tablet)
        yield Team(server, province, tablet, root)
        tablet.close()


def film(tmp_path: Path) -> Path:
    path = tmp_path / "MOV_1.mp4"
    path.write_bytes(FILM)
    return path


def box(team: Team) -> DropBox:
    return DropBox(team.tablet.home, SystemClock())


def seal_film(team: Team, tmp_path: Path, audit: str = "") -> captures.Capture:
    return box(team).sealer().file(film(tmp_path), About(audit, "二楼教室", "MOV_1.mp4"))


# --- Sealing needs neither PIN nor store ----------------------------------------------------------------------------


def test_a_locked_tablet_seals_and_nothing_of_the_film_is_on_the_disk(team: Team, tmp_path: Path) -> None:
    team.tablet.close()
    capture = seal_film(team, tmp_path)
    piece = FILM[1_000_000:1_000_032]
    found = [path for path in team.tablet.home.rglob("*") if path.is_file() and piece in path.read_bytes()]
    assert found == [] and capture.seq == 1 and capture.size > len(FILM)
    assert "MOV_1" not in "".join(str(one.read_bytes()) for one in box(team).folder.rglob("*") if one.is_file())


def test_no_key_on_the_tablet_opens_what_it_sealed_and_the_province_s_does(team: Team, tmp_path: Path) -> None:
    seal_film(team, tmp_path)
    (entry,) = box(team).waiting()
    capture_key = box(team).key()
    assert capture_key is not None
    for raw in (KEY, SEED, capture_key.private_bytes_raw()):
        with pytest.raises(Problem):
            sealing.open_key(entry.key_file, _as_identity(raw))
    secret = sealing.open_key(entry.key_file, team.province.secret)
    facts = sealing.open_meta(entry.facts, team.province.secret)
    sealing.check_commitment(Part.FACTS, entry.capture.facts_commit, facts)
    with open(entry.content, "rb") as stream:
        plain = sealing.open_sealed(
            stream, secret, tmp_path / "out.mp4", sealed=(entry.capture.sha256, entry.capture.size), plain=None
        )
    assert (tmp_path / "out.mp4").read_bytes() == FILM
    assert plain == digests_of(io.BytesIO(FILM)) == sealing.plain_of(facts.meta) and facts.meta["mime"] == "video/mp4"


def test_what_the_team_told_is_apart_from_what_a_county_needs_to_check_the_film(team: Team, tmp_path: Path) -> None:
    box(team).sealer().file(film(tmp_path), About("青竹七", "二楼教室", "MOV_1.mp4", "林队的录像"))
    (entry,) = box(team).waiting()
    assert entry.capture.audit == ""  # a code name is no id: it is kept, and not in the statement
    facts, told = (sealing.open_meta(one, team.province.secret) for one in (entry.facts, entry.team))
    sealing.check_commitment(Part.TEAM, entry.capture.team_commit, told)
    assert (told.meta["name"], told.meta["note"], told.meta["audit"]) == ("MOV_1.mp4", "二楼教室", "青竹七")
    assert set(facts.meta) == {
        "v", "content", "plain", "mime", "source", "clock", "recording", "number", "last",
    }  # fmt: skip
    assert (facts.meta["mime"], facts.meta["source"], set(facts.meta["clock"])) == ("video/mp4", "file", {"began", "ended", "elapsed"})
    for part, commit in ((Part.TEAM, entry.capture.facts_commit), (Part.FACTS, entry.capture.team_commit)):
        with pytest.raises(BrokenSeal):  # neither can be shown in the place of the other
            sealing.check_commitment(part, commit, facts if part is Part.TEAM else told)


def test_a_film_with_a_hostile_name_is_sealed_like_any_other(team: Team, tmp_path: Path) -> None:
    hostile = os.fsdecode(b"MOV_\xff\xed\xa0\x80.mp4")
    box(team).sealer().file(film(tmp_path), About("", "二楼教室", hostile))
    (entry,) = box(team).waiting()
    assert sealing.open_meta(entry.team, team.province.secret).meta["name"] == "MOV_.mp4"


def _as_identity(raw: bytes) -> str:
    """32 bytes as an age identity, as a thief would try them."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    value = int.from_bytes(raw, "big") << 4
    words = [(value >> (5 * (51 - at))) & 31 for at in range(52)]
    hrp = [ord(sign) >> 5 for sign in "age-secret-key-"] + [0] + [ord(sign) & 31 for sign in "age-secret-key-"]
    check = 1
    for word in [*hrp, *words, 0, 0, 0, 0, 0, 0]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for at, mask in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= mask if (top >> at) & 1 else 0
    check ^= 1
    words += [(check >> 5 * (5 - at)) & 31 for at in range(6)]
    text = ("age-secret-key-1" + "".join(alphabet[word] for word in words)).upper()
    assert pyrage.x25519.Identity.from_str(text)
    return text


@pytest.mark.parametrize("spoil", ["nobody pinned", "no file", "another root", "no recipients"])
def test_without_anybody_to_seal_to_it_says_so_and_touches_nothing(team: Team, tmp_path: Path, spoil: str) -> None:
    home = team.tablet.home
    if spoil == "nobody pinned":
        (home / trustfile.ROOT).unlink()
    elif spoil == "no file":
        (home / trustfile.FILE).unlink()
    elif spoil == "another root":
        (home / trustfile.ROOT).write_bytes(b"A" * 43 + b"=\n")
    else:
        house = team.server.instance
        held = trusts.published(house.settings)
        assert held is not None
        bare = replace(held.trust, edition=2, seal=None)
        trusts.publish(house.settings, bare, trusts.open_root(tmp_path / "root.age", "p"))
        team.tablet.sync()
    with pytest.raises(NoSealKeys):
        seal_film(team, tmp_path)
    assert box(team).is_empty()


def test_another_root_afterwards_and_an_older_edition_are_not_believed(team: Team, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        trustfile.pin(team.tablet.home, bytes(32))
    held = trusts.published(team.server.instance.settings)
    assert held is not None
    assert not trustfile.keep(team.tablet.home, held.content, held.signature)
    with pytest.raises(BadSignature):
        trustfile.keep(team.tablet.home, held.content, bytes(64))


def test_an_empty_file_is_no_evidence(team: Team, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"")
    with pytest.raises(EmptyFile):
        box(team).sealer().file(tmp_path / "nothing", About())
    assert box(team).is_empty() and list(box(team).folder.glob(".new-*")) == []


def test_a_stop_keeps_nothing_of_a_file(team: Team, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        box(team).sealer().file(film(tmp_path), About(), stop=lambda: True)
    assert box(team).is_empty()


def test_a_stream_is_sealed_in_segments_that_are_safe_one_by_one(team: Team) -> None:
    content = os.urandom(2 * SEGMENT_BYTES + 5)
    made = list(box(team).sealer().stream(Pipe(io.BytesIO(content)), About()))
    assert [one.number for one in made] == [1, 2, 3] and [one.last for one in made] == [False, False, True]
    assert len({one.recording for one in made}) == 1 and captures.gaps(made) == []
    assert len(box(team).waiting()) == 3


def test_the_statements_form_a_chain_in_which_a_missing_one_shows(team: Team, tmp_path: Path) -> None:
    made = [seal_film(team, tmp_path) for _ in range(3)]
    assert captures.gaps(made) == [] and captures.gaps([made[0], made[2]]) == [range(2, 3)]


# --- Taking in ----------------------------------------------------------------------------------------------------


def test_after_unlocking_it_goes_to_the_server_and_counts_as_held(team: Team, tmp_path: Path) -> None:
    audit = team.tablet.write("audit", None, {"name": "青竹", "area": "430104001", "status": "open"}).record
    capture = seal_film(team, tmp_path, audit[-8:])
    assert covert.settle(team.tablet) == 1 and box(team).is_empty()
    report = team.tablet.sync()
    assert report.problem is None
    house = team.server.instance
    with house.database.read() as conn:
        assert blobs.holding(conn, capture.sha256, "sealed") is not None
        assert blobs.holding(conn, capture.sha256, "") is None and merkle.size(conn, "") == 0
    (count,) = covert.counts(team.tablet)
    assert (count.segments, count.held, count.ended) == (1, 1, True)
    values = team.tablet.values(capture.record)
    assert values["audit"] == audit and values["area"] == "430104001"
    assert house.files.path(capture.sha256).stat().st_size == capture.size


def test_the_tablet_s_own_store_hands_out_sealed_bytes_only(team: Team, tmp_path: Path) -> None:
    capture = seal_film(team, tmp_path)
    covert.settle(team.tablet)
    with closing(team.tablet.files.open(capture.sha256)) as stream:
        content = stream.read()
    assert content.startswith(b"age-encryption.org/v1") and FILM[5000:5032] not in content
    with pytest.raises(WrongSealKey):
        own = sealing.new_identity()
        sealing.open_key(_key_file(team, capture.record), own.secret)


def _key_file(team: Team, record: str) -> bytes:
    from base64 import b64decode

    return b64decode(team.tablet.values(record)["key_file"])


@pytest.mark.parametrize("step", ["shelve", "write", "attach", "clear"])
def test_a_crash_at_any_step_of_taking_in_loses_and_doubles_nothing(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    capture = seal_film(team, tmp_path)
    owner = {"shelve": EncryptedFiles, "write": Tablet, "attach": Tablet, "clear": DropBox}[step]

    def die(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, step, die)
        covert.settle(team.tablet)
    assert covert.settle(team.tablet) == 1
    assert covert.settle(team.tablet) == 0
    assert team.tablet.records("sealed_evidence") == [capture.record]
    assert team.tablet.sync().problem is None
    assert covert.counts(team.tablet)[0].held == 1


def test_a_damaged_statement_stays_where_it_is_and_is_told(team: Team, tmp_path: Path) -> None:
    seal_film(team, tmp_path)
    (folder,) = [one for one in box(team).folder.iterdir() if one.name.isdecimal()]
    (folder / "capture.json").write_bytes(b"{}")
    assert covert.settle(team.tablet) == 0 and box(team).damaged() == [folder]
    assert (folder / CONTENT).exists()


def test_a_killed_program_leaves_a_whole_object_or_nothing(team: Team, tmp_path: Path) -> None:
    """The process is killed while it seals a stream that never ends."""
    code = (
        "import sys; from pathlib import Path; from field_client.evidence.dropbox import *;"
        "from field_client.platform.clock import SystemClock; from field_client.platform.pipes import Pipe\n"
        "for one in DropBox(Path(sys.argv[1]), SystemClock()).sealer().stream(Pipe(sys.stdin.buffer), About()):\n"
        "    print(one.seq, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(team.tablet.home)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as camera:
        assert camera.stdin is not None and camera.stdout is not None
        camera.stdin.write(os.urandom(SEGMENT_BYTES + 1_000_000))
        camera.stdin.flush()
        assert camera.stdout.readline() == b"1\n"
        camera.kill()
    assert [one.capture.number for one in box(team).waiting()] == [1]
    assert covert.settle(team.tablet) == 1
