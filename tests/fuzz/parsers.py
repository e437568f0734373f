"""The parsers that read what strangers send, each with real inputs to begin from and the laws that it must keep.

A parser may answer with a value or with one of our own problems. Anything else, an answer that breaks a law, or no answer
within `SECONDS`, is a bug.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import archive, captures, codes, media, timestamps
from custody.bundle import Bundle
from custody.captures import Capture
from custody.media import exif
from custody.report import read_report
from schemas.cards import card_text, read_card
from schemas.labels import Label
from sync import courier
from sync.core import anchors
from sync.core.anchors import Paper
from sync.core.change import START, Change, Link, canonical, compose, signature_input
from sync.core.errors import Malformed, Problem
from sync.core.log import Tree, leaf_hash, verify_consistency, verify_inclusion
from sync.core.note import (
    Checkpoint,
    SignatureType,
    Verifier,
    checkpoint_body,
    open_note,
    parse_checkpoint,
    read_vkey,
    sign_note,
    vkey,
)
from sync.core.trust import Seal, Trust, Witness, read_trust
from sync.core.witnessing import read_submission, write_submission
from tests.support.bundles import checked, finder_inside, made_case, members, small
from tests.support.pictures import camera_exif, encoded, film, heic, jpeg, pdf, scene, sound

SECONDS = 2.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORIGIN = "fi.example/prov-log-1"
DIGEST = sha256(b"x").hexdigest()


class Parser(NamedTuple):
    """What is fuzzed: `read` is given bytes; `seeds` makes real inputs. `heavy`: an input takes milliseconds."""

    name: str
    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    heavy: bool = False


def law(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def text(content: bytes) -> str:
    """Any bytes as text, lone surrogates included."""
    return content.decode("utf-8", "surrogateescape")


# --- Canonical JSON ---------------------------------------------------------------------------------------------------


def _change(content: bytes) -> None:
    law(canonical(Change.read(content).body) == content, "a change has one form")


def _changes() -> list[bytes]:
    common: dict[str, Any] = {
        "id": "01a21506-3dd5-7988-bb70-2ca62d17596f", "record": "01a21506-3dd5-70e7-8e36-e8e44878a059", "by": ["p-1"],
        "schema": 1, "hlc": "01a215063dd5-0000", "clock": {"wall": 1795649060309, "mono": 0, "boot": "b", "off": -120},
    }  # fmt: skip
    values: dict[str, tuple[Any, list[str]]] = {
        "name": ("某培训中心 ß\u2028", []), "area": ("430104001003", ["a-1", "b-2"]), "tags/x": (True, []),
        "place": ({"lat": 281234567, "lon": 1129876543, "acc": 850}, []), "n": (-(2**53) + 1, []), "none": (None, []),
    }  # fmt: skip
    merge = {"do": "merge", "other": "r-2", "reason": "同一机构"}
    return [
        compose(kind="inspection", set=values, seen={"size": 41, "root": DIGEST}, **common).content,
        compose(kind="inspection", set={}, decision=merge, **common).content,
        compose(kind="evidence", set={"deep": ([[[[{"a": [1]}]]]], [])}, **common).content,
    ]


def _trust(content: bytes) -> None:
    law(read_trust(content).dump() == content, "a trust file has one form")


def _trusts() -> list[bytes]:
    recipient = "age1" + "q" * 58
    seal = Seal(7, (recipient,), (recipient,), {"430124": (recipient,)})
    full = Trust(
        3, "湖南省教育厅", 1795649060309, {ORIGIN: PUBLIC}, {"server-1": PUBLIC},
        (Witness("city.example/witness", PUBLIC, "https://city.example"),), 1, ("-----BEGIN CERTIFICATE-----",), seal,
    )  # fmt: skip
    return [full.dump(), replace(full, witnesses=(), quorum=0, stampers=(), seal=None).dump()]


def _capture(content: bytes) -> None:
    law(captures.read_capture(content).dump() == content, "a statement has one form")


def _captures() -> list[bytes]:
    told: dict[str, Any] = {
        "seq": 3, "prev": DIGEST, "record": "r-1", "recording": "r-1", "number": 1, "last": True, "sha256": DIGEST,
        "size": 1028, "key_file": DIGEST, "facts": DIGEST, "facts_commit": DIGEST, "team": DIGEST,
        "team_commit": DIGEST, "recipients": 7, "trust": DIGEST, "audit": "", "clock": {"wall": 1, "mono": 2, "boot": "b"},
    }  # fmt: skip
    return [Capture(**told).dump()]


# --- Notes, checkpoints, proofs ---------------------------------------------------------------------------------------

VERIFIERS = [Verifier(ORIGIN, PUBLIC), Verifier("city.example/witness", PUBLIC, SignatureType.COSIGNATURE)]
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(range(32)))


def _note(content: bytes) -> None:
    opened = open_note(text(content), VERIFIERS)
    law(opened.checkpoint == CHECKPOINT, "only what the key signed opens")


def _notes() -> list[bytes]:
    note = sign_note(checkpoint_body(CHECKPOINT), ORIGIN, bytes(range(32)))
    stranger = sign_note(checkpoint_body(CHECKPOINT), "other.example", bytes(32)).split("\n\n")[1]
    witness = "— jw.example/witness 4d6K1gAAAABrAP4wNENgO8JdlE9RT7+aJYXOTa1MKex5xU1N8R4W2rD+WqGiqp+STuG7zwRtpLFteR8IuiOmuLuVI0HW5eOxzII1DQ==\n"  # fmt: skip
    return [note.encode(), (note + stranger).encode(), (note + witness).encode()]


def _checkpoint(content: bytes) -> None:
    body = text(content)
    law(checkpoint_body(parse_checkpoint(body)) == body, "a checkpoint has one form")


def _checkpoints() -> list[bytes]:
    large = Checkpoint("湖南.example/log", 2**62, bytes(32))
    return [checkpoint_body(one).encode() for one in (CHECKPOINT, large, Checkpoint("a", 0, bytes(32)))]


LEAVES = [leaf_hash(sha256(bytes([number])).digest()) for number in range(42)]


@cache
def _tree() -> Tree:
    tiles: dict[tuple[int, int], bytes] = {}
    tree = Tree(lambda level, index: tiles.get((level, index), b""), 0)
    tiles.update(tree.append(LEAVES))
    return tree


@cache
def _root(size: int) -> bytes:
    return Tree(_tree()._read_tile, size).root()


def _numbers(content: bytes) -> tuple[int, int, list[bytes]]:
    """Two numbers of eight bytes, and hashes; the last one may be too short."""
    one, other = struct.unpack(">qq", content[:16].ljust(16, b"\0"))
    return one, other, [content[at : at + 32] for at in range(16, len(content), 32)]


def _inclusion(content: bytes) -> None:
    """The leaf comes first among the hashes."""
    index, size, hashes = _numbers(content)
    if hashes and verify_inclusion(hashes[0], index, size, hashes[1:], _root(42)) and size == 42:
        law(hashes[0] == LEAVES[index] and hashes[1:] == _tree().inclusion(index, 42), "only the proof proves")


def _inclusions() -> list[bytes]:
    at = (0, 1, 20, 40, 41)
    return [struct.pack(">qq", n, 42) + LEAVES[n] + b"".join(_tree().inclusion(n, 42)) for n in at]


def _consistency(content: bytes) -> None:
    old, new, hashes = _numbers(content)
    if 0 < old <= 42 and new == 42 and verify_consistency(old, new, _root(old), _root(42), hashes):
        law(hashes == _tree().consistency(old, 42), "only the proof proves")
    verify_consistency(old, new, _root(1), _root(42), hashes)


def _consistencies() -> list[bytes]:
    return [struct.pack(">qq", old, 42) + b"".join(_tree().consistency(old, 42)) for old in (1, 2, 31, 32, 41, 42)]


def _anchor(content: bytes) -> None:
    """A person may type any of these codes into the same place."""
    typed, refused = text(content), []
    for read in (anchors.scan, anchors.read_paper, anchors.heard, codes.read):
        try:
            read(typed)
        except Problem as problem:
            refused.append(problem)
    if len(refused) == 4:
        raise refused[0]


def _anchors() -> list[bytes]:
    paper = Paper(DIGEST, 17, DIGEST)
    shown = anchors.show("2345dc47-36e4", 17, DIGEST, PUBLIC, KEY.sign)
    code = codes.printed(codes.code_of(DIGEST, "e-1"))
    return [one.encode() for one in (anchors.paper_text(paper), anchors.spoken(paper), shown, code)]


def _card(content: bytes) -> None:
    if read_card(text(content)) is None:
        raise Malformed(detail=Label("不是证件卡", "no card"))


# --- Archives ---------------------------------------------------------------------------------------------------------


class Made(NamedTuple):
    content: bytes
    root: str
    texts: dict[str, bytes]
    manifest: Any


@cache
def _case() -> Made:
    with tempfile.TemporaryDirectory() as folder, made_case(Path(folder)) as case:
        content = small(case)
        return Made(content, case.root, members(content), Bundle(io.BytesIO(content)).manifest)


def _bundle(content: bytes) -> None:
    verdict = checked(content, _case().root)
    law(verdict.status != 0 or content == _case().content, "only the bundle passes")


def _member(content: bytes) -> None:
    """A member of a bundle whose manifest was made to match: the first byte says which, the rest is what is in it."""
    names = sorted(_case().texts)
    name = names[content[0] % len(names)] if content else names[0]
    finder_inside(_case().texts | {name: content[1:]}, _case().manifest, _case().root)


def _members() -> list[bytes]:
    return [bytes([number]) + _case().texts[name] for number, name in enumerate(sorted(_case().texts))]


def _archive(content: bytes) -> None:
    stream, out = io.BytesIO(content), io.BytesIO()
    found = archive.read(stream)
    writer = archive.Writer(out)
    for one in found:
        with suppress(ValueError):
            writer.add(one.name, archive.Content(stream, one).read())
    writer.close()
    same = all(archive.Content(stream, one).crc == one.crc for one in found if one.size == 0)
    law(len(out.getvalue()) == len(content) or not same, "an archive has one form")


def _archives() -> list[bytes]:
    out = io.BytesIO()
    writer = archive.Writer(out)
    writer.add("fib/bundle.json", b"{}")
    writer.add("fib/blobs/" + DIGEST, b"")
    writer.add("fib/x", b"PK\x05\x06" + bytes(18))
    writer.close()
    empty = io.BytesIO()
    archive.Writer(empty).close()
    return [out.getvalue(), empty.getvalue(), _case().content]


def _report(content: bytes) -> None:
    law(read_report(content).dump() == content, "a report has one form")


def _reports() -> list[bytes]:
    return [_case().texts["report.json"]]


class _Shelf:
    def has_blob(self, sha256: str) -> bool:
        return False

    def take_blob(self, parcel: Any, stream: Any) -> None:
        while stream.read(1 << 16):
            pass

    def take_changes(self, carried: Sequence[Any]) -> int:
        return len(carried)


def _courier(content: bytes) -> None:
    courier.take(courier.Courier.read(io.BytesIO(content), "a.courier", PUBLIC), _Shelf())


def _couriers() -> list[bytes]:
    carried, prev = [], START
    for n, content in enumerate(_changes(), start=1):
        change, link = Change.read(content), Link("r-1", n, prev, b"")
        prev = link.chain(change.hash)
        carried.append(courier.Carried(change, link._replace(signature=KEY.sign(signature_input(prev))), n))
    photo = jpeg(64, 48)
    parcel, out = (
        courier.Parcel(sha256(photo).hexdigest(), "image/jpeg", "original", "IMG_1.jpg", ("r-1",)),
        io.BytesIO(),
    )
    courier.write(out, courier.Maker("d-1", PUBLIC, KEY.sign), 1, carried, [parcel], lambda _: io.BytesIO(photo))
    return [out.getvalue()]


# --- What a file says about itself ------------------------------------------------------------------------------------


def _media(content: bytes) -> None:
    mime, said = media.examine(io.BytesIO(content))
    law(said.width is None or 0 < said.width < 2**40, "a width is a size")
    json.dumps([mime, *said], default=str)


def _exif(content: bytes) -> None:
    json.dumps(exif.read(content), default=str)


def _exifs() -> list[bytes]:
    return [camera_exif(turn).tobytes() for turn in (1, 6)]


# --- Witnesses and time stamps ----------------------------------------------------------------------------------------


def _submission(content: bytes) -> None:
    read = read_submission(content)
    law(write_submission(*read) == content, "a submission has one form")


def _submissions() -> list[bytes]:
    note = sign_note(checkpoint_body(CHECKPOINT), ORIGIN, bytes(range(32)))
    return [write_submission(0, [], note), write_submission(2**62, [bytes([n]) * 32 for n in range(9)], note)]


def _vkey(content: bytes) -> None:
    said = text(content)
    law(vkey(read_vkey(said)) == said, "a key has one form")


def _vkeys() -> list[bytes]:
    kinds = (SignatureType.ED25519, SignatureType.COSIGNATURE)
    return [vkey(Verifier(ORIGIN, PUBLIC, kind)).encode() for kind in kinds]


def _stamp(content: bytes) -> None:
    token = timestamps.read(content)
    law(token.earliest <= token.at <= token.latest and len(token.imprint) <= len(content), "a token has its bounds")


def _stamps() -> list[bytes]:
    """A response of `openssl ts`, made once: what it says is read before anybody looks at its signature."""
    return [b64decode(_RESPONSE)]


_RESPONSE = (
    "MIIFFTADAgEAMIIFDAYJKoZIhvcNAQcCoIIE/TCCBPkCAQMxDzANBglghkgBZQMEAgEFADCBiQYLKoZIhvcNAQkQAQSgegR4MHYCAQEGBCoD"
    "BAEwMTANBglghkgBZQMEAgEFAAQgWJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgMCAQIYDzIwMjYxMTI1MjM1NTE2WjADAgEBAQH/"
    "AggiBiTX6rlU5KASpBAwDjEMMAoGA1UEAwwDVFNBoIIDFjCCAYowggEvoAMCAQICFGFXQTRfJ4bUCbzNtZBIhuNOXWSOMAoGCCqGSM49BAMC"
    "MA8xDTALBgNVBAMMBFJvb3QwHhcNMjYxMTI1MjM1NTE2WhcNMjcxMTI1MjM1NTE2WjAOMQwwCgYDVQQDDANUU0EwWTATBgcqhkjOPQIBBggq"
    "hkjOPQMBBwNCAATJ6v2UC3aklpImMS/tyrxQ6074+UQ+nv/gxW842FXyDlJdmuRrCeyVZOrDMo0aJ7N5IMOhlzcgTkbO366QbjNZo2owaDAW"
    "BgNVHSUBAf8EDDAKBggrBgEFBQcDCDAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFM4cO1jJ/p6JDbkDzdOTw0oPDWXcMB8GA1UdIwQYMBaA"
    "FLkl2q7+WOwtSWr+RCDaYjwExBoZMAoGCCqGSM49BAMCA0kAMEYCIQDl2V/vm0nmyFR5otB2gvKP9IaNEE87hzQ15j1wfw7tiAIhAKAPoiOL"
    "id9cgGoQEx1BvMko9w/YjAWisq9VYyKltPXFMIIBhDCCASmgAwIBAgIUZmJI1nQlICkhPPmyGUN4t93qA/AwCgYIKoZIzj0EAwIwDzENMAsG"
    "A1UEAwwEUm9vdDAeFw0yNjExMjUyMzU1MTZaFw0zNjExMjIyMzU1MTZaMA8xDTALBgNVBAMMBFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMB"
    "BwNCAATx92Gg9Yzbo9SmeU4hYjr1ldIRalPYpQU+009YBrTkXkvXT0E1DYgrYwSYwZw0vCxlLgTSe6tEW+Tou7hmSBRao2MwYTAdBgNVHQ4E"
    "FgQUuSXarv5Y7C1Jav5EINpiPATEGhkwHwYDVR0jBBgwFoAUuSXarv5Y7C1Jav5EINpiPATEGhkwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B"
    "Af8EBAMCAQYwCgYIKoZIzj0EAwIDSQAwRgIhAJ0vuwsq5PGEbfmp2e9j++MZ7EldQWyvZ2ZmSpPDXQYFAiEA2y4HcbTzFkWxc4pV1qLF6WC7"
    "S6tUeYzVf0D627MYmMcxggE7MIIBNwIBATAnMA8xDTALBgNVBAMMBFJvb3QCFGFXQTRfJ4bUCbzNtZBIhuNOXWSOMA0GCWCGSAFlAwQCAQUA"
    "oIGkMBoGCSqGSIb3DQEJAzENBgsqhkiG9w0BCRABBDAcBgkqhkiG9w0BCQUxDxcNMjYxMTI1MjM1NTE2WjAvBgkqhkiG9w0BCQQxIgQggDhu"
    "y+dleqD21BaRmfjTM3sTSuVecWw11IocLlOIQ40wNwYLKoZIhvcNAQkQAi8xKDAmMCQwIgQgGVDlMRbdXGAvZyak9nyqzuCcBesl2iTGQ/Rt"
    "JhgVjnowCgYIKoZIzj0EAwIERzBFAiEA9MjuneCl0XAJhxNaECbElKMdEF7UkHbdkei/RiZBMlYCIB1BxptK3+WLPdA7b5hdfUFCdQf41txn"
    "sv9cfonRxBfX"
)


PARSERS = [
    Parser("change", _change, _changes),
    Parser("trust file", _trust, _trusts),
    Parser("capture", _capture, _captures),
    Parser("note", _note, _notes),
    Parser("checkpoint", _checkpoint, _checkpoints),
    Parser("inclusion", _inclusion, _inclusions),
    Parser("consistency", _consistency, _consistencies),
    Parser("submission to a witness", _submission, _submissions),
    Parser("key of a log or witness", _vkey, _vkeys),
    Parser("time stamp", _stamp, _stamps),
    Parser("anchor", _anchor, _anchors),
    Parser("card", _card, lambda: [card_text("43010012345").encode(), b"43010012345"]),
    Parser("archive", _archive, _archives),
    Parser("bundle", _bundle, lambda: [_case().content], heavy=True),
    Parser("bundle member", _member, _members, heavy=True),
    Parser("report", _report, _reports),
    Parser("courier", _courier, _couriers, heavy=True),
    Parser("exif", _exif, _exifs),
    Parser("jpeg", _media, lambda: [jpeg(64, 48, orientation=6), encoded(scene(64, 48), "JPEG", quality=20)]),
    Parser("png", _media, lambda: [encoded(scene(48, 32), "PNG", exif=camera_exif())]),
    Parser("webp", _media, lambda: [encoded(scene(48, 32), "WEBP", exif=camera_exif(), lossless=lossless) for lossless in (True, False)]),
    Parser("heic", _media, lambda: [heic(64, 48, 6)]),
    Parser("mp4", _media, lambda: [film(), film(form="mov", rotate=90)]),
    Parser("m4a", _media, lambda: [sound()]),
    Parser("pdf", _media, lambda: [pdf()]),
]  # fmt: skip
