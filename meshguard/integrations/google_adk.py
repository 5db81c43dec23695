"""Google's Agent Development Kit: a plugin that checks each tool call of all agents of an app."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshguard.guard import Guard, ToolCall
from meshguard.guard.arguments import private_copy, same
from meshguard.integrations import needs

with needs("google.adk", "google-adk"):
    from google.adk.agents import BaseAgent, LlmAgent
    from google.adk.plugins import BasePlugin
    from google.adk.tools.agent_tool import AgentTool

if TYPE_CHECKING:
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.tools.base_tool import BaseTool
    from google.adk.tools.tool_context import ToolContext

__all__ = ["MeshGuardPlugin"]


class MeshGuardPlugin(BasePlugin):
    """Checks each tool call of all agents of an app before the tool runs.

    A call belongs to the agent that makes it, including sub-agents and agents in an `AgentTool`, and has the
    trace of the first invocation. An agent's callbacks run after all plugins. The plugin therefore adds a
    last callback to the agent's `before_tool_callback`, which checks changed arguments again.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`. An error that
            `on_deny` or `on_error` raises ends the run as the cause of a `RuntimeError`; the tool does not
            run.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from google.adk.agents import BaseAgent, LlmAgent
        from google.adk.apps import App
        from google.adk.runners import InMemoryRunner
        from meshguard.guard import Guard
        from meshguard.integrations.google_adk import MeshGuardPlugin

        def lookup(query: str) -> str:
            return f"found {query}"

        guard = Guard(client)
        agent = LlmAgent(name="desk", model=model, tools=[lookup])
        app = App(name="desk", root_agent=agent, plugins=[MeshGuardPlugin(guard)])
        await InMemoryRunner(app=app).run_debug("Find Ada.", quiet=True)
        ```
    """

    def __init__(self, guard: Guard | None = None) -> None:
        super().__init__(name="meshguard")
        self._guard = guard or Guard()

    async def before_run_callback(self, *, invocation_context: InvocationContext) -> None:
        """Warn about names in the guard's settings that no tool or agent of the app has."""
        agents, tools = _names(invocation_context.agent)
        self._guard.check_names(tools=tools, agents=agents)

    async def before_tool_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext
    ) -> dict[str, Any] | None:
        """Check the call.

        Returns:
            None if the call is allowed; otherwise the denial for the model, as `{"error": …}`.

        Raises:
            PolicyDeniedError: The call is denied, and the guard has `on_deny="raise"`.
            MeshGuardError: The call could not be checked, and the guard has `on_error="raise"`.
        """
        # Each call has its own task, which bounds these values; the tool may run other agents meanwhile.
        _first_invocation.set(_first_invocation.get() or tool_context.invocation_id)
        _allowed.set(None)
        checked = private_copy(tool_args)
        denial = await self.decide(tool.name, checked, tool_context)
        if denial is None and not same(checked, tool_args):  # another hook changed them meanwhile
            denial = await self.decide(tool.name, tool_args, tool_context)
            checked = private_copy(tool_args)
        agent = tool_context._invocation_context.agent  # noqa: SLF001 - the public property copies the agent
        if denial is None and isinstance(agent, LlmAgent):
            _allowed.set(_Allowed(self, tool_context, checked))
            _add_final_check(agent)
        return denial

    async def decide(
        self, tool: str, arguments: dict[str, Any], tool_context: ToolContext
    ) -> dict[str, Any] | None:
        """Check a call, as `before_tool_callback` does."""
        call = ToolCall(
            tool,
            arguments,
            call_id=tool_context.function_call_id,
            framework="google_adk",
            agent=tool_context.agent_name,
            run_id=_first_invocation.get(),
        )
        decision = await self._guard.acheck(call)
        return None if decision.allowed else {"error": self._guard.denial_text(call, decision)}


def _names(first: Any) -> tuple[list[str] | None, list[str] | None]:
    """The names of all agents and tools; None if some are known only at run time."""
    members, tools = [getattr(first, "root_agent", first)], ["transfer_to_agent"]
    knows_tools = True
    for member in members:
        if not isinstance(member, BaseAgent):
            return None, None
        others = list(member.sub_agents)
        for tool in getattr(member, "tools", ()):
            name = getattr(tool, "name", None) or getattr(tool, "__name__", None)
            knows_tools = knows_tools and name is not None  # a toolset has none
            tools.append(str(name))
            others += [tool.agent] if isinstance(tool, AgentTool) else []
        members += [other for other in others if all(other is not one for one in members)]
    return [member.name for member in members], tools if knows_tools else None


@dataclass(frozen=True)
class _Allowed:
    """The allowed call of a task: the plugin that allowed it, and its arguments."""

    plugin: MeshGuardPlugin
    tool_context: ToolContext
    arguments: dict[str, Any]


_first_invocation: ContextVar[str | None] = ContextVar("meshguard_adk_first_invocation", default=None)
_allowed: ContextVar[_Allowed | None] = ContextVar("meshguard_adk_allowed", default=None)


async def _final_check(
    tool: BaseTool, args: dict[str, Any], tool_context: ToolContext
) -> dict[str, Any] | None:
    """Check arguments again if a later hook changed them. The last callback of an agent."""
    allowed = _allowed.get()
    if allowed is None or allowed.tool_context is not tool_context or same(allowed.arguments, args):
        return None
    return await allowed.plugin.decide(tool.name, args, tool_context)


def _add_final_check(agent: LlmAgent) -> None:
    callbacks = agent.canonical_before_tool_callbacks
    if not callbacks or callbacks[-1] is not _final_check:
        others = [callback for callback in callbacks if callback is not _final_check]
        agent.before_tool_callback = [*others, _final_check]
