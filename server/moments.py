"""Times of the server as records write them: moments in UTC, and the calendar day in China that a deadline is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.certificates import CHINA


def moment(ms: int) -> str:
    """A time in milliseconds as a record writes it, `2026-11-22T04:30:45.118Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def day(ms: int) -> str:
    """The calendar day in China of a time in milliseconds."""
    return datetime.fromtimestamp(ms / 1000, CHINA).date().isoformat()


def day_span(text: str) -> tuple[int, int] | None:
    """The first millisecond of a calendar day in China (`2026-11-25`) and that of the next; None for what is no day."""
    try:
        first = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=CHINA)
    except ValueError:
        return None
    return int(first.timestamp() * 1000), int((first + timedelta(days=1)).timestamp() * 1000)
