"""Signed notes: what others published opens here, what is signed here opens again, and nothing else does."""

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from sync.core.errors import Malformed, Problem, UntrustedNote
from sync.core.note import (
    MAX_NOTE_BYTES,
    Checkpoint,
    Signature,
    SignatureType,
    Verifier,
    checkpoint_body,
    key_id,
    open_note,
    parse_checkpoint,
    sign_note,
    signature_line,
    verify_note,
)


def public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


ORIGIN = "fi.example/prov-log-1"
SEED = b"\x11" * 32
LOG = Verifier(ORIGIN, public(SEED))
COUNTY = Verifier("jw.example/witness", public(b"\x22" * 32), SignatureType.COSIGNATURE)
CITY = Verifier("city.example/witness", public(b"\x33" * 32), SignatureType.COSIGNATURE)

CHECKPOINT = Checkpoint(ORIGIN, 42, b64decode("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg="))
BODY = f"{ORIGIN}\n42\nYQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=\n"
LOG_LINE = (
    "— fi.example/prov-log-1 "
    "gJUwj+pAi1meV4Cmu9hnIGcdvrmO6G8ujahGgYcwWwl/ke+pl1UUwvfvyNJGyYWqrKbUZGzTKikX6UUauExbAPdRugg=\n"
)
COUNTY_LINE = (
    "— jw.example/witness 4d6K1gAAAABrAP4wNENgO8JdlE9RT7+aJYXOTa1MKex5xU1N8R4W2rD+WqGiqp+"
    "STuG7zwRtpLFteR8IuiOmuLuVI0HW5eOxzII1DQ==\n"
)
CITY_LINE = (
    "— city.example/witness mauJHAAAAABrAP42FcItfo3tmlyND74ZycDn1nYqi34d1I9Xxk6i/I6ODLoFEzgZGz6"
    "khVDOXkSBczVDjeVjW/zHg9BxVYfZPHekCw==\n"
)
NOTE = f"{BODY}\n{LOG_LINE}{COUNTY_LINE}{CITY_LINE}"


# ---- what others published ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "id", "typed_key", "note"),
    [
        (  # c2sp.org/signed-note, "Example"
            "example.com/foo",
            "530d903a",
            "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "This is an example message.\n\n— example.com/foo "
            "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
        ),
        (  # golang.org/x/mod/sumdb/note, package documentation
            "PeterNeumann",
            "c74f20a3",
            "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "If you think cryptography is the answer to your problem,\n"
            "then you don't know what your problem is.\n\n— PeterNeumann "
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
        ),
    ],
)
def test_the_published_examples_verify(name: str, id: str, typed_key: str, note: str) -> None:
    raw = b64decode(typed_key)
    key = Verifier(name, raw[1:], SignatureType(raw[0]))
    assert key.id.hex() == id
    text = note.split("\n\n")[0] + "\n"
    assert verify_note(note, [key]) == (text, (Signature(name, SignatureType.ED25519),))
    with pytest.raises(UntrustedNote):
        verify_note(note.replace("e", "E", 1), [key])


def test_a_checkpoint_with_two_witnesses_made_elsewhere_opens() -> None:
    assert LOG.public_key.hex() == "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
    assert COUNTY.public_key.hex() == "a09aa5f47a6759802ff955f8dc2d2a14a5c99d23be97f864127ff9383455a4f0"
    assert CITY.public_key.hex() == "17cb79fb2b4120f2b1ec65e4198d6e08b28e813feb01e4a400839b85e18080ce"
    opened = open_note(NOTE, [LOG, COUNTY, CITY])
    assert opened.checkpoint == CHECKPOINT
    assert opened.names == (LOG.name, COUNTY.name, CITY.name)
    assert [signature.time for signature in opened.signatures] == [None, 0x6B00FE30, 0x6B00FE36]


def test_a_checkpoint_signed_here_has_the_bytes_made_elsewhere() -> None:
    assert checkpoint_body(CHECKPOINT) == BODY
    assert sign_note(BODY, ORIGIN, SEED) == f"{BODY}\n{LOG_LINE}"


# ---- who signed --------------------------------------------------------------------------------------------


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    assert open_note(NOTE, [COUNTY]).names == (COUNTY.name,)


