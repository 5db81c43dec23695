"""How long a client may take to send a body."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_RATE = 1_000  # bytes a second, on average


class Pace:
    """The time that was spent waiting for a client, and what it has left; usable as a context manager.

    Args:
        grace: Seconds that it may take in all before its rate counts, and for each piece.
        monotonic: Seconds of a clock that nobody sets.
    """

    __slots__ = ("_grace", "_monotonic", "_since", "_waited")

    def __init__(self, grace: float, monotonic: Callable[[], float] = monotonic) -> None:
        self._grace = grace
        self._monotonic = monotonic
        self._since = 0.0
        self._waited = 0.0

    def patience(self, received: int) -> float:
        """Return the seconds that the next piece may take.

        Args:
            received: Bytes that have come so far.
        """
        return min(self._grace, max(0.0, self._grace + received / MIN_RATE - self._waited))

    def __enter__(self) -> Self:
        self._since = self._monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._waited += self._monotonic() - self._since
