"""Time stamps (RFC 3161): asking for one, reading what it says, and whether an authority that is named really said it.

What a token says is read by the small DER reader below, which accepts one byte form only. Whether it was signed by a
certificate for time stamping, under one of the roots that the trust file pins, and valid at the time in the token, is
judged by `rfc3161-client` where that is installed and can read the response, else by the command `openssl ts`. Nothing
here needs more than the standard library, so it travels inside every bundle.

    at        the time in the token; it may be off by its accuracy, and has the resolution that it was written with
    earliest, latest   the bounds that follow

A response is kept and handed on as the bytes that came: authorities write what strict readers refuse (`openssl ts` puts
certificates out of the order that DER asks for), and a copy written anew would no longer be what was signed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.labels import Label
from sync.core.errors import BadStamp

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
LARGEST = 64 * 1024
SHA256 = "2.16.840.1.101.3.4.2.1"

_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_BOOLEAN, _INTEGER, _OCTETS, _OID, _TIME, _SEQUENCE, _SET = 0x01, 0x02, 0x04, 0x06, 0x18, 0x30, 0x31
_GENERALIZED = re.compile(rb"[0-9]{14}(\.[0-9]{0,8}[1-9])?Z")
_SECONDS = 30  # how long openssl may take


class NoJudge(Exception):
    """Neither `rfc3161-client` can read the response, nor is there an `openssl` command."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a time stamp says. Times are milliseconds since 1970, `imprint` the SHA-256 of what is stamped."""

    at: int
    resolution: int
    accuracy: int
    imprint: bytes
    policy: str
    serial: int
    nonce: int | None

    @property
    def earliest(self) -> int:
        """What is stamped was shown to the authority at this time or later."""
        return self.at - self.accuracy

    @property
    def latest(self) -> int:
        """What is stamped existed at this time."""
        return self.at + self.resolution - 1 + self.accuracy


Judge = Callable[[bytes, bytes, Sequence[str], Token], None]
"""(response, what is stamped, PEM roots, what it says): raises BadStamp, or NoJudge where it cannot tell."""


def request(message: bytes, nonce: int, policy: str = "") -> bytes:
    """What is sent to an authority: the digest of `message`, never the message."""
    imprint = _seq(_seq(_oid(SHA256) + b"\x05\x00") + _der(_OCTETS, hashlib.sha256(message).digest()))
    wanted = _oid(policy) if policy else b""
    return _seq(_int(1) + imprint + wanted + _int(nonce) + _der(_BOOLEAN, b"\xff"))


def verify(
    response: bytes,
    message: bytes,
    roots: Sequence[str],
    *,
    nonce: int | None = None,
    policy: str = "",
    judge: Judge | None = None,
) -> Token:
    """What a response says, once everything about it holds: granted, over exactly `message`, with this nonce and policy
    where they are given, signed for time stamping under one of the PEM `roots`, its certificates valid at its time.

    :raises BadStamp: something does not
    :raises NoJudge: its signature cannot be checked here
    """
    token = read(response)
    if token.imprint != hashlib.sha256(message).digest():
        raise BadStamp(detail=Label("所盖的不是这个检查点", "it is over something else"))
    if nonce is not None and token.nonce != nonce:
        raise BadStamp(detail=Label("随机数不符", "its nonce is another one"))
    if policy and token.policy != policy:
        raise BadStamp(detail=Label(f"策略是 {token.policy}", f"its policy is {token.policy}"))
    if not roots:
        raise BadStamp(detail=Label("信任文件没有列出时间戳机构", "the trust file names no authority"))
    (judge or judged)(response, message, roots, token)
    return token


def judged(response: bytes, message: bytes, roots: Sequence[str], token: Token) -> None:
    """The judgement of the library, or of `openssl` where the library is missing or cannot read the response."""
    try:
        by_library(response, message, roots, token)
    except NoJudge:
        by_openssl(response, message, roots, token)


def by_library(response: bytes, message: bytes, roots: Sequence[str], token: Token) -> None:
    """`rfc3161-client`, which also checks that the certificate is for time stamping alone, and says so critically."""
    try:
        from cryptography import x509
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response
    except ImportError as missing:
        raise NoJudge from missing
    try:
        decoded = decode_timestamp_response(response)
    except ValueError as error:
        raise NoJudge from error
    try:
        verifier = VerifierBuilder(roots=[x509.load_pem_x509_certificate(one.encode()) for one in roots]).build()
        verifier.verify_message(decoded, message)
    except (VerificationError, ValueError) as error:
        raise _untrusted(str(error)) from error


