"""Pydantic AI: a capability that checks each tool call after all other hooks."""

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
    """Checks each tool call of an agent before the tool runs.

    It sees the arguments after validation and all other capabilities. A call is checked under the agent's
    name. Agents that run inside a tool need the capability too; they share the trace of the first run.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`. An error that
            `on_deny` or `on_error` raises ends the run; the tool does not run.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

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
        """Innermost, so that no other capability changes the arguments after the check."""
        return CapabilityOrdering(position="innermost")

    async def prepare_tools(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - the framework's signature
        tool_defs: list[ToolDefinition],
    ) -> list[ToolDefinition]:
        """Warn about names in the guard's settings that no tool has. The tools are not changed."""
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
        """Remember the first run while the tool runs, for agents inside it."""
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
        """Check a copy of the arguments, which the tool receives.

        Raises:
            SkipToolExecution: The call is denied. It contains the denial for the model.
            PolicyDeniedError: The call is denied, and the guard has `on_deny="raise"`.
            MeshGuardError: The call could not be checked, and the guard has `on_error="raise"`.
        """
        args = private_copy(args)
        made = ToolCall(
            call.tool_name,
            args,
            call_id=call.tool_call_id,
            framework="pydantic_ai",
            agent=ctx.agent.name if ctx.agent else None,
            run_id=_first_run.get(),
        )
        decision = await self._guard.acheck(made)
        if not decision.allowed:
            raise SkipToolExecution(ToolDenied(self._guard.denial_text(made, decision)))
        return args
