"""Permission for the published API: a denied call raises, unless `on_deny` supplies a result."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from meshguard._wire.decisions import raise_if_denied
from meshguard.client import MeshGuardClient
from meshguard.exceptions import PolicyDeniedError
from meshguard.guard import Client, Guard, ToolCall

C = TypeVar("C", bound=Client)
T = TypeVar("T")
OnDeny = Callable[..., Any]


class GuardResolver:
    """The client and its guard: the given one, or one for the current environment."""

    def __init__(self, client: Client | None) -> None:
        self._given: tuple[Client, Guard] | None = None if client is None else _with_guard(client)

    @property
    def client(self) -> Client:
        """The client of the agent."""
        return (self._given or _from_environment())[0]

    @property
    def guard(self) -> Guard:
        """The guard that decides; it raises when a call can't be checked."""
        return (self._given or _from_environment())[1]


def _with_guard(client: C) -> tuple[C, Guard]:
    return client, Guard(client, on_error="raise")


def _from_environment() -> tuple[MeshGuardClient, Guard]:
    names = ("MESHGUARD_GATEWAY_URL", "MESHGUARD_AGENT_TOKEN", "MESHGUARD_ADMIN_TOKEN")
    return _from_settings(*map(os.environ.get, names))


@functools.lru_cache(maxsize=8)
def _from_settings(*_: str | None) -> tuple[MeshGuardClient, Guard]:
    return _with_guard(MeshGuardClient())


def run_if_allowed(
    guard: Guard, call: ToolCall, body: Callable[[], T], on_deny: Callable[[PolicyDeniedError], T] | None
) -> T:
    """Run the body if the call is allowed; otherwise `on_deny`, which also handles denials in the body."""
    try:
        raise_if_denied(guard.check(call))
        return body()
    except PolicyDeniedError as error:
        if on_deny is None:
            raise
        return on_deny(error)


async def arun_if_allowed(
    guard: Guard,
    call: ToolCall,
    body: Callable[[], Awaitable[T]],
    on_deny: Callable[[PolicyDeniedError], T] | None,
) -> T:
    """As `run_if_allowed`, without blocking the event loop."""
    try:
        raise_if_denied(await guard.acheck(call))
        return await body()
    except PolicyDeniedError as error:
        if on_deny is None:
            raise
        return on_deny(error)


def bind(on_deny: OnDeny | None, *args: Any, **kwargs: Any) -> Callable[[PolicyDeniedError], Any] | None:
    """`on_deny` with the arguments of the denied call."""
    return None if on_deny is None else lambda error: on_deny(error, *args, **kwargs)
