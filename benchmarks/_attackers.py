"""The attackers, in a process of their own: an agent with a token, clients without, and a hostile upstream.

Each kind of attack has a few clients, each with its own loopback address and a pause between two requests.
The process ends itself, and prints the answers as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic
from typing import Any

from benchmarks._hostile_requests import REQUESTS, Attack, request

CLIENTS = 2  # for each kind of request
PAUSE = 0.1  # seconds between two requests of one client
PATIENCE = 10.0  # seconds that a client waits for an answer
HELD = 300  # connections that are opened and left alone, by each address that does so
PIPELINED = 200  # requests that are sent without reading an answer


@dataclass
class Tally:
    """What became of one kind of attack."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)


@dataclass
class Target:
    """Whom to attack, and until when."""

    port: int
    token: str
    ends: float
    tallies: dict[str, Tally] = field(default_factory=dict)
    addresses: Iterator[str] = field(default_factory=lambda: cycle(f"127.0.0.{n}" for n in range(10, 40)))

    @property
    def goes_on(self) -> bool:
        return monotonic() < self.ends

    async def connect(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opening = asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        return await asyncio.wait_for(opening, PATIENCE)


async def send_requests(target: Target, tally: Tally, attacks: Callable[[str], Iterator[Attack]]) -> None:
    """Send one kind of request, each on its own connection, until the end."""
    address = next(target.addresses)
    while target.goes_on:
        for attack in attacks(target.token):
            if not target.goes_on:
                return
            tally.sent += 1
            try:
                status = await _answer(target, address, attack)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                status = "cut"
            tally.answers[status] += 1
            if attack.breach_if_accepted and status.startswith("2"):
                tally.breaches.append(attack.content[:200].decode("latin-1"))
            await asyncio.sleep(PAUSE)


async def _answer(target: Target, address: str, attack: Attack) -> str:
    reader, writer = await target.connect(address)
    try:
        with suppress(OSError):  # refused before all of it is sent; the answer is there all the same
            writer.write(attack.content)
            await asyncio.wait_for(writer.drain(), PATIENCE)
        if not attack.waits:
            return "abandoned"
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        with suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(), PATIENCE)
        return head[9:12].decode("latin-1")
    finally:
        writer.transport.abort()


async def pipeline(target: Target, tally: Tally) -> None:
    """Send requests with long answers and never read one."""
    address = next(target.addresses)
    content = request("GET /openapi.yaml").replace(b"Connection: close\r\n", b"") * PIPELINED

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        while True:
            writer.write(b"\r\n")
            await writer.drain()
            await asyncio.sleep(1)

    await _hold(target, tally, address, send, reads=False)


async def trickle(target: Target, tally: Tally) -> None:
    """Send a body a byte at a time."""
    address = next(target.addresses)
    head = request(
        "POST /api/v1/pdp/evaluate", "Content-Type: application/json", "Content-Length: 100000"
    ).replace(b"Connection: close\r\n", b"")

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(100_000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.5)

    await _hold(target, tally, address, send)


async def trickle_head(target: Target, tally: Tally) -> None:
    """Send a head a byte at a time."""
    address = next(target.addresses)

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /proxy/check HTTP/1.1\r\nX-A: ")
        for _ in range(100_000):
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.5)

    await _hold(target, tally, address, send)


async def _hold(
    target: Target,
    tally: Tally,
    address: str,
    send: Callable[[asyncio.StreamWriter], Awaitable[None]],
    *,
    reads: bool = True,
) -> None:
    """Hold a connection as long as the gateway lets us, then open the next."""
    while target.goes_on:
        tally.sent += 1
        try:
            reader, writer = await target.connect(address)
            tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(send(writer))]
            tasks += [asyncio.ensure_future(reader.read())] if reads else []
            await asyncio.wait(tasks, timeout=target.ends - monotonic(), return_when=asyncio.FIRST_COMPLETED)
            tally.answers["cut" if target.goes_on else "held to the end"] += 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
        except (OSError, TimeoutError):
            tally.answers["refused"] += 1
        await asyncio.sleep(PAUSE)


async def flood(target: Target, tally: Tally) -> None:
    """Open connections and say nothing on them."""
    address = next(target.addresses)
    while target.goes_on:
        opened = []
        for _ in range(HELD):
            tally.sent += 1
            try:
                opened.append(await target.connect(address))
                tally.answers["opened"] += 1
            except (OSError, TimeoutError):
                tally.answers["refused"] += 1
            await asyncio.sleep(0.005)
        await asyncio.sleep(max(0.0, min(5.0, target.ends - monotonic())))
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(PAUSE)


async def stream(target: Target, tally: Tally) -> None:
    """Follow server-sent events through the proxy, which never end."""
    address = next(target.addresses)
    credential = f"Authorization: Bearer {target.token}"
    content = request("GET /proxy/events", credential, "X-MeshGuard-Action: read:x")

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await asyncio.Event().wait()

    await _hold(target, tally, address, send)


CONNECTIONS = {
    "pipelining, never reading": pipeline,
    "bodies byte by byte": trickle,
    "heads byte by byte": trickle_head,
    "floods of connections": flood,
    "event streams": stream,
}
KINDS = (*REQUESTS, *CONNECTIONS)


async def serve_upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as the path says, which is never well."""
    ok = b"HTTP/1.1 200 OK\r\n"
    answers = {
        b"short": ok + b"Content-Length: 100\r\n\r\nshort",
        b"forged": ok
        + b"X-MeshGuard-Decision: allow\r\nX_MeshGuard_Agent-Id: root\r\nContent-Length: 0\r\n\r\n",
        b"garbage": b"\x00\x01 no http at all\r\n\r\n",
        b"unasked": (ok + b"Content-Length: 2\r\n\r\nhi") * 3,
        b"ok": ok + b"Content-Length: 2\r\n\r\nhi",
    }
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].strip(b"/")
        writer.write(answers.get(path, b""))
        if path == b"endless":
            await _drip(writer, ok, b"X-A: a\r\n", 0.2)
        if path == b"events":
            await _drip(writer, ok + b"Content-Type: text/event-stream\r\n\r\n", b"data: 0\n\n", 0.2)
        await writer.drain()
    writer.close()


async def _drip(writer: asyncio.StreamWriter, first: bytes, piece: bytes, pause: float) -> None:
    writer.write(first)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def attack(target: Target, upstream_port: int) -> None:
    """Attack in every way at once until the end."""
    server = await asyncio.start_server(serve_upstream, "127.0.0.1", upstream_port)
    target.tallies = {kind: Tally() for kind in KINDS}
    tasks = [
        asyncio.create_task(send_requests(target, target.tallies[kind], attacks))
        for kind, attacks in REQUESTS.items()
        for _ in range(CLIENTS)
    ]
    tasks += [
        asyncio.create_task(run(target, target.tallies[kind]))
        for kind, run in CONNECTIONS.items()
        for _ in range(CLIENTS)
    ]
    sys.stdout.write("attacking\n")
    sys.stdout.flush()
    await asyncio.wait(tasks, timeout=max(0.0, target.ends - monotonic()) + 2 * PATIENCE)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    server.close()
    for outcome in outcomes:
        if isinstance(outcome, Exception):  # an attack that stopped would flatter the gateway
            raise outcome


def main() -> None:
    """Attack and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    token = sys.stdin.readline().strip()
    target = Target(arguments.port, token, monotonic() + arguments.seconds)
    asyncio.run(attack(target, arguments.upstream_port))
    found = {
        kind: {"sent": tally.sent, "answers": tally.answers, "breaches": tally.breaches}
        for kind, tally in target.tallies.items()
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
