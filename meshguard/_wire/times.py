"""Times of the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:[.,]([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def parse_time(text: str) -> datetime:
    """Return a time in UTC: RFC 3339 and its common variants; UTC where the offset is absent.

    Raises:
        ValueError: The text is not a time.

    Example:
        >>> parse_time("2026-11-22 10:30:00.5+0100").isoformat()
        '2026-11-22T09:30:00.500000+00:00'
    """
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"Invalid time {text[:40]!r}: it is not RFC 3339.")
    date, time, fraction, offset = found.groups()
    zone = "+00:00" if offset in {None, "Z", "z"} else offset
    try:
        return datetime.fromisoformat(f"{date}T{time}.{(fraction or '0')[:6]}{zone}").astimezone(UTC)
    except OverflowError:
        raise ValueError(f"Invalid time {text[:40]!r}: it is out of range.") from None
