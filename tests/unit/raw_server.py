"""A server that writes what it is told, byte for byte, to clients of every kind."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self

import httpx

from meshguard import AsyncMeshGuardClient, MeshGuardClient

Reply = Callable[[dict[str, str]], Iterable[bytes]]


class RawServer:
    """Answers each request with the pieces that `reply` makes of its headers."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[dict[str, str]] = []
        self.connections = 0
        self.bytes_sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as reader:
            while headers := self._read(reader):
                self.requests.append(headers)
                for piece in self.reply(headers):
                    connection.sendall(piece)
                    self.bytes_sent += len(piece)

    @staticmethod
    def _read(reader: Any) -> dict[str, str]:
        line = reader.readline().decode("latin-1")
        headers = {":line": line.strip()} if line else {}
        while line := reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        reader.read(int(headers.get("content-length", 0)))
        return headers


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A response of a gateway."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(client_class: Any, call: Callable[[Any], Any], url: str, **settings: Any) -> Any:
    """Return what a call of a new client gives, awaited and read to its end."""
    settings = {"max_retries": 0, **settings}
    if client_class is MeshGuardClient:
        with MeshGuardClient(url, "agent-token", "admin-token", **settings) as client:
            return finish(call(client))

    async def scenario() -> Any:
        async with AsyncMeshGuardClient(url, "agent-token", "admin-token", **settings) as client:
            return await afinish(call(client))

    return asyncio.run(scenario())


def finish(result: Any) -> Any:
    """Enter, iterate or return a result."""
    if hasattr(result, "__enter__"):
        with result as entered:
            return entered.read() if isinstance(entered, httpx.Response) else entered
    return list(result) if inspect.isgenerator(result) else result


async def afinish(result: Any) -> Any:
    """`finish`, awaited."""
    if hasattr(result, "__aenter__"):
        async with result as entered:
            return await entered.aread() if isinstance(entered, httpx.Response) else entered
    if inspect.isasyncgen(result):
        return [item async for item in result]
    return await result if inspect.isawaitable(result) else result
