"""CrewAI: checks the tool calls of crews, agents and the agents of flows.

A hook before each tool call asks the guard, and a hook after it replaces CrewAI's "blocked by hook" with the
denial. CrewAI runs a tool if its hook fails, so no error may leave these hooks.
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
    """Check each tool call of this process, in all threads and event loops.

    Hooks that are registered later run later and can change the arguments after the check: install last, or
    use `govern_crew`.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`. The names in `agents` are the
            agents' roles. With `on_deny="raise"` and `on_error="raise"` the model sees a denial, because
            CrewAI accepts no error from a hook.

    Returns:
        A function that removes the hooks and closes a guard that was made here.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

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
    """Check each tool call in the block, including those in threads that CrewAI starts for it.

    The check is the last hook before the tool and sees the arguments that the tool receives. A crew with
    `stream=True` works while its result is iterated: iterate inside the block.

    Args:
        guard: The guard that decides, as for `install`. A guard that was made here is closed with the block.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

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
    """The two hooks. For a denied call they run one after the other in the same thread."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._denied = threading.local()

    def before(self, context: ToolCallHookContext) -> bool | None:
        """Return None to allow the call, or False to block it."""
        with suppress(Exception):  # CrewAI runs the tool if a hook fails
            _check_names(self._guard, context)
        denial = self._guard.denial_for(_call(context))
        self._denied.last = context.tool_input, denial
        return None if denial is None else False

    def after(self, context: ToolCallHookContext) -> str | None:
        """Return the denial, if this is the blocked call."""
        arguments, denial = getattr(self._denied, "last", (None, None))
        return denial if arguments is context.tool_input else None


def _call(context: ToolCallHookContext) -> ToolCall:
    role = getattr(context.agent, "role", None)
    return ToolCall(
        context.tool_name,
        context.tool_input,
        framework="crewai",
        agent=role.strip() if isinstance(role, str) else None,
        run_id=get_execution_uuid(),
    )


# These give an agent more tools while it works.
_TOOL_SOURCES = ("mcps", "apps", "multimodal", "allow_code_execution", "skills")
_DELEGATION = ("delegate_work_to_coworker", "ask_question_to_coworker")


def _check_names(guard: Guard, context: ToolCallHookContext) -> None:
    """Warn about names in the guard's settings that no tool or agent of the crew has."""
    crew = context.crew
    if crew is None:
        return
    members: list[Any] = [member for member in (*crew.agents, crew.manager_agent) if member is not None]
    tools = [tool.name for owner in (*members, *crew.tasks) for tool in owner.tools or ()]
    # Reading deprecated fields as attributes would warn.
    knows_all = not any(vars(member).get(name) for member in members for name in _TOOL_SOURCES)
    guard.check_names(
        tools=[*tools, context.tool_name, *_DELEGATION] if knows_all else None,
        agents=[str(member.role).strip() for member in members],
    )


_scope: ContextVar[_Hooks | None] = ContextVar("meshguard_crewai", default=None)


def _watch() -> None:
    """Check calls even where another scope inside ours hides our hooks."""
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
