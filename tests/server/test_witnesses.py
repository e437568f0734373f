"""A server and the witnesses of its trust file: asked, believed or not, handed out, and never in anybody's way."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from field_client.evidence import derivatives, retention, tidying
from field_client.evidence.capture import capture
from field_client.tablet import Tablet
from server.attending import Attendant, cosigning
from server.cli import main
from server.proofs import witnesses
from server.storage import attested, merkle
from sync.core.errors import Refused, Unavailable
from sync.core.note import Checkpoint, checkpoint_body, cosignature_line, open_note, read_vkey, sign_note, vkey
from sync.core.trust import Witness
from sync.core.witnessing import cosigners
from tests.support.lines import joined
from tests.support.patrols import AREA, round_of
from tests.support.pictures import jpeg
from tests.support.processes import Children, free_port
from tests.support.server import TestServer, opened_server, wsgi_server
from tests.support.tablets import hazard
from tests.support.witnesses import Running, publish_trust, running_witness

JW, CITY = "jw.example/witness", "city.example/witness"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path)
    yield made
    made.instance.close()


@pytest.fixture
def jw(server: TestServer, tmp_path: Path) -> Iterator[Running]:
    with running_witness(tmp_path / "jw", JW, server.instance) as running:
        yield running


@pytest.fixture
def city(server: TestServer, tmp_path: Path) -> Iterator[Running]:
    with running_witness(tmp_path / "city", CITY, server.instance) as running:
        yield running


def write(tablet: Tablet, name: str = "某培训中心") -> str:
    return tablet.write("institution", None, {"name": name, "area": AREA}).record


def of_open(found: list[witnesses.Asked], server: TestServer) -> list[witnesses.Asked]:
    return [one for one in found if one.log == server.instance.keys.open.origin]


def test_both_witnesses_cosign_every_log_and_their_lines_are_handed_out(
    server: TestServer, jw: Running, city: Running, tmp_path: Path
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named, city.named], 2)
    device = server.enrol("officer", AREA[:6])
    found = witnesses.ask(house)
    assert [one.problem for one in found] == [None] * len(found) and len(of_open(found, server)) == 2
    trust = witnesses.trusted(house)
    assert trust is not None
    for path in ("/log/checkpoint", "/log/witnessed"):
        note = open_note(device.get(path).text, trust.verifiers())
        assert set(cosigners(note, trust)) == {JW, CITY} and house.keys.open.origin in note.names


def test_the_newest_is_handed_out_unwitnessed_and_beside_it_the_newest_that_is_witnessed(
    server: TestServer, jw: Running, city: Running, tmp_path: Path
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named, city.named], 2)
    device = server.enrol("officer", AREA[:6])
    assert device.get("/log/witnessed").status_code == 404
    witnesses.ask(house)
    before = device.get("/log/witnessed").text
    server.enrol("officer", AREA[:6])  # one leaf more
    assert device.get("/log/witnessed").text == before
    newest = device.get("/log/checkpoint").text
    assert JW not in newest and int(newest.split("\n")[1]) > int(before.split("\n")[1])


def test_one_of_two_is_not_enough_and_one_that_the_trust_file_no_longer_names_does_not_count(
    server: TestServer, jw: Running, city: Running, tmp_path: Path
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named], 1)
    device = server.enrol("officer", AREA[:6])
    witnesses.ask(house)
    assert device.get("/log/witnessed").status_code == 200
    publish_trust(house, tmp_path, [jw.named, city.named], 2)
    assert device.get("/log/witnessed").status_code == 404
    publish_trust(house, tmp_path, [city.named], 1)
    assert device.get("/log/witnessed").status_code == 404


def test_only_those_that_lag_behind_are_asked_when_nothing_is_new(
    server: TestServer, jw: Running, city: Running, tmp_path: Path
) -> None:
    house = server.instance
    server.enrol("officer", AREA[:6])
    publish_trust(house, tmp_path, [jw.named], 1)
    assert cosigning(house) == []
    assert witnesses.ask(house, all=False) == []
    publish_trust(house, tmp_path, [jw.named, city.named], 1)
    assert {one.witness for one in of_open(witnesses.ask(house, all=False), server)} == {CITY}


def test_a_witness_that_already_knows_the_log_from_elsewhere_is_asked_from_where_it_stands(
    server: TestServer, jw: Running, tmp_path: Path
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named], 1)
    server.enrol("officer", AREA[:6])
    witnesses.ask(house)
    with house.database.write() as conn:  # the server has forgotten how far the witness is
        conn.exec_driver_sql("DELETE FROM cosignatures")
    server.enrol("officer", AREA[:6])
    assert [one.problem for one in witnesses.ask(house)] == [None]  # the sealed log is empty: nothing to ask there


def test_a_server_whose_log_was_put_back_gets_no_cosignature_and_says_why(
    server: TestServer, jw: Running, tmp_path: Path
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named], 1)
    server.enrol("officer", AREA[:6])
    house.close()
    shutil.copytree(house.settings.data, tmp_path / "old")
    for _ in range(2):
        server.enrol("officer", AREA[:6])
    assert witnesses.ask(house)[0].problem is None
    house.close()
    rolled = opened_server(replace(house.settings, data=tmp_path / "old"))
    for count in range(3):  # shorter, as long, and longer than what was cosigned
        (told,) = of_open(witnesses.ask(rolled.instance), rolled)
        assert isinstance(told.problem, Refused), count
        rolled.enrol("officer", AREA[:6])
    assert jw.book.doubts() and jw.book.watched()[0].forks == 1
    with rolled.instance.database.read() as conn:
        assert attested.newest_by(conn, "", JW) is None
    rolled.instance.close()


def test_a_witness_with_another_key_a_wrong_clock_or_without_this_log_is_not_believed(
    server: TestServer, jw: Running, tmp_path: Path
) -> None:
    house = server.instance
    server.enrol("officer", AREA[:6])
    other = Witness(JW, bytes(range(32)), jw.url)
    publish_trust(house, tmp_path, [other], 1)
    assert isinstance(witnesses.ask(house)[0].problem, Refused)
    with running_witness(tmp_path / "late", CITY, house, now=lambda: int(time.time()) - 3600) as late:
        publish_trust(house, tmp_path, [late.named], 1)
        (found,) = of_open(witnesses.ask(house), server)
        assert isinstance(found.problem, Refused) and "clock" in found.problem.text("en")
    with running_witness(tmp_path / "new", CITY) as new:
        publish_trust(house, tmp_path, [new.named], 1)
        (found,) = of_open(witnesses.ask(house), server)
        assert isinstance(found.problem, Refused) and "log add" in found.problem.text("en")
    (found,) = of_open(witnesses.ask(house), server)  # nobody listens there any more
    assert isinstance(found.problem, Unavailable)
    with house.database.read() as conn:
        assert attested.newest_by(conn, "", JW) is None and attested.newest_by(conn, "", CITY) is None


def test_the_sealed_log_is_cosigned_under_its_own_name_and_only_its_tablets_see_that(
    server: TestServer, jw: Running, tmp_path: Path
) -> None:
    publish_trust(server.instance, tmp_path, [jw.named], 1)
    county, team = server.enrol("officer", AREA[:6]), server.enrol("team", AREA[:6])
    assert {one.log for one in witnesses.ask(server.instance)} == {
        voice.origin for voice in server.instance.keys.voices.values()
    }
    assert team.get("/log/witnessed").text.startswith(server.instance.keys.voice("sealed").origin + "\n")
    assert county.get("/log/witnessed").text.startswith(server.instance.keys.open.origin + "\n")


# --- A tablet -----------------------------------------------------------------------------------------------------


def test_a_tablet_is_safe_to_hand_in_only_when_enough_witnesses_saw_its_work(
    server: TestServer, jw: Running, city: Running, tmp_path: Path
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named, city.named], 2)
    tablet = joined(server, tmp_path / "t")
    write(tablet)
    round_of(tablet)
    ledger = tablet.ledger()
    assert ledger.unwitnessed == 1 and not ledger.safe_to_hand_in and all(line.safe for line in ledger.records)
    witnesses.ask(house)
    round_of(tablet)
    assert tablet.ledger().safe_to_hand_in
    write(tablet, "后来的")
    round_of(tablet)
    assert tablet.ledger().unwitnessed == 1  # the first one stays witnessed
    tablet.close()


def test_a_file_stays_on_the_tablet_until_enough_witnesses_saw_its_receipt(
    server: TestServer, jw: Running, tmp_path: Path
) -> None:
    publish_trust(server.instance, tmp_path, [jw.named], 1)
    tablet = joined(server, tmp_path / "t", "officer")
    retention.set_terms(tablet.home, {"original_days": 0})
    taken = capture(tablet, hazard(tablet), io.BytesIO(jpeg(60, 40)), name="IMG_1.jpg").sha256
    derivatives.catch_up(tablet)
    round_of(tablet)
    (line,) = (one for one in retention.lines(tablet) if one.blob.sha256 == taken)
    assert not line.may and "witnesses" in line.why.en
    assert tidying.remove_held(tablet).refused.keys() >= {taken}  # not even after a revocation
    witnesses.ask(server.instance)
    assert tidying.tidy(tablet).files == 0  # the tablet does not know of it yet
    round_of(tablet)
    assert tidying.tidy(tablet).files >= 1 and not tablet.files.has(taken)  # type: ignore[attr-defined]
    tablet.close()


def test_without_a_quorum_a_receipt_is_enough(server: TestServer, jw: Running, tmp_path: Path) -> None:
    publish_trust(server.instance, tmp_path, [jw.named], 0)
    tablet = joined(server, tmp_path / "t")
    write(tablet)
    round_of(tablet)
    assert tablet.witnessed() is None and tablet.ledger().safe_to_hand_in
    tablet.close()


def test_a_tablet_refuses_a_checkpoint_that_only_claims_to_be_witnessed(
    server: TestServer, jw: Running, city: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = server.instance
    publish_trust(house, tmp_path, [jw.named, city.named], 2)
    tablet = joined(server, tmp_path / "t")
    write(tablet)
    round_of(tablet)
    witnesses.ask(house)
    with house.database.read() as conn:
        size = merkle.size(conn, "")
        full, bare = attested.note(conn, "", size), attested.signed(conn, "", size)
    assert full is not None and bare is not None
    one_line = bare + full.removeprefix(bare).split("\n")[0] + "\n"
    bent = full.replace("\n\n", "\n\n", 1)[:-6] + "AAAA=\n"
    for lie in (bare, one_line, bent):
        monkeypatch.setattr(type(tablet.peer()), "witnessed", lambda _, lie=lie: lie)
        report = tablet.sync()
        assert report.problem is not None and report.problem.code == "untrusted-note"
        assert not tablet.ledger().safe_to_hand_in
    monkeypatch.undo()
    round_of(tablet)
    assert tablet.ledger().safe_to_hand_in
    tablet.close()


def test_a_tablet_stops_at_a_witnessed_log_that_is_not_the_one_it_saw(
    server: TestServer, jw: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other half of C5: even a witness that was taken in does not make a tablet forget what it saw."""
    publish_trust(server.instance, tmp_path, [jw.named], 1)
    tablet = joined(server, tmp_path / "t")
    write(tablet)
    round_of(tablet)
    voice, known = server.instance.keys.open, tablet.store.checkpoint()
    body = checkpoint_body(Checkpoint(voice.origin, known.size, bytes(32)))
    lie = sign_note(body, voice.origin, voice.log_seed)
    lie += cosignature_line(body, JW, jw.book._seed, int(time.time()))
    monkeypatch.setattr(type(tablet.peer()), "witnessed", lambda _: lie)
    report = tablet.sync()
    assert report.problem is not None and report.problem.code == "log-inconsistent"
    tablet.close()


