"""What `govern` returns: context managers and decorators. The two differ in which functions they take."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

from meshguard._wrapping import Gate, wrap_async_generator, wrap_coroutine, wrap_plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from meshguard.types import PolicyDecision

P = ParamSpec("P")
R = TypeVar("R")
Client = TypeVar("Client")


class Governed(Generic[Client]):
    """A block or function that runs only if its action is allowed.

    Attributes:
        client: The client that asks.
        action: The action.
        resource: The resource, or None.
        decision: The decision of the last `with`, or None before the first.
    """

    def __init__(
        self, client: Client, action: str, resource: str | None, enforce: Callable[[], PolicyDecision]
    ) -> None:
        self.client = client
        self.action = action
        self.resource = resource
        self.decision: PolicyDecision | None = None
        self._enforce = enforce

    def __enter__(self) -> PolicyDecision:
        self.decision = self._enforce()
        return self.decision

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let exceptions of the block pass."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a function that asks for a decision on every call before it runs."""
        if is_async(function):
            raise TypeError(
                "MeshGuardClient.govern can't decorate an async function; use AsyncMeshGuardClient.govern."
            )

        return wrap_plain(function, _EnforcingGate(self._enforce))


class AsyncGoverned(Generic[Client]):
    """A block or function that runs only if its action is allowed.

    Attributes:
        client: The client that asks.
        action: The action.
        resource: The resource, or None.
        decision: The decision of the last `async with`, or None before the first.
    """

    def __init__(
        self,
        client: Client,
        action: str,
        resource: str | None,
        enforce: Callable[[], Awaitable[PolicyDecision]],
    ) -> None:
        self.client = client
        self.action = action
        self.resource = resource
        self.decision: PolicyDecision | None = None
        self._enforce = enforce

    async def __aenter__(self) -> PolicyDecision:
        self.decision = await self._enforce()
        return self.decision

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let exceptions of the block pass."""

    def __enter__(self) -> NoReturn:
        raise TypeError("AsyncMeshGuardClient.govern needs `async with`.")

    def __exit__(self, *_: object) -> None:
        """Make `with` reach the error above."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return an async function that asks for a decision on every call before it runs."""
        if not is_async(function):
            raise TypeError("This decorates async functions; for others use MeshGuardClient.govern.")
        wrap = wrap_async_generator if inspect.isasyncgenfunction(function) else wrap_coroutine
        return wrap(function, _AsyncEnforcingGate(self._enforce))


class _EnforcingGate(Gate):
    def __init__(self, enforce: Callable[[], PolicyDecision]) -> None:
        self._enforce = enforce

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        self._enforce()
        return kwargs


class _AsyncEnforcingGate(Gate):
    def __init__(self, enforce: Callable[[], Awaitable[PolicyDecision]]) -> None:
        self._enforce = enforce

    async def acheck(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        await self._enforce()
        return kwargs


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling the function returns something to await or to iterate asynchronously."""
    return any(
        test(candidate)
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for candidate in (function, getattr(type(function), "__call__", None))  # noqa: B004
    )
