"""Passwords: how they are kept, and which are too easy.

Argon2id with 64 MiB, three passes, four lanes. There are no rules of composition: length counts, and what is left of a
password once everything that a guesser tries first was taken out of it.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from schemas.labels import Label
from sync.core.errors import InvalidField

SHORTEST, LONGEST = 12, 200
REST = 6
"""Characters that have to be left once the usual pieces were taken out."""

HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
_AT_ONCE = threading.BoundedSemaphore(2)  # each needs 64 MiB
_NOBODY = HASHER.hash("somebody who is not there")

_USUAL = [
    "patrolbook",
    "巡查簿",
    "巡查",
    "password",
    "passwort",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "admin",
    "root",
    "guest",
    "user",
    "login",
    "welcome",
    "letmein",
    "monkey",
    "dragon",
    "master",
    "shadow",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "batman",
    "iloveyou",
    "iloveu",
    "loveyou",
    "love",
    "woaini",
    "aini",
    "5201314",
    "1314520",
    "520",
    "qwertyuiop",
    "qwerty",
    "qwert",
    "asdfghjkl",
    "asdfgh",
    "asdf",
    "zxcvbnm",
    "zxcvbn",
    "zxcv",
    "1qaz2wsx",
    "1qaz",
    "2wsx",
    "3edc",
    "qazwsx",
    "1q2w3e4r",
    "1q2w3e",
    "abc123",
    "abcd",
    "abc",
    "a123456",
    "123456",
    "654321",
    "123123",
    "112233",
    "121212",
    "147258369",
    "147258",
    "159357",
    "789456",
    "987654",
    "woaiwojia",
    "wang",
    "zhang",
    "beijing",
    "changsha",
    "hunan",
    "china",
    "zhongguo",
    "jiaoyu",
    "jiaoyuju",
    "test",
    "demo",
]
_PLAIN = [
    re.compile(r"(.)\1{2,}"),  # runs of one character
    re.compile(r"(.{2,4})\1+"),  # the same few again
    re.compile(r"(?:19|20)\d\d(?:[01]\d(?:[0-3]\d)?)?"),  # years and dates
    re.compile(r"1[3-9]\d{9}"),  # a mobile number
]


def check_strength(password: str, own: Iterable[str] = ()) -> None:
    """Refuse what is too short or too easy; `own`: names that belong to this person. Raises InvalidField."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise _weak(f"应为 {SHORTEST} 至 {LONGEST} 个字符", f"has {SHORTEST} to {LONGEST} characters")
    rest = _folded(password)
    for piece in sorted({_folded(one) for one in (*own, *_USUAL) if len(one) > 1}, key=len, reverse=True):
        rest = rest.replace(piece, "")
    for pattern in _PLAIN:
        rest = pattern.sub("", rest)
    rest = "".join(b for a, b in zip(" " + rest, rest, strict=False) if abs(ord(b) - ord(a)) != 1)  # 4567, defg
    if len(rest) < REST:
        raise _weak(
            "太容易猜到：不要用姓名、年份、手机号、键盘顺序或常见密码，几个不相干的词连起来就好",
            "is too easy to guess: no names, years, telephone numbers, rows of keys or usual passwords; some words that "
            "have nothing to do with each other do well",
        )


def hashed(password: str) -> str:
    with _AT_ONCE:
        return HASHER.hash(_normal(password))


def fits(kept: str | None, password: str) -> bool:
    """Whether it is this password. Takes as long where there is nothing to compare it with."""
    with _AT_ONCE:
        try:
            return HASHER.verify(kept or _NOBODY, _normal(password[: LONGEST * 4])) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    """The same characters, however the keyboard put them together."""
    return unicodedata.normalize("NFC", password)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _weak(zh: str, en: str) -> InvalidField:
    return InvalidField(field=Label("密码", "password"), detail=Label(zh, en))
