"""A hand-over as a bundle: a stranger checks it against what the tablet committed to, and learns nothing of the team."""

from __future__ import annotations

import io
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from custody import archive, sealing
from custody.bundle import MANIFEST, Bundle
from custody.checks import Finding, examine
from field_client.evidence.dropbox import DropBox
from field_client.platform.clock import SystemClock
from schemas.kinds.sealed_evidence import SealedEvidence
from server.cli import main
from server.proofs import bundles
from server.work import handovers
from sync.core.change import canonical
from sync.core.errors import BrokenFile, BrokenSeal, NotReceived, WrongSealKey
from sync.core.note import fingerprint
from tests.server.test_handover import COUNTY, OTHER, World, world_in
from tests.support.bundles import members, packed

TOLD = ("二楼教室", "MOV_0731", "青竹", "暗访一组")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


def received(world: World) -> str:
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    return handover


def bundled(world: World, record: str, secret: str = "", by: str = "周强") -> bytes:
    house, person, rights = world.who(by)
    file = world.folder / f"{len(list(world.folder.iterdir()))}.fib"
    bundles.make(house, record, file, purpose="随案移送", by=person.id, rights=rights, secret=secret)
    return file.read_bytes()


def signed(world: World, content: bytes, **changed: bytes) -> bytes:
    """The bundle with other members, by somebody who holds the server's own key."""
    voice = world.house.keys.voice("")
    return packed(content, members(content) | changed, voice.sign, voice.replica_public)


def check(world: World, content: bytes) -> Finding:
    """What V21 finds; of the others at most the report's own digest of the bundle may object, to a forged one."""
    held = Bundle(io.BytesIO(content)).text("root.pub").decode()
    root = fingerprint(b64decode(held))
    found = {one.code: one for one in examine(io.BytesIO(content), root=root).findings}
    failed = {one.code for one in found.values() if one.outcome == "fail"}
    assert failed <= {"V19", "V21"}, found
    return found["V21"]


def test_the_facts_are_checked_and_what_the_team_told_is_said_not_to_be_disclosed(world: World) -> None:
    found = check(world, bundled(world, received(world), world.keys[COUNTY].secret))
    assert found.outcome == "pass"
    assert "the facts of 1 of them fit" in found.detail.en and "commitment only, not disclosed" in found.detail.en
    assert "只有承诺值，未披露" in found.detail.zh


def test_without_the_county_s_key_the_commitments_are_there_and_the_facts_are_not_checked(world: World) -> None:
    found = check(world, bundled(world, received(world)))
    assert found.outcome == "not-checked" and "the facts of 0 of them" in found.detail.en


def test_no_byte_of_the_bundle_and_nothing_that_the_county_can_open_leads_to_the_team(world: World) -> None:
    handover = received(world)
    content = bundled(world, handover, world.keys[COUNTY].secret)
    team = world.seen("sealed_evidence", world.evidence)
    keys = world.seen("handover", handover).names("keys")["1"]
    facts = sealing.open_meta(b64decode(keys["facts"]), world.keys[COUNTY].secret).meta
    ids = (world.audit, world.evidence, str(team.values["capture_key"]), str(team.values["team"]))
    for told in (*TOLD, *ids):
        for hay in (content, b64encode(content), canonical(facts), canonical(keys)):
            assert told.encode() not in hay
    assert set(keys) == {"key_file", "facts", "facts_commit", "team_commit"}
    for name in ("key_file", "facts"):
        assert b"MOV_0731" not in sealing._opened_small(b64decode(keys[name]), world.keys[COUNTY].secret, sealing._META)
    with pytest.raises(WrongSealKey):
        sealing.open_meta(b64decode(team.values["team"]), world.keys[COUNTY].secret)


def altered(line: dict[str, Any]) -> dict[str, Any]:
    return line | {"facts": line["facts"] | {"mime": "image/png"}}


def of_another_file(line: dict[str, Any]) -> dict[str, Any]:
    return line | {"object": "2"}


@pytest.mark.parametrize("change", [altered, of_another_file])
def test_facts_that_somebody_alters_in_the_bundle_are_found(world: World, change: Callable[[Any], Any]) -> None:
    content = bundled(world, received(world), world.keys[COUNTY].secret)
    line = orjson.loads(members(content)["disclosed.ndjson"])
    forged = signed(world, content, **{"disclosed.ndjson": canonical(change(line)) + b"\n"})
    assert check(world, forged).outcome == "fail"


