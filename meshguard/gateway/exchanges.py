"""The proxied exchanges under way, each cut when the credential that it began with ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from meshguard.gateway.auth import unauthorized
from meshguard.gateway.problems import Problem, unavailable

if TYPE_CHECKING:
    from meshguard.gateway.auth import Tokens
    from meshguard.gateway.snapshot import Agent, Current

_INTERVAL = 0.2  # seconds between two looks at the agents of all exchanges
_FULL = 5  # looks until the tokens' expiry is checked again


class Exchange(Protocol):
    """A request that is being carried to the upstream, or its response on the way back."""

    agent: Agent
    authorization: str | None

    def cut(self, cause: str, problem: Problem) -> None:
        """End it now.

        Args:
            cause: Why, for the log and the audit entry.
            problem: What the client gets if no response has begun.
        """


class Exchanges:
    """All proxied exchanges of a gateway.

    Args:
        tokens: Checks whether a credential is still valid.
        current: The agents as they are.
        max_doubt: Seconds that exchanges continue while the gateway cannot tell whether agents changed.
    """

    def __init__(self, tokens: Tokens, current: Current, max_doubt: float) -> None:
        self._tokens = tokens
        self._current = current
        self._max_doubt = max_doubt
        self._live: set[Exchange] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0
        self._confirmed = 0.0  # the loop's time at the last look at a confirmed snapshot

    def add(self, exchange: Exchange) -> None:
        """Watch an exchange that begins.

        Raises:
            Problem: 401, when its credential has ended since it was checked.
        """
        if self._current.snapshot.agents.get(exchange.agent.record.id) is not exchange.agent:
            self._tokens.agent(exchange.authorization, self._current.snapshot)
        self._live.add(exchange)
        if self._timer is None:
            self._confirmed = asyncio.get_running_loop().time()
            self._wait()

    def remove(self, exchange: Exchange) -> None:
        """Forget an exchange that has ended."""
        self._live.discard(exchange)

    def close(self) -> None:
        """Watch no more."""
        self._live.clear()
        if self._timer:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._live:
            return
        self._wait()
        self._looks += 1
        now = asyncio.get_running_loop().time()
        if self._current.is_confirmed:
            self._confirmed = now
        elif now - self._confirmed > self._max_doubt:
            self._cut_all()
            return
        agents, is_full = self._current.snapshot.agents, self._looks % _FULL == 0
        for exchange in list(self._live):
            if is_full or agents.get(exchange.agent.record.id) is not exchange.agent:
                self._check(exchange)

    def _check(self, exchange: Exchange) -> None:
        snapshot = self._current.snapshot
        try:
            self._tokens.agent(exchange.authorization, snapshot)
        except Problem:
            agent = snapshot.agents.get(exchange.agent.record.id)
            is_active = agent is not None and agent.record.status == "active"
            cause = "Its token was replaced or expired." if is_active else "The agent was revoked."
            exchange.cut(cause, unauthorized())

    def _cut_all(self) -> None:
        cause = "The gateway could not tell whether the agent was revoked."
        for exchange in list(self._live):
            exchange.cut(cause, unavailable(f"{cause} Try again later."))
