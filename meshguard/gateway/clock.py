"""Moments: seconds since 1970 inside, RFC 3339 with milliseconds outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds since 1970."""
    return int(seconds * 1000)


def timestamp(moment: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 in UTC, with milliseconds and `Z`.

    Example:
        >>> timestamp(1795340999123)
        '2026-11-22T09:49:59.123Z'
    """
    return f"{_second(moment // 1000)}.{moment % 1000:03}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


def parse_timestamp(text: str) -> int:
    """Return milliseconds since 1970, rounded up, of an RFC 3339 moment.

    Raises:
        ValueError: The moment does not exist, such as the 60th second of a minute.
        OverflowError: The moment lies outside the years 1 to 9999 in UTC.
    """
    moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    return -((_EPOCH - moment) // timedelta(milliseconds=1))