# --- In the background ----------------------------------------------------------------------------------------------


def test_a_running_server_asks_by_itself_and_a_silent_witness_delays_nobody(tmp_path: Path) -> None:
    made = wsgi_server(tmp_path)
    data = made.instance.settings.data
    with running_witness(tmp_path / "jw", JW, made.instance) as jw, Children() as children:
        nowhere = Witness(CITY, jw.book.verifier.public_key, f"http://127.0.0.1:{free_port()}")
        publish_trust(made.instance, tmp_path, [jw.named, nowhere], 1)
        device = made.enrol("officer", AREA[:6])
        made.instance.close()
        children.serve(data, free_port())
        deadline = time.monotonic() + 60
        while not jw.book.watched()[0].newest and time.monotonic() < deadline:
            time.sleep(0.2)
        assert device.get("/log/witnessed").status_code == 200
    made.instance.close()


def test_the_attendant_goes_on_after_failures_and_after_mistakes_of_ours(server: TestServer) -> None:
    done: list[int] = []

    def awkward(house: object) -> list[Exception]:
        done.append(1)
        if len(done) == 1:
            raise ZeroDivisionError
        if len(done) == 2:
            return [Unavailable(detail="x")]
        return []

    attendant = Attendant(server.instance, (awkward,), look_s=0.01)  # type: ignore[arg-type]
    attendant.start()
    deadline = time.monotonic() + 20
    while len(done) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    attendant.stop()
    assert len(done) >= 5


