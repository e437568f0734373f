"""A server and its time stamping authorities: real ones over the loopback, and everything that they might do wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from custody import timestamps
from server import acts
from server.attending import stamping_due
from server.cli import main
from server.proofs import stamping, trusts
from server.proofs.stamping import Authority as Asked
from server.storage import attested, merkle
from sync.core.errors import BadStamp, InvalidField, Unavailable
from tests.support.patrols import AREA
from tests.support.processes import free_port
from tests.support.server import TestServer, wsgi_server
from tests.support.stampers import OTHER_POLICY, Authority, Twist, running_authority
from tests.support.witnesses import publish_trust

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
HOUR = 3_600_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path)
    made.enrol("officer", AREA[:6])
    yield made
    made.instance.close()


@pytest.fixture
def tsa(tmp_path: Path) -> Iterator[Authority]:
    with running_authority(tmp_path / "tsa") as made:
        yield made


def trusting(server: TestServer, tsa: Authority, folder: Path, *, policy: str = "", every: int = 60) -> None:
    publish_trust(server.instance, folder, stampers=(trusts.stamper(tsa.root.encode()),))
    stamping.set_authorities(server.instance, [Asked(tsa.url, policy)], every, "p-1")


def stamped(server: TestServer) -> list[attested.Stamp]:
    with server.instance.database.read() as conn:
        return attested.stamps_of(conn, "")


def test_a_checkpoint_is_stamped_kept_as_it_came_and_put_into_the_log(
    server: TestServer, tsa: Authority, tmp_path: Path
) -> None:
    trusting(server, tsa, tmp_path)
    found = [one for one in stamping.stamp(server.instance) if one.log == server.instance.keys.open.origin]
    assert [one.problem for one in found] == [None]
    (one,) = stamped(server)
    with server.instance.database.read() as conn:
        note = attested.signed(conn, "", one.size)
        (act,) = acts.every(conn, "", acts.STAMPED)
    assert note is not None
    token = timestamps.verify(one.response, note.encode(), [tsa.root])
    assert (token.at, act.body["stamp"], act.body["size"]) == (one.at, sha256(one.response).hexdigest(), one.size)
    assert act.leaf >= one.size  # beyond what it is about


def test_it_is_asked_when_its_time_has_come_and_the_log_grew_by_more_than_its_own_act(
    server: TestServer, tsa: Authority, tmp_path: Path
) -> None:
    trusting(server, tsa, tmp_path)
    assert stamping_due(server.instance) == [] and len(stamped(server)) == 1
    server.enrol("officer", AREA[:6])
    assert stamping_due(server.instance) == [] and len(stamped(server)) == 1  # not yet an hour
    server.clock.ahead += HOUR
    problems = stamping_due(server.instance)  # due, and refused: our clock is an hour ahead of the authority's
    assert [type(one) for one in problems] == [BadStamp] and len(stamped(server)) == 1


def test_an_idle_log_is_not_stamped_again_and_again(
    server: TestServer, tsa: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(server, tsa, tmp_path)
    monkeypatch.setattr(stamping, "MINUTE_MS", 0)
    for _ in range(3):
        assert stamping_due(server.instance) == []
    assert len(stamped(server)) == 1
    server.enrol("officer", AREA[:6])
    for _ in range(3):
        assert stamping_due(server.instance) == []
    assert len(stamped(server)) == 2


def other_message(tsa: list[Authority]) -> Twist:
    return lambda query, reply: tsa[0].stamp(b"something else", timestamps.read(reply).nonce or 0)


def other_nonce(tsa: list[Authority]) -> Twist:
    return lambda query, reply: tsa[0].reply(_with_nonce(query, 5))


def _with_nonce(query: bytes, nonce: int) -> bytes:
    fields = timestamps._parts(timestamps._parts(query)[0][1])
    return timestamps._seq(
        b"".join(timestamps._int(nonce) if at and tag == 0x02 else timestamps._der(tag, content)
                 for at, (tag, content) in enumerate(fields))
    )  # fmt: skip


def cut(tsa: list[Authority]) -> Twist:
    return lambda query, reply: reply[:-1]


def other_policy(tsa: list[Authority]) -> Twist:
    return lambda query, reply: _stamp_again(tsa[0], query, OTHER_POLICY)


def _stamp_again(tsa: Authority, query: bytes, policy: str) -> bytes:
    fields = [(tag, content) for tag, content in timestamps._parts(timestamps._parts(query)[0][1]) if tag != 0x06]
    parts = [timestamps._der(tag, content) for tag, content in fields]
    return tsa.reply(timestamps._seq(parts[0] + parts[1] + timestamps._oid(policy) + b"".join(parts[2:])))


@pytest.mark.parametrize("bend", [other_message, other_nonce, cut, other_policy], ids=lambda one: one.__name__)
def test_a_stamp_that_is_not_the_answer_to_our_question_is_not_kept(
    server: TestServer, tmp_path: Path, bend: Callable[[list[Authority]], Twist]
) -> None:
    held: list[Authority] = []
    with running_authority(tmp_path / "tsa", bend(held)) as tsa:
        held.append(tsa)
        trusting(server, tsa, tmp_path, policy="1.2.3.4.1")
        found = stamping.stamp(server.instance)
    assert found and all(isinstance(one.problem, BadStamp) for one in found)
    with server.instance.database.read() as conn:
        assert stamped(server) == [] and list(acts.every(conn, "", acts.STAMPED)) == []


def test_a_stamp_that_is_older_than_the_checkpoint_or_from_the_future_is_not_kept(
    server: TestServer, tmp_path: Path
) -> None:
    for number, away in enumerate((timedelta(minutes=-5), timedelta(minutes=5))):
        held: list[Authority] = []

        def bent(query: bytes, reply: bytes, away: timedelta = away, held: list[Authority] = held) -> bytes:
            with server.instance.database.read() as conn:
                note = attested.signed(conn, "", merkle.size(conn, ""))
            assert note is not None
            return held[0].signed(note.encode(), datetime.now(UTC) + away, nonce=timestamps.read(reply).nonce or 0)

        with running_authority(tmp_path / f"tsa{number}", bent) as tsa:
            held.append(tsa)
            trusting(server, tsa, tmp_path)
            found = [one for one in stamping.stamp(server.instance) if one.log == server.instance.keys.open.origin]
        assert isinstance(found[0].problem, BadStamp) and "before the checkpoint" in found[0].problem.text("en")
    assert stamped(server) == []


def test_one_that_the_trust_file_does_not_name_one_that_is_gone_and_one_that_speaks_otherwise_are_told_apart(
    server: TestServer, tsa: Authority, tmp_path: Path
) -> None:
    house = server.instance
    with running_authority(tmp_path / "other") as other:
        trusting(server, other, tmp_path)
        stamping.set_authorities(
            house, [Asked(tsa.url), Asked(f"http://127.0.0.1:{free_port()}/"), Asked(other.url)], 60, "p"
        )
        found = [one for one in stamping.stamp(house) if one.log == house.keys.open.origin]
        assert [type(one.problem) for one in found] == [BadStamp, Unavailable, type(None)]
        assert [one.authority for one in stamped(server)] == [other.url]


def test_only_a_self_signed_root_is_pinned(tsa: Authority) -> None:
    for wrong in (b"", b"x", (tsa.folder / "tsa.pem").read_bytes(), tsa.root.encode() * 2):
        with pytest.raises(InvalidField):
            trusts.stamper(wrong)


def test_from_the_commands_to_a_stamp(tmp_path: Path, tsa: Authority) -> None:
    def run(*words: str, status: int = 0) -> str:
        env = {"PATROLBOOK_DATA": str(tmp_path / "d"), "PATROLBOOK_LANG": "en", "PATROLBOOK_PASSPHRASE": "竹子"}
        result = CliRunner().invoke(main, list(words), env=env, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output

    run("init", "--name", "湖南省教育厅", "--area", "43", "--admin", "王芳")
    run("timestamp", "now", status=1)
    assert "no authority" in run("timestamp", "authorities")
    run("timestamp", "authorities", "ftp://x", status=1)
    run("timestamp", "authorities", tsa.url, "--policy", "1.x", status=1)
    assert "every 30 minutes" in run("timestamp", "authorities", tsa.url, "--every", "30")
    assert "names no authority" in run("timestamp", "now", status=1)  # the trust file does not pin it
    root = str(tmp_path / "root.age")
    run("trust", "root", root)
    run("trust", "sign", root, "--authority", "x", "--stamper", str(tsa.folder / "tsa.pem"), status=1)
    run("trust", "sign", root, "--authority", "x", "--stamper", str(tsa.folder / "ca.pem"))
    assert "tsa root" in run("trust", "show")
    assert "at" in run("timestamp", "now")
    assert tsa.url in run("timestamp", "status") and '"stamped"' in run("timestamp", "status", "--json")
    assert "no authority" in run("timestamp", "authorities", "--none")
