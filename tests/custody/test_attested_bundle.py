"""A bundle whose log others spoke about: witnesses that cosigned it, an authority that stamped it, and the times that follow.

Everything is real: two witnesses and `openssl ts` behind loopback sockets. Whoever takes something away, or puts in a voice
that nobody named, is found by the check whose business it is.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from custody import digests, timestamps
from custody.bundle import Bundle, base64, joined
from custody.checks import Verdict
from custody.report import read_report
from server.keys import ServerKeys
from server.proofs import bundles, stamping, trusts, witnesses
from server.proofs.stamping import Authority as Asked
from sync.core.note import Checkpoint, body_of, checkpoint_body, cosignature_line, lines_of, sign_note
from tests.support.bundles import AREA, EVERYWHERE, PHOTO, Texts, checked, lines, members, outcomes, packed, render
from tests.support.server import TestServer, wsgi_server
from tests.support.stampers import Authority, running_authority
from tests.support.witnesses import Running, publish_trust, running_witness
from witness.book import Book

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
JW, CITY = "jw.example/witness", "city.example/witness"


class Day(NamedTuple):
    """A bundle, and the times (milliseconds) between which its photo was really taken."""

    content: bytes
    root: str
    server: TestServer
    jw: Running
    tsa: Authority
    other: Authority
    record: str
    between: tuple[int, int]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Stamped; a photo by a tablet that had seen that; stamped and witnessed; a bundle."""
    folder = tmp_path_factory.mktemp("day")
    server = wsgi_server(folder)
    house = server.instance
    with (
        running_witness(folder / "jw", JW, house) as jw,
        running_witness(folder / "city", CITY, house) as city,
        running_authority(folder / "tsa") as tsa,
    ):
        root = publish_trust(house, folder, [jw.named, city.named], 2, stampers=(trusts.stamper(tsa.root.encode()),))
        stamping.set_authorities(house, [Asked(tsa.url)], 60, "p-1")
        device = server.enrol("officer", AREA[:6])
        assert not [one.problem for one in stamping.stamp(house) if one.problem]
        start = int(time.time() * 1000)
        seen = seen_by(device.get("/log/checkpoint").text)
        inspection, evidence = (ServerKeys.new_id(server.clock()) for _ in range(2))
        digest = sha256(PHOTO).hexdigest()
        mention = {"sha256": digest, "size": len(PHOTO), "mime": "image/jpeg"}
        visit = {
            "name": "某培训中心",
            "area": AREA,
            "mode": "patrol",
            "status": "draft",
            f"evidence/{evidence}": mention,
        }
        photo = {
            "subject": inspection, "subject_kind": "inspection", "area": AREA, **mention, "role": "original",
            "tree": digests.digests_of(io.BytesIO(PHOTO)).tree, "sm3": digests.sm3_of(io.BytesIO(PHOTO)), "source": "camera",
        }  # fmt: skip
        device.push(
            device.change("evidence", evidence, photo, seen=seen), device.change("inspection", inspection, visit)
        )
        device.send_blob(PHOTO)
        end = int(time.time() * 1000)
        assert not [one.problem for one in (*stamping.stamp(house), *witnesses.ask(house)) if one.problem]
        device.push(
            device.change(
                "inspection", inspection, {"findings": "三间教室"}, seen=seen_by(device.get("/log/checkpoint").text)
            )
        )
        server.enrol("officer", AREA[:6])
        file = folder / "case.fib"
        made = bundles.make(house, inspection, file, purpose="随卷移送", by="p-1", rights=EVERYWHERE)
        assert [one.problem for one in made.asked if one.problem] == []
        other = Authority(folder / "other")
        yield Day(file.read_bytes(), root, server, jw, tsa, other, inspection, (start, end))
    house.close()


def seen_by(note: str) -> dict[str, Any]:
    _, size, root, *_ = note.split("\n")
    return {"size": int(size), "root": b64decode(root).hex()}


