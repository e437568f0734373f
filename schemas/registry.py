"""Finds every kind. A new kind is one file in `schemas/kinds/`; nothing else lists it."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

import schemas.kinds
from schemas.base import RecordSchema


class Registry:
    """The kinds that one program knows, by name."""

    def __init__(self, kinds: Iterable[type[RecordSchema]] = ()) -> None:
        self._kinds: dict[str, type[RecordSchema]] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: type[RecordSchema]) -> None:
        """Add a kind; raises ValueError when its name is empty or taken by another class."""
        if not kind.kind:
            raise ValueError(f"{kind.__name__} has no `kind` name")
        if self._kinds.setdefault(kind.kind, kind) is not kind:
            raise ValueError(f"two kinds are named {kind.kind!r}")

    def get(self, name: str) -> type[RecordSchema] | None:
        return self._kinds.get(name)

    def __getitem__(self, name: str) -> type[RecordSchema]:
        return self._kinds[name]

    def __iter__(self) -> Iterator[type[RecordSchema]]:
        return iter(self._kinds.values())

    def names(self) -> list[str]:
        return sorted(self._kinds)

    def with_kinds(self, *more: type[RecordSchema]) -> Registry:
        """The same registry with further kinds: how a test or an extension brings its own."""
        return Registry([*self._kinds.values(), *more])


def kinds_in(module: ModuleType) -> list[type[RecordSchema]]:
    """The kinds that a module itself defines."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, RecordSchema)
        and value.__module__ == module.__name__
        and value.kind
    ]


@functools.cache
def shipped() -> Registry:
    """Every kind in `schemas/kinds/`."""
    modules = sorted(found.name for found in pkgutil.iter_modules(schemas.kinds.__path__))
    return Registry(kind for name in modules for kind in kinds_in(importlib.import_module(f"schemas.kinds.{name}")))
