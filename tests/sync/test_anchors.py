"""Anchors: one written form each, read aloud without harm, and what the log says of them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from sync.core.anchors import Kept, Paper, heard, judge, paper_text, read_paper, scan, show, spoken
from sync.core.errors import BadSignature, Malformed, Problem

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = "ab" * 32
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
PAPERS = st.builds(Paper, DIGESTS, st.integers(1, 2**53 - 1), DIGESTS)


def text(**more: Any) -> str:
    facts = {"replica": "01a202f7-0e2e-7a03-a06d-0afab0ed9a61", "n": 57, "head": HEAD, "key": PUBLIC} | more
    return show(facts["replica"], facts["n"], facts["head"], facts["key"], KEY.sign)


@given(st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True), st.integers(1, 2**53 - 1), DIGESTS)
def test_what_one_tablet_shows_another_reads(replica: str, n: int, head: str) -> None:
    peer = scan(text(replica=replica, n=n, head=head))
    assert (peer.replica, peer.n, peer.head, peer.key) == (replica, n, head, PUBLIC.hex())


def test_the_form_is_the_one_of_the_protocol_page() -> None:
    assert text().startswith(
        "PBA1|01a202f7-0e2e-7a03-a06d-0afab0ed9a61|57|" + "q6ur" * 10 + "q6s|A6EHv_POEL4dcN0Y50vAmWfk"
    )
    assert len(text()) < 300  # a QR code of version 12 at most, which a tablet's camera reads


def test_any_changed_character_is_found() -> None:
    whole = text()
    for at in range(len(whole)):
        for other in "A0|":
            if other != whole[at]:
                with pytest.raises(Problem):
                    scan(whole[:at] + other + whole[at + 1 :])


def test_a_number_that_its_tablet_did_not_sign_is_refused() -> None:
    with pytest.raises(BadSignature):
        scan(text().replace("|57|", "|56|"))
    with pytest.raises(Malformed):
        scan(text().replace("|57|", "|057|"))


@given(PAPERS)
def test_a_printed_code_reads_back(paper: Paper) -> None:
    assert read_paper(paper_text(paper)) == paper


@pytest.mark.parametrize(
    "spoil", [lambda t: t + "|", lambda t: t.upper(), lambda t: t.replace("|", " "), lambda t: t[:-1], lambda t: ""]
)
def test_another_form_of_a_printed_code_is_refused(spoil: Any) -> None:
    with pytest.raises(Malformed):
        read_paper(spoil(paper_text(Paper(HEAD, 57, "cd" * 32))))


@given(PAPERS)
def test_a_code_has_eight_groups_of_four_and_is_heard_as_it_was_spoken(paper: Paper) -> None:
    code = spoken(paper)
    assert [len(group) for group in code.split("-")] == [4] * 8
    assert (
        heard(code) == heard(code.lower().replace("-", " ")) == heard(code.replace("0", "O").replace("1", "I")) == code
    )


@given(PAPERS, st.integers(0, 38), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
@example(Paper(HEAD, 1, HEAD), 0, "Z")
def test_a_misheard_character_is_told_by_the_last_group(paper: Paper, at: int, sign: str) -> None:
    code = spoken(paper)
    if code[at] not in (sign, "-"):
        with pytest.raises(Malformed):
            heard(code[:at] + sign + code[at + 1 :])


@given(PAPERS, PAPERS)
def test_another_head_number_or_document_has_another_code(one: Paper, other: Paper) -> None:
    assert (spoken(one) == spoken(other)) == (one == other)


@pytest.mark.parametrize(
    ("kept", "verdict"),
    [
        (Kept(HEAD), "held"),
        (Kept("cd" * 32), "contradicted"),
        (Kept("cd" * 32, moved_on=True, carried=HEAD), "contradicted"),
        (Kept(None), "waiting"),
        (Kept(None, moved_on=True, carried=HEAD), "carried"),
        (Kept(None, moved_on=True, carried="cd" * 32), "lost"),
        (Kept(None, moved_on=True), "lost"),
    ],
)
def test_what_the_log_says_of_an_anchor(kept: Kept, verdict: str) -> None:
    assert judge(HEAD, kept) == verdict
