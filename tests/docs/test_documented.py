"""Undocumented is red: codes, kinds, verbs, commands."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from field_client.cli import cli as tablet
from schemas.registry import shipped
from server.cli import main as server
from server.errors import status_of
from sync.core.errors import RETIRED, by_code
from witness.cli import main as witness

DOCS = Path(__file__).parents[2] / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text()
OPERATIONS = (DOCS / "operations.md").read_text()


@pytest.mark.parametrize("code", sorted(by_code()))
def test_every_problem_is_in_the_protocol_with_its_status(code: str) -> None:
    status = status_of(by_code()[code]())
    assert f"| `{code}` | {status} |" in PROTOCOL


def test_a_retired_code_is_not_used_again() -> None:
    assert not RETIRED.keys() & by_code().keys()


@pytest.mark.parametrize("kind", shipped().names())
def test_every_kind_is_in_the_glossary(kind: str) -> None:
    assert f"| {kind.replace('_', ' ')} |" in (DOCS / "glossary.md").read_text()


def commands(group: click.Group, prefix: str) -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{prefix} {name}") if isinstance(command, click.Group) else [f"{prefix} {name}"]
    return found


@pytest.mark.parametrize(
    "command",
    commands(server, "patrolbook-server") + commands(tablet, "patrolbook") + commands(witness, "patrolbook-witness"),
)
def test_every_command_is_in_the_operations_page(command: str) -> None:
    assert f"`{command}" in OPERATIONS