def detail(verdict: Verdict, code: str) -> str:
    return next(one.detail.en for one in verdict.findings if one.code == code)


def server_signed(day: Day, alter: Callable[[Day, Texts], None]) -> bytes:
    """Altered by the server itself, which holds the key that signs manifests: only others' voices can tell."""
    texts = members(day.content)
    alter(day, texts)
    voice = day.server.instance.keys.voice("")
    return packed(day.content, texts, voice.sign, voice.replica_public)


def test_an_honest_bundle_has_its_quorum_its_stamps_and_a_bracket_in_clock_time(day: Day) -> None:
    verdict = checked(day.content, day.root, render=render)
    found = outcomes(verdict)
    assert {code for code, outcome in found.items() if outcome == "fail"} == set(), verdict.findings
    assert [found[code] for code in ("V11", "V12", "V13", "V14", "V19")] == ["pass"] * 5 and verdict.status == 0
    assert "2 time stamps" in detail(verdict, "V13")
    assert "not before" in detail(verdict, "V14") and "not after" in detail(verdict, "V14")


def test_the_bracket_holds_the_true_time_and_is_as_close_as_the_stamps_are(day: Day) -> None:
    """C3, with what others said alone: the server's own clock is in none of it."""
    report = read_report(Bundle(io.BytesIO(day.content)).text("report.json"))
    (item,) = report.items
    start, end = day.between
    assert item.not_before is not None and item.not_after is not None
    assert item.not_before <= start and end - 1000 <= item.not_after
    assert item.not_after - item.not_before < (end - start) + 60_000
    assert "时间戳" in item.not_before_by and ("时间戳" in item.not_after_by or "见证" in item.not_after_by)


# --- Attacks --------------------------------------------------------------------------------------------------------


def newest_note(texts: Texts) -> tuple[list[dict[str, Any]], int]:
    held = lines(texts, "checkpoints.ndjson")
    return held, next(at for at, line in enumerate(held) if "note" in line)


def removed_cosignature(day: Day, texts: Texts) -> None:
    held, at = newest_note(texts)
    note = held[at]["note"]
    held[at]["note"] = "".join([body_of(note), "\n", *(line for line in lines_of(note) if CITY not in line)])
    texts["checkpoints.ndjson"] = joined(held)


def foreign_witness(day: Day, texts: Texts) -> None:
    removed_cosignature(day, texts)
    held, at = newest_note(texts)
    held[at]["note"] += cosignature_line(body_of(held[at]["note"]), CITY, b"\x44" * 32, int(time.time()))
    texts["checkpoints.ndjson"] = joined(held)


def one_witness_twice(day: Day, texts: Texts) -> None:
    removed_cosignature(day, texts)
    held, at = newest_note(texts)
    held[at]["note"] += cosignature_line(body_of(held[at]["note"]), JW, day.jw.book._seed, int(time.time()) + 1)
    texts["checkpoints.ndjson"] = joined(held)


def bent_cosignature(day: Day, texts: Texts) -> None:
    held, at = newest_note(texts)
    *first, last = lines_of(held[at]["note"])
    name, _, blob = last.removeprefix("— ").rstrip("\n").partition(" ")
    raw = bytearray(b64decode(blob))
    raw[8] ^= 1  # its time
    held[at]["note"] = "".join([body_of(held[at]["note"]), "\n", *first, f"— {name} {base64(bytes(raw))}\n"])
    texts["checkpoints.ndjson"] = joined(held)


def stamps(texts: Texts) -> list[str]:
    """The stamps by the size of the checkpoint that each is over: their names follow their hashes, which are chance."""
    named = (name for name in texts if name.endswith(".tsr"))
    return sorted(named, key=lambda name: int(texts[name.replace(".tsr", ".note")].split(b"\n")[1]))


def first_stamp(texts: Texts) -> str:
    """The one that the log tells of: it dates what the tablet had seen."""
    told = {json.loads(one["act"])["stamp"] for one in lines(texts, "acts.ndjson") if '"stamped"' in one["act"]}
    return next(name for name in stamps(texts) if sha256(texts[name]).hexdigest() in told)


