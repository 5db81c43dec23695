"""Context managers and decorators that `govern` returns."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, overload

from meshguard._wrapping import Gate, wrap_async_generator, wrap_coroutine, wrap_plain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
    from types import TracebackType

    from typing_extensions import deprecated

    from meshguard.types import PolicyDecision
else:

    def deprecated(_message):  # noqa: ANN001, ANN201, D103 - Python 3.13 has it in warnings
        return lambda function: function


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Client = TypeVar("Client")


class Governed(Generic[Client]):
    """A block or function that runs only if its action is allowed.

    Attributes:
        client: The client that checks the action.
        action: The action.
        resource: The resource, or None.
        decision: The decision of the last `with`, or None before the first.
    """

    def __init__(
        self, client: Client, action: str, resource: str | None, enforce: Callable[[], PolicyDecision]
    ) -> None:
        _reject_function(action)
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

    # The first overload makes type checkers reject the use of a decorated async function as one.
    @overload
    @deprecated("MeshGuardClient.govern cannot decorate an async function. Use AsyncMeshGuardClient.govern.")
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T] | AsyncIterator[T]]
    ) -> Callable[P, T]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, R]: ...

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """Return a function that enforces the action on every call, before it runs."""
        if is_async(function):
            raise TypeError(
                "MeshGuardClient.govern cannot decorate an async function. Use AsyncMeshGuardClient.govern."
            )

        return wrap_plain(function, _EnforcingGate(self._enforce))

    if not TYPE_CHECKING:

        async def __aenter__(self) -> NoReturn:
            raise TypeError("MeshGuardClient.govern needs `with`, not `async with`.")

        async def __aexit__(self, *_: object) -> None:
            """Make `async with` reach the error above."""


class AsyncGoverned(Generic[Client]):
    """A block or function that runs only if its action is allowed.

    Attributes:
        client: The client that checks the action.
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
        _reject_function(action)
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

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncGenerator[T, None]]: ...

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """Return an async function that enforces the action on every call, before it runs."""
        if not is_async(function):
            raise TypeError(
                "AsyncMeshGuardClient.govern cannot decorate a sync function. Use MeshGuardClient.govern."
            )
        wrap = wrap_async_generator if inspect.isasyncgenfunction(function) else wrap_coroutine
        return wrap(function, _AsyncEnforcingGate(self._enforce))

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise TypeError("AsyncMeshGuardClient.govern needs `async with`, not `with`.")

        def __exit__(self, *_: object) -> None:
            """Make `with` reach the error above."""


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


def is_async(function: Callable[..., object]) -> bool:
    """Whether calling the function returns a coroutine or an async generator."""
    return any(
        test(candidate)
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for candidate in (function, getattr(type(function), "__call__", None))  # noqa: B004
    )


def _reject_function(action: object) -> None:
    if callable(action):
        raise TypeError('Cannot use govern without an action. Write @client.govern("verb:object").')
