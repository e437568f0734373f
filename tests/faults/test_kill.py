"""Killing either process at any moment of a sync loses nothing acknowledged and needs no repair by hand."""

from __future__ import annotations

import os
import random
import secrets
import time
from pathlib import Path

import pytest

from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from server.access import enrolment, rights
from server.config import Settings
from server.instance import create_instance, open_instance, wall_ms
from server.storage import blobs, journal, people, states
from server.storage.people import Grant, Person
from sync.core.fold import State, deleted
from tests.support.processes import Children, free_port

KILLS = int(os.environ.get("PATROLBOOK_KILLS", "200"))
FIELD_DAY = "tests/faults/field_day.py"


@pytest.mark.slow
def test_killing_tablet_or_server_at_200_random_moments_loses_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("PATROLBOOK_SEED", secrets.randbelow(2**32)))
    print(f"PATROLBOOK_SEED={seed}")
    chance = random.Random(seed)
    port, data, home = free_port(), tmp_path / "server", tmp_path / "tablet"
    secret, signing = secrets.token_bytes(32), secrets.token_bytes(32)
    code = _county(data)
    day = [FIELD_DAY, str(home), f"http://127.0.0.1:{port}", secret.hex(), signing.hex()]
    printed: list[str] = []
    with Children() as children:
        server = children.serve(data, port)
        tablet = Tablet.create(home, secret, signing, EncryptedFiles(home / "blobs", secret))
        tablet.enrol(f"http://127.0.0.1:{port}", code, "T-14")
        tablet.close()
        field = children.start(*day)
        for _ in range(KILLS):
            with_server = chance.random() < 0.5
            field.wait_for("opened")
            time.sleep(chance.uniform(0.0, 0.8))
            victim = server if with_server else field
            victim.kill()
            printed += victim.lines
            if with_server:
                server = children.serve(data, port)
            else:
                field = children.start(*day)
        field.kill()
        printed += field.lines
        last = children.start(*day, "--last")
        assert last.finish() == 0, "\n".join(last.lines)
        printed += last.lines
    confirmed, captured, held = (
        {line.split()[1] for line in printed if line.startswith(word + " ")}
        for word in ("confirmed", "captured", "held")
    )
    assert len(confirmed) > KILLS and held and captured
    _the_server_has(data, confirmed | held, captured)
    _both_sides_hold_the_same(data, home, secret, signing)


def _county(data: Path) -> str:
    """A server with one inspector; returns an enrolment code."""
    house = create_instance(Settings(data), "test.example/log")
    with house.database.write() as conn:
        person = Person("p-1", "李敏", "inspector", wall_ms())
        people.add_person(conn, person)
        rights.grant(conn, Grant("g-1", person.id, "430104", "inspector", 0, None))
    code = enrolment.invite(house.database, house.keys, person.id, wall_ms(), house.settings.code_ms)
    house.close()
    return code


def _the_server_has(data: Path, changes: set[str], digests: set[str]) -> None:
    house = open_instance(Settings(data))
    with house.database.read() as conn:
        assert changes - journal.known(conn, changes).keys() == set()
        assert blobs.missing(conn, digests) == set()
    house.close()


def _both_sides_hold_the_same(data: Path, home: Path, secret: bytes, signing: bytes) -> None:
    house = open_instance(Settings(data))
    with house.database.read() as conn:
        there = {row.record: State.read(row.bytes).live for row in states.scan(conn)}
    house.close()
    tablet = Tablet.open(home, secret, signing, EncryptedFiles(home / "blobs", secret))
    here = {s.record: s.live for kind in tablet.kinds() for s in tablet.browse(kind) if not deleted(s)}
    assert here == there
    assert tablet.store.database.value("PRAGMA integrity_check") == "ok"
    tablet.close()
