"""Plain functions, methods and generators: each call is checked before the body runs."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from meshguard._wrapping import Gate, wrap
from meshguard.guard import Guard, ToolCall
from meshguard.guard.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshguard.types import PolicyDecision

__all__ = ["govern_function"]

P = ParamSpec("P")
R = TypeVar("R")


def govern_function(action: str, guard: Guard | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Check each call of a function before its body runs.

    Policies see the arguments by name in `context.args`, defaults included, without `self` and `cls`. A call
    with an argument that JSON can't represent is denied, unless the guard has a `context` function that
    selects what policies see. A generator is checked when its first item is requested.

    Args:
        action: The action of the function, by convention `verb:object`; or a template that is filled with
            arguments, such as `"read:{path}"`.
        guard: The guard that decides. By default, one guard made from `MESHGUARD_*` at the first call serves
            all such functions; it raises errors as they are. A denial raises `PolicyDeniedError`, unless the
            guard has an `on_deny`: `"message"` returns a sentence, a function returns its own result. For a
            generator, that result is the only item.

    Returns:
        A decorator for functions, coroutine functions, generator functions and async generator functions. Put
        it below `@classmethod` and `@staticmethod`.

    Raises:
        ConfigurationError: The template is not valid.
        TypeError: The decorated object is not a function.
        PolicyDeniedError: Raised by a denied call, unless the guard has another `on_deny`.
        MeshGuardError: Raised by a call that could not be checked, with the default guard or with
            `on_error="raise"`.

    Example:
        ```python
        from meshguard.guard import Guard
        from meshguard.integrations.functions import govern_function

        @govern_function("execute:lookup", Guard(client))
        def find_contact(name: str) -> str:
            return f"{name}@example.com"

        print(find_contact("ada"))
        ```
    """
    template = Template("action", action)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if not inspect.isroutine(function) or isinstance(function, classmethod | staticmethod):
            raise TypeError(
                "govern_function decorates functions. Put it below @classmethod and @staticmethod."
            )
        gate = _FunctionGate(function, template, lambda: guard or _default_guard())
        return cast("Callable[P, R]", wrap(function, gate))

    return decorate


@functools.cache
def _default_guard() -> Guard:
    return Guard(on_error="raise")


class _Denied(Exception):  # noqa: N818 - it never leaves the wrapper
    """A denied call, with its result."""

    def __init__(self, result: Any) -> None:
        self.result = result


class _FunctionGate(Gate):
    handles = _Denied

    def __init__(
        self, function: Callable[..., Any], action: Template, get_guard: Callable[[], Guard]
    ) -> None:
        self._name = getattr(function, "__name__", "function")
        self._signature = inspect.signature(function)
        self._action = action
        self._get_guard = get_guard

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        call, guard = self._call(args, kwargs), self._get_guard()
        _raise_if_denied(guard, call, guard.check(call))
        return kwargs

    async def acheck(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        call, guard = self._call(args, kwargs), self._get_guard()
        _raise_if_denied(guard, call, await guard.acheck(call))
        return kwargs

    def replace(self, error: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002
        return cast("_Denied", error).result

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        if next(iter(arguments), None) in {"self", "cls"}:
            del arguments[next(iter(arguments))]
        return ToolCall(self._name, arguments, framework="functions", action=self._action)


def _raise_if_denied(guard: Guard, call: ToolCall, decision: PolicyDecision) -> None:
    if not decision.allowed:
        raise _Denied(guard.denial_result(call, decision, default="raise"))
