"""MCP: checks the tool calls of servers made with `mcp`, and of clients of any MCP server."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from meshguard.guard import Guard, ToolCall
from meshguard.guard.arguments import private_copy
from meshguard.integrations import needs

with needs("mcp", "mcp"):
    from mcp import Client, ClientSession
    from mcp.server.auth.middleware.auth_context import get_access_token
    from mcp.server.extension import Extension
    from mcp_types import CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from mcp_types import CallToolRequestParams, ClientRequest, Request
    from pydantic import BaseModel, TypeAdapter

    Result = TypeVar("Result", bound=BaseModel)

__all__ = ["GovernedClient", "GovernedClientSession", "MeshGuardExtension", "run_id"]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class MeshGuardExtension(Extension):
    """Checks each tool call that a server receives before the tool runs.

    Put it last among the extensions, so that it sees the arguments that the tool receives. A denied call
    returns a result with `is_error` and the reason. `on_deny="raise"` makes no difference, because a server
    can't raise in its client. Where clients authenticate, `Guard(agents=…)` maps their client IDs to
    identities.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from mcp import Client
        from mcp.server import MCPServer
        from meshguard.guard import Guard
        from meshguard.integrations.mcp import MeshGuardExtension

        guard = Guard()
        server = MCPServer("desk", extensions=[MeshGuardExtension(guard)])

        @server.tool()
        def lookup(query: str) -> str:
            return f"found {query}"

        async with Client(server) as client:
            print(await client.call_tool("lookup", {"query": "Ada"}))
        ```
    """

    identifier = "app.meshguard/guard"

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard or Guard()

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Run the tool if its call is allowed.

        Args:
            params: The tool's name and arguments.
            ctx: The request.
            call_next: Runs the tool.

        Returns:
            The tool's result, or the denial as a result with `is_error`.

        Raises:
            MeshGuardError: The call could not be checked, and the guard has `on_error="raise"`.
        """
        token = get_access_token()
        tool, arguments = params.name, private_copy(params.arguments)
        call = ToolCall(
            tool,
            arguments,
            call_id=None if ctx.request_id is None else str(ctx.request_id),
            framework="mcp",
            agent=token.client_id if token else None,
            run_id=run_id(ctx.meta, ctx.request),
        )
        decision = await self._guard.acheck(call)
        if not decision.allowed:
            return _denial(self._guard.safe_denial_text(call, decision))
        params.name, params.arguments = tool, arguments  # run the checked arguments
        return await call_next(ctx)


class GovernedClientSession(ClientSession):
    """A `ClientSession` that checks tool calls before they are sent.

    Args:
        args: As for `ClientSession`.
        guard: The guard that decides. By default, one made from `MESHGUARD_*`.
        kwargs: As for `ClientSession`.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from mcp.client.streamable_http import streamable_http_client
        from meshguard.guard import Guard
        from meshguard.integrations.mcp import GovernedClientSession

        guard = Guard()
        async with streamable_http_client(url) as streams:
            async with GovernedClientSession(*streams, guard=guard) as session:
                await session.initialize()
                print(await session.call_tool("lookup", {"query": "Ada"}))
        ```
    """

    def __init__(self, *args: Any, guard: Guard | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard or Guard()

    async def send_request(
        self,
        request: ClientRequest | Request[Any, Any],
        result_type: type[Result] | TypeAdapter[Result],
        *args: Any,
        **kwargs: Any,
    ) -> Result:
        """Send a request; a tool call only if it is allowed. `call_tool` uses this method.

        Args:
            request: The request.
            result_type: The type of its result.
            args: As for `ClientSession.send_request`.
            kwargs: As for `ClientSession.send_request`.

        Returns:
            The server's result, or the denial of a tool call as a result with `is_error`.

        Raises:
            MCPError: The server returned an error or did not respond.
            PolicyDeniedError: The call is denied, and the guard has `on_deny="raise"`.
            MeshGuardError: The call could not be checked, and the guard has `on_error="raise"`.
        """
        if request.method == "tools/call":
            request = private_copy(request)
            params = cast("CallToolRequestParams", request.params)
            denial = await _denial_for(self._guard, params.name, params.arguments, params.meta)
            if denial is not None:
                return cast("Result", denial)
        result = await super().send_request(request, result_type, *args, **kwargs)
        _check_names(self._guard, request.params, result)
        return result


@dataclass
class GovernedClient(Client):
    """A `Client` that checks tool calls before they are sent.

    A call is checked once, even if the server responds with questions or asks to repeat it. Calls through
    `client.session` are not checked.

    Attributes:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from meshguard.guard import Guard
        from meshguard.integrations.mcp import GovernedClient

        guard = Guard()
        async with GovernedClient(server, guard=guard) as client:
            print(await client.call_tool("lookup", {"query": "Ada"}))
        ```
    """

    guard: Guard = field(default_factory=Guard, kw_only=True, repr=False)

    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, *args: Any, **kwargs: Any
    ) -> CallToolResult:
        """Call a tool if the call is allowed.

        Args:
            name: The tool's name.
            arguments: Its arguments.
            args: As for `Client.call_tool`.
            kwargs: As for `Client.call_tool`.

        Returns:
            The tool's result, or the denial as a result with `is_error`.

        Raises:
            MCPError: The server returned an error or did not respond.
            PolicyDeniedError: The call is denied, and the guard has `on_deny="raise"`.
            MeshGuardError: The call could not be checked, and the guard has `on_error="raise"`.
        """
        arguments = private_copy(arguments)
        denial = await _denial_for(self.guard, name, arguments, kwargs.get("meta"))
        return denial or await super().call_tool(name, arguments, *args, **kwargs)

    async def list_tools(self, *, cursor: str | None = None, **kwargs: Any) -> ListToolsResult:
        """List the server's tools, and warn about names in the guard's settings that none of them has.

        Args:
            cursor: As for `Client.list_tools`.
            kwargs: As for `Client.list_tools`.

        Returns:
            The server's result.

        Raises:
            MCPError: The server returned an error or did not respond.
        """
        result = await super().list_tools(cursor=cursor, **kwargs)
        _check_names(self.guard, PaginatedRequestParams(cursor=cursor), result)
        return result


def run_id(meta: Mapping[str, Any] | None, request: Any = None) -> str | None:
    """Return what connects the calls of one run, as a server sees it.

    Args:
        meta: The `_meta` of a call.
        request: The HTTP request of the call, if there is one.

    Returns:
        The client's trace ID (`traceparent`), or a digest of the HTTP session's ID. None without either, as
        over stdio.
    """
    traced = _TRACEPARENT.fullmatch(str((meta or {}).get("traceparent")))
    if traced:
        return traced[1]
    session_id = getattr(request, "headers", {}).get("mcp-session-id")
    # A digest, so that readers of the audit log can't join the session.
    return session_id and hashlib.sha256(session_id.encode()).hexdigest()[:32]


def _check_names(guard: Guard, params: object, result: object) -> None:
    """Warn about names that no tool has, if the server lists all of its tools at once."""
    if isinstance(result, ListToolsResult) and not (getattr(params, "cursor", None) or result.next_cursor):
        guard.check_names(tools=[tool.name for tool in result.tools])


async def _denial_for(
    guard: Guard, tool: str, arguments: dict[str, Any] | None, meta: Mapping[str, Any] | None
) -> CallToolResult | None:
    """None if a client's call is allowed; otherwise the denial as its result."""
    call = ToolCall(tool, arguments, framework="mcp", run_id=run_id(meta))
    decision = await guard.acheck(call)
    return None if decision.allowed else _denial(guard.denial_text(call, decision))


def _denial(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
