"""Officers' own keys: on the tablet under their own PINs, confirmed at the desk, and what their co-signatures are worth."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from field_client.cli import cli
from field_client.holding.officers import FOLDER, OfficerKeys
from field_client.platform.keys import Secrets
from field_client.platform.wrapping import Cost
from field_client.tablet import Tablet
from server.cli import main
from server.merging import decisions
from sync.core.cosigning import cosignature_input, key_id, proof_input, read, signed_by
from sync.core.errors import NotAllowed, NotEnrolled, Refused, WrongPin
from tests.support.server import TestServer, running_server
from tests.support.tablets import AREA, tablet_in

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
PINS = {"李敏": "730951", "赵刚": "264087"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        server.person("admin", "", name="王芳")
        yield server


@pytest.fixture(scope="module")
def officers(server: TestServer) -> dict[str, str]:
    """Two certified officers, name → id."""
    found = {}
    for number, name in enumerate(PINS):
        values = {"name": name, "certificate_number": f"4301001234{number}", "area": "430102", "status": "active"}
        found[name] = decisions.write(server.instance.desk, "officer", None, values, by=["desk"]).record
    return found


class Hand:
    """The tablet of an officer, as a person uses it."""

    def __init__(self, home: Path) -> None:
        self.env = {"PATROLBOOK_HOME": str(home), "PATROLBOOK_PIN": "480215", "XDG_RUNTIME_DIR": "", "PATROLBOOK_GUARD": "no"}
        self.home = home

    def __call__(self, *words: str, pin: str | None = None) -> Result:
        return CliRunner().invoke(cli, list(words), env={**self.env, "PATROLBOOK_OFFICER_PIN": pin})

    def said(self, *words: str, pin: str | None = None) -> str:
        result = self(*words, pin=pin)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def inspection(self, *words: str) -> str:
        """An inspection of an institution of its own."""
        made = self.said("institutions", "add", "--name", "学雅口才培训中心", "--area", AREA)
        found = re.search("[0-9a-f-]{36}", made)
        assert found is not None
        self.said("inspect", "start", found[0], *words)
        return str(self.json("inspect", "list")[-1]["id"])


@pytest.fixture
def hand(tmp_path: Path, server: TestServer, officers: dict[str, str]) -> Hand:
    hand = Hand(tmp_path / "home")
    hand.said("enrol", server.url, server.code(server.person("officer", "430102", name="李敏")))
    hand.said("unlock")
    hand.said("sync")
    return hand


def own_tablet(home: Path) -> Tablet:
    """A tablet with keys that no other one has."""
    return tablet_in(home, Secrets(secrets.token_bytes(32), secrets.token_bytes(32)))


def desk(server: TestServer, *words: str) -> Result:
    env = {"PATROLBOOK_DATA": str(server.instance.settings.data), "PATROLBOOK_LANG": "zh"}
    return CliRunner().invoke(main, list(words), env=env)


def test_two_officers_with_confirmed_keys_make_an_inspection_formal_evidence(
    hand: Hand, server: TestServer, officers: dict[str, str]
) -> None:
    for name, pin in PINS.items():
        assert "本人当面或电话" in hand.said("officer", "key", "new", name, pin=pin)
    inspection = hand.inspection(
        "--mode", "enforcement", "--officer", officers["李敏"], "--officer", officers["赵刚"]
    )
    hand.said("inspect", "set", inspection, "findings=二楼通道堆放桌椅", "notice_number=2026-7")
    hand.said("inspect", "answer", inspection, "PRC-03", "yes")
    for name, pin in PINS.items():
        hand.said("inspect", "sign", inspection, "--officer", name, pin=pin)
    hand.said("inspect", "sign", inspection, "罗雨")
    waiting = hand.said("inspect", "show", inspection)
    assert "证据等级 B" in waiting and "还没有确认" in waiting
    hand.said("sync")

    for held in hand.json("officer", "key", "list"):
        told = desk(server, "officers", "confirm-key", held["id"])
        assert told.exit_code == 0 and held["name"] in told.output
    hand.said("sync")
    assert "证据等级 A" in hand.said("inspect", "show", inspection)
    assert {one["status"] for one in hand.json("officer", "key", "list")} == {"confirmed"}

    hand.said("inspect", "set", inspection, "person_in_charge=罗雨")
    assert "改动前的内容" in hand.said("inspect", "show", inspection)


def test_a_wrong_pin_signs_nothing_and_leaves_nothing_behind(hand: Hand) -> None:
    hand.said("officer", "key", "new", "李敏", pin=PINS["李敏"])
    inspection = hand.inspection()
    before = hand.json("inspect", "show", inspection)
    result = hand("inspect", "sign", inspection, "--officer", "李敏", pin="480215")  # the tablet's PIN is another
    assert result.exit_code == 1 and "PIN" in result.output
    assert hand.json("inspect", "show", inspection) == before


def test_an_officer_without_a_key_signs_as_before_and_is_told(hand: Hand) -> None:
    inspection = hand.inspection()
    assert "不是会签" in hand.said("inspect", "sign", inspection, "--officer", "赵刚")
    values = hand.json("inspect", "show", inspection)["values"]
    (signature,) = (value for path, value in values.items() if path.startswith("signatures/"))
    assert signature["as"] == "officer" and signature["name"] == "赵刚" and "cosig" not in signature


def test_a_withdrawn_key_signs_no_more_and_a_dropped_one_is_gone(hand: Hand, server: TestServer) -> None:
    hand.said("officer", "key", "new", "李敏", pin=PINS["李敏"])
    hand.said("sync")
    (held,) = hand.json("officer", "key", "list")
    again = hand("officer", "key", "new", "李敏", pin=PINS["李敏"])
    assert again.exit_code == 1 and "已有密钥" in again.output
    told = desk(server, "officers", "withdraw-key", held["id"][:8], "--reason", "忘记 PIN")
    assert told.exit_code == 0
    assert desk(server, "officers", "withdraw-key", held["id"], "--reason", "又一次").exit_code == 1
    assert desk(server, "officers", "confirm-key", held["id"]).exit_code == 1
    hand.said("sync")
    hand.said("officer", "key", "drop", held["id"][:6], "--yes")
    assert hand.json("officer", "key", "list") == [] and not list((hand.home / FOLDER).iterdir())
    hand.said("officer", "key", "new", "李敏", pin="951730")


def test_nobody_confirms_a_key_of_their_own(server: TestServer, hand: Hand) -> None:
    wang = server.person("staff", "430102", name="周强")
    values = {"name": "周强", "certificate_number": "43010077777", "area": "430102", "person": wang.id}
    decisions.write(server.instance.desk, "officer", None, values, by=["desk"])
    hand.said("sync")
    hand.said("officer", "key", "new", "周强", pin="730951")
    hand.said("sync")
    key = next(one["id"] for one in hand.json("officer", "key", "list") if one["name"] == "周强")
    refused = desk(server, "officers", "confirm-key", key, "--by", wang.id)
    assert refused.exit_code == 1 and "自己的密钥" in refused.output
    listed = json.loads(desk(server, "officers", "keys", "--json").output)
    assert next(one["status"] for one in listed if one["record"] == key) == "proposed"


def test_a_key_that_nothing_proves_cannot_be_confirmed(server: TestServer, hand: Hand, officers: dict[str, str]) -> None:
    tablet = own_tablet(hand.home.parent / "other")
    tablet.enrol(server.url, server.code(server.person("officer", "430102")), "T-15")
    tablet.sync(until="records")
    id = OfficerKeys(tablet, cost=CHEAP).make(officers["李敏"], "730951")
    tablet.write("officer_key", id, {"officer": officers["赵刚"]})  # somebody gives the key to somebody else
    tablet.sync(until="records")
    refused = desk(server, "officers", "confirm-key", id)
    assert refused.exit_code == 1 and "持有证明" in refused.output


def test_a_key_is_proven_and_its_file_is_for_its_pin_only(
    tmp_path: Path, server: TestServer, officers: dict[str, str]
) -> None:
    tablet = own_tablet(tmp_path / "home")
    keys = OfficerKeys(tablet, cost=CHEAP)
    with pytest.raises(NotEnrolled):
        keys.make("anybody", "730951")
    tablet.enrol(server.url, server.code(server.person("officer", "430102")), "T-15")
    tablet.sync(until="records")
    with pytest.raises(Refused):
        keys.make(officers["李敏"], "111111")
    assert not list(keys.held())
    id = keys.make(officers["李敏"], "730951")
    values = tablet.values(id)
    public = bytes.fromhex(values["public_key"])
    identity = tablet.identity
    assert identity is not None and id == key_id(public)
    assert signed_by(public, read(values["proof"]), proof_input(officers["李敏"], identity.device))
    held = keys.of(officers["李敏"])
    assert held is not None
    with pytest.raises(WrongPin):
        keys.cosign(held, "730952", "ab" * 32)
    parts = keys.cosign(held, "730951", "ab" * 32)
    assert signed_by(public, read(parts["cosig"]), cosignature_input("ab" * 32))
    assert parts["key"] == id and parts["officer"] == officers["李敏"]


def test_a_tablet_of_another_role_makes_no_keys(tmp_path: Path, server: TestServer, officers: dict[str, str]) -> None:
    tablet = own_tablet(tmp_path / "home")
    tablet.enrol(server.url, server.code(server.person("inspector", "430102")), "T-16")
    with pytest.raises(NotAllowed):
        OfficerKeys(tablet, cost=CHEAP).make(officers["李敏"], "730951")


def test_a_tip_or_a_patrol_is_shown_with_its_grade(hand: Hand) -> None:
    inspection = hand.inspection()
    assert "证据等级 D" in hand.said("inspect", "show", inspection)


def test_the_area_of_a_key_lies_where_its_tablet_may_write(tmp_path: Path, server: TestServer) -> None:
    away = decisions.write(
        server.instance.desk, "officer", None,
        {"name": "孙立", "certificate_number": "43028155555", "area": "43"}, by=["desk"],
    ).record  # fmt: skip
    tablet = own_tablet(tmp_path / "home")
    tablet.enrol(server.url, server.code(server.person("officer", "430102")), "T-17")
    tablet.write("officer", away, {"name": "孙立", "area": "43"})
    assert tablet.values(OfficerKeys(tablet, cost=CHEAP).make(away, "730951"))["area"] == "430102"
