"""Plain functions, methods and generators: each call is decided on before the body runs."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from meshguard.guard import Guard, ToolCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

__all__ = ["governed"]

P = ParamSpec("P")
R = TypeVar("R")


def governed(action: str, guard: Guard | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have each call of a function decided on before its body runs.

    The arguments go into `context.args` by name, with defaults, without `self` and `cls`. A call with an
    argument that JSON can't represent is denied, unless the guard has a `context` function that selects what
    policies see. A generator is checked when its first item is requested.

    Args:
        action: What the function does, by convention `verb:object`.
        guard: How to decide. When left out, one is made of `MESHGUARD_*` at the first call and shared by all
            such functions; it raises a failure as the error it is. A denial is raised as `PolicyDeniedError`
            unless the guard's `on_deny` requests something else: `"message"` returns a sentence, a function
            what it returns. The result is then the only item of a generator.

    Returns:
        A decorator for a function, a coroutine function, a generator function or an async generator function.
        Below `@classmethod` and `@staticmethod`, not above.

    Raises:
        TypeError: What is decorated is not a function.
        PolicyDeniedError: At a call that is denied, unless `on_deny` of the guard requests something else.
        MeshGuardError: At a call for which no decision can be had, with a guard made here or with
            `on_error="raise"`.

    Example:
        ```python
        from meshguard.guard import Guard
        from meshguard.integrations.functions import governed

        @governed("execute:lookup", Guard(client))
        def find_contact(name: str) -> str:
            return f"{name}@example.com"

        print(find_contact("ada"))
        ```
    """

    def known() -> Guard:
        return guard or _default_guard()

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if not inspect.isroutine(function) or isinstance(function, classmethod | staticmethod):
            raise TypeError("governed takes a function; put it below @classmethod and @staticmethod.")
        return cast("Callable[P, R]", _wrapped(_Function(function, action), known))

    return decorate


@functools.cache
def _default_guard() -> Guard:
    return Guard(on_error="raise")


class _Function:
    """A function and how to see a call of it."""

    def __init__(self, function: Callable[..., Any], action: str) -> None:
        self.body: Callable[..., Any] = function
        self._action = action
        self._signature = inspect.signature(function)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        if next(iter(arguments), None) in {"self", "cls"}:
            del arguments[next(iter(arguments))]
        name = getattr(self.body, "__name__", "function")
        return ToolCall(name, arguments, framework="functions", action=self._action)


def _wrapped(function: _Function, known: Callable[[], Guard]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function.body):
        return _async_generator(function, known)
    if inspect.iscoroutinefunction(function.body):
        return _coroutine(function, known)
    if inspect.isgeneratorfunction(function.body):
        return _generator(function, known)
    return _plain(function, known)


def _plain(function: _Function, known: Callable[[], Guard]) -> Callable[..., Any]:
    @functools.wraps(function.body)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = function.call(args, kwargs)
        decision = known().check(call)
        if decision.allowed:
            return function.body(*args, **kwargs)
        return known().refuse(call, decision, default="raise")

    return wrapper


def _coroutine(function: _Function, known: Callable[[], Guard]) -> Callable[..., Any]:
    @functools.wraps(function.body)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = function.call(args, kwargs)
        decision = await known().acheck(call)
        if decision.allowed:
            return await function.body(*args, **kwargs)
        return known().refuse(call, decision, default="raise")

    return wrapper


def _generator(function: _Function, known: Callable[[], Guard]) -> Callable[..., Any]:
    @functools.wraps(function.body)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = function.call(args, kwargs)
        decision = known().check(call)
        if decision.allowed:
            body: Generator[Any, Any, Any] = function.body(*args, **kwargs)
            return (yield from body)
        yield known().refuse(call, decision, default="raise")
        return None

    return wrapper


def _async_generator(function: _Function, known: Callable[[], Guard]) -> Callable[..., Any]:
    @functools.wraps(function.body)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call = function.call(args, kwargs)
        decision = await known().acheck(call)
        if not decision.allowed:
            yield known().refuse(call, decision, default="raise")
            return
        items = function.body(*args, **kwargs)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    return wrapper
