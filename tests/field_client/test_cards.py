"""The card of an officer before the tablet: resolved by the ledger here, and refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from field_client.tablet import Tablet
from field_client.work import cards, inspecting
from schemas.cards import card_text
from sync.core.errors import Refused
from tests.support.tablets import AREA, institution, tablet_in


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[Tablet]:
    opened = tablet_in(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def visit(tablet: Tablet) -> str:
    return inspecting.start(tablet, institution(tablet), "enforcement")


def officer(tablet: Tablet, name: str, certificate: str, **more: object) -> str:
    values = {"name": name, "certificate_number": certificate, "area": AREA, "status": "active", **more}
    return tablet.write("officer", None, values).record


def refused(tablet: Tablet, visit: str, certificate: str) -> str:
    before = tablet.queued()
    with pytest.raises(Refused) as why:
        cards.take(tablet, visit, card_text(certificate))
    assert tablet.queued() == before, "nothing is written"
    return why.value.text("zh")


def test_two_officers_are_taken_by_their_cards(tablet: Tablet, visit: str) -> None:
    known = {officer(tablet, "李敏", "4301-0001"), officer(tablet, "王强", "4301-0002")}
    assert {cards.take(tablet, visit, card_text(one)) for one in ("43010001", "4301-0002")} == known
    assert inspecting.officers_of(tablet.values(visit)) == known


def test_a_certificate_that_the_ledger_does_not_have_names_nobody(tablet: Tablet, visit: str) -> None:
    officer(tablet, "李敏", "4301-0001")
    assert "不在本机的执法人员名册" in refused(tablet, visit, "4301-9999")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"valid_until": "2020-01-01"}, "到期"),
        ({"valid_from": "2199-01-01"}, "起才有效"),
        ({"status": "suspended"}, "暂停执法"),
        ({"status": "left"}, "离岗"),
    ],
)
def test_who_may_not_enforce_that_day_is_refused_with_the_reason(
    tablet: Tablet, visit: str, more: dict[str, object], why: str
) -> None:
    officer(tablet, "李敏", "4301-0001", **more)
    assert why in refused(tablet, visit, "4301-0001")


def test_the_same_card_twice_counts_once(tablet: Tablet, visit: str) -> None:
    officer(tablet, "李敏", "4301-0001")
    cards.take(tablet, visit, card_text("4301-0001"))
    assert "已在检查人员中" in refused(tablet, visit, "4301 0001")


def test_two_certificates_of_one_person_are_one_person(tablet: Tablet, visit: str) -> None:
    for certificate in ("4301-0001", "4301-0002"):
        officer(tablet, "李敏", certificate, person="p-1")
    cards.take(tablet, visit, card_text("4301-0001"))
    assert "同一个人" in refused(tablet, visit, "4301-0002")


def test_of_two_entries_with_one_certificate_the_one_in_force_is_taken(tablet: Tablet, visit: str) -> None:
    officer(tablet, "李敏", "4301-0001", status="left")
    now = officer(tablet, "李敏", "4301-0001")
    assert cards.take(tablet, visit, card_text("4301-0001")) == now


def test_a_deleted_entry_of_the_ledger_counts_no_more(tablet: Tablet, visit: str) -> None:
    tablet.delete(officer(tablet, "李敏", "4301-0001"), "误录")
    assert "不在本机的执法人员名册" in refused(tablet, visit, "4301-0001")


def test_another_code_than_a_card_says_what_it_is_not() -> None:
    with pytest.raises(Refused) as why:
        cards.seen(["https://example.com/"])
    assert "不是执法人员的证件卡" in why.value.text("zh")
