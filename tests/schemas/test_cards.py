"""证件卡: what its code says is read back, and nothing else is taken for a card."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cards import card_text, read_card
from schemas.certificates import certificate_of


@given(st.text(min_size=1, max_size=60))
def test_what_a_card_says_is_the_certificate_it_was_made_of(number: str) -> None:
    assert read_card(card_text(number)) == (certificate_of({"certificate_number": number}) or None)


@pytest.mark.parametrize("text", ["430100-12345", "湘 A 0001", " 43010012345 "])
def test_a_card_of_another_maker_that_holds_the_number_alone_is_read(text: str) -> None:
    assert read_card(text) == certificate_of({"certificate_number": text})


@pytest.mark.parametrize(
    "text",
    ["", "https://example.com/?certificate=43010012345", "patrolbook:enrol?url=https://x&code=K7M2", "PBA1|r|1|a|b|c",
     "patrolbook:officer", "patrolbook:officer?certificate=", "patrolbook:officer?number=1", "WIFI:S:office;T:WPA;P:x;;", "//[", "patrolbook://["],
)  # fmt: skip
def test_other_codes_are_no_card(text: str) -> None:
    assert read_card(text) is None


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    assert read_card(text) is None or read_card(text) == certificate_of({"certificate_number": read_card(text)})
