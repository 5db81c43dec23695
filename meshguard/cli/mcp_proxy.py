"""`meshguard mcp-proxy`: any MCP server, behind the gateway's policies."""

from __future__ import annotations

from typing import Annotated

import typer

from meshguard.cli.app import App

app = App()


@app.command(gateway=True, context_settings={"allow_interspersed_args": False})
def mcp_proxy(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND...]", help="Starts an MCP server on stdin and stdout."),
    ] = None,
    url: Annotated[
        str,
        typer.Option(
            "--url", metavar="URL", help="An MCP server over HTTP, in place of a command.", show_default=False
        ),
    ] = "",
    action_map: Annotated[
        list[str] | None,
        typer.Option("--action-map", metavar="TOOL=ACTION", help="The action of a tool; once for each tool."),
    ] = None,
    default_action: Annotated[
        str,
        typer.Option(
            "--default-action", metavar="ACTION", help="The action of every other tool; {tool} is its name."
        ),
    ] = "execute:{tool}",
) -> None:
    """Put any MCP server, local or remote, behind the gateway's policies.

    Serves MCP over stdin and stdout: configure it in an MCP host in place of the server's own command. The
    agent is the one whose token is in MESHGUARD_AGENT_TOKEN. No variable that starts with MESHGUARD_ reaches
    the server. MESHGUARD_MCP_AUTHORIZATION is sent to the server of --url as the header Authorization. Exit
    code 0: the host hung up; 2: cannot start; 130: interrupted.

    Examples:
      $ meshguard mcp-proxy -- npx some-mcp-server
      $ meshguard mcp-proxy --url https://mcp.example.com
    """
    from meshguard.cli import mcp_server

    mcp_server.serve(ctx, command or [], url, action_map or [], default_action)
