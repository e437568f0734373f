"""Anchors on the tablet: from one tablet to another, on paper, and what they say after a tablet was rolled back."""

from __future__ import annotations

import io
import re
import secrets
import shutil
from pathlib import Path

import pytest
import segno
from click.testing import CliRunner, Result
from PIL import Image

from custody.checks import examine
from field_client.cli import cli
from field_client.platform.keys import Secrets, Vault
from field_client.tablet import Tablet
from field_client.work import anchoring, inspecting
from field_client.work.printout import pdf
from schemas.kinds.inspection import Inspection
from server.proofs import bundles
from sync.core import anchors
from sync.core.change import chain_hash
from sync.core.errors import BadSignature, Malformed, NotAllowed, NotFound, Refused
from sync.core.rules import Rights
from sync.core.signing import document_hash, document_of
from tests.support.papers import codes, words
from tests.support.pictures import noise
from tests.support.server import running_server
from tests.support.tablets import AREA, institution, tablet_in

PIN = "480215"


def own_tablet(home: Path) -> Tablet:
    """A tablet with keys that no other one has."""
    return tablet_in(home, Secrets(secrets.token_bytes(32), secrets.token_bytes(32)))


@pytest.fixture
def tablet(tmp_path: Path) -> Tablet:
    return own_tablet(tmp_path / "home")


@pytest.fixture
def inspection(tablet: Tablet) -> str:
    return inspecting.start(tablet, institution(tablet))


# ---- between two tablets ---------------------------------------------------------------------------------------


def test_a_colleague_notes_where_the_chain_stands(tablet: Tablet, inspection: str, tmp_path: Path) -> None:
    colleague = own_tablet(tmp_path / "colleague")
    theirs = inspecting.start(colleague, institution(colleague))
    made = anchoring.scan(colleague, anchoring.show(tablet), theirs, "start")
    values = colleague.values(made)
    last = tablet.history(inspection)[-1]
    assert (values["replica"], values["n"]) == (tablet.store.replica, last.link.n)
    assert values["head"] == last.link.chain(last.change.hash) and values["key"] == tablet.public_key.hex()
    assert (values["sort"], values["inspection"], values["stage"]) == ("peer", theirs, "start")


def test_an_altered_anchor_is_refused_and_leaves_nothing(tablet: Tablet, inspection: str, tmp_path: Path) -> None:
    colleague = own_tablet(tmp_path / "colleague")
    theirs = inspecting.start(colleague, institution(colleague))
    parts = anchoring.show(tablet).split("|")
    parts[2] = str(int(parts[2]) + 1)
    with pytest.raises(BadSignature):
        anchoring.scan(colleague, "|".join(parts), theirs)
    with pytest.raises(Malformed):
        anchoring.scan(colleague, "|".join(parts[:-1]), theirs)
    with pytest.raises(Refused):
        anchoring.scan(tablet, anchoring.show(tablet), inspection)
    assert not colleague.records("anchor") and not tablet.records("anchor")


def test_a_tablet_that_wrote_nothing_has_nothing_to_anchor(tablet: Tablet) -> None:
    with pytest.raises(Refused):
        anchoring.show(tablet)


def test_an_undercover_team_writes_no_anchors(tmp_path: Path) -> None:
    with running_server(tmp_path / "server") as server:
        team = own_tablet(tmp_path / "team")
        team.enrol(server.url, server.code(server.person("team", "430102")), "T-9")
        other = own_tablet(tmp_path / "other")
        institution(other)
        with pytest.raises(NotAllowed):
            anchoring.scan(team, anchoring.show(other))
        assert not team.records("anchor")


# ---- on paper --------------------------------------------------------------------------------------------------


def test_the_printed_code_leads_back_to_chain_and_content(tablet: Tablet, inspection: str) -> None:
    inspecting.sign(tablet, inspection, "罗雨")
    before = tablet.store.outbox.head()
    printed = anchoring.anchor_document(tablet, inspection)
    document = document_hash(document_of(Inspection, inspection, tablet.values(inspection)))
    assert printed.text == f"PB1|{before.chain}|{before.n}|{document}"
    assert re.fullmatch("([0-9A-HJKMNP-TV-Z]{4}-){7}[0-9A-HJKMNP-TV-Z]{4}", printed.spoken)
    for code in (printed.text, printed.spoken, printed.spoken.lower().replace("-", " ")):
        found = anchoring.check(tablet, code)
        assert (found.word, found.unchanged, found.inspection) == ("agrees", True, inspection)
    inspecting.sign(tablet, inspection, "张某", "witness")
    assert anchoring.check(tablet, printed.spoken).unchanged is False


