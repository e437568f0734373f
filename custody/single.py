"""The verifier as one file: the very modules that make the checks, as text, with a small loader in front.

A reader needs Python 3.11 and nothing of this project. Ed25519 and SM3 come from `cryptography` where it is installed,
otherwise from the `openssl` command; canonical JSON from `orjson`, otherwise from the standard library, byte for byte
the same. No rule exists twice: what is in the file is what runs here.
"""

from __future__ import annotations

import ast
from pathlib import Path

MODULES = (
    "schemas.labels",
    "schemas.certificates",
    "schemas.paths",
    "sync.core.errors",
    "sync.core.change",
    "sync.core.log",
    "sync.core.note",
    "sync.core.trust",
    "sync.core.witnessing",
    "sync.core.bracket",
    "sync.core.cosigning",
    "sync.core.signing",
    "sync.core.anchors",
    "sync.core.fold",
    "sync.core.grade",
    "custody.archive",
    "custody.digests",
    "custody.commitments",
    "custody.captures",
    "custody.bundle",
    "custody.regrading",
    "custody.timestamps",
    "custody.timeline",
    "custody.checks",
)
"""Everything that `custody.checks` needs; a test holds that nothing else is imported."""

STAND_INS = ("orjson", "cryptography")
"""Third-party packages that the loader replaces where they are missing."""

OPTIONAL = ("rfc3161_client",)
"""What is used where it is installed, and asked for nowhere else than inside a function that can do without."""

_ROOT = Path(__file__).resolve().parents[1]
_FRONT = Path(__file__).with_name("front.txt")


def source() -> str:
    """The text of `verify.py`; the same for the same program."""
    front = _FRONT.read_text("utf-8")
    modules = "".join(f"MODULES[{name!r}] = {_quoted(_text(name))}\n\n" for name in MODULES)
    head, mark, tail = front.partition("# --- modules ---\n")
    if not mark:
        raise ValueError("front.txt has no place for the modules")
    return head + mark + modules + tail


def _text(module: str) -> str:
    return (_ROOT / (module.replace(".", "/") + ".py")).read_text("utf-8")


def _quoted(text: str) -> str:
    """A literal that a person can read: raw and in triple quotes where the text allows it."""
    literal = f"r'''{text}'''"
    if "'''" not in text and not text.endswith(("'", "\\")) and ast.literal_eval(literal) == text:
        return literal
    return repr(text)
