"""What the server lends to tablets, over real HTTP: to whom, for how long, and how wrong PINs are slowed down."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.cli import main
from server.exchange import leases
from sync.peer import unlock_proof_input
from tests.support.server import TestDevice, TestServer, running_server

HOUR_MS = 3_600_000
CONTACT, KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path) as server:
        server.clock.ms = server.clock()
        yield server


def text(raw: bytes) -> str:
    return b64encode(raw).decode()


def renew(device: TestDevice) -> Any:
    public = [one.public_key().public_bytes_raw() for one in (CONTACT, KEY)]
    return device.post("/lease", json={"contact": text(public[0]), "key": text(public[1]), "recovery": 7})


def unlock(server: TestServer, device: TestDevice, key: Ed25519PrivateKey = KEY, signer: Any = CONTACT) -> Any:
    """Ask as a locked tablet does."""
    at, nonce = server.clock(), secrets.token_hex(16)
    proof = key.sign(unlock_proof_input(device.id, at, nonce))
    locked = TestDevice(device.session, device.url, device.id, signer, server.clock, device.answer)
    return locked.post("/lease/unlock", json={"at": at, "nonce": nonce, "proof": text(proof)})


def test_a_share_is_the_same_each_time_and_lasts_three_days(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    first = renew(device).json()
    server.clock.ms += HOUR_MS
    second = renew(device).json()
    assert first["share"] == second["share"] and len(b64decode(first["share"])) == 32
    assert second["expires"] - second["granted"] == 72 * HOUR_MS and second["granted"] == server.clock()


def test_a_team_has_one_day_and_each_device_a_share_of_its_own(server: TestServer) -> None:
    lent = [renew(server.enrol("team", "430102")).json() for _ in range(2)]
    assert {one["expires"] - one["granted"] for one in lent} == {24 * HOUR_MS}
    assert lent[0]["share"] != lent[1]["share"]


def test_a_locked_tablet_gets_its_share_by_both_keys(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    share = renew(device).json()["share"]
    assert unlock(server, device).json()["share"] == share


def test_the_device_s_own_key_does_not_do_for_the_contact_key_nor_the_other_way(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    renew(device)
    assert unlock(server, device, signer=device.key).status_code == 401
    locked = TestDevice(device.session, device.url, device.id, CONTACT, server.clock, device.answer)
    assert locked.post("/have", json={"ids": []}).status_code == 401


def test_wrong_pins_are_counted_here_and_then_even_the_right_one_has_to_wait(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    renew(device)
    wrong = Ed25519PrivateKey.generate()
    answers = [unlock(server, device, wrong) for _ in range(leases.FREE_FAILURES)]
    assert [one.json()["code"] for one in answers] == ["wrong-pin"] * 5
    assert unlock(server, device).json()["code"] == "wrong-pin"
    server.clock.ms += 30_000
    assert "share" in unlock(server, device).json()
    assert unlock(server, device, wrong).json()["code"] == "wrong-pin"
    assert "share" in unlock(server, device).json()  # the count began anew


def test_nobody_else_can_make_a_tablet_wait(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    renew(device)
    stranger = Ed25519PrivateKey.generate()
    for _ in range(leases.FREE_FAILURES + 2):
        assert unlock(server, device, stranger, stranger).status_code == 401
    assert "share" in unlock(server, device).json()


def test_a_proof_of_another_hour_is_not_taken(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    renew(device)
    at, nonce = server.clock() - HOUR_MS, "0" * 32
    proof = text(KEY.sign(unlock_proof_input(device.id, at, nonce)))
    locked = TestDevice(device.session, device.url, device.id, CONTACT, server.clock, device.answer)
    assert locked.post("/lease/unlock", json={"at": at, "nonce": nonce, "proof": proof}).status_code == 401


def test_a_tablet_that_never_asked_is_not_lent_anything_while_locked(server: TestServer) -> None:
    assert unlock(server, server.enrol("inspector", "430102")).status_code == 401


def command(server: TestServer, *words: str) -> Result:
    environment = {"PATROLBOOK_DATA": str(server.instance.settings.data), "PATROLBOOK_LANG": "en"}
    return CliRunner().invoke(main, list(words), env=environment)


def run(server: TestServer, *words: str) -> str:
    done = command(server, *words)
    assert done.exit_code == 0, done.output
    return done.output


def test_revoking_destroys_the_share_and_it_is_never_lent_again(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    renew(device)
    run(server, "devices", "revoke", device.id, "--reason", "lost")
    with server.instance.database.read() as conn:
        row = leases.lent_to(conn, device.id)
    assert row.share is None and row.key is None
    assert renew(device).json()["code"] == "device-revoked"
    assert unlock(server, device).json()["code"] == "device-revoked"


def test_hours_are_set_for_a_role_and_for_one_tablet_until_it_is_as_usual_again(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")

    def hours() -> int:
        lent = renew(device).json()
        return (lent["expires"] - lent["granted"]) // HOUR_MS  # type: ignore[no-any-return]

    run(server, "devices", "lease", "--role", "inspector", "--hours", "48")
    assert hours() == 48
    run(server, "devices", "lease", device.id, "--hours", "6")
    assert hours() == 6
    assert "6" in run(server, "devices", "lease", device.id)
    run(server, "devices", "lease", device.id, "--usual")
    assert hours() == 48


@pytest.mark.parametrize(
    "words", [["--hours", "6"], ["--role", "team", "--hours", "0"], ["--role", "team", "--usual"], ["x", "--hours", "9999"]]
)
def test_a_wrong_use_of_the_command_changes_nothing(server: TestServer, words: list[str]) -> None:
    done = command(server, "devices", "lease", *words)
    assert done.exit_code == 1 and "Traceback" not in done.output


def test_a_copy_of_the_database_does_not_hold_the_share(server: TestServer) -> None:
    device = server.enrol("inspector", "430102")
    share = b64decode(renew(device).json()["share"])
    data = server.instance.settings.data
    content = b"".join(one.read_bytes() for one in data.glob("patrolbook.db*"))
    assert share not in content and share.hex().encode() not in content
    with server.instance.database.read() as conn:
        assert leases.lent_to(conn, device.id).share is not None
