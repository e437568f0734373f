"""The vault: what a PIN opens, how wrong ones are slowed down, and how a session ends."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from field_client.platform.keys import IDLE_S, Vault
from field_client.platform.sessions import LONGEST_S
from field_client.platform.wrapping import FREE_FAILURES, Cost, check_pin
from sync.core.errors import BrokenStore, Locked, NotEnrolled, Refused, Unavailable, WrongPin
from tests.support.clocks import HandClock

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
PIN = "480215"
YEAR_S = 365 * 86400


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def vault(tmp_path: Path, clock: HandClock) -> Vault:
    return Vault(tmp_path / "home", runtime=tmp_path / "run", cost=CHEAP, clock=clock)


def wrong(vault: Vault, times: int) -> int:
    """Enter a wrong PIN so often; the wait that the last one was told."""
    wait = -1
    for _ in range(times):
        with pytest.raises(WrongPin) as told:
            vault.open("975310")
        wait = told.value.facts["wait"]
    return wait


def test_the_right_pin_opens_what_was_sealed(vault: Vault) -> None:
    made = vault.create(PIN)
    assert vault.open(PIN) == made
    assert len(made.database_key) == len(made.seed) == 32
    assert made.database_key != made.seed


def test_the_real_cost_is_argon2id_with_64_mib(tmp_path: Path) -> None:
    Vault(tmp_path).create(PIN)
    written = json.loads((tmp_path / "keys.json").read_bytes())
    assert (written["kdf"], written["memory_kib"], written["passes"], written["lanes"]) == ("argon2id", 65536, 3, 4)


def test_neither_secret_is_in_the_key_file(vault: Vault) -> None:
    made = vault.create(PIN)
    written = vault.file.read_bytes()
    assert made.database_key not in written and made.database_key.hex().encode() not in written
    assert PIN.encode() not in written


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_only_the_owner_may_read_the_key_file_and_the_session(vault: Vault, tmp_path: Path) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    session = next((tmp_path / "run" / "patrolbook").iterdir())
    assert stat.S_IMODE(vault.file.stat().st_mode) == stat.S_IMODE(session.stat().st_mode) == 0o600


def test_a_tablet_without_a_vault_says_that_it_is_not_enrolled(vault: Vault) -> None:
    for act in (lambda: vault.open(PIN), vault.secrets):
        with pytest.raises(NotEnrolled):
            act()


def test_a_second_vault_is_not_made_over_the_first(vault: Vault) -> None:
    vault.create(PIN)
    with pytest.raises(Refused):
        vault.create("864209")
    vault.open(PIN)


@pytest.mark.parametrize("simple", ["", "1234", "111111", "123456", "987654", "aaaaaaa", "abcdefg"])
def test_a_pin_that_anybody_tries_first_is_refused(simple: str) -> None:
    with pytest.raises(Refused):
        check_pin(simple)


def test_a_pin_may_be_words_and_full_width_digits_count_as_digits(vault: Vault) -> None:
    vault.create("竹子 480215")
    vault.open("竹子 ４８０２１５")


# ---- changing the PIN --------------------------------------------------------------------------------------


def test_a_new_pin_opens_the_same_secrets_and_the_old_one_nothing(vault: Vault) -> None:
    made = vault.create(PIN)
    vault.change_pin(PIN, "864209")
    assert vault.open("864209") == made
    with pytest.raises(WrongPin):
        vault.open(PIN)


def test_the_pin_is_not_changed_by_somebody_who_does_not_know_it(vault: Vault) -> None:
    made = vault.create(PIN)
    with pytest.raises(WrongPin):
        vault.change_pin("975310", "864209")
    assert vault.open(PIN) == made


# ---- wrong PINs --------------------------------------------------------------------------------------------


def test_four_wrong_pins_cost_nothing_and_then_the_waits_grow(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    assert wrong(vault, FREE_FAILURES - 1) == 0
    for wait in (30, 120, 600, 3600, 3600):
        assert wrong(vault, 1) == wait
        clock.go(wait)


def test_during_the_wait_even_the_right_pin_is_not_tried(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES)
    clock.go(12)
    with pytest.raises(WrongPin) as told:
        vault.open(PIN)
    assert told.value.facts["wait"] == 18
    clock.go(18)
    vault.open(PIN)


def test_a_new_program_does_not_forget_the_wait(vault: Vault, tmp_path: Path, clock: HandClock) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES)
    assert Vault(tmp_path / "home", cost=CHEAP, clock=clock).wait_s() == 30


def test_the_right_pin_starts_the_count_again(vault: Vault) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES - 1)
    vault.open(PIN)
    assert wrong(vault, FREE_FAILURES - 1) == 0


@pytest.mark.parametrize("moved", [-YEAR_S, -60, 3600, YEAR_S])
def test_setting_the_clock_neither_shortens_nor_lengthens_the_wait(
    vault: Vault, clock: HandClock, moved: float
) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES)
    clock.set(moved)
    assert vault.wait_s() == 30
    clock.go(30)
    vault.open(PIN)


def test_a_clock_set_back_by_a_year_before_a_restart_does_not_make_the_wait_a_year(
    vault: Vault, clock: HandClock
) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES)
    clock.set(-YEAR_S)
    clock.restart()
    assert vault.wait_s() == 30
    clock.go(30)
    vault.open(PIN)


def test_a_restart_with_the_clock_set_ahead_gets_past_the_wait_as_the_security_page_admits(
    vault: Vault, clock: HandClock
) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES)
    clock.set(30)
    clock.restart()
    assert vault.wait_s() == 0 and wrong(vault, 1) == 120  # the count itself goes on


def test_an_older_copy_of_the_counter_resets_it_as_the_security_page_admits(vault: Vault, tmp_path: Path) -> None:
    counter = tmp_path / "home" / "attempts.json"
    vault.create(PIN)
    wrong(vault, 1)
    older = counter.read_bytes()
    wrong(vault, FREE_FAILURES - 1)
    assert vault.wait_s() == 30
    counter.write_bytes(older)
    assert vault.wait_s() == 0


def test_two_programs_that_guess_at_once_are_counted_both(tmp_path: Path, clock: HandClock) -> None:
    homes = [Vault(tmp_path / "home", cost=CHEAP, clock=clock) for _ in range(2)]
    homes[0].create(PIN)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda vault: wrong(vault, 2), homes))
    assert wrong(homes[0], 1) == 30  # the fifth


def test_a_try_that_nobody_could_judge_is_not_counted(vault: Vault) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES - 1)

    def unheard() -> None:
        raise Unavailable(detail="no network")

    for _ in range(3):
        with pytest.raises(Unavailable):
            vault.asked(unheard)
    assert wrong(vault, 1) == 30


def test_ending_the_program_during_a_guess_does_not_save_the_guess(vault: Vault) -> None:
    vault.create(PIN)
    wrong(vault, FREE_FAILURES - 1)

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.asked(killed)
    assert vault.wait_s() == 30


def test_a_hundred_wrong_pins_destroy_nothing(vault: Vault, clock: HandClock) -> None:
    made = vault.create(PIN)
    for _ in range(100):
        wrong(vault, 1)
        clock.go(3600)
    assert vault.open(PIN) == made


def test_a_damaged_counter_costs_one_pause_and_no_data(vault: Vault, tmp_path: Path, clock: HandClock) -> None:
    made = vault.create(PIN)
    (tmp_path / "home" / "attempts.json").write_bytes(b"\0\0\0")
    seconds = clock.wall_ms() / 1000
    os.utime(tmp_path / "home" / "attempts.json", (seconds, seconds))
    assert vault.wait_s() == 30
    clock.go(30)
    assert vault.open(PIN) == made


# ---- a damaged key file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"salt": "?"}, {"memory_kib": 1 << 40}, {"passes": 0}, {"lanes": "4"}, {"extra": 1}]
)
def test_a_key_file_of_another_form_is_called_damaged(vault: Vault, change: dict[str, object]) -> None:
    vault.create(PIN)
    vault.file.write_text(json.dumps({**json.loads(vault.file.read_bytes()), **change}))
    with pytest.raises(BrokenStore):
        vault.open(PIN)


def test_a_cost_written_down_afterwards_does_not_open_the_vault(vault: Vault) -> None:
    vault.create(PIN)
    vault.file.write_text(json.dumps({**json.loads(vault.file.read_bytes()), "passes": 2}))
    with pytest.raises(WrongPin):
        vault.open(PIN)


# ---- sessions ----------------------------------------------------------------------------------------------


def test_an_unlocked_tablet_needs_no_pin_until_it_is_locked(vault: Vault) -> None:
    made = vault.create(PIN)
    with pytest.raises(Locked):
        vault.secrets()
    vault.unlock(PIN)
    assert vault.secrets() == made
    vault.lock()
    with pytest.raises(Locked):
        vault.secrets()


def test_use_keeps_a_session_open_and_idleness_ends_it(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    for _ in range(4):
        clock.go(IDLE_S - 1)
        vault.secrets()
    clock.go(IDLE_S)
    with pytest.raises(Locked):
        vault.secrets()
    assert not vault.sessions.file.exists()


def test_the_pin_is_asked_for_once_a_working_day_however_busy_the_tablet_is(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    for _ in range(LONGEST_S // 600 - 1):
        clock.go(600)
        vault.secrets()
    clock.go(600)
    with pytest.raises(Locked):
        vault.secrets()


@pytest.mark.parametrize("moved", [-YEAR_S, YEAR_S])
def test_setting_the_clock_neither_ends_a_session_nor_keeps_it(vault: Vault, clock: HandClock, moved: float) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    clock.set(moved)
    vault.secrets()
    clock.go(IDLE_S)
    with pytest.raises(Locked):
        vault.secrets()


def test_no_session_outlives_the_start_that_it_began_in(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    clock.restart()
    with pytest.raises(Locked):
        vault.secrets()


def test_looking_whether_it_is_unlocked_is_no_use(vault: Vault, clock: HandClock) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    for _ in range(3):
        clock.go(IDLE_S / 2)
        is_open = vault.sessions.is_open()
    assert not is_open


def test_two_homes_do_not_share_a_session(vault: Vault, tmp_path: Path, clock: HandClock) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    other = Vault(tmp_path / "other", runtime=tmp_path / "run", cost=CHEAP, clock=clock)
    other.create(PIN)
    with pytest.raises(Locked):
        other.secrets()


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_a_session_that_others_may_read_or_that_is_a_link_is_not_believed(vault: Vault, tmp_path: Path) -> None:
    vault.create(PIN)
    vault.unlock(PIN)
    session = next((tmp_path / "run" / "patrolbook").iterdir())
    session.chmod(0o644)
    with pytest.raises(Locked):
        vault.secrets()
    session.chmod(0o600)
    session.rename(tmp_path / "elsewhere")
    session.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Locked):
        vault.secrets()


def test_without_a_runtime_folder_the_session_lies_in_the_home(tmp_path: Path) -> None:
    vault = Vault(tmp_path, cost=CHEAP)
    vault.create(PIN)
    vault.unlock(PIN)
    assert (tmp_path / ".session").exists()


def test_keys_for_other_purposes_differ_from_each_other_and_from_the_database_key(vault: Vault) -> None:
    made = vault.create(PIN)
    assert len({made.derived("blobs"), made.derived("other"), made.database_key}) == 3
