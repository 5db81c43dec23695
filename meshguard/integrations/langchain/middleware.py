"""Hooks for the tool calls of an agent or a graph."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ToolCallRequest
from langgraph.prebuilt import ToolNode

from meshguard.guard import Guard, ToolCall
from meshguard.guard.arguments import own_copy
from meshguard.integrations.langchain.calls import Result, tool_call, tool_result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain_core.tools import BaseTool

    from meshguard.types import PolicyDecision


class MeshGuardMiddleware(AgentMiddleware):
    """Has every tool call of an agent decided on before the tool runs; denied ones are told to the model.

    Goes last in `middleware`: the first is outermost, and only the last sees the arguments that the tool
    gets. When a middleware before it tries again, each try is decided on.

    Args:
        guard: How to decide, and what a denied call gives. Made of `MESHGUARD_*` when left out.
            With `on_deny="raise"` a denial ends the run. A function may give a `ToolMessage` or a `Command`.
        agent: The agent's name in `Guard(agents=…)`. When left out it is the `name` of `create_agent`, as
            LangChain has it in `metadata["lc_agent_name"]`; whoever invokes the agent can write there.

    Raises:
        ConfigurationError: The guard can't be made.

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
        """Warn of names in the guard's `action_map` that no tool has; the model is called as it is."""
        self._check_names(request)
        return handler(request)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[..., Awaitable[Any]]
    ) -> Any:
        """Warn of names in the guard's `action_map` that no tool has; the model is called as it is."""
        self._check_names(request)
        return await handler(request)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """Run the tool if policy allows.

        Args:
            request: What the framework is about to do.
            handler: Does it.

        Returns:
            The tool's result, or the denial.

        Raises:
            PolicyDeniedError: The call is denied, and the guard has `on_deny="raise"`.
            MeshGuardError: No decision can be had, and the guard has `on_error="raise"`.
        """
        request = _with_own_arguments(request)
        call = self._call(request)
        decision = self.guard.check(call)
        return handler(request) if decision.allowed else self._refusal(call, decision, request)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """Run the tool if policy allows; as `wrap_tool_call`, without blocking the event loop.

        Args:
            request: What the framework is about to do.
            handler: Does it.

        Returns:
            The tool's result, or the denial.

        Raises:
            PolicyDeniedError: The call is denied, and the guard has `on_deny="raise"`.
            MeshGuardError: No decision can be had, and the guard has `on_error="raise"`.
        """
        request = _with_own_arguments(request)
        call = self._call(request)
        decision = await self.guard.acheck(call)
        return await handler(request) if decision.allowed else self._refusal(call, decision, request)

    def _check_names(self, request: ModelRequest[Any]) -> None:
        # Those that a model's provider runs are dicts, which have a name only as functions.
        names = [tool.get("name") if isinstance(tool, dict) else tool.name for tool in request.tools]
        self.guard.check_names(tools=[name for name in names if isinstance(name, str)])

    def _call(self, request: ToolCallRequest) -> ToolCall:
        # An earlier middleware may have put another tool in place: what counts is what runs.
        name = request.tool.name if request.tool else request.tool_call["name"]
        asked = request.tool_call
        return tool_call(name, asked["args"], request.runtime.config, call_id=asked["id"], agent=self._agent)

    def _refusal(self, call: ToolCall, decision: PolicyDecision, request: ToolCallRequest) -> Result:
        return tool_result(self.guard.refuse(call, decision), request.tool_call)


def _with_own_arguments(request: ToolCallRequest) -> ToolCallRequest:
    """The request with a copy of the arguments: those in the state of the graph can change meanwhile."""
    call = request.tool_call
    return request.override(tool_call={**call, "args": own_copy(call["args"])})


def governed_tool_node(
    tools: Sequence[BaseTool | Callable[..., Any]],
    guard: Guard | None = None,
    *,
    agent: str | None = None,
    **options: Any,
) -> ToolNode:
    """Make LangGraph's `ToolNode` for a graph of your own, with every call decided on, sync and async.

    Args:
        tools: The tools.
        guard: As in `MeshGuardMiddleware`.
        agent: The agent's name in `Guard(agents=…)`.
        options: What else `ToolNode` takes. `handle_tool_errors=True` turns errors into messages, those of
            `on_deny="raise"` included; the tool does not run in any case.

    Returns:
        The node.

    Raises:
        ConfigurationError: The guard can't be made.

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
