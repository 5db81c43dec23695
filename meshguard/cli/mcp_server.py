"""Any MCP server, local or remote, behind the gateway's policies."""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import signal
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.server.dependencies import get_context
from fastmcp.server.providers.proxy import FastMCPProxy, StatefulProxyClient
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

import meshguard.cli.tether
from meshguard import __version__
from meshguard.cli.connection import open_client
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.guard import Guard
from meshguard.integrations.fastmcp import MeshGuardMiddleware

if TYPE_CHECKING:
    from fastmcp.client.progress import ProgressHandler
    from fastmcp.client.transports import ClientTransport


def serve(ctx: Any, command: list[str], url: str, action_map: list[str], default_action: str) -> None:
    """Serve MCP over stdin and stdout until the host hangs up.

    Args:
        ctx: The context of the command.
        command: Starts an MCP server; empty with a URL.
        url: An MCP server that is reached over HTTP; empty with a command.
        action_map: Pairs `TOOL=ACTION`.
        default_action: The action of every other tool.

    Raises:
        CommandError: A setting is wrong or missing.
    """
    if bool(command) == bool(url):
        raise CommandError("No MCP server. Use either a command, after `--`, or --url.")
    actions = _actions(action_map)
    upstream = _Upstream(_remote(url) if url else _local(command))
    with open_client(ctx) as client:
        guard = Guard(client, action_map=actions, default_action=default_action)
        if client.agent_token is None:
            raise CommandError(
                "No agent token. Set MESHGUARD_AGENT_TOKEN to that of the agent that uses the server."
            )
        asyncio.run(_serve(upstream, guard))


def _actions(pairs: list[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    if not all(tool and action for tool, _, action in split):
        raise CommandError("Cannot use --action-map: it takes TOOL=ACTION, such as send_email=write:email.")
    return {tool: action for tool, _, action in split}


def _local(command: list[str]) -> ClientTransport:
    if shutil.which(command[0]) is None:
        raise CommandError(f"Cannot start {command[0]}: there is no such program. Check its name and PATH.")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESHGUARD_")}
    if sys.platform == "win32":  # there, MCP's own client puts the server into a job that ends with it
        return StdioTransport(command[0], command[1:], env=environment)
    # Isolated: no variable that is meant for the server changes how the tether itself runs.
    tether = ["-I", meshguard.cli.tether.__file__, str(os.getpid())]
    return StdioTransport(sys.executable, [*tether, *command], env=environment)


def _remote(url: str) -> ClientTransport:
    authorization = os.environ.get("MESHGUARD_MCP_AUTHORIZATION")
    try:
        return StreamableHttpTransport(
            url, headers={"Authorization": authorization} if authorization else None
        )
    except ValueError:
        raise CommandError("Cannot use --url: it must start with http:// or https://.") from None


class _Upstream:
    """The one session with the server, opened when the first request tells the host's protocol."""

    def __init__(self, transport: ClientTransport) -> None:
        self._transport = transport
        self._client: StatefulProxyClient[ClientTransport] | None = None

    def client(self) -> StatefulProxyClient[ClientTransport]:
        """The client of the session; only under the older protocol can a server ask the host back."""
        if self._client is None:
            request = get_context().request_context
            modern = request is not None and request.protocol_version in MODERN_PROTOCOL_VERSIONS
            self._client = StatefulProxyClient(self._transport, mode="auto" if modern else "legacy")
        client = copy.copy(self._client)  # the same session
        client._progress_handler = _reporter()  # noqa: SLF001 - the session's own knows the last request alone
        return client

    async def close(self) -> None:
        """End the session, and the server if it was started here."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]


def _reporter() -> ProgressHandler:
    """Reports progress on the request in hand, also while others run."""
    request, context = get_context(), copy_context()

    async def report(progress: float, total: float | None, message: str | None) -> None:
        await asyncio.create_task(request.report_progress(progress, total, message), context=context)

    return report


async def _serve(upstream: _Upstream, guard: Guard) -> None:
    proxy = FastMCPProxy(
        client_factory=upstream.client,
        name="meshguard",
        version=__version__,
        identity="upstream",
        provider_error_strategy="raise",
        middleware=[MeshGuardMiddleware(guard)],
    )
    serving = asyncio.create_task(proxy.run_stdio_async(show_banner=False))
    interruption = asyncio.create_task(_interruption())
    await asyncio.wait([serving, interruption], return_when=asyncio.FIRST_COMPLETED)
    await upstream.close()
    await guard.aclose()
    if not serving.done():
        os._exit(ExitCode.INTERRUPTED)  # the thread that waits for the host's next line can't be stopped
    interruption.cancel()
    await serving


async def _interruption() -> None:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupted.set))
    await interrupted.wait()