# --- The command line -----------------------------------------------------------------------------------------------


def test_from_the_commands_of_both_sides_to_a_witnessed_log(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def run(*words: str, status: int = 0) -> str:
        env = {"PATROLBOOK_DATA": str(data), "PATROLBOOK_LANG": "en", "PATROLBOOK_PASSPHRASE": "竹子"}
        result = CliRunner().invoke(main, list(words), env=env, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output

    run("init", "--name", "湖南省教育厅", "--area", "43", "--admin", "王芳")
    run("witness", "ask", status=1)
    told = run("witness", "keys")
    keys = [line.split("'")[1] for line in told.splitlines() if "log add" in line]
    with running_witness(tmp_path / "jw", JW) as jw:
        for key in keys:
            jw.book.add_log(read_vkey(key))
        root = str(tmp_path / "root.age")
        run("trust", "root", root)
        run("trust", "sign", root, "--authority", "x", "--witness", "jw=AAAA", status=1)
        run("trust", "sign", root, "--authority", "x", "--witness", f"{keys[0]},{jw.url}", status=1)  # a log's key
        run(
            "trust",
            "sign",
            root,
            "--authority",
            "x",
            "--witness",
            f"{vkey(jw.book.verifier)},{jw.url}",
            "--quorum",
            "1",
        )
        assert "reached 0 of" in run("witness", "status")
        assert "cosigned" in run("witness", "ask")
        status = run("witness", "status")
        assert JW in status and "reached 2 of 2" in status
    run("witness", "ask", status=1)  # nobody listens any more
