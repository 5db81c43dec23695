"""FastMCP: a middleware for servers and, with `create_proxy`, for any MCP server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshguard.guard import Guard, ToolCall
from meshguard.integrations import needs

with needs("fastmcp", "fastmcp"):
    from fastmcp.exceptions import ToolError
    from fastmcp.server.dependencies import get_access_token
    from fastmcp.server.middleware import Middleware

    from meshguard.integrations.mcp import run_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools.base import Tool, ToolResult
    from mcp_types import CallToolRequestParams, ListToolsRequest

__all__ = ["MeshGuardMiddleware"]


class MeshGuardMiddleware(Middleware):
    """Checks each tool call of a server before the tool runs, and hides tools that are never allowed.

    Add it last, so that it sees the arguments that the tool receives. A denied call returns a result with
    `is_error` and the reason. `on_deny="raise"` makes no difference, because a server can't raise in its
    client. Where clients authenticate, `Guard(agents=…)` maps their client IDs to identities.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from fastmcp import Client, FastMCP
        from meshguard.guard import Guard
        from meshguard.integrations.fastmcp import MeshGuardMiddleware

        guard = Guard()
        server = FastMCP("desk", middleware=[MeshGuardMiddleware(guard)])

        @server.tool
        def lookup(query: str) -> str:
            return f"found {query}"

        async with Client(server) as client:
            print(await client.call_tool("lookup", {"query": "Ada"}))
        ```
    """

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard or Guard()

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the tool if its call is allowed.

        Args:
            context: The tool's name and arguments.
            call_next: Runs the tool.

        Returns:
            The tool's result.

        Raises:
            ToolError: The call is denied. The client receives a result with `is_error`.
            MeshGuardError: The call could not be checked, and the guard has `on_error="raise"`.
        """
        context = context.copy(message=context.message.model_copy(deep=True))
        call = _call(context, context.message.name, context.message.arguments)
        decision = await self._guard.acheck(call)
        if not decision.allowed:
            raise ToolError(self._guard.safe_denial_text(call, decision))
        return await call_next(context)

    async def on_list_tools(
        self,
        context: MiddlewareContext[ListToolsRequest],
        call_next: CallNext[ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """List the tools that some arguments could make allowed; none if the gateway is unreachable.

        Args:
            context: The request.
            call_next: Returns all tools.

        Returns:
            The tools to show to a model.

        Raises:
            MeshGuardError: The tools could not be checked, and the guard has `on_error="raise"`.
        """
        tools = await call_next(context)
        self._guard.check_names(tools=[tool.name for tool in tools])
        visible = await self._guard.avisible([_call(context, tool.name) for tool in tools])
        return [tool for tool, shown in zip(tools, visible, strict=True) if shown]


def _call(context: MiddlewareContext[Any], tool: str, arguments: dict[str, Any] | None = None) -> ToolCall:
    request = context.fastmcp_context.request_context if context.fastmcp_context else None
    token = get_access_token()
    return ToolCall(
        tool,
        arguments,
        call_id=str(request.request_id) if request else None,
        framework="fastmcp",
        agent=token.client_id if token else None,
        run_id=run_id(request.meta, request.request) if request else None,
    )
