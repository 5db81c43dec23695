"""Options that several commands have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Tier(StrEnum):
    """How far an agent is trusted."""

    unverified = "unverified"
    verified = "verified"
    trusted = "trusted"
    privileged = "privileged"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
AgentRef = Annotated[str, typer.Argument(metavar="AGENT", help="Name or ID of the agent.")]


def read_time(text: str) -> datetime:
    """Return the time that an option names.

    Args:
        text: RFC 3339, or how long ago, such as `2h`.

    Raises:
        BadParameter: It is neither.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f'invalid time "{text}"; use 2026-11-22T09:30:00Z, or 2h') from None
    return time if time.tzinfo else time.astimezone()


def format_time(value: datetime | str | None) -> str:
    """Return a time as the gateway writes it: RFC 3339, UTC, milliseconds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value or ""