@pytest.mark.parametrize(
    "stranger",
    [
        replace(LOG, name="fi.example/other"),
        replace(LOG, type=SignatureType.COSIGNATURE),
        replace(CITY, name=ORIGIN),
    ],
)
def test_a_note_that_no_known_key_signed_is_not_trusted(stranger: Verifier) -> None:
    with pytest.raises(UntrustedNote, match="none of the signers"):
        open_note(f"{BODY}\n{LOG_LINE}", [stranger])
    with pytest.raises(UntrustedNote):
        open_note(NOTE, [])


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    other = signature_line(BODY.replace("42", "43"), ORIGIN, SEED)
    with pytest.raises(UntrustedNote, match=f"{ORIGIN} is wrong"):
        open_note(f"{BODY}\n{other}{COUNTY_LINE}", [LOG, COUNTY])


@pytest.mark.parametrize("key", [LOG, COUNTY])
def test_a_cut_signature_of_a_known_key_is_wrong(key: Verifier) -> None:
    stump = b64encode(key.id + b"\x00").decode()
    with pytest.raises(UntrustedNote, match="is wrong"):
        open_note(f"{BODY}\n— {key.name} {stump}\n", [key])


def test_a_key_signs_a_note_once() -> None:
    with pytest.raises(UntrustedNote, match="twice"):
        open_note(f"{BODY}\n{LOG_LINE}{LOG_LINE}", [LOG])


def test_during_a_change_of_keys_both_sign() -> None:
    young = b"\x44" * 32
    note = sign_note(BODY, ORIGIN, SEED) + signature_line(BODY, ORIGIN, young)
    assert open_note(note, [LOG]).checkpoint == CHECKPOINT
    assert open_note(note, [Verifier(ORIGIN, public(young))]).checkpoint == CHECKPOINT


def cosigned(time: int, signed_time: int) -> str:
    """The body with a witness line that says `time`, over a message that says `signed_time`."""
    message = f"cosignature/v1\ntime {signed_time}\n{BODY}".encode()
    signature = Ed25519PrivateKey.from_private_bytes(b"\x22" * 32).sign(message)
    blob = b64encode(COUNTY.id + time.to_bytes(8, "big") + signature).decode()
    return f"{BODY}\n— {COUNTY.name} {blob}\n"


def test_a_witness_vouches_for_its_time_too() -> None:
    assert open_note(cosigned(1000, 1000), [COUNTY]).signatures[0].time == 1000
    with pytest.raises(UntrustedNote, match="is wrong"):
        open_note(cosigned(1001, 1000), [COUNTY])
    with pytest.raises(UntrustedNote, match="out of range"):
        open_note(cosigned(2**63, 2**63), [COUNTY])


def test_the_same_key_has_another_id_for_another_use_or_name() -> None:
    ids = {key_id(name, LOG.public_key, type) for name in ("a", "b") for type in SignatureType}
    assert len(ids) == 4


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "wide\u3000space", "a\u2028b", "a\x00b"])
def test_a_name_that_a_note_cannot_carry_makes_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="not a key name"):
        Verifier(name, LOG.public_key)


def test_a_key_of_another_length_makes_no_key() -> None:
    with pytest.raises(ValueError):
        Verifier(ORIGIN, LOG.public_key[:-1])
    with pytest.raises(ValueError):
        sign_note(BODY, ORIGIN, SEED[:-1])


# ---- one written form --------------------------------------------------------------------------------------


def with_root(text: str) -> str:
    return BODY.replace("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=", text)