def test_the_sealed_evidence_itself_is_checked_against_the_statement_of_its_capture(world: World) -> None:
    found = check(world, bundled(world, world.evidence, by="赵刚"))
    assert found.outcome == "pass" and "1 sealed files are as the capture key stated" in found.detail.en


def test_the_verifier_inside_checks_it_without_this_project(world: World, tmp_path: Path) -> None:
    content = bundled(world, received(world), world.keys[COUNTY].secret)
    case = tmp_path / "alone" / "case.fib"
    case.parent.mkdir()
    case.write_bytes(content)
    (case.parent / "verify.py").write_bytes(Bundle(io.BytesIO(content)).text("verify.py"))
    words = [sys.executable, "-I", "verify.py", case.name, "--lang", "en", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=case.parent, check=False)
    assert ["V21", "pass"] in [one[:2] for one in orjson.loads(done.stdout)["findings"]], done.stdout


def test_facts_are_disclosed_only_after_the_receipt_and_with_the_county_s_own_key(world: World) -> None:
    handover = world.released()
    with pytest.raises(NotReceived):
        bundled(world, handover, world.keys[COUNTY].secret)
    handovers.receive(*world.who("周强"), handover)
    with pytest.raises(WrongSealKey):
        bundled(world, handover, world.keys[OTHER].secret)


def test_at_the_command_line_the_county_puts_its_key_to_it(world: World) -> None:
    handover, key, out = received(world), world.folder / "county.age", world.folder / "case.fib"
    key.write_bytes(sealing.lock_identity(world.keys[COUNTY].secret, "竹子"))
    env = {"PATROLBOOK_DATA": str(world.house.settings.data), "PATROLBOOK_PASSPHRASE": "竹子"}
    words = ["bundle", handover, "--purpose", "随案移送", "--out", str(out), "--identity", str(key), "--by", "周强"]
    assert CliRunner().invoke(main, words, env=env, catch_exceptions=False).exit_code == 0
    assert check(world, out.read_bytes()).outcome == "pass"


# --- What older programs wrote --------------------------------------------------------------------------------------


def test_a_bundle_of_the_first_version_is_refused_in_words(world: World) -> None:
    content, out = bundled(world, received(world)), io.BytesIO()
    writer = archive.Writer(out)
    for member in archive.read(io.BytesIO(content)):
        held = content[member.start : member.start + member.size]
        writer.add(member.name, held.replace(b'"v":2', b'"v":1') if member.name == MANIFEST else held)
    writer.close()
    old = out.getvalue()
    with pytest.raises(BrokenFile) as refused:
        examine(io.BytesIO(old))
    assert "第 1 版" in refused.value.text("zh") and "version 1" in refused.value.text("en")


def test_sealed_evidence_of_the_first_version_counts_for_nothing_and_says_what_to_do(world: World) -> None:
    """Over the wire and in a courier alike: kept in quarantine, since other work travels with it."""
    tablet = world.server.enrol("team", COUNTY)
    values = {"area": COUNTY, "recording": "r-1", "number": 1, "sha256": "ab" * 32, "size": 9, "key_file": "QUFB",
              "recipients_version": 1, "commit": "0" * 64, "meta": "QUFB"}  # fmt: skip
    (told,) = tablet.push(tablet.change(SealedEvidence.kind, world.house.keys.new_id(1), values, schema=1))
    assert (told["status"], told["reason"]) == ("quarantined", "unknown-field")
    assert "第 1 版" in told["detail"] and "请升级平板程序" in told["detail"]


def test_what_waits_in_a_drop_box_since_the_first_version_is_kept_and_not_taken_in(world: World) -> None:
    box = DropBox(world.folder / "tablet", SystemClock())
    folder = box.folder / "00000009"
    folder.mkdir(parents=True)
    (folder / "capture.json").write_bytes(
        orjson.dumps({"statement": '{"v":1}', "sig": "", "key": "", "key_file": "", "meta": ""})
    )
    assert box.waiting() == [] and box.damaged() == [folder]


def test_a_hand_over_of_the_first_version_is_not_opened_and_says_what_to_do(world: World) -> None:
    with pytest.raises(BrokenSeal) as refused:
        handovers.facts_of(
            {"sha256": world.sha256}, {"key_file": "", "meta": "", "commit": ""}, world.keys[COUNTY].secret
        )
    assert "重新交办" in refused.value.text("zh")
