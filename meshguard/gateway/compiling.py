"""Reading and compiling policies beside the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from meshguard.gateway.problems import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 10.0  # seconds, with the wait for those before

_T = TypeVar("_T")


class PolicyWorker:
    """One thread for what takes long with policies, so that requests of agents do not wait for it.

    Args:
        deadline: Seconds that a caller waits.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="meshguard-policies")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what the work returns, or raise what it raises.

        Raises:
            Problem: 503, when it is not done in time.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            async with asyncio.timeout(self._deadline):
                return await future
        except TimeoutError:
            raise unavailable("Other policies are being compiled; try again in a few seconds.") from None

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
