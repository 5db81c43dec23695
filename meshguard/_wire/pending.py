"""The result of an async method before it is awaited."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
T_co = TypeVar("T_co", covariant=True)

MYPY: Final = False  # mypy takes it for true

_COROUTINE_FIELDS = {"__name__", "__qualname__", "cr_await", "cr_code", "cr_frame", "cr_origin", "cr_running"}


class Pending(Coroutine[Any, Any, T_co]):
    """A call that has yet to be awaited: a coroutine without a truth value, attributes, items or order.

    It works wherever a coroutine does. Anything else raises a `TypeError` (an `AttributeError` for an
    attribute) that names the forgotten `await`. Dropping it warns as a coroutine does.
    """

    __slots__ = ("__weakref__", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, T_co]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T_co]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Run until the next suspension, as `coroutine.send` does."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error where the call is suspended, as `coroutine.throw` does."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """End the call, as `coroutine.close` does."""
        self._coroutine.close()

    def __repr__(self) -> str:
        return f"<{_name(self)}(…), not awaited>"

    def __bool__(self) -> NoReturn:
        raise TypeError(_forgotten(self, "truth value"))

    if not TYPE_CHECKING:
        __hash__ = object.__hash__

        def __getattr__(self, name: str) -> Any:
            if name in _COROUTINE_FIELDS:
                return getattr(self._coroutine, name)
            raise AttributeError(_forgotten(self, f"attribute {name!r}"), name=name, obj=self)

        def _without(what: str) -> Callable[..., NoReturn]:  # noqa: N805 - builds the methods below
            def missing(self: Pending[Any], *_: object) -> NoReturn:
                raise TypeError(_forgotten(self, what))

            return missing

        __eq__ = __ne__ = _without("value to compare")
        __lt__ = __le__ = __gt__ = __ge__ = _without("order")
        __iter__ = __len__ = __getitem__ = __contains__ = _without("items")
        del _without


def _name(call: Pending[Any]) -> str:
    name: str = call._coroutine.__qualname__  # type: ignore[attr-defined]  # noqa: SLF001
    return name


def _forgotten(call: Pending[Any], what: str) -> str:
    name = _name(call)
    owner, _, method = name.rpartition(".")
    receiver = "client" if owner.endswith("Client") else owner.lower()
    return f"{name}(…) has no {what}, because it was not awaited. Write `await {receiver}.{method}(…)`."


if MYPY:  # which reports an unused coroutine, and with `truthy-bool` one in a condition

    def decides(function: F) -> F:  # pyright: ignore[reportRedeclaration] - it sees both branches
        """Return the method as it is."""
        return function

    def awaited(function: F) -> F:  # pyright: ignore[reportRedeclaration] - it sees both branches
        """Return the method as it is."""
        return function

else:

    def decides(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Pending[T]]:
        """Have an async method return a `Pending`, which pyright reports in a condition."""
        if function.__module__.startswith("meshguard._async."):
            # Messages, Python's own warning among them, name the class that callers know.
            function.__qualname__ = f"AsyncMeshGuardClient.{function.__name__}"

        @functools.wraps(function)
        def pending(*args: P.args, **kwargs: P.kwargs) -> Pending[T]:
            return Pending(function(*args, **kwargs))

        return _as_coroutine_function(pending)

    def awaited(function: F) -> F:
        """Have an async method return a `Pending`, declared as a coroutine, which pyright reports unused."""
        return decides(function)  # pyright: ignore[reportReturnType]


_unmarked: list[Any] = []


def _as_coroutine_function(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a function that returns a coroutine as `async def` would."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    _unmarked.append(function)
    return function


def mark_methods() -> None:
    """Make `asyncio.iscoroutinefunction` true for async methods in Python 3.11; this imports `asyncio`."""
    if _unmarked:
        from asyncio import coroutines  # noqa: PLC0415

        while _unmarked:
            _unmarked.pop()._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001
