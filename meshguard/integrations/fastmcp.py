"""FastMCP: a middleware for servers, and by `create_proxy` for any MCP server."""

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
    """Has each tool call of a server decided on before the tool runs; hides tools that are never allowed.

    Add it last, so that it sees the arguments that the tool gets. A denied call gives a result with
    `is_error` and the reason; `on_deny="raise"` makes no difference, since nothing can be raised in the
    client. Where clients authenticate, `Guard(agents=…)` maps their client ids to identities.

    Args:
        guard: How to decide. Made of `MESHGUARD_*` when left out.

    Raises:
        ConfigurationError: A setting in `MESHGUARD_*` can't be used.

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
            ToolError: The call is denied; the client gets it as a result with `is_error`.
            MeshGuardError: No decision can be had, and the guard's `on_error` is `"raise"`.
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
        """List the tools that some arguments could make allowed; none when the gateway can't be asked.

        Args:
            context: The request.
            call_next: Gives all tools.

        Returns:
            The tools worth showing to a model.

        Raises:
            MeshGuardError: No decision can be had, and the guard's `on_error` is `"raise"`.
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