def test_printing_again_gives_the_same_bytes_and_no_second_anchor(tablet: Tablet, inspection: str) -> None:
    first = anchoring.anchor_document(tablet, inspection)
    bytes_then = pdf(tablet, inspection, first)
    inspecting.note(tablet, inspection, "与文书无关的备忘")
    again = anchoring.anchor_document(tablet, inspection)
    assert again.again and again.text == first.text and pdf(tablet, inspection, again) == bytes_then
    assert len(tablet.records("anchor")) == 1


def test_a_misheard_code_and_an_unknown_one_are_told_apart(tablet: Tablet, inspection: str) -> None:
    spoken = anchoring.anchor_document(tablet, inspection).spoken
    with pytest.raises(Malformed):
        anchoring.check(tablet, ("0" if spoken[0] != "0" else "1") + spoken[1:])
    with pytest.raises(NotFound):
        anchoring.check(tablet, anchors.spoken(anchors.Paper("ab" * 32, 3, "cd" * 32)))


def test_a_tablet_put_back_to_an_earlier_state_does_not_know_the_paper(tmp_path: Path) -> None:
    """Roll back: the restored tablet has lost the anchor, and its chain at that number is another one."""
    made = Secrets(secrets.token_bytes(32), secrets.token_bytes(32))
    tablet = tablet_in(tmp_path / "home", made)
    inspection = inspecting.start(tablet, institution(tablet))
    tablet.close()
    shutil.copytree(tmp_path / "home", tmp_path / "earlier")
    tablet = tablet_in(tmp_path / "home", made)
    inspecting.sign(tablet, inspection, "罗雨")
    paper = anchors.read_paper(anchoring.anchor_document(tablet, inspection).text)
    restored = tablet_in(tmp_path / "earlier", made)
    for number in range(3):
        inspecting.note(restored, inspection, f"另一番经过 {number}")
    with pytest.raises(NotFound):
        anchoring.check(restored, anchors.paper_text(paper))
    replica = restored.store.replica
    assert replica == tablet.store.replica and restored.store.outbox.chain_at(replica, paper.n) != paper.head
    # Whoever writes the anchor by hand into the restored tablet is found as well.
    restored.write("anchor", None, {"sort": "paper", "area": AREA, "replica": replica, "n": paper.n, "head": paper.head,
                                    "taken_at": "2026-11-22T08:00:00.000Z", "inspection": inspection,
                                    "document": paper.document})  # fmt: skip
    assert anchoring.check(restored, anchors.paper_text(paper)).word == "contradicts"


def test_the_heads_are_those_of_the_chain(tablet: Tablet) -> None:
    institution(tablet)
    (own,) = tablet.history(tablet.records("institution")[0])
    head = tablet.store.outbox.head()
    assert head == (own.link.replica, 1, chain_hash(own.link.replica, 1, own.link.prev, own.change.hash))
    assert tablet.store.outbox.chain_at(head.replica, 1) == head.chain
    assert tablet.store.outbox.chain_at(head.replica, 2) is None


def test_the_copy_shows_what_is_hashed_and_nothing_else(tablet: Tablet, inspection: str) -> None:
    tablet.write(
        "inspection", inspection, {"findings": "门口写着 <b>满员</b> & 收费", "notes/n1": {"text": "内部备忘"}}
    )
    inspecting.sign(tablet, inspection, "罗雨")
    made = anchoring.anchor_document(tablet, inspection)
    copy = pdf(tablet, inspection, made)
    assert "门口写着<b>满员</b>&收费" in words(copy) and "罗雨" in words(copy) and "内部备忘" not in words(copy)
    assert codes(copy) == [made.text]


# ---- as commands -----------------------------------------------------------------------------------------------


class Hand:
    def __init__(self, home: Path) -> None:
        self.env = {"PATROLBOOK_HOME": str(home), "PATROLBOOK_PIN": PIN, "XDG_RUNTIME_DIR": "", "PATROLBOOK_GUARD": "no"}

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(cli, list(words), env=self.env)

    def said(self, *words: str) -> str:
        result = self(*words)
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def hand(tmp_path: Path) -> tuple[Hand, str]:
    """A tablet with one inspection."""
    home = tmp_path / "cli"
    home.mkdir()
    made = Vault(home).create(PIN)
    tablet = tablet_in(home, made)
    inspection = inspecting.start(tablet, institution(tablet))
    tablet.close()
    return Hand(home), inspection


