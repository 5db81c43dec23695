"""What `govern` returns: context managers and decorators. The two differ in which functions they take."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from meshguard.types import PolicyDecision

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
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
                "MeshGuardClient.govern cannot decorate an async function. Use AsyncMeshGuardClient.govern."
            )

        @functools.wraps(function)
        def governed(*args: P.args, **kwargs: P.kwargs) -> R:
            self._enforce()
            return function(*args, **kwargs)

        return governed


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
        raise TypeError("AsyncMeshGuardClient.govern cannot be entered by `with`. Use `async with`.")

    def __exit__(self, *_: object) -> None:
        """Make `with` reach the error above."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return an async function that asks for a decision on every call before it runs."""
        if inspect.isasyncgenfunction(function):
            return cast("Callable[P, R]", self._generator(function))
        if not is_async(function):
            raise TypeError(
                "AsyncMeshGuardClient.govern cannot decorate a sync function. Use MeshGuardClient.govern."
            )
        awaited = cast("Callable[P, Awaitable[Any]]", function)

        @functools.wraps(function)
        async def governed(*args: P.args, **kwargs: P.kwargs) -> Any:
            await self._enforce()
            return await awaited(*args, **kwargs)

        return cast("Callable[P, R]", governed)

    def _generator(self, function: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncIterator[T]]:
        @functools.wraps(function)
        async def governed(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            await self._enforce()
            async for item in function(*args, **kwargs):
                yield item

        return governed


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling the function returns something to await or to iterate asynchronously."""
    return any(
        test(candidate)
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for candidate in (function, getattr(type(function), "__call__", None))  # noqa: B004
    )
