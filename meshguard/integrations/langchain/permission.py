"""Permission, as the documented functions ask for it: what is not allowed raises."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from meshguard._wire.decisions import raise_if_denied
from meshguard.client import MeshGuardClient
from meshguard.exceptions import PolicyDeniedError
from meshguard.guard import Client, Guard, ToolCall

if TYPE_CHECKING:
    from meshguard.types import PolicyDecision

C = TypeVar("C", bound=Client)
T = TypeVar("T")
OnDeny = Callable[..., Any]


class Asked:
    """Whom to ask: a client, or when there is none that of the environment at the time."""

    def __init__(self, client: Client | None) -> None:
        self._given: tuple[Client, Guard] | None = None if client is None else _raising(client)

    @property
    def client(self) -> Client:
        """Who is asked."""
        return (self._given or _of_environment())[0]

    @property
    def guard(self) -> Guard:
        """What asks; it raises when no decision can be had."""
        return (self._given or _of_environment())[1]


def _raising(client: C) -> tuple[C, Guard]:
    return client, Guard(client, on_error="raise")


def _of_environment() -> tuple[MeshGuardClient, Guard]:
    names = ("MESHGUARD_GATEWAY_URL", "MESHGUARD_AGENT_TOKEN", "MESHGUARD_ADMIN_TOKEN")
    return _of_settings(*map(os.environ.get, names))


@functools.lru_cache(maxsize=8)
def _of_settings(*_: str | None) -> tuple[MeshGuardClient, Guard]:
    return _raising(MeshGuardClient())


def permitted(
    guard: Guard,
    call: ToolCall,
    body: Callable[[PolicyDecision], T],
    on_deny: Callable[[PolicyDeniedError], T] | None,
) -> T:
    """What the body gives, if the call is allowed; else what `on_deny` gives.

    It also answers for what is denied inside of the body, as it always did.
    """
    try:
        return body(raise_if_denied(guard.check(call)))
    except PolicyDeniedError as error:
        if on_deny is None:
            raise
        return on_deny(error)


async def apermitted(
    guard: Guard,
    call: ToolCall,
    body: Callable[[PolicyDecision], Awaitable[T]],
    on_deny: Callable[[PolicyDeniedError], T] | None,
) -> T:
    """As `permitted`, without blocking the event loop."""
    try:
        return await body(raise_if_denied(await guard.acheck(call)))
    except PolicyDeniedError as error:
        if on_deny is None:
            raise
        return on_deny(error)


def bound(on_deny: OnDeny | None, *args: Any, **kwargs: Any) -> Callable[[PolicyDeniedError], Any] | None:
    """`on_deny` with what the denied call was made with."""
    return None if on_deny is None else lambda error: on_deny(error, *args, **kwargs)
