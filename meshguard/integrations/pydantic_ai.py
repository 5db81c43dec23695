"""Pydantic AI: a capability that decides on each tool call, after all other hooks have had their say."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from meshguard.guard import Guard, ToolCall
from meshguard.guard.arguments import private_copy
from meshguard.integrations import needs

with needs("pydantic_ai", "pydantic-ai"):
    from pydantic_ai import SkipToolExecution, ToolDenied
    from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering

if TYPE_CHECKING:
    from pydantic_ai import RunContext, ToolDefinition
    from pydantic_ai.capabilities import ValidatedToolArgs, WrapToolExecuteHandler
    from pydantic_ai.messages import ToolCallPart

__all__ = ["MeshGuardCapability"]

_first_run: ContextVar[str | None] = ContextVar("meshguard_pydantic_ai_first_run", default=None)


class MeshGuardCapability(AbstractCapability[Any]):
    """Has each tool call of an agent decided on before the tool runs.

    The arguments are those that validation and all other capabilities left. A call is the agent's whose name
    the framework knows. Agents that a tool runs need the capability, too; theirs is the trace of the first.

    Args:
        guard: How to decide, and what a denied call gives. Made of `MESHGUARD_*` when left out. What its
            `on_deny` and `on_error` raise ends the run; the tool does not run then.

    Raises:
        ConfigurationError: No guard is given, and the settings can't be used.

    Example:
        ```python
        from pydantic_ai import Agent
        from meshguard.guard import Guard
        from meshguard.integrations.pydantic_ai import MeshGuardCapability

        guard = Guard(client)
        agent = Agent(model, name="desk", capabilities=[MeshGuardCapability(guard)])

        @agent.tool_plain
        def lookup(query: str) -> str:
            return f"found {query}"

        result = await agent.run("Find Ada.")
        print(result.output)
        ```
    """

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard or Guard()

    def get_ordering(self) -> CapabilityOrdering:
        """Innermost: no other capability changes the arguments after the decision."""
        return CapabilityOrdering(position="innermost")

    async def prepare_tools(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - the framework's signature
        tool_defs: list[ToolDefinition],
    ) -> list[ToolDefinition]:
        """Warn of names in the guard's `action_map` that no tool has; the tools stay as they are."""
        self._guard.check_names(tools=[tool.name for tool in tool_defs])
        return tool_defs

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,  # noqa: ARG002 - the framework's signature
        tool_def: ToolDefinition,  # noqa: ARG002
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Remember the first run while the tool runs, for agents that it runs in turn."""
        token = _first_run.set(_first_run.get() or ctx.run_id)
        try:
            return await handler(args)
        finally:
            _first_run.reset(token)

    async def before_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,  # noqa: ARG002 - the framework's signature
        args: ValidatedToolArgs,
    ) -> ValidatedToolArgs:
        """Decide about a copy of the arguments, which is what the tool gets.

        Raises:
            SkipToolExecution: The call is denied; it holds what the model is told.
            PolicyDeniedError: The call is denied, and the guard's `on_deny` is `"raise"`.
            MeshGuardError: No decision can be had, and the guard's `on_error` is `"raise"`.
        """
        args = private_copy(args)
        asked = ToolCall(
            call.tool_name,
            args,
            call_id=call.tool_call_id,
            framework="pydantic_ai",
            agent=ctx.agent.name if ctx.agent else None,
            run_id=_first_run.get(),
        )
        decision = await self._guard.acheck(asked)
        if not decision.allowed:
            raise SkipToolExecution(ToolDenied(self._guard.denial_text(asked, decision)))
        return args
