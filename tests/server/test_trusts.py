"""The trust file at the server: to whom evidence is sealed, named edition by edition and signed by the root alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from custody.sealing import new_identity, recipient_of, unlock_identity
from server.cli import main
from server.config import Settings
from server.proofs.trusts import create_seal_key, next_seal, published
from sync.core.errors import InvalidField, Refused, WrongSealKey
from sync.core.trust import Seal

Run = Callable[..., str]
ONE, TWO, THREE = (new_identity().recipient for _ in range(3))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def typed(*words: str, status: int = 0) -> str:
        env = {"PATROLBOOK_DATA": str(tmp_path / "data"), "PATROLBOOK_LANG": "en", "PATROLBOOK_PASSPHRASE": "竹子"}
        result = CliRunner().invoke(main, list(words), env=env, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output

    typed("init", "--name", "湖南省教育厅", "--area", "43", "--admin", "王芳")
    return typed


def test_a_key_is_made_named_and_shown_and_later_editions_keep_it(run: Run, tmp_path: Path) -> None:
    root, mine = str(tmp_path / "root.age"), tmp_path / "province.age"
    run("trust", "root", root)
    told = run("trust", "seal-key", str(mine))
    recipient = recipient_of(unlock_identity(mine.read_bytes(), "竹子"))
    assert recipient in told and f"--province {recipient}" in told
    assert recipient.encode() not in mine.read_bytes() and b"AGE-SECRET" not in mine.read_bytes()
    run("trust", "sign", root, "--authority", "湖南省教育厅", "--province", recipient, "--escrow", ONE)
    run("trust", "sign", root, "--county", f"430104={TWO}", "--county", f"430105={THREE}")
    run("trust", "sign", root)
    held = published(Settings(tmp_path / "data"))
    assert held is not None and held.trust.edition == 3
    assert held.trust.seal == Seal(2, (recipient,), (ONE,), {"430104": (TWO,), "430105": (THREE,)})
    shown = run("trust", "show")
    assert recipient[:30] in shown


def test_what_is_no_key_or_no_area_is_refused_and_nothing_is_published(run: Run, tmp_path: Path) -> None:
    root = str(tmp_path / "root.age")
    run("trust", "root", root)
    for wrong in (["--province", "age1nonsense"], ["--province", ONE, "--county", "xx"], ["--escrow", ONE],
                  ["--province", ONE, "--county", f"x={TWO}"]):  # fmt: skip
        run("trust", "sign", root, "--authority", "湖南省教育厅", *wrong, status=1)
    assert published(Settings(tmp_path / "data")) is None


def test_what_is_given_replaces_its_like_and_raises_the_version() -> None:
    first = next_seal(None, [ONE], [], [])
    assert first == Seal(1, (ONE,))
    assert next_seal(None, [], [], []) is None
    with pytest.raises(InvalidField):
        next_seal(None, [], [ONE], [])


def test_a_key_file_is_not_written_over_and_opens_for_its_passphrase_alone(tmp_path: Path) -> None:
    file = tmp_path / "province.age"
    recipient = create_seal_key(file, "竹子")
    with pytest.raises(Refused):
        create_seal_key(file, "竹子")
    with pytest.raises(WrongSealKey):
        unlock_identity(file.read_bytes(), "河流")
    assert recipient_of(unlock_identity(file.read_bytes(), "竹子")) == recipient
