"""What the benchmarks of the proxy share: an upstream, a gateway, and a client that costs little itself."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from meshguard.cli.server import make_server
from meshguard.gateway import Settings, app, load_settings

ROOT = Path(__file__).parents[1]
POLICY = "{name: all, rules: [{name: all, effect: allow, actions: ['*']}]}"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def upstream() -> Iterator[int]:
    """Run a process that answers each request with the same bytes; gives its port."""
    command = [sys.executable, str(ROOT / "benchmarks" / "client_check.py"), "--serve"]
    with stopped(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)) as process:
        assert process.stdout
        yield int(process.stdout.readline())


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process in any case."""
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def settings_of(folder: str, port: int, upstream_port: int) -> Settings:
    """Return the settings of a gateway; its secrets are those of the folder."""
    return load_settings(
        _env_file=None,
        port=port,
        jwt_secret=secrets.token_urlsafe(48),
        admin_token=(Path(folder) / "admin-token").read_text(),
        database_url=f"sqlite:///{folder}/gateway.db",
        proxy_target=f"http://127.0.0.1:{upstream_port}",
        rate_limit_rpm=0,
    )


@contextmanager
def gateway(folder: str, upstream_port: int) -> Iterator[tuple[int, str, int]]:
    """Run a gateway as `meshguard serve` does; gives its port, an agent's credential, and its process id."""
    port = free_port()
    (Path(folder) / "admin-token").write_text(secrets.token_urlsafe(48))
    command = [sys.executable, "-m", "benchmarks._load", folder, str(port), str(upstream_port)]
    with stopped(subprocess.Popen(command, text=True, cwd=ROOT)) as process:
        authorization = _agent(port, (Path(folder) / "admin-token").read_text())
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        serving = max((int(child) for child in children), key=descriptors)
        yield port, authorization, serving


def _agent(port: int, admin_token: str) -> str:
    transport = httpx.HTTPTransport(retries=10)
    headers = {"X-Admin-Token": admin_token, "Content-Type": "application/yaml"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, headers=headers) as admin:
        admin.put("/admin/policies/all", content=POLICY).raise_for_status()
        return f"Bearer {admin.post('/admin/agents', json={'name': 'load'}, headers=_JSON).json()['token']}"


_JSON = {"Content-Type": "application/json"}


def descriptors(pid: int) -> int:
    """Return how many file descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def request_to(path: str, authorization: str = "") -> bytes:
    """Return the bytes of a GET request."""
    credential = f"Authorization: {authorization}\r\n" if authorization else ""
    return f"GET {path} HTTP/1.1\r\nHost: gateway\r\n{credential}X-MeshGuard-Action: read:x\r\n\r\n".encode()


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        reader, writer = await self._connected()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        return int(head[9:12]), body

    async def abandon(self, request: bytes) -> None:
        """Send a request and leave without waiting for the answer."""
        _, writer = await self._connected()
        writer.write(request)
        await writer.drain()
        await self.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    async def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()
        self._streams = None


class _Counted:
    """The gateway, which also says at `/tasks` how many tasks its event loop has."""

    def __init__(self, settings: Settings) -> None:
        self._application = app(settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/tasks":
            await self._application(scope, receive, send)
            return
        body = str(len(asyncio.all_tasks())).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Be the gateway."""
    folder, port, upstream_port = sys.argv[1:]
    settings = settings_of(folder, int(port), int(upstream_port))
    make_server(settings).serve(target_loader=partial(_Counted, settings), wrap_loader=False)


if __name__ == "__main__":
    main()
