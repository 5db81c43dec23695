"""`meshguard mcp-proxy`: any MCP server, behind the gateway's policies."""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import signal
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.server.dependencies import get_context
from fastmcp.server.providers.proxy import FastMCPProxy, StatefulProxyClient
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

import meshguard.cli.tether
from meshguard import ConfigurationError, MeshGuardClient, __version__
from meshguard.guard import Guard
from meshguard.integrations.fastmcp import MeshGuardMiddleware

if TYPE_CHECKING:
    from fastmcp.client.progress import ProgressHandler
    from fastmcp.client.transports import ClientTransport

app = typer.Typer(add_completion=False, rich_markup_mode=None)

UNUSABLE = 2
INTERRUPTED = 130


@app.command(context_settings={"allow_interspersed_args": False})
def mcp_proxy(
    command: Annotated[
        list[str] | None, typer.Argument(help="Starts an MCP server that talks over stdin and stdout.")
    ] = None,
    url: Annotated[
        str,
        typer.Option(help="An MCP server that talks over HTTP, in place of a command.", show_default=False),
    ] = "",
    gateway_url: Annotated[
        str, typer.Option(envvar="MESHGUARD_GATEWAY_URL", help="The gateway.", show_default=False)
    ] = "",
    action_map: Annotated[
        list[str] | None,
        typer.Option(metavar="TOOL=ACTION", help="The action of a tool; once for each tool."),
    ] = None,
    default_action: Annotated[
        str, typer.Option(help="The action of every other tool; {tool} stands for its name.")
    ] = "execute:{tool}",
) -> None:
    """Put any MCP server, local or remote, behind the gateway's policies.

    Serves MCP over stdin and stdout: give it to an MCP host in place of the server's own command, as
    `meshguard mcp-proxy -- COMMAND`. The agent is the one whose token is in MESHGUARD_AGENT_TOKEN. No
    variable that starts with MESHGUARD_ reaches the server. What MESHGUARD_MCP_AUTHORIZATION holds is sent to
    the server of --url as the header Authorization. Exit code 0: the host hung up; 2: can't start; 130:
    interrupted.
    """
    if bool(command) == bool(url):
        _quit("Give either a command, after `--`, or --url.")
    actions = _actions(action_map or [])
    upstream = _Upstream(_remote(url) if url else _local(command or []))
    try:
        client = MeshGuardClient(gateway_url or None)
        guard = Guard(client, action_map=actions, default_action=default_action)
    except ConfigurationError as error:
        _quit(str(error))
    if client.agent_token is None:
        _quit("Set MESHGUARD_AGENT_TOKEN to the token of the agent that uses the server.")
    asyncio.run(_serve(upstream, guard))


def _actions(pairs: list[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    if not all(tool and action for tool, _, action in split):
        _quit("--action-map takes TOOL=ACTION, such as send_email=write:email.")
    return {tool: action for tool, _, action in split}


def _local(command: list[str]) -> ClientTransport:
    if shutil.which(command[0]) is None:
        _quit(f"Can't start {command[0]}: there is no such program.")
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
        _quit("--url must start with http:// or https://.")


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
        os._exit(INTERRUPTED)  # the thread that waits for the host's next line can't be stopped
    interruption.cancel()
    await serving


async def _interruption() -> None:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupted.set))
    await interrupted.wait()


def _quit(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(UNUSABLE)
