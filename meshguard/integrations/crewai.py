"""CrewAI: no tool of a crew, an agent or a flow's agent runs without a decision.

A hook before each tool call asks the guard, and a hook after it puts the denial in place of CrewAI's own
"blocked by hook". CrewAI runs a tool whose hook failed, so that no error may leave these hooks.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from meshguard.guard import Guard, ToolCall
from meshguard.integrations import needs

with needs("crewai", "crewai"):
    from crewai.execution import get_execution_uuid
    from crewai.hooks.dispatch import (
        InterceptionPoint,
        get_hooks,
        get_scoped_hooks,
        register,
        scoped_hooks,
        unregister,
    )

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crewai.hooks import ToolCallHookContext

__all__ = ["govern_crew", "install"]

_BEFORE, _AFTER = InterceptionPoint.PRE_TOOL_CALL, InterceptionPoint.POST_TOOL_CALL


def install(guard: Guard | None = None) -> Callable[[], None]:
    """Have each tool call of this process decided on, in all threads and event loops.

    Another hook that is registered later runs later, and may change the arguments after they were decided on:
    install last, or use `govern_crew`.

    Args:
        guard: How to decide. Made of `MESHGUARD_*` when left out. `agents` goes by the agents' roles.
            `on_deny="raise"` and `on_error="raise"` tell the model, since CrewAI takes no error from a hook.

    Returns:
        A function that takes the hooks away again, and closes a guard that was made here.

    Raises:
        ConfigurationError: No guard is given, and `MESHGUARD_*` does not make one.

    Example:
        ```python
        from meshguard.guard import Guard
        from meshguard.integrations.crewai import install

        uninstall = install(Guard(client))
        print(crew.kickoff())
        uninstall()
        ```
    """
    stack = ExitStack()
    hooks = _Hooks(_open(guard, stack))
    for point, hook in ((_BEFORE, hooks.before), (_AFTER, hooks.after)):
        register(point, hook)
        stack.callback(unregister, point, hook)
    return stack.close


@contextmanager
def govern_crew(guard: Guard | None = None) -> Iterator[None]:
    """Have each tool call decided on that the block makes, in threads that CrewAI starts for it too.

    The decision is the last hook to run before the tool, on the arguments that the tool will get. A crew with
    `stream=True` works while its result is iterated: iterate inside the block.

    Args:
        guard: How to decide, as for `install`. One that is made here is closed at the end of the block.

    Raises:
        ConfigurationError: No guard is given, and `MESHGUARD_*` does not make one.

    Example:
        ```python
        from meshguard.guard import Guard
        from meshguard.integrations.crewai import govern_crew

        with govern_crew(Guard(client)):
            print(crew.kickoff())
        ```
    """
    with ExitStack() as stack:
        hooks = _Hooks(_open(guard, stack))
        _watch()
        stack.callback(_scope.reset, _scope.set(hooks))
        before, after = [*get_scoped_hooks(_BEFORE), hooks.before], [*get_scoped_hooks(_AFTER), hooks.after]
        stack.enter_context(scoped_hooks({_BEFORE: before, _AFTER: after}))
        yield


def _open(guard: Guard | None, stack: ExitStack) -> Guard:
    if guard is None:
        guard = Guard()
        stack.callback(guard.close)
    return guard


class _Hooks:
    """The two hooks; for a call that is denied they run one after the other in the same thread."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._denied = threading.local()

    def before(self, context: ToolCallHookContext) -> bool | None:
        """Let the call pass with None, or block it with False."""
        with suppress(Exception):  # CrewAI runs the tool if a hook fails
            _check_names(self._guard, context)
        said = self._guard.denial_for(_call(context))
        self._denied.last = context.tool_input, said
        return None if said is None else False

    def after(self, context: ToolCallHookContext) -> str | None:
        """Tell the model why, if this is the call that was blocked."""
        arguments, said = getattr(self._denied, "last", (None, None))
        return said if arguments is context.tool_input else None


def _call(context: ToolCallHookContext) -> ToolCall:
    role = getattr(context.agent, "role", None)
    return ToolCall(
        context.tool_name,
        context.tool_input,
        framework="crewai",
        agent=role.strip() if isinstance(role, str) else None,
        run_id=get_execution_uuid(),
    )


# What an agent gets more tools from while it works.
_SOURCES_OF_TOOLS = ("mcps", "apps", "multimodal", "allow_code_execution", "skills")
_DELEGATION = ("delegate_work_to_coworker", "ask_question_to_coworker")


def _check_names(guard: Guard, context: ToolCallHookContext) -> None:
    """Warn of names in the guard's `action_map` and `agents` that no tool or agent of the crew has."""
    crew = context.crew
    if crew is None:
        return
    members: list[Any] = [member for member in (*crew.agents, crew.manager_agent) if member is not None]
    tools = [tool.name for owner in (*members, *crew.tasks) for tool in owner.tools or ()]
    # Some of these fields are deprecated, which reading them as attributes would report.
    knows_all = not any(vars(member).get(name) for member in members for name in _SOURCES_OF_TOOLS)
    guard.check_names(
        tools=[*tools, context.tool_name, *_DELEGATION] if knows_all else None,
        agents=[str(member.role).strip() for member in members],
    )


_scope: ContextVar[_Hooks | None] = ContextVar("meshguard_crewai", default=None)


def _watch() -> None:
    """Decide also where a scope of somebody else, inside of ours, hides our hooks."""
    for point, hook in ((_BEFORE, _before_hidden), (_AFTER, _after_hidden)):
        if hook not in get_hooks(point):
            register(point, hook)


def _before_hidden(context: ToolCallHookContext) -> bool | None:
    hooks = _scope.get()
    hidden = hooks is not None and hooks.before not in get_scoped_hooks(_BEFORE)
    return hooks.before(context) if hooks and hidden else None


def _after_hidden(context: ToolCallHookContext) -> str | None:
    hooks = _scope.get()
    return hooks.after(context) if hooks else None
