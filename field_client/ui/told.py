"""What a template reads of a record: a value that is not there is None, where the templates are strict about everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Told(dict[str, Any]):
    """path → value; nothing is put in by looking."""

    def __missing__(self, key: str) -> None:
        return None


def told(value: Any) -> Told:
    """A value as an object of a template; an empty one for what is no object."""
    return Told(value) if isinstance(value, Mapping) else Told()