@pytest.mark.parametrize(
    "body",
    [
        "",
        BODY[:-1],
        BODY + "an extension\n",
        BODY.replace("\n", "\r\n"),
        BODY.replace("42", "042"),
        BODY.replace("42", "+42"),
        BODY.replace("42", "4_2"),
        BODY.replace("42", "４２"),
        BODY.replace("42", ""),
        BODY.replace("42", "-1"),
        BODY.replace("42", str(2**63)),
        BODY.replace("42", "9" * 5000),
        BODY.removeprefix(ORIGIN),
        BODY.replace(ORIGIN, "o" * 256),
        BODY.replace(ORIGIN, "tab\there"),
        BODY.replace(ORIGIN, "lone \ud800"),
        with_root("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wh="),  # stray bits before the padding
        with_root("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg"),
        with_root("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=="),
        with_root(" YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg="),
        with_root("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55w=="),
        with_root("é" * 44),
    ],
)
def test_a_checkpoint_written_in_any_other_way_is_refused(body: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(body)


@pytest.mark.parametrize(
    "note",
    [
        "",
        BODY,
        BODY + "\n",
        f"{BODY}{LOG_LINE}",
        f"{BODY}\n{LOG_LINE[:-1]}",
        f"{BODY}\n{LOG_LINE}\n",
        f"{BODY}\n{LOG_LINE[:-1]}x",
        f"{BODY}\n{LOG_LINE[:-1]}\u2028{COUNTY_LINE}",
        f"{BODY}\n{LOG_LINE}".replace("— ", ""),
        f"{BODY}\n{LOG_LINE}".replace("\n", "\r\n"),
        f"{BODY}\n{LOG_LINE}".replace("—", "-"),
        f"{BODY}\n{LOG_LINE}".replace("— ", "—  "),
        f"{BODY}\n{LOG_LINE}".replace("ugg=\n", "ugg= \n"),
        f"{BODY}\n{LOG_LINE}".replace("ugg=\n", "ugh=\n"),
        f"{BODY}\n{LOG_LINE}— {ORIGIN}\n",
        f"{BODY}\n{LOG_LINE}— a+b AAAAAAA=\n",
        f"{BODY}\n{LOG_LINE}— short AAAAAA==\n",
        f"{BODY}\n{LOG_LINE}\x00",
        f"{BODY}\n{LOG_LINE}— \ud800 AAAAAAA=\n",
        f"{BODY}\n{LOG_LINE}" + "— x.example AAAAAAA=\n" * 32,
        f"{BODY}\n{LOG_LINE}— x.example {'A' * MAX_NOTE_BYTES}\n",
        f"{BODY}\n{LOG_LINE}— {'长' * (MAX_NOTE_BYTES // 3)} AAAAAAA=\n",
    ],
)
def test_a_note_written_in_any_other_way_is_refused(note: str) -> None:
    with pytest.raises(Malformed):
        open_note(note, [LOG])


def test_a_note_has_room_for_16_large_signatures_of_strangers() -> None:
    strangers = f"— pq.example/witness {b64encode(bytes(5000)).decode()}\n" * 16
    assert open_note(f"{BODY}\n{strangers}{LOG_LINE}", [LOG]).names == (ORIGIN,)


def test_only_a_note_about_a_log_is_a_checkpoint() -> None:
    with pytest.raises(Malformed):
        open_note(sign_note("Dear log,\n\nall is well.\n", ORIGIN, SEED), [LOG])


def test_a_checkpoint_that_cannot_be_written_cannot_be_made() -> None:
    root = CHECKPOINT.root
    for origin, size in [("two\nlines", 1), ("", 1), ("a", -1), ("a", 2**63)]:
        with pytest.raises(Malformed):
            Checkpoint(origin, size, root)
    with pytest.raises(Malformed):
        Checkpoint(ORIGIN, 1, root[:-1])


@pytest.mark.parametrize("body", ["no newline", "a tab\t\n", "lone \ud800\n"])
def test_text_that_no_note_can_carry_is_not_signed(body: str) -> None:
    with pytest.raises(Malformed):
        sign_note(body, ORIGIN, SEED)


# ---- laws --------------------------------------------------------------------------------------------------

ORIGINS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=60)
CHECKPOINTS = st.builds(Checkpoint, ORIGINS, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))


@given(CHECKPOINTS)
@example(Checkpoint(" ", 0, bytes(32)))
@example(Checkpoint("线路\u2028一\x85", 2**63 - 1, bytes(32)))
def test_a_signed_checkpoint_opens_as_itself(checkpoint: Checkpoint) -> None:
    note = sign_note(checkpoint_body(checkpoint), ORIGIN, SEED)
    assert open_note(note, [LOG]).checkpoint == checkpoint


@given(st.integers(0, len(BODY)), st.integers(0, 2), st.text(max_size=2))
def test_whatever_parses_as_a_checkpoint_is_its_only_form(place: int, cut: int, put: str) -> None:
    text = BODY[:place] + put + BODY[place + cut :]
    try:
        checkpoint = parse_checkpoint(text)
    except Malformed:
        return
    assert checkpoint_body(checkpoint) == text


@given(st.integers(0, len(NOTE) - 1), st.text(max_size=2))
def test_a_note_changed_in_one_place_says_the_same_or_does_not_open(place: int, put: str) -> None:
    try:
        opened = open_note(NOTE[:place] + put + NOTE[place + 1 :], [LOG, COUNTY, CITY])
    except Problem:
        return
    assert opened.checkpoint == CHECKPOINT  # one signer may have become a stranger
    assert len(opened.names) >= 2
