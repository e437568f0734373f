"""What people type and what they look for, as letters: full width and half width, upper and lower case are the same.

An index of texts holds tokens of one or two letters, so that any piece of a text is a phrase of tokens. The tablet keeps
Chinese characters one by one and pairs of ASCII; the server, with a thousand times as much text, pairs of everything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

LONGEST_QUERY = 64

START = "start"  # a token that no letters make; before the beginning of every text in an index

_RUN = re.compile("[a-z0-9]+|[^a-z0-9]")


def letters_of(text: str) -> list[str]:
    """The characters that count, one by one."""
    return [sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum()]


def terms_of(text: str) -> list[list[str]]:
    """The pieces of a query, each as its letters; a query is cut at 64 characters."""
    words = unicodedata.normalize("NFKC", text)[:LONGEST_QUERY].split()
    return [letters for word in words if (letters := letters_of(word))]


def tokens_of(letters: Sequence[str], typing: bool = False) -> list[str]:
    """The index tokens of a text: characters one by one, ASCII in overlapping pairs: `路432号` → 路 43 32 2 号.

    A lone letter or digit is in nearly every record, a pair in few: a phrase of pairs is found ten times as fast. While
    somebody is `typing`, what follows the last sign is not known, so that sign only ends a pair: `路432` → 路 43 32.
    """
    tokens: list[str] = []
    runs = _RUN.findall("".join(letters))
    for place, run in enumerate(runs):
        tokens += map("".join, zip(run, run[1:], strict=False))
        if not (typing and len(run) > 1 and place == len(runs) - 1):
            tokens.append(run[-1])
    return tokens


def pairs_of(letters: Sequence[str], typing: bool = False) -> list[str]:
    """The same in overlapping pairs throughout: `路432号` → 路4 43 32 2号 号, and without the last one while `typing`."""
    pairs = list(map("".join, zip(letters, letters[1:], strict=False)))
    return pairs if typing and len(letters) > 1 else [*pairs, *letters[-1:]]
