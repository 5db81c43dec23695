"""How often an agent may ask."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.storage import storage_from_string

from meshguard.gateway.problems import Problem

if TYPE_CHECKING:
    from meshguard.gateway.clock import Clock
    from meshguard.gateway.settings import Settings

_log = logging.getLogger("meshguard.gateway")

_TIMEOUT = 1.0  # seconds that a decision waits for Redis before the count is kept here
_RETRY = 1.0  # seconds between two tries to go back to Redis


class RateLimit:
    """Counts each agent's decisions of a minute (setting `RATE_LIMIT_RPM`).

    With Redis as `RATE_LIMIT_STORAGE` all gateways count together. While it does not answer each counts for
    itself, so that the limit still holds for one gateway, and goes back as soon as it can.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._rpm = settings.rate_limit_rpm
        self._item = RateLimitItemPerMinute(max(self._rpm, 1), namespace="meshguard")
        self._local = FixedWindowRateLimiter(storage_from_string("async+memory://"))
        url = settings.rate_limit_storage.get_secret_value()
        self._redis = None if url.startswith("memory://") else _Redis(url)
        self._returning: asyncio.Task[None] | None = None
        self._used_up: dict[str, float] = {}  # until when agents have nothing left

    @property
    def is_local(self) -> bool:
        """Whether this gateway counts for itself because Redis does not answer."""
        return self._returning is not None

    async def take(self, agent_id: str, number: int) -> None:
        """Count so many decisions of an agent, or none of them.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        if not self._rpm:
            return
        wait = await self._wait(agent_id, number)
        if wait is None:
            return
        if number == 1:
            self._used_up[agent_id] = self._clock() + wait
        raise self._exceeded(wait)

    def reject_used_up(self, agent_id: str) -> None:
        """Do nothing unless the agent has nothing left this minute; counts nothing.

        Raises:
            Problem: 429, with the seconds to wait, before any work is done for the request.
        """
        ends = self._used_up.get(agent_id)
        if ends is None:
            return
        wait = math.ceil(ends - self._clock())
        if wait > 0:
            raise self._exceeded(wait)
        del self._used_up[agent_id]

    def _exceeded(self, wait: int) -> Problem:
        return Problem(
            429,
            f"Wait {wait} s; the limit is {self._rpm} requests a minute.",
            headers=(("Retry-After", str(wait)),),
            fields={"retryAfter": wait, "limit": self._rpm},
        )

    async def charge(self, agent_id: str, number: int) -> None:
        """Count work that was already done, even beyond the limit; later requests wait for it."""
        if self._rpm and number:
            await self._wait(agent_id, number, is_done=True)

    async def stop(self) -> None:
        """Close the connections."""
        if self._returning:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)
            self._returning = None
        if self._redis:
            await self._redis.close()

    async def _wait(self, agent_id: str, number: int, *, is_done: bool = False) -> int | None:
        """Return the seconds to wait, None when it was counted."""
        if self._redis and not self.is_local:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    return await self._count(self._redis.limiter, agent_id, number, is_done=is_done)
            except Exception as error:  # noqa: BLE001 - whatever it is, the limit still applies
                self._lose(self._redis, error)
        return await self._count(self._local, agent_id, number, is_done=is_done)

    async def _count(
        self, limiter: FixedWindowRateLimiter, agent_id: str, number: int, *, is_done: bool
    ) -> int | None:
        # Counting one is a test as well. Many are tested first, so that those that don't fit are not counted.
        fits = is_done or number == 1 or await limiter.test(self._item, agent_id, cost=number)
        if fits and await limiter.hit(self._item, agent_id, cost=number):
            return None
        window = await limiter.get_window_stats(self._item, agent_id)
        return max(1, math.ceil(window.reset_time - self._clock()))

    def _lose(self, redis: _Redis, error: Exception) -> None:
        if self._returning is None:
            _log.error("Redis does not answer (%s): the rate limit is kept locally", type(error).__name__)
            self._returning = asyncio.create_task(self._return(redis))

    async def _return(self, redis: _Redis) -> None:
        while True:
            await asyncio.sleep(_RETRY)
            if await redis.answers():
                break
        _log.info("Redis answers again: the rate limit is kept for all gateways together")
        self._used_up.clear()  # that was by this gateway's own count
        self._returning = None


class _Redis:
    def __init__(self, url: str) -> None:
        from redis.asyncio import ConnectionPool  # noqa: PLC0415 - needs the extra

        self._pool = ConnectionPool.from_url(url)
        options: Any = {"connection_pool": self._pool}
        self._storage = RedisStorage(url, wrap_exceptions=True, implementation="redispy", **options)
        self.limiter = FixedWindowRateLimiter(self._storage)

    async def answers(self) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._storage.check()
        except Exception:  # noqa: BLE001 - the next try comes in a second
            return False

    async def close(self) -> None:
        await self._pool.aclose()
