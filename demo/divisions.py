"""Administrative divisions of Hunan: 14 cities, 122 counties (GB/T 2260), and communities in them.

Codes grow by level: 6 digits down to the county, 9 for a street, town or township, 12 for a community or a
village.
The tables lie beside this file; `hunan_divisions.LICENCE.md` says where they come from.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

PROVINCE = "430000"

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Division:
    """A province, city or county. `lon_e7` and `lat_e7`: its seat, in 1e-7 degree, good to about 1 km."""

    code: str
    name: str
    parent: str
    lon_e7: int
    lat_e7: int


@dataclass(frozen=True)
class Community:
    """A community (社区) or village (村), its 12-digit code, and the street or town that it belongs to."""

    code: str
    name: str
    township: str


def _rows(name: str) -> Iterator[dict[str, str]]:
    with open(_HERE / name, encoding="utf-8", newline="") as table:
        yield from csv.DictReader(table)


def _e7(degrees: str) -> int:
    return int(Decimal(degrees).scaleb(7))


@cache
def _divisions() -> dict[str, Division]:
    return {
        row["code"]: Division(row["code"], row["name"], row["parent"], _e7(row["lon"]), _e7(row["lat"]))
        for row in _rows("hunan_divisions.csv")
    }


@cache
def _communities() -> dict[str, list[Community]]:
    found: dict[str, list[Community]] = {}
    township = ""
    for row in _rows("hunan_communities.csv"):
        code, name = row["code"], row["name"]
        if len(code) == 9:
            township = name
        else:
            found.setdefault(code[:6], []).append(Community(code, name, township))
    return found


def division(code: str) -> Division:
    """The division with this 6-digit code. Raises KeyError when Hunan has none."""
    return _divisions()[code]


def cities() -> list[Division]:
    """The 14 prefecture-level divisions, by code."""
    return [found for found in _divisions().values() if found.parent == PROVINCE]


def counties(city: str | None = None) -> list[Division]:
    """The 122 county-level divisions, by code, or those of one city (6-digit code)."""
    return [
        found for found in _divisions().values() if found.parent not in ("", PROVINCE) and city in (None, found.parent)
    ]


def communities(county: str) -> list[Community]:
    """At most two communities of every street, town and township of a county (6-digit code), by code."""
    return list(_communities()[county])