def last_stamp(texts: Texts) -> str:
    return stamps(texts)[-1]


def stamp_by_somebody_else(day: Day, texts: Texts) -> None:
    name = last_stamp(texts)
    texts[name] = day.other.stamp(texts[name.replace(".tsr", ".note")])


def stamp_of_something_else(day: Day, texts: Texts) -> None:
    texts[last_stamp(texts)] = day.tsa.stamp(b"something else")


def stamp_of_the_other_checkpoint(day: Day, texts: Texts) -> None:
    texts[last_stamp(texts)] = texts[first_stamp(texts)]


def bent_stamp(day: Day, texts: Texts) -> None:
    name = last_stamp(texts)
    token = timestamps.read(texts[name])
    written = datetime.fromtimestamp(token.at / 1000, UTC).strftime("%Y%m%d%H%M%SZ").encode()
    assert texts[name].count(written) >= 1
    texts[name] = texts[name].replace(written, written.replace(b"2026", b"2025", 1).replace(b"2027", b"2025", 1))


def backdated_stamp(day: Day, texts: Texts) -> None:
    """An authority that does what the server asks: its key, another time. The earlier stamp in the log gives it away."""
    name = last_stamp(texts)
    texts[name] = day.tsa.signed(texts[name.replace(".tsr", ".note")], datetime.now(UTC) - timedelta(hours=1))


def stamp_left_out(day: Day, texts: Texts) -> None:
    name = first_stamp(texts)
    held = lines(texts, "attested.ndjson")
    short = name.removeprefix("stamps/").removesuffix(".tsr")
    texts["attested.ndjson"] = joined([line | {"stamps": [s for s in line["stamps"] if s != short]} for line in held])


def other_note_beside_the_stamp(day: Day, texts: Texts) -> None:
    texts[last_stamp(texts).replace(".tsr", ".note")] += b"\n"


def attested_fork(day: Day, texts: Texts) -> None:
    """An older checkpoint of another tree, signed by the log and cosigned: a log with two faces."""
    held = lines(texts, "attested.ndjson")
    voice = day.server.instance.keys.voice("")
    size = int(held[-1]["note"].split("\n")[1])
    body = checkpoint_body(Checkpoint(voice.origin, size, bytes(32)))
    held[-1] = {"note": sign_note(body, voice.origin, voice.log_seed), "proof": held[-1]["proof"], "stamps": []}
    texts["attested.ndjson"] = joined(held)


def attested_by_nobody(day: Day, texts: Texts) -> None:
    """A checkpoint that only a witness signed, not the log."""
    held = lines(texts, "attested.ndjson")
    body = body_of(held[-1]["note"])
    line = cosignature_line(body, JW, day.jw.book._seed, int(time.time()))
    held[-1] = {"note": f"{body}\n{line}", "proof": held[-1]["proof"], "stamps": []}
    texts["attested.ndjson"] = joined(held)


def witness_before_the_stamp(day: Day, texts: Texts) -> None:
    """Both witnesses say that they saw the log an hour before the authority says that it was there."""
    held, at = newest_note(texts)
    body, early = body_of(held[at]["note"]), int(time.time()) - 3600
    city = day.jw.book.home.parent / "city"
    seeds = ((JW, day.jw.book._seed), (CITY, Book(city, lambda: 0)._seed))
    held[at]["note"] = f"{body}\n{lines_of(held[at]['note'])[0]}" + "".join(
        cosignature_line(body, name, seed, early) for name, seed in seeds
    )
    texts["checkpoints.ndjson"] = joined(held)


ATTACKS: list[tuple[Callable[[Day, Texts], None], str]] = [
    (removed_cosignature, "V11"), (foreign_witness, "V11"), (one_witness_twice, "V11"), (bent_cosignature, "V11"),
    (stamp_by_somebody_else, "V13"), (stamp_of_something_else, "V13"), (stamp_of_the_other_checkpoint, "V13"),
    (bent_stamp, "V13"), (backdated_stamp, "V13"), (stamp_left_out, "V13"), (other_note_beside_the_stamp, "V13"),
    (attested_fork, "V12"), (attested_by_nobody, "V11"), (witness_before_the_stamp, "V14"),
]  # fmt: skip


