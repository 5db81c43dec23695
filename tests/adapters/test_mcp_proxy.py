"""`meshguard mcp-proxy` before real servers, over stdio and HTTP, as real clients see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp_types import CreateMessageResult, TextContent, TextResourceContents
from pydantic import AnyHttpUrl

from meshguard.testing import RunningGateway, running_gateway
from tests.adapters import mcp_child
from tests.adapters.mcp_traffic import served, told
from tests.docs.snippets import snippets
from tests.environments import ROOT, clean_environ
from tests.servers import free_port

POLICY = """
name: proxied
rules:
  - {name: tools, effect: allow, actions: ["read:*", "execute:environment", "execute:slow", "execute:ask"]}
  - {name: small, effect: allow, actions: ["execute:transfer"], conditions: {context.args.amount: {lte: 100}}}
"""
COMMAND = [sys.executable, "-m", "meshguard.cli", "mcp-proxy"]
ACTIONS = ["--action-map", "lookup=read:customers", "--action-map", "ran=read:calls"]
CHILD = [sys.executable, mcp_child.__file__]
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "host", "version": "1"},
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(POLICY) as running:
        yield running


@pytest.fixture
def environ(gateway: RunningGateway) -> Iterator[dict[str, str]]:
    with gateway.agent("host") as client:
        yield clean_environ(
            MESHGUARD_GATEWAY_URL=gateway.url,
            MESHGUARD_AGENT_TOKEN=str(client.agent_token),
            MESHGUARD_ADMIN_TOKEN="kept-from-the-server",
            DESK_KEY="meant for the server",
        )


async def sampled(context: Any, params: Any) -> CreateMessageResult:  # noqa: ARG001
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="Well."), model="m")


@asynccontextmanager
async def proxied(environ: dict[str, str], *arguments: str, mode: str = "auto") -> AsyncIterator[Client]:
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *arguments], env=environ)
    async with Client(parameters, mode=mode, sampling_callback=sampled) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> str:
    return told(await client.call_tool(tool, arguments))


async def is_governed(client: Client) -> None:
    listed = {tool.name for tool in (await client.list_tools()).tools}
    assert listed == {"lookup", "transfer", "ran", "environment", "slow", "ask"}
    assert await call(client, "lookup", query="Ada") == "found Ada"
    assert await call(client, "transfer", amount=10, to="Ada") == "sent 10 to Ada"
    large = await client.call_tool("transfer", {"amount": 1000, "to": "Ada"})
    deletion = await client.call_tool("delete_records", {"table": "customers"})
    assert large.is_error
    assert deletion.is_error
    assert "denied" in told(deletion)
    ran = await client.call_tool("ran", {})
    assert ran.structured_content == {"result": ["lookup", "transfer"]}


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_command_is_governed(environ: dict[str, str], mode: str) -> None:
    async with proxied(environ, *ACTIONS, "--", *CHILD, mode=mode) as client:
        await is_governed(client)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_is_not_a_tool_call_passes_through(environ: dict[str, str], mode: str) -> None:
    async with proxied(environ, "--", *CHILD, mode=mode) as client:
        assert client.instructions == "Be kind."
        assert client.server_info
        assert client.server_info.name == "desk"
        [hours] = (await client.read_resource("desk://hours")).contents
        assert isinstance(hours, TextResourceContents)
        assert hours.text == "always"
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["greeting"]
        if mode == "legacy":  # the newer protocol has no way for a server to ask back
            assert await call(client, "ask") == "Well."


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_progress_reaches_the_call_that_makes_it(environ: dict[str, str], mode: str) -> None:
    async def reported(client: Client, number: int) -> list[float]:
        reports: list[float] = []

        async def report(progress: float, total: float | None, message: str | None) -> None:
            assert (total, message) == (2, "half")
            reports.append(progress)

        await client.call_tool("slow", {"number": number}, progress_callback=report)
        return reports

    async with proxied(environ, "--", *CHILD, mode=mode) as client:
        first, second = await asyncio.gather(reported(client, 1), reported(client, 2))
    assert (first, second) == ([1.0], [2.0])


@pytest.mark.anyio
async def test_the_server_gets_the_environment_without_the_tokens(environ: dict[str, str]) -> None:
    async with proxied(environ, "--", *CHILD) as client:
        names = (await client.call_tool("environment", {})).structured_content["result"]
    assert "DESK_KEY" in names
    assert not [name for name in names if name.startswith("MESHGUARD_")]


class OneToken:
    async def verify_token(self, token: str) -> AccessToken | None:
        return AccessToken(token=token, client_id="proxy", scopes=[]) if token == "for-the-desk" else None


@pytest.mark.anyio
async def test_a_server_over_http_is_governed(environ: dict[str, str]) -> None:
    mcp_child.calls.clear()
    async with (
        served(mcp_child.server.streamable_http_app()) as url,
        proxied(environ, *ACTIONS, "--url", url, mode="legacy") as client,
    ):
        await is_governed(client)


@pytest.mark.anyio
async def test_a_server_over_http_is_told_its_own_token_and_not_the_agents(environ: dict[str, str]) -> None:
    issuer = AnyHttpUrl("https://issuer.example.com")
    closed: MCPServer[Any] = MCPServer(
        "closed",
        token_verifier=OneToken(),
        auth=AuthSettings(issuer_url=issuer, resource_server_url=None),
    )
    closed.add_tool(mcp_child.lookup)
    environ["MESHGUARD_MCP_AUTHORIZATION"] = "Bearer for-the-desk"
    async with (
        served(closed.streamable_http_app()) as url,
        proxied(environ, *ACTIONS, "--url", url) as client,
    ):
        assert await call(client, "lookup", query="Ada") == "found Ada"


@pytest.mark.anyio
async def test_nothing_is_listed_and_nothing_runs_while_the_gateway_is_down(environ: dict[str, str]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    arguments = ["--gateway-url", nowhere, "--default-action", "read:{tool}"]
    async with proxied(environ, *arguments, "--", *CHILD) as client:
        assert (await client.list_tools()).tools == []
        result = await client.call_tool("lookup", {"query": "Ada"})
        assert result.is_error
        assert "denied" in told(result)


OLD_SERVER = """
import json, sys
results = {
    "initialize": {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                   "serverInfo": {"name": "old", "version": "1"}},
    "tools/list": {"tools": [{"name": "lookup", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "found Ada"}]},
}
for line in sys.stdin:
    message = json.loads(line)
    known = message["method"] in results
    said = {"result": results[message["method"]]} if known else {"error": {"code": -32601, "message": "no"}}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
