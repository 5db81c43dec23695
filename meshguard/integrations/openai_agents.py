"""OpenAI Agents SDK: a tool input guardrail that checks each call of a function tool or an MCP tool."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshguard.exceptions import ConfigurationError
from meshguard.guard import Guard, ToolCall
from meshguard.integrations import needs

with needs("agents", "openai-agents"):
    from agents import (
        Agent,
        CodeInterpreterTool,
        FileSearchTool,
        FunctionTool,
        Handoff,
        HostedMCPTool,
        ImageGenerationTool,
        ProgrammaticToolCallingTool,
        ShellTool,
        Tool,
        ToolGuardrailFunctionOutput,
        ToolInputGuardrail,
        ToolInputGuardrailData,
        ToolSearchTool,
        WebSearchTool,
    )
    from agents.sandbox import SandboxAgent
    from agents.tracing import get_current_trace
    from agents.tracing.traces import NoOpTrace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.tool_context import ToolContext

__all__ = ["govern_agent", "guardrail"]

AnyAgent = TypeVar("AnyAgent", bound=Agent[Any])

_RUN_BY_THE_PROVIDER = (
    CodeInterpreterTool,
    FileSearchTool,
    HostedMCPTool,
    ImageGenerationTool,
    ProgrammaticToolCallingTool,
    ToolSearchTool,
    WebSearchTool,
)


def govern_agent(agent: AnyAgent, guard: Guard | None = None) -> AnyAgent:
    """Check each tool call of an agent, and of all agents that it can reach, before the tool runs.

    An agent reaches the agents in its `handoffs`, those that are its tools (`Agent.as_tool`), and theirs.
    Each call is checked under the name of the agent that makes it. The agents and their MCP servers are
    changed in place; tools are copied, so that other agents keep theirs. A second call replaces the guard.
    Call it again after adding tools or handoffs.

    Args:
        agent: The agent to start with.
        guard: The guard that decides. By default, one made from `MESHGUARD_*`.

    Returns:
        The same agent.

    Raises:
        ConfigurationError: A tool that runs on this machine accepts no guardrail, such as a local shell, or a
            handoff has no target. Nothing has been changed.

    Example:
        ```python
        from agents import Agent, Runner, function_tool
        from meshguard.guard import Guard
        from meshguard.integrations.openai_agents import govern_agent

        @function_tool
        def lookup(query: str) -> str:
            return f"found {query}"

        guard = Guard(client)
        agent = govern_agent(Agent(name="desk", model=model, tools=[lookup]), guard)
        result = await Runner.run(agent, "Find Ada.")
        print(result.final_output)
        ```
    """
    team = list(_team(agent))
    for member in team:
        _check_coverage(member)
    guard = guard or Guard()
    ours = guardrail(guard)
    for member in team:
        member.tools = [_guarded_tool(tool, ours) for tool in member.tools]
        for server in member.mcp_servers:
            server.tool_input_guardrails = _last(ours, server.tool_input_guardrails)
    tools = [tool.name for member in team for tool in member.tools]
    knows_all = not any(member.mcp_servers for member in team)
    guard.check_names(tools=tools if knows_all else None, agents=[member.name for member in team])
    return agent


def guardrail(guard: Guard | None = None) -> ToolInputGuardrail[Any]:
    """Return a guardrail that checks each call. Put it last in `tool_input_guardrails`.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`.

    Returns:
        A guardrail for function tools and MCP servers. An error that `on_deny` or `on_error` raises ends the
        run; the tool does not run.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from agents import function_tool
        from meshguard.integrations.openai_agents import guardrail

        @function_tool(tool_input_guardrails=[guardrail()])
        def lookup(query: str) -> str:
            return f"found {query}"
        ```
    """
    checked_by = guard or Guard()

    async def decide(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        call = _tool_call(data)
        decision = await checked_by.acheck(call)
        if not decision.allowed:
            return ToolGuardrailFunctionOutput.reject_content(checked_by.denial_text(call, decision))
        _shield(data.context, call)
        return ToolGuardrailFunctionOutput.allow()

    return _Guardrail(decide, name="meshguard")


class _Guardrail(ToolInputGuardrail[Any]):
    """Our guardrail, as opposed to the user's own."""