def test_the_commands_print_scan_and_check(hand: tuple[Hand, str], tablet: Tablet, tmp_path: Path) -> None:
    run, inspection = hand
    institution(tablet)
    shown = run.said("anchor", "show")
    assert "█" in shown or "▀" in shown
    assert anchors.vouched(anchors.scan(shown.strip().splitlines()[-1]))
    run.said("anchor", "scan", anchoring.show(tablet), "--inspection", inspection, "--stage", "end")
    said = run.said("inspect", "print", inspection, "--out", str(tmp_path / "copy.pdf"))
    spoken = re.search("核对码 (\\S+)", said)
    assert spoken is not None and spoken[1].replace("-", "") in words((tmp_path / "copy.pdf").read_bytes())
    assert "与文书相同" in run.said("anchor", "check", spoken[1])
    assert run("anchor", "check", "1234").exit_code == 1


def test_a_photo_of_the_other_screen_is_scanned(hand: tuple[Hand, str], tablet: Tablet, tmp_path: Path) -> None:
    run, inspection = hand
    institution(tablet)
    (tmp_path / "shown.svg").write_text("")
    run.said("anchor", "show", "--no-qr", "--to", str(tmp_path / "shown.svg"))
    assert "<svg" in (tmp_path / "shown.svg").read_text()
    run.said("anchor", "show", "--no-qr", "--to", str(tmp_path / "own.png"))
    own = run("anchor", "scan", str(tmp_path / "own.png"), "--inspection", inspection)
    assert own.exit_code == 1 and "本机自己" in own.output
    screen = noise(1800, 1200)
    code = io.BytesIO()
    segno.make(anchoring.show(tablet), error="m").save(code, kind="png", scale=6)
    screen.paste(Image.open(code).convert("RGB"), (500, 300))
    screen.save(tmp_path / "photo.jpg", quality=75)
    assert "已锚定" in run.said("anchor", "scan", str(tmp_path / "photo.jpg"), "--inspection", inspection)
    noise(600, 400).save(tmp_path / "wall.jpg")
    nothing = run("anchor", "scan", str(tmp_path / "wall.jpg"), "--inspection", inspection)
    assert nothing.exit_code == 1 and "没有看到锚定码" in nothing.output
    odd = run("anchor", "show", "--to", str(tmp_path / "shown.gif"))
    assert odd.exit_code == 1 and ".png" in odd.output


def test_a_copy_that_cannot_be_written_leaves_no_anchor(hand: tuple[Hand, str], tmp_path: Path) -> None:
    run, inspection = hand
    result = run("inspect", "print", inspection, "--out", str(tmp_path / "no" / "such" / "folder.pdf"))
    assert result.exit_code == 1 and "不能写入" in result.output
    first = run.said("inspect", "print", inspection, "--out", str(tmp_path / "copy.pdf"))
    assert "PB1|" in first and f"|{2}|" in first  # the third change is the anchor of the first two


def test_a_bundle_of_the_inspection_holds_the_head_that_is_on_its_paper(tmp_path: Path) -> None:
    with running_server(tmp_path / "server") as server:
        tablet = own_tablet(tmp_path / "home")
        tablet.enrol(server.url, server.code(server.person("officer", "430102")), "T-14")
        inspection = inspecting.start(tablet, institution(tablet))
        institution(tablet, "之后写的另一家")  # the head on the paper is of another record
        printed = anchoring.anchor_document(tablet, inspection)
        tablet.sync(until="records")
        file = tmp_path / "case.fib"
        everywhere = Rights("lead", ("43",))
        bundles.make(server.instance, inspection, file, purpose="随卷移送", by="p", rights=everywhere)
        with file.open("rb") as stream:
            found = {one.code: one for one in examine(stream, anchors=(printed.text,)).findings}
        assert found["V16"].outcome == "pass", found["V16"]
        assert found["V06"].outcome == "pass", found["V06"]
        with file.open("rb") as stream:  # without the paper too: its anchor is in the bundle
            found = {one.code: one for one in examine(stream).findings}
        assert found["V16"].outcome == "pass", found["V16"]
