"""Tablets on patrol in tests: enrolled with a running server, and what each side shows."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from schemas.registry import Registry
from server.storage import states
from sync.core.fold import State
from tests.support.server import TestServer

AREA = "430104001003"


def new_tablet(home: Path, registry: Registry | None = None, **more: Any) -> Tablet:
    """A tablet that knows no server yet."""
    key = secrets.token_bytes(32)
    files = EncryptedFiles(home / "blobs", key)
    return Tablet.create(home, key, secrets.token_bytes(32), files, registry=registry, **more)


def enrolled(
    server: TestServer, home: Path, role: str = "officer", areas: tuple[str, ...] = ("430104",), **more: Any
) -> Tablet:
    """A new person's tablet."""
    tablet = new_tablet(home, **more)
    tablet.enrol(server.url, server.code(server.person(role, *areas)), home.name)
    return tablet


def round_of(tablet: Tablet, **more: Any) -> Any:
    """One round that must succeed; returns its report."""
    report = tablet.sync(**more)
    assert report.problem is None, report.problem
    return report


def shown(tablet: Tablet) -> dict[str, dict[str, dict[str, Any]]]:
    """record → path → change id → value: everything that the tablet shows."""
    return {state.record: state.live for kind in tablet.kinds() for state in tablet.browse(kind)}


def held(server: TestServer) -> dict[str, dict[str, dict[str, Any]]]:
    """The same as the server holds it."""
    with server.instance.database.read() as conn:
        return {row.record: State.read(row.bytes).live for row in states.scan(conn)}
