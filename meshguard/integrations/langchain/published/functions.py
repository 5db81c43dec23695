"""Governed functions, and which of their arguments policies see."""

from __future__ import annotations

import functools
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_type_hints

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.tools import InjectedToolArg

from meshguard._wire.decisions import raise_if_denied
from meshguard._wrapping import Gate, wrap_coroutine, wrap_plain
from meshguard.exceptions import PolicyDeniedError
from meshguard.integrations.langchain.calls import tool_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshguard.guard import ToolCall
    from meshguard.integrations.langchain.published.permission import GuardResolver, OnDeny
    from meshguard.types import PolicyDecision

_DECISION = "meshguard_decision"


class Function:
    """A function, and which of its arguments policies see."""

    def __init__(self, body: Callable[..., Any], name: str | None = None) -> None:
        self.body = body
        self._name = name or str(getattr(body, "__name__", "function"))
        self.signature = inspect.signature(body)
        self.takes_decision = _DECISION in self.signature.parameters
        visible = [item for name, item in self.signature.parameters.items() if name != _DECISION]
        self.signature = self.signature.replace(parameters=visible)

    def call(self, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
        """A call of the function, as the guard sees it."""
        bound = self.signature.bind(*args, **{name: kwargs[name] for name in kwargs if name != _DECISION})
        bound.apply_defaults()
        arguments = {name: value for name, value in bound.arguments.items() if name not in self._hidden}
        return tool_call(self._name, arguments, ensure_config(), action=action)

    def keywords(self, kwargs: dict[str, Any], decision: PolicyDecision) -> dict[str, Any]:
        """The keyword arguments, with the decision if the function has a parameter for it."""
        return {**kwargs, _DECISION: decision} if self.takes_decision else kwargs

    @functools.cached_property
    def _hidden(self) -> set[str]:
        """Arguments that the framework injects, such as the state of a graph, are not sent to the gateway."""
        hints: dict[str, Any] = {}
        with suppress(NameError, TypeError):  # LangChain can't inject what it can't resolve either
            hints = get_type_hints(self.body, include_extras=True)
        return {"self", "cls"} | {name for name, hint in hints.items() if _is_injected(hint)}


def _is_injected(hint: Any) -> bool:
    marks = [mark if isinstance(mark, type) else type(mark) for mark in getattr(hint, "__metadata__", ())]
    return hint is RunnableConfig or any(issubclass(mark, InjectedToolArg) for mark in marks)


def wrap_function(
    function: Function, action: str, resolver: GuardResolver, on_deny: OnDeny | None
) -> Callable[..., Any]:
    """The function, checked on each call."""
    wrap = wrap_coroutine if inspect.iscoroutinefunction(function.body) else wrap_plain
    wrapper: Any = wrap(function.body, _FunctionGate(function, action, resolver, on_deny))
    wrapper.__annotations__ = {
        name: hint
        for name, hint in wrapper.__annotations__.items()
        if name != _DECISION or not function.takes_decision
    }
    wrapper.__signature__ = function.signature
    wrapper._meshguard_action = action  # noqa: SLF001 - documented under this name
    return wrapper  # type: ignore[no-any-return]


class _FunctionGate(Gate):
    """`on_deny` also handles denials inside the body, as it does in the published package."""

    def __init__(
        self, function: Function, action: str, resolver: GuardResolver, on_deny: OnDeny | None
    ) -> None:
        self.handles = () if on_deny is None else PolicyDeniedError
        self._function = function
        self._action = action
        self._resolver = resolver
        self._on_deny = on_deny

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        call = self._function.call(self._action, args, kwargs)
        return self._function.keywords(kwargs, raise_if_denied(self._resolver.guard.check(call)))

    async def acheck(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        call = self._function.call(self._action, args, kwargs)
        return self._function.keywords(kwargs, raise_if_denied(await self._resolver.guard.acheck(call)))

    def replace(self, error: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self._on_deny(error, *args, **kwargs) if self._on_deny else None
