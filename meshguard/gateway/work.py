"""How much work one request may cause, counted as it is done."""

from __future__ import annotations

from dataclasses import dataclass

MAX_ERRORS = 20  # details in one response
MAX_VALUES = 50_000  # JSON values in one body
BYTES_PER_UNIT = 65_536  # a body is charged one more request for each


@dataclass(slots=True)
class Work:
    """What one request has caused so far.

    Args:
        read: Bytes of its body.
        values: Values that were looked at one by one to find errors.
        listed: Records that were looked at for a listing.
    """

    read: int = 0
    values: int = 0
    listed: int = 0

    def look(self, values: int = 1) -> None:
        """Count values that are about to be looked at."""
        self.values += values
