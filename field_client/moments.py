"""Times as records hold them: UTC with milliseconds, by the tablet's clock set right by the server's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the tablet makes the index when it is new
    from field_client.tablet import Tablet


CHINA = timezone(timedelta(hours=8))
"""Beijing time is the legal time of the whole country, and the zone of a camera that does not write its own."""


def moment(tablet: Tablet) -> str:
    """Now in UTC as a `Moment`, by the tablet's clock set right by the server's as far as that is known."""
    return as_moment(datetime.fromtimestamp(moment_ms(tablet) / 1000, UTC))


def moment_ms(tablet: Tablet) -> int:
    """The same in milliseconds since 1970."""
    _, offset = tablet.store.time()
    return tablet.store.clock.wall_ms() + offset


def as_moment(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
