"""Turns on the event loop, for requests that need it for long."""

from __future__ import annotations

import asyncio
from time import perf_counter

SLICE = 0.002  # seconds of work without a pause


class Turns:
    """Lets one long request at a time work on between two rounds of the event loop, each in turn.

    A short request needs a few rounds. However many long ones there are, each round is one slice longer.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    def begin(self) -> Turn:
        """Begin the work of a request."""
        return Turn(self._lock)


class Turn:
    """The work of one request on the event loop.

    Args:
        lock: Shared by all.
    """

    __slots__ = ("_lock", "_since")

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._since = perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether the slice is used up."""
        return perf_counter() - self._since >= SLICE

    async def pause(self) -> None:
        """Let others work, and wait for the next turn."""
        async with self._lock:
            await asyncio.sleep(0)
        self._since = perf_counter()
