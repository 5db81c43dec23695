"""Hooks for the tool calls of an agent or a graph."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ToolCallRequest
from langgraph.prebuilt import ToolNode

from meshguard.guard import Guard, ToolCall
from meshguard.guard.arguments import private_copy
from meshguard.integrations.langchain.calls import Result, tool_call, tool_result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain_core.tools import BaseTool

    from meshguard.types import PolicyDecision


class MeshGuardMiddleware(AgentMiddleware):
    """Checks every tool call of an agent before the tool runs. The model sees denials.

    Put it last in `middleware`: the first is outermost, and only the last sees the arguments that the tool
    receives. If an earlier middleware retries a call, each attempt is checked.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`. With `on_deny="raise"`, a
            denial ends the run. An `on_deny` function may return a `ToolMessage` or a `Command`.
        agent: The agent's name in `Guard(agents=…)`. Defaults to the `name` of `create_agent`, which
            LangChain keeps in `metadata["lc_agent_name"]`; callers of the agent can overwrite it there.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from langchain.agents import create_agent
        from meshguard.guard import Guard
        from meshguard.langchain import MeshGuardMiddleware

        agent = create_agent(model, tools, middleware=[MeshGuardMiddleware(Guard(client))])
        print(agent.invoke({"messages": [("user", "Find Ada.")]})["messages"][-1].text)
        ```
    """

    def __init__(self, guard: Guard | None = None, *, agent: str | None = None) -> None:
        super().__init__()
        self.guard: Guard = guard or Guard()
        self._agent = agent

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[..., Any]) -> Any:
        """Warn about names in the guard's `action_map` that no tool has."""
        self._check_names(request)
        return handler(request)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[..., Awaitable[Any]]
    ) -> Any:
        """Warn about names in the guard's `action_map` that no tool has."""
        self._check_names(request)
        return await handler(request)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """Run the tool if the call is allowed.

        Args:
            request: The framework's request.
            handler: Runs the tool.

        Returns:
            The tool's result, or the denial.

        Raises:
            PolicyDeniedError: The call is denied and the guard has `on_deny="raise"`.
            MeshGuardError: The call could not be checked and the guard has `on_error="raise"`.
        """
        request = _with_private_arguments(request)
        call = self._call(request)
        decision = self.guard.check(call)
        return handler(request) if decision.allowed else self._denial(call, decision, request)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """As `wrap_tool_call`, without blocking the event loop.

        Args:
            request: The framework's request.
            handler: Runs the tool.

        Returns:
            The tool's result, or the denial.

        Raises:
            PolicyDeniedError: The call is denied and the guard has `on_deny="raise"`.
            MeshGuardError: The call could not be checked and the guard has `on_error="raise"`.
        """
        request = _with_private_arguments(request)
        call = self._call(request)
        decision = await self.guard.acheck(call)
        return await handler(request) if decision.allowed else self._denial(call, decision, request)

    def _check_names(self, request: ModelRequest[Any]) -> None:
        # Tools that the model's provider runs are dicts; only functions among them have a name.
        names = [tool.get("name") if isinstance(tool, dict) else tool.name for tool in request.tools]
        self.guard.check_names(tools=[name for name in names if isinstance(name, str)])

    def _call(self, request: ToolCallRequest) -> ToolCall:
        # An earlier middleware may have replaced the tool: use the one that will run.
        name = request.tool.name if request.tool else request.tool_call["name"]
        made = request.tool_call
        return tool_call(name, made["args"], request.runtime.config, call_id=made["id"], agent=self._agent)

    def _denial(self, call: ToolCall, decision: PolicyDecision, request: ToolCallRequest) -> Result:
        return tool_result(self.guard.denial_result(call, decision), request.tool_call)


def _with_private_arguments(request: ToolCallRequest) -> ToolCallRequest:
    """The request with a copy of the arguments: those in the graph's state may change during the check."""
    call = request.tool_call
    return request.override(tool_call={**call, "args": private_copy(call["args"])})


def governed_tool_node(
    tools: Sequence[BaseTool | Callable[..., Any]],
    guard: Guard | None = None,
    *,
    agent: str | None = None,
    **options: Any,
) -> ToolNode:
    """Make LangGraph's `ToolNode` with every call checked, sync and async.

    Args:
        tools: The tools.
        guard: As in `MeshGuardMiddleware`.
        agent: The agent's name in `Guard(agents=…)`.
        options: Other arguments of `ToolNode`. `handle_tool_errors=True` turns errors into messages,
            including those of `on_deny="raise"`. A denied tool never runs.

    Returns:
        The node.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from langgraph.graph import START, MessagesState, StateGraph
        from meshguard.guard import Guard
        from meshguard.langchain import governed_tool_node

        graph = StateGraph(MessagesState)
        graph.add_node("model", lambda state: {"messages": model.invoke(state["messages"])})
        graph.add_node("tools", governed_tool_node(tools, Guard(client)))
        graph.add_edge(START, "model")
        graph.add_edge("model", "tools")
        print(graph.compile().invoke({"messages": [("user", "Find Ada.")]})["messages"][-1].text)
        ```
    """
    hooks = MeshGuardMiddleware(guard, agent=agent)
    node = ToolNode(
        tools, wrap_tool_call=hooks.wrap_tool_call, awrap_tool_call=hooks.awrap_tool_call, **options
    )
    hooks.guard.check_names(tools=node.tools_by_name)
    return node