def by_openssl(response: bytes, message: bytes, roots: Sequence[str], token: Token) -> None:
    """`openssl ts -verify` at the time of the token."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoJudge
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("response", "message", "roots")]
        for path, content in zip(paths, (response, message, "\n".join(roots).encode()), strict=True):
            with open(path, "wb") as file:
                file.write(content)
        command = [openssl, "ts", "-verify", "-in", paths[0], "-data", paths[1], "-CAfile", paths[2],
                   "-attime", str(token.at // 1000)]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoJudge from error
    if done.returncode != 0 or b"Verification: OK" not in done.stdout:
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "error:" in line]
        raise _untrusted(lines[-1].rpartition("error:")[2][:200] if lines else "openssl")


def _untrusted(why: str) -> BadStamp:
    return BadStamp(
        detail=Label(f"不是信任文件所列机构所签（{why}）", f"no authority of the trust file signed it ({why})")
    )


# --- Reading ----------------------------------------------------------------------------------------------------------


def read(response: bytes) -> Token:
    """What a response says; that anybody signed it is `verify`'s to find out.

    :raises BadStamp: refused by the authority, or not the one form of a response
    """
    try:
        return _read(response)
    except (ValueError, IndexError, OverflowError) as error:
        raise BadStamp(detail=Label("读不懂", "it cannot be read")) from error


def _read(response: bytes) -> Token:
    if len(response) > LARGEST:
        raise ValueError("too long")
    status, *rest = _parts(_only(response, _SEQUENCE))
    code, *_ = _parts(_expect(status, _SEQUENCE))
    if _number(_expect(code, _INTEGER)) != 0:
        raise BadStamp(detail=Label("时间戳机构没有签发", "the authority did not grant it"))
    (token,) = rest
    kind, content = _parts(_expect(token, _SEQUENCE))
    if _dotted(_expect(kind, _OID)) != _SIGNED_DATA:
        raise ValueError("not signed data")
    _, _, inside, *_ = _parts(_only(_expect(content, 0xA0), _SEQUENCE))
    kind, wrapped = _parts(_expect(inside, _SEQUENCE))
    if _dotted(_expect(kind, _OID)) != _TST_INFO:
        raise ValueError("not a time stamp")
    return _info(_only(_expect(wrapped, 0xA0), _OCTETS))


def _info(content: bytes) -> Token:
    version, policy, imprint, serial, time, *rest = _parts(_only(content, _SEQUENCE))
    if _number(_expect(version, _INTEGER)) != 1:
        raise ValueError("another version")
    algorithm, digest = _parts(_expect(imprint, _SEQUENCE))
    name, *_ = _parts(_expect(algorithm, _SEQUENCE))
    if _dotted(_expect(name, _OID)) != SHA256:
        raise BadStamp(detail=Label("不是 SHA-256", "it is not over a SHA-256"))
    at, resolution = _time(_expect(time, _TIME))
    tags = [tag for tag, _ in rest]
    if tags != sorted(tags, key=(_SEQUENCE, _BOOLEAN, _INTEGER, 0xA0, 0xA1).index) or len(set(tags)) != len(tags):
        raise ValueError("fields out of order")
    more = dict(rest)
    return Token(
        at,
        resolution,
        _accuracy(more[_SEQUENCE]) if _SEQUENCE in more else 0,
        _expect(digest, _OCTETS),
        _dotted(_expect(policy, _OID)),
        _number(_expect(serial, _INTEGER)),
        _number(more[_INTEGER]) if _INTEGER in more else None,
    )


def _accuracy(content: bytes) -> int:
    """In milliseconds, rounded up: seconds, then [0] milliseconds, then [1] microseconds, each of them optional."""
    found = dict(_parts(content))
    if not found.keys() <= {_INTEGER, 0x80, 0x81}:
        raise ValueError("an accuracy")
    seconds, millis, micros = (_number(found[tag]) if tag in found else 0 for tag in (_INTEGER, 0x80, 0x81))
    if min(seconds, millis, micros) < 0:
        raise ValueError("an accuracy")
    return seconds * 1000 + millis + (1 if micros else 0)


def _time(content: bytes) -> tuple[int, int]:
    """Milliseconds since 1970, and how many of them the written form cannot tell apart."""
    if not _GENERALIZED.fullmatch(content):
        raise ValueError("a time")
    whole, _, fraction = content[:-1].decode().partition(".")
    seconds = int(datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
    millis = int((fraction + "000")[:3])
    return seconds * 1000 + millis, max(1, 10 ** (3 - len(fraction)) if len(fraction) < 3 else 1)


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    return list(_elements(content))


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element, in the one form that DER has for its length."""
    at = 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("a long tag")
        if length & 0x80:
            count = length & 0x7F
            size = content[at : at + count]
            if not 0 < count <= 4 or len(size) != count or size[0] == 0:
                raise ValueError("a length")
            length, at = int.from_bytes(size, "big"), at + count
            if length < 0x80:
                raise ValueError("a length")
        if at + length > len(content):
            raise ValueError("cut short")
        yield tag, content[at : at + length]
        at += length


def _only(content: bytes, tag: int) -> bytes:
    """The content of the one element that there is."""
    (one,) = _elements(content)
    return _expect(one, tag)


def _expect(element: tuple[int, bytes], tag: int) -> bytes:
    if element[0] != tag:
        raise ValueError(f"a tag {element[0]:#x}")
    return element[1]


def _number(content: bytes) -> int:
    if not content or (len(content) > 1 and content[0] in (0x00, 0xFF) and (content[0] ^ content[1]) < 0x80):
        raise ValueError("a number")
    return int.from_bytes(content, "big", signed=True)


def _dotted(content: bytes) -> str:
    arcs: list[int] = []
    value = 0
    for at, byte in enumerate(content):
        if value == 0 and byte == 0x80:
            raise ValueError("an object identifier")
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
        elif at == len(content) - 1:
            raise ValueError("an object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


# --- Writing ----------------------------------------------------------------------------------------------------------


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _seq(content: bytes) -> bytes:
    return _der(_SEQUENCE, content)


def _int(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _oid(dotted: str) -> bytes:
    """Raises ValueError for anything but an object identifier."""
    if not re.fullmatch(r"[0-2](\.(0|[1-9][0-9]{0,17})){1,20}", dotted):
        raise ValueError(dotted)
    first, second, *rest = (int(one) for one in dotted.split("."))
    if first < 2 and second > 39:
        raise ValueError(dotted)
    return _der(_OID, b"".join(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
