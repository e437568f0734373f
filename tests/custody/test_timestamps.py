"""Time stamps: what a response says, and that both judges refuse everything that no named authority said."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from custody import timestamps
from custody.timestamps import NoJudge, by_library, by_openssl, read, request, verify
from sync.core.errors import BadStamp
from tests.support.stampers import FOR_STAMPS, OTHER_POLICY, POLICY, Authority

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
MESSAGE = b"patrolbook/43/1f2e\n42\nYQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=\n"
JUDGES = {"rfc3161-client": by_library, "openssl": by_openssl}
each_judge = pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tsa")


@pytest.fixture(scope="module")
def tsa(folder: Path) -> Authority:
    return Authority(folder / "tsa")


@pytest.fixture(scope="module")
def other(folder: Path) -> Authority:
    return Authority(folder / "other")


@each_judge
def test_a_real_time_stamp_holds_and_says_when(tsa: Authority, judge: timestamps.Judge) -> None:
    before = datetime.now(UTC).timestamp() * 1000
    token = verify(tsa.stamp(MESSAGE, 2**62), MESSAGE, [tsa.root], nonce=2**62, policy=POLICY, judge=judge)
    after = datetime.now(UTC).timestamp() * 1000
    assert token.accuracy == 1000 and token.resolution == 1000 and token.policy == POLICY
    assert token.earliest <= before and after <= token.latest + 1000


@each_judge
def test_one_that_openssl_signed_by_hand_holds_too_so_the_refusals_below_are_for_their_own_reason(
    tsa: Authority, judge: timestamps.Judge
) -> None:
    assert verify(tsa.signed(MESSAGE), MESSAGE, [tsa.root], nonce=7, judge=judge).nonce == 7


@each_judge
def test_a_stamp_over_something_else_with_another_nonce_or_policy_is_refused(
    tsa: Authority, judge: timestamps.Judge
) -> None:
    response = tsa.stamp(MESSAGE)
    for wrong in (
        lambda: verify(response, MESSAGE + b"x", [tsa.root], judge=judge),
        lambda: verify(response, MESSAGE, [tsa.root], nonce=8, judge=judge),
        lambda: verify(response, MESSAGE, [tsa.root], policy=OTHER_POLICY, judge=judge),
        lambda: verify(response, MESSAGE, [], judge=judge),
    ):
        with pytest.raises(BadStamp):
            wrong()


@each_judge
def test_a_stamp_by_an_authority_that_nobody_named_is_refused(
    tsa: Authority, other: Authority, judge: timestamps.Judge
) -> None:
    with pytest.raises(BadStamp):
        verify(other.stamp(MESSAGE), MESSAGE, [tsa.root], judge=judge)
    assert verify(other.stamp(MESSAGE), MESSAGE, [tsa.root, other.root], judge=judge)


@each_judge
@pytest.mark.parametrize(
    ("usage", "critical"),
    [
        ([ExtendedKeyUsageOID.SERVER_AUTH], True),
        ([FOR_STAMPS], False),
        ([FOR_STAMPS, ExtendedKeyUsageOID.SERVER_AUTH], True),
    ],
    ids=["another purpose", "not critical", "a second purpose"],
)
def test_a_certificate_that_is_not_for_time_stamping_alone_stamps_nothing(
    folder: Path, judge: timestamps.Judge, usage: list[ObjectIdentifier], critical: bool
) -> None:
    tsa = Authority(folder / f"{len(list(folder.iterdir()))}", usage=usage, critical=critical)
    response = tsa.signed(MESSAGE)
    with pytest.raises(BadStamp):
        verify(response, MESSAGE, [tsa.root], judge=judge)


@each_judge
def test_certificates_count_at_the_time_of_the_stamp_and_not_of_the_reading(
    tsa: Authority, judge: timestamps.Judge
) -> None:
    now = datetime.now(UTC)
    for outside in (now - timedelta(days=31), now + timedelta(days=400)):
        with pytest.raises(BadStamp):
            verify(tsa.signed(MESSAGE, outside), MESSAGE, [tsa.root], judge=judge)
    assert verify(tsa.signed(MESSAGE, now + timedelta(days=300)), MESSAGE, [tsa.root], judge=judge)


@each_judge
def test_every_flipped_byte_of_a_token_is_found_or_changes_nothing_that_was_signed(
    tsa: Authority, judge: timestamps.Judge
) -> None:
    response = tsa.stamp(MESSAGE)
    honest = verify(response, MESSAGE, [tsa.root], judge=judge)
    for at in range(0, len(response), 29):
        bent = response[:at] + bytes([response[at] ^ 1]) + response[at + 1 :]
        with contextlib.suppress(BadStamp, NoJudge):
            assert verify(bent, MESSAGE, [tsa.root], judge=judge) == honest


def test_where_neither_judge_is_there_nothing_is_called_good(tsa: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    response = tsa.stamp(MESSAGE)
    monkeypatch.setattr(timestamps.shutil, "which", lambda name: None)
    monkeypatch.setattr(timestamps, "by_library", lambda *_: (_ for _ in ()).throw(NoJudge))
    with pytest.raises(NoJudge):
        verify(response, MESSAGE, [tsa.root])


def test_what_the_authority_did_not_grant_is_no_stamp(tsa: Authority) -> None:
    response = tsa.reply(request(MESSAGE, 7, "1.9.9.9"))  # a policy that it does not have
    with pytest.raises(BadStamp):
        read(response)


@pytest.mark.parametrize(
    ("written", "resolution", "millis"),
    [("20261122033000Z", 1000, 0), ("20261122033000.5Z", 100, 500), ("20261122033000.123456Z", 1, 123)],
)
def test_a_time_is_as_fine_as_it_was_written(tsa: Authority, written: str, resolution: int, millis: int) -> None:
    token = read(tsa.signed(MESSAGE, written))
    assert (token.resolution, token.at % 1000) == (resolution, millis)
    assert token.latest - token.earliest == resolution - 1 + 2000


@pytest.mark.parametrize(
    "written", ["20261122033000", "20261122033000.50Z", "202611220330Z", "20261322033000Z", "2026112203300Z"]
)
def test_a_time_in_another_form_is_not_read(tsa: Authority, written: str) -> None:
    with pytest.raises(BadStamp):
        read(tsa.signed(MESSAGE, written))


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reader(content: bytes) -> None:
    with pytest.raises(BadStamp):
        read(content)


@given(data=st.data())
def test_no_bent_response_upsets_the_reader(tsa: Authority, data: st.DataObject) -> None:
    response = bytearray(_response(tsa))
    for _ in range(data.draw(st.integers(1, 4))):
        response[data.draw(st.integers(0, len(response) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadStamp):
        read(bytes(response[: data.draw(st.integers(0, len(response)))]))


@functools.cache
def _response(tsa: Authority) -> bytes:
    return tsa.stamp(MESSAGE)


@given(st.integers(0, 2**63), st.lists(st.integers(0, 2**40), max_size=6))
def test_a_request_is_read_by_openssl_as_it_was_meant(nonce: int, arcs: list[int]) -> None:
    """The writer against the reader: one form for every number."""
    policy = ".".join(map(str, (1, 3, *arcs)))
    made = request(MESSAGE, nonce, policy)
    (_, content), *rest = timestamps._parts(made)
    fields = timestamps._parts(content)
    assert rest == [] and timestamps._dotted(fields[2][1]) == policy and timestamps._number(fields[3][1]) == nonce


def test_openssl_reads_our_request(tsa: Authority, tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(request(MESSAGE, 2**62 + 5, OTHER_POLICY))
    done = subprocess.run(
        ["openssl", "ts", "-query", "-in", "q", "-text"], cwd=tmp_path, capture_output=True, text=True
    )
    assert f"Nonce: 0x{2**62 + 5:X}" in done.stdout and "Certificate required: yes" in done.stdout
    assert OTHER_POLICY in done.stdout and "sha256" in done.stdout


def test_what_is_no_object_identifier_is_not_asked_for() -> None:
    wrong: list[str] = ["1", "3.1", "1.40", "1.02", "1..2", "x", "1.2 "]
    for one in wrong:
        with pytest.raises(ValueError):
            request(MESSAGE, 1, one)
