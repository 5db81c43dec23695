"""Wrappers that check each call before the body of a function runs, one for each kind of function."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Mapping

Keywords = dict[str, Any]


class Gate:
    """Checks the calls of a wrapped function. Subclasses define `check` or `acheck`.

    Attributes:
        handles: Errors for which `replace` supplies a result. Empty by default: all errors propagate.
    """

    handles: type[Exception] | tuple[type[Exception], ...] = ()

    def check(self, args: tuple[Any, ...], kwargs: Keywords) -> Keywords:
        """Return the keyword arguments for the body, or raise so that it does not run."""
        raise NotImplementedError

    async def acheck(self, args: tuple[Any, ...], kwargs: Keywords) -> Keywords:
        """Return the keyword arguments for the body, or raise so that it does not run."""
        raise NotImplementedError

    def replace(self, error: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the result of a call that ended with an error in `handles`."""
        raise NotImplementedError


def wrap(body: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Wrap a function of any kind. The body of a generator is checked when its first item is requested."""
    if inspect.isasyncgenfunction(body):
        return wrap_async_generator(body, gate)
    if inspect.iscoroutinefunction(body):
        return wrap_coroutine(body, gate)
    if inspect.isgeneratorfunction(body):
        return wrap_generator(body, gate)
    return wrap_plain(body, gate)


def wrap_plain(body: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Wrap a function that is checked when it is called."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return body(*args, **gate.check(args, kwargs))
        except gate.handles as error:
            return gate.replace(error, args, kwargs)

    return _named_like(body, wrapper)


def wrap_coroutine(body: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Wrap a function whose result is awaited."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return await body(*args, **await gate.acheck(args, kwargs))
        except gate.handles as error:
            return gate.replace(error, args, kwargs)

    return _named_like(body, wrapper)


def wrap_generator(body: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Wrap a generator function. A replacement is its only item."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            checked = gate.check(args, kwargs)
        except gate.handles as error:
            yield gate.replace(error, args, kwargs)
            return None
        return (yield from body(*args, **checked))

    return _named_like(body, wrapper)


def wrap_async_generator(body: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """Wrap an async generator function. A replacement is its only item."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            checked = await gate.acheck(args, kwargs)
        except gate.handles as error:
            yield gate.replace(error, args, kwargs)
            return
        items = body(*args, **checked)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    return _named_like(body, wrapper)


def _named_like(body: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    wrapper.__annotations__ = dict[str, Any]()  # a body without annotations must not get those of the wrapper
    return functools.update_wrapper(wrapper, body)