@pytest.mark.parametrize(("alter", "code"), ATTACKS, ids=[f"{alter.__name__}-{code}" for alter, code in ATTACKS])
def test_each_manipulation_of_what_others_said_is_named_by_its_check(
    day: Day, alter: Callable[[Day, Texts], None], code: str
) -> None:
    verdict = checked(server_signed(day, alter), day.root)
    found = outcomes(verdict)
    assert found["V02"] == "pass" and found[code] == "fail", verdict.findings
    assert verdict.status == 1
    failed = {one for one, outcome in found.items() if outcome == "fail"}
    # V19: the report names the digest of what it was made from. A backdated stamp also contradicts the bounds of time.
    assert failed - {"V19"} == ({code, "V14"} if alter is backdated_stamp else {code})
    if code == "V13" and alter not in (backdated_stamp, stamp_left_out):
        assert found["V14"] == "not-checked"  # no time rests on a stamp that does not hold


def test_without_an_authority_in_the_trust_file_stamps_prove_nothing_and_are_not_handed_on(
    day: Day, tmp_path: Path
) -> None:
    house = day.server.instance
    before = trusts.published(house.settings)
    assert before is not None
    folder = day.jw.book.home.parent
    publish_trust(house, folder, before.trust.witnesses, 2, stampers=())
    bundles.make(house, day.record, tmp_path / "x.fib", purpose="x", by="p-1", rights=EVERYWHERE)
    publish_trust(house, folder, before.trust.witnesses, 2, stampers=before.trust.stampers)
    verdict = checked((tmp_path / "x.fib").read_bytes(), day.root)
    found = outcomes(verdict)
    assert (found["V11"], found["V13"], found["V14"], verdict.status) == ("pass", "not-checked", "pass", 0)
    assert "not before" not in detail(verdict, "V14") and "not after" in detail(verdict, "V14")  # by the witnesses


# --- The single file ------------------------------------------------------------------------------------------------


def run_single(folder: Path, content: bytes, root: str, path: str | None = None) -> dict[str, Any]:
    """The verifier of the bundle in a Python without any package."""
    (folder / "case.fib").write_bytes(content)
    (folder / "verify.py").write_bytes(Bundle(io.BytesIO(content)).text("verify.py"))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-O", "verify.py", "case.fib", "--root", root, "--lang", "en", "--json"],
        cwd=folder, capture_output=True, text=True, check=False, env={"PATH": path} if path is not None else None,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    return {code: outcome for code, outcome, *_ in told["findings"]} | {"status": done.returncode}


def test_the_single_file_checks_stamps_with_openssl_alone(day: Day, tmp_path: Path) -> None:
    found = run_single(tmp_path, day.content, day.root)
    assert (found["V11"], found["V13"], found["V14"], found["status"]) == ("pass", "pass", "pass", 0)
    forged = run_single(tmp_path, server_signed(day, stamp_by_somebody_else), day.root)
    assert (forged["V13"], forged["V14"], forged["status"]) == ("fail", "not-checked", 1)


def test_by_hand_a_stamp_is_one_command_of_openssl(day: Day, tmp_path: Path) -> None:
    texts = members(day.content)
    name = last_stamp(texts)
    (tmp_path / "a.tsr").write_bytes(texts[name])
    (tmp_path / "a.note").write_bytes(texts[name.replace(".tsr", ".note")])
    (tmp_path / "roots.pem").write_text("".join(json.loads(texts["trust.json"])["stampers"]))
    command = ["openssl", "ts", "-verify", "-in", "a.tsr", "-data", "a.note", "-CAfile", "roots.pem"]
    assert b"Verification: OK" in subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