"""


@pytest.mark.anyio
async def test_a_host_of_the_newer_protocol_can_use_a_server_of_the_older(environ: dict[str, str]) -> None:
    async with proxied(environ, *ACTIONS, "--", sys.executable, "-c", OLD_SERVER) as client:
        assert client.protocol_version == "2026-07-28"
        assert await call(client, "lookup", query="Ada") == "found Ada"


@pytest.mark.anyio
async def test_a_server_that_ends_at_once_is_an_error(environ: dict[str, str]) -> None:
    async with proxied(environ, "--", sys.executable, "-c", "raise SystemExit(3)") as client:
        with pytest.raises(MCPError, match="Connection closed"):
            await client.list_tools()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda process: process.stdin.close(), 0),
        (lambda process: process.send_signal(signal.SIGINT), 130),
        (lambda process: process.send_signal(signal.SIGTERM), 130),
    ],
    ids=["end of input", "SIGINT", "SIGTERM"],
)
def test_the_server_ends_with_the_proxy(environ: dict[str, str], tmp_path: Path, end: Any, code: int) -> None:
    with subprocess.Popen(
        [*COMMAND, "--", *CHILD, str(tmp_path / "pid")],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "desk"
        end(process)
        assert process.wait(30) == code
        assert process.stdout.read() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def run(environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, *arguments], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "Use either a command, after `--`, or --url."),
        (["--url", "http://127.0.0.1", "--", "true"], "Use either a command, after `--`, or --url."),
        (["--url", "ftp://127.0.0.1"], "Cannot use --url: it must start with http:// or https://."),
        (["--", "no-such-program-7"], "Cannot start no-such-program-7: there is no such program."),
        (["--action-map", "lookup", "--", "true"], "Cannot use --action-map: it takes TOOL=ACTION"),
        (["--gateway-url", "nonsense", "--", "true"], "gateway_url"),
        (["--default-action", "", "--", "true"], "default_action must be text"),
    ],
)
def test_what_can_not_work_is_said_at_once(
    environ: dict[str, str], arguments: list[str], advice: str
) -> None:
    code, said = run(environ, *arguments)
    assert code == 2
    assert advice in said
    assert len(said.splitlines()) == 1


def test_an_agent_token_is_asked_for(environ: dict[str, str]) -> None:
    del environ["MESHGUARD_AGENT_TOKEN"]
    assert run(environ, "--", "true") == (
        2,
        "Error: No agent token. Set MESHGUARD_AGENT_TOKEN to that of the agent that uses the server.",
    )


@pytest.mark.parametrize(("arguments", "code"), [(["--", "true"], 3), (["--help"], 0)])
def test_what_is_not_installed_is_named(arguments: list[str], code: int) -> None:
    program = "import sys; sys.modules['fastmcp'] = None; from meshguard.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "mcp-proxy", *arguments],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    missing = (
        "Error: `meshguard mcp-proxy` needs more packages: fastmcp is missing. "
        "Run: pip install 'meshguard[fastmcp]'\n"
    )
    assert done.stderr == (missing if code else "")


def test_the_other_commands_are_listed_without_it() -> None:
    program = "import sys; sys.modules['fastmcp'] = None; from meshguard.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "mcp-proxy  Put an MCP server" in done.stdout


@pytest.mark.anyio
async def test_the_configuration_on_the_page_works(environ: dict[str, str]) -> None:
    [block] = snippets(ROOT / "docs" / "integrations" / "mcp-proxy.md", "json")
    desk = json.loads(block.code)["mcpServers"]["desk"]
    assert desk["command"] == "meshguard"
    assert environ.keys() >= desk["env"].keys()
    assert desk["args"][0] == COMMAND[-1]
    assert desk["args"][-2:] == ["python", "desk.py"]
    arguments = [*desk["args"][1:-2], *CHILD]
    async with proxied(environ, *arguments) as client:
        assert await call(client, "lookup", query="Ada") == "found Ada"
