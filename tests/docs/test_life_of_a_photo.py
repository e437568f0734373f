"""The page that follows one photo names a function for each step; all of them have to exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "life-of-a-photo.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py): ([\w.]+)`")
STEP = re.compile(r"^(\d+)\. \*\*", re.MULTILINE)


def defined(body: list[ast.stmt], prefix: str = "") -> set[str]:
    """Names of the functions and classes in a module, methods as `Class.method`."""
    found = set()
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            found.add(prefix + one.name)
        if isinstance(one, ast.ClassDef):
            found |= defined(one.body, f"{prefix}{one.name}.")
    return found


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE))))
def test_what_the_page_names_exists(path: str, name: str) -> None:
    assert name in defined(ast.parse((ROOT / path).read_text()).body)


def test_every_step_says_where_it_is_done_and_what_a_power_cut_leaves() -> None:
    steps = STEP.split(PAGE)[1:]
    assert steps[::2] == [str(number) for number in range(1, len(steps) // 2 + 1)]
    for text in steps[1::2]:
        assert NAMED.search(text) and "*Power cut" in text
