"""How often an agent may ask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter
from limits.storage import storage_from_string

from meshguard.gateway.problems import Problem

if TYPE_CHECKING:
    from meshguard.gateway.clock import Clock
    from meshguard.gateway.settings import Settings


class RateLimit:
    """Counts each agent's decisions of a minute (setting `RATE_LIMIT_RPM`)."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._rpm = settings.rate_limit_rpm
        self._item = RateLimitItemPerMinute(max(self._rpm, 1), namespace="meshguard")
        storage = storage_from_string(f"async+{settings.rate_limit_storage.get_secret_value()}")
        self._limiter = FixedWindowRateLimiter(storage)

    async def take(self, agent_id: str, number: int) -> None:
        """Count so many decisions of an agent, or none of them.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        if not self._rpm:
            return
        if not await self._limiter.test(self._item, agent_id, cost=number):
            raise await self._exceeded(agent_id)
        await self._limiter.hit(self._item, agent_id, cost=number)

    async def _exceeded(self, agent_id: str) -> Problem:
        window = await self._limiter.get_window_stats(self._item, agent_id)
        wait = max(1, math.ceil(window.reset_time - self._clock()))
        return Problem(
            429,
            f"Wait {wait} s; the limit is {self._rpm} requests a minute.",
            headers=(("Retry-After", str(wait)),),
            fields={"retryAfter": wait, "limit": self._rpm},
        )
