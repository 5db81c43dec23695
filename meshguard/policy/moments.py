"""Times in policies: a time of day in UTC, or a moment of RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TypeAlias

from meshguard.policy.vocabulary import MOMENT, TIME_OF_DAY

Moment: TypeAlias = "time | datetime"


def read_moment(text: str) -> Moment | None:
    """Return the time of day or the moment (in UTC) that a text means; None when it means neither.

    Example:
        >>> read_moment("17:30"), read_moment("2026-01-01T01:00:00+01:00")
        (datetime.time(17, 30), datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))
        >>> read_moment("2026-02-30T00:00:00Z") is None
        True
    """
    if TIME_OF_DAY.fullmatch(text):
        return time.fromisoformat(text)
    if not MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def in_order(after: Moment | None, before: Moment | None) -> bool:
    """Return whether a window is not empty; a time of day and a moment always leave room."""
    if isinstance(after, datetime) and isinstance(before, datetime):
        return after < before
    if isinstance(after, time) and isinstance(before, time):
        return after < before
    return True