def _tool_call(data: ToolInputGuardrailData) -> ToolCall:
    context = data.context
    # A guardrail before ours may have rewritten the call; `tool_arguments` is what the model wrote.
    arguments = context.tool_call.arguments if context.tool_call else context.tool_arguments
    return ToolCall(
        context.tool_name,
        arguments,
        call_id=context.tool_call_id,
        framework="openai_agents",
        agent=data.agent.name,
        run_id=_run_id(data),
    )


def _shield(context: ToolContext[Any], allowed: ToolCall) -> None:
    """Run the checked arguments, even if hooks changed them meanwhile. Later hooks get a copy."""
    if context.tool_call:
        context.tool_call.arguments = cast("str", allowed.arguments)
        context.tool_call = context.tool_call.model_copy()


def _run_id(data: ToolInputGuardrailData) -> str | None:
    """The ID of the SDK's trace; while tracing is disabled, that of the run's configuration."""
    trace = get_current_trace()
    if trace is not None and not isinstance(trace, NoOpTrace):
        return trace.trace_id
    return data.context.run_config.trace_id if data.context.run_config else None


def _team(first: Agent[Any]) -> Iterator[Agent[Any]]:
    """The agent and all agents that it can reach, each once."""
    known: list[Agent[Any]] = [first]
    for member in known:
        yield member
        known += [other for other in _neighbors(member) if all(other is not one for one in known)]


def _neighbors(agent: Agent[Any]) -> Iterator[Agent[Any]]:
    for handoff in agent.handoffs:
        yield _target(handoff) if isinstance(handoff, Handoff) else handoff
    for tool in agent.tools:
        if isinstance(tool, FunctionTool) and tool._agent_instance is not None:  # noqa: SLF001 - no other way
            yield tool._agent_instance  # noqa: SLF001


def _target(handoff: Handoff[Any, Any]) -> Agent[Any]:
    agent = handoff._agent_ref and handoff._agent_ref()  # noqa: SLF001 - no other way
    if not isinstance(agent, Agent):
        raise ConfigurationError(
            f"The handoff {handoff.tool_name!r} has no target agent. Create it with agents.handoff()."
        )
    return agent  # pyright: ignore[reportUnknownVariableType] - `isinstance` forgets the parameter


def _check_coverage(agent: Agent[Any]) -> None:
    if isinstance(agent, SandboxAgent):
        raise ConfigurationError(
            f"Cannot govern the agent {agent.name!r}: its sandbox adds tools during the run. "
            "Use an Agent with function tools."
        )
    for tool in agent.tools:
        hosted = isinstance(tool, _RUN_BY_THE_PROVIDER) or (isinstance(tool, ShellTool) and not tool.executor)
        if not hosted and not isinstance(tool, FunctionTool):
            raise ConfigurationError(
                f"Cannot govern the tool {tool.name!r} of the agent {agent.name!r}: it accepts no guardrail. "
                "Make it a function tool."
            )


def _guarded_tool(tool: Tool, ours: ToolInputGuardrail[Any]) -> Tool:
    if not isinstance(tool, FunctionTool):
        return tool
    guarded = copy.copy(tool)
    guarded.tool_input_guardrails = _last(ours, tool.tool_input_guardrails)
    return guarded


def _last(
    ours: ToolInputGuardrail[Any], guardrails: list[ToolInputGuardrail[Any]] | None
) -> list[ToolInputGuardrail[Any]]:
    """The user's guardrails, then ours, which sees their changes."""
    return [*(one for one in guardrails or () if not isinstance(one, _Guardrail)), ours]
