"""The lease: without its share nothing here opens the vault, and clocks cannot stretch it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from field_client.platform.keys import Secrets, Vault
from field_client.platform.leases import Contact, Leases
from field_client.platform.wrapping import Cost
from sync.core.errors import LeaseExpired, Locked, WrongPin
from sync.peer import Lease, LogKey
from tests.support.clocks import START_MS, HandClock

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
PIN, OTHER = "480215", "864209"
HOUR_S = 3600
TERM_MS = 72 * HOUR_S * 1000
CONTACT = Contact("https://county.example", "d1", LogKey("o", bytes(32)), bytes(range(32)))


def lease(hours: int = 72, at_ms: int = START_MS) -> Lease:
    return Lease(secrets.token_bytes(32), at_ms, at_ms + hours * HOUR_S * 1000)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def vault(tmp_path: Path, clock: HandClock) -> Vault:
    return Vault(tmp_path / "home", runtime=tmp_path / "run", cost=CHEAP, clock=clock)


def again(vault: Vault, clock: HandClock) -> Vault:
    """The same vault in another program."""
    return Vault(vault.home, cost=CHEAP, clock=clock)


@pytest.fixture
def made(vault: Vault) -> Secrets:
    """The secrets of a vault that has just been bound to a lease."""
    made = vault.create(PIN)
    vault.leases.introduce(CONTACT)
    vault.lease_key()
    assert vault.bind(lease())
    return made


def test_a_leased_vault_opens_with_the_pin_while_the_lease_runs(vault: Vault, made: Secrets, clock: HandClock) -> None:
    clock.go(72 * HOUR_S - 1)
    assert vault.leased and again(vault, clock).open(PIN) == made


def test_after_its_end_the_right_pin_opens_nothing_and_the_share_is_gone(
    vault: Vault, made: Secrets, clock: HandClock
) -> None:
    share = json.loads((vault.home / "lease.json").read_bytes())["share"]
    clock.go(72 * HOUR_S)
    with pytest.raises(LeaseExpired):
        again(vault, clock).open(PIN)
    left = b"".join(one.read_bytes() for one in vault.home.rglob("*") if one.is_file())
    assert share.encode() not in left


def test_an_expired_lease_counts_no_pin_as_wrong(vault: Vault, made: Secrets, clock: HandClock) -> None:
    clock.go(72 * HOUR_S)
    for _ in range(9):
        with pytest.raises(LeaseExpired):
            vault.open("975310")
    assert vault.wait_s() == 0


def test_the_same_share_from_the_server_opens_it_again(tmp_path: Path, vault: Vault, clock: HandClock) -> None:
    made, lent = vault.create(PIN), lease()
    vault.leases.introduce(CONTACT)
    key = vault.lease_key().public_key()
    vault.bind(lent)
    clock.go(100 * HOUR_S)
    locked = again(vault, clock)
    with pytest.raises(LeaseExpired):
        locked.open(PIN)
    assert locked.guessed_lease_key(PIN).public_key() == key
    locked.leases.keep(lent._replace(granted_ms=clock.wall_ms(), expires_ms=clock.wall_ms() + TERM_MS))
    assert locked.open(PIN) == made


def test_another_pin_gives_another_lease_key_and_nothing_here_tells_which_is_right(
    vault: Vault, made: Secrets
) -> None:
    keys = {vault.guessed_lease_key(pin).public_key().public_bytes_raw() for pin in (PIN, OTHER, "975310")}
    assert len(keys) == 3
    here = b"".join(one.read_bytes() for one in vault.home.rglob("*") if one.is_file())
    assert not any(key in here or key.hex().encode() in here for key in keys)


def test_a_new_pin_keeps_the_lease_and_its_key(vault: Vault, made: Secrets) -> None:
    key = vault.guessed_lease_key(PIN).public_key()
    vault.change_pin(PIN, OTHER)
    assert vault.open(OTHER) == made and vault.leased
    assert vault.guessed_lease_key(OTHER).public_key() == key
    with pytest.raises(WrongPin):
        vault.open(PIN)


def test_another_share_is_bound_in_place_of_the_one_before(vault: Vault, made: Secrets, clock: HandClock) -> None:
    vault.open(PIN)
    assert vault.bind(lease())
    assert again(vault, clock).open(PIN) == made


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_program_that_is_killed_while_it_binds_leaves_a_vault_that_opens(
    vault: Vault, made: Secrets, clock: HandClock, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    from field_client.platform import keys, leases

    vault.open(PIN)
    done, write = [0], keys.replace_file

    def killed(path: Path, content: bytes) -> None:
        done[0] += 1
        if done[0] == step:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(keys, "replace_file", killed)
        patched.setattr(leases, "replace_file", killed)
        with pytest.raises(KeyboardInterrupt):
            vault.bind(lease())
    assert again(vault, clock).open(PIN) == made


def test_a_pin_that_was_changed_meanwhile_by_another_program_is_not_undone(
    vault: Vault, made: Secrets, clock: HandClock
) -> None:
    vault.open(PIN)
    again(vault, clock).change_pin(PIN, OTHER)
    assert not vault.bind(lease())
    assert again(vault, clock).open(OTHER) == made


def test_a_vault_that_was_not_opened_binds_nothing(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    with pytest.raises(Locked):
        again(vault, clock).bind(lease())


# ---- clocks ------------------------------------------------------------------------------------------------


def test_setting_the_clock_back_does_not_stretch_a_lease(tmp_path: Path, clock: HandClock) -> None:
    held = Leases(tmp_path, clock)
    held.keep(lease())
    for _ in range(72):
        clock.go(HOUR_S)
        clock.set(-2 * HOUR_S)
    assert held.left() is None


def test_setting_it_back_over_a_restart_gains_at_most_what_nobody_noted(tmp_path: Path, clock: HandClock) -> None:
    held = Leases(tmp_path, clock)
    held.keep(lease())
    clock.go(71 * HOUR_S)
    assert held.left() is not None
    clock.restart()
    clock.set(-71 * HOUR_S)
    left = held.left()
    assert left is not None and left.left_ms <= HOUR_S * 1000 and left.short


def test_a_long_time_switched_off_ends_it(tmp_path: Path, clock: HandClock) -> None:
    held = Leases(tmp_path, clock)
    held.keep(lease())
    clock.restart()
    clock.set(73 * HOUR_S)
    assert held.left() is None and not (tmp_path / "lease.json").exists()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["go", "set", "restart"]), st.integers(-200, 200)), max_size=12))
def test_within_what_was_noted_no_order_of_clocks_lengthens_a_lease(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int]]
) -> None:
    clock = HandClock()
    held = Leases(tmp_path_factory.mktemp("lease"), clock)
    held.keep(lease())
    before = TERM_MS
    for move, hours in moves:
        if move == "go":
            clock.go(abs(hours) * HOUR_S)
        elif move == "set":
            clock.set(hours * HOUR_S)
        else:
            clock.restart()
        left = held.left()
        now = left.left_ms if left is not None else 0
        assert now <= before
        before = now
