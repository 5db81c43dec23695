"""Functions that are decided on, and what is seen of their arguments."""

from __future__ import annotations

import functools
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.tools import InjectedToolArg

from meshguard.integrations.langchain.calls import tool_call
from meshguard.integrations.langchain.permission import Asked, OnDeny, apermitted, bound, permitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.guard import ToolCall
    from meshguard.types import PolicyDecision

_DECISION = "meshguard_decision"


class Function:
    """A function, and what is seen of its arguments."""

    def __init__(self, body: Callable[..., Any], name: str | None = None) -> None:
        self.body = body
        self._name = name or str(getattr(body, "__name__", "function"))
        self.signature = inspect.signature(body)
        self.takes_decision = _DECISION in self.signature.parameters
        seen = [item for name, item in self.signature.parameters.items() if name != _DECISION]
        self.signature = self.signature.replace(parameters=seen)

    def call(self, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
        """A call of the function, as the guard sees it."""
        given = self.signature.bind(*args, **{name: kwargs[name] for name in kwargs if name != _DECISION})
        given.apply_defaults()
        arguments = {name: value for name, value in given.arguments.items() if name not in self._hidden}
        return tool_call(self._name, arguments, ensure_config(), action=action)

    def keywords(self, kwargs: dict[str, Any], decision: PolicyDecision) -> dict[str, Any]:
        """The keywords for the function, with the decision if it has a parameter for that."""
        return {**kwargs, _DECISION: decision} if self.takes_decision else kwargs

    @functools.cached_property
    def _hidden(self) -> set[str]:
        """What the framework injects, such as the state of a graph, is none of the gateway's business."""
        hints: dict[str, Any] = {}
        with suppress(NameError, TypeError):  # LangChain can't inject either what it can't resolve
            hints = get_type_hints(self.body, include_extras=True)
        return {"self", "cls"} | {name for name, hint in hints.items() if _is_injected(hint)}


def _is_injected(hint: Any) -> bool:
    marks = [mark if isinstance(mark, type) else type(mark) for mark in getattr(hint, "__metadata__", ())]
    return hint is RunnableConfig or any(issubclass(mark, InjectedToolArg) for mark in marks)


def governed(function: Function, action: str, asked: Asked, on_deny: OnDeny | None) -> Callable[..., Any]:
    """The function, decided on at each call."""
    make = _governed_async if inspect.iscoroutinefunction(function.body) else _governed_sync
    wrapper: Any = make(function, action, asked, on_deny)
    wrapper.__annotations__ = dict[str, Any]()  # a body without any is not to get those of the wrapper
    functools.update_wrapper(wrapper, function.body)
    wrapper.__signature__ = function.signature
    if function.takes_decision:
        wrapper.__annotations__.pop(_DECISION, None)
    wrapper._meshguard_action = action  # noqa: SLF001 - documented under this name
    return cast("Callable[..., Any]", wrapper)


def _governed_sync(
    function: Function, action: str, asked: Asked, on_deny: OnDeny | None
) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return permitted(
            asked.guard,
            function.call(action, args, kwargs),
            lambda decision: function.body(*args, **function.keywords(kwargs, decision)),
            bound(on_deny, *args, **kwargs),
        )

    return wrapper


def _governed_async(
    function: Function, action: str, asked: Asked, on_deny: OnDeny | None
) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await apermitted(
            asked.guard,
            function.call(action, args, kwargs),
            lambda decision: function.body(*args, **function.keywords(kwargs, decision)),
            bound(on_deny, *args, **kwargs),
        )

    return wrapper
