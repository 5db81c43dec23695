"""Durable decisions a second beside a bare ASGI app on the same server, as a Markdown table.

The gateway commits an entry for each decision to SQLite before it answers. The bare app answers a constant.
Both run on granian with one worker; `wrk` (a Debian package) asks over 64 connections, in interleaved rounds,
and the figures are medians. The second table is at half the gateway's rate: each request is due at a fixed
moment, and its time counts from then, so that a stall is paid for by all that were due meanwhile.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, perf_counter
from urllib.parse import urlsplit

import httpx

CONNECTIONS = 64
SECRETS = {
    "MESHGUARD_JWT_SECRET": "bench-3Vb5Nn7Mm9Kk1Jj3Hh5Gg7Ff9Dd1Ss",
    "MESHGUARD_ADMIN_TOKEN": "bench-8Zx6Cv4Bn2Mq0We8Rt6Yu4Io2Pa0Sd",
}
BARE = b"""
BODY = b'{"decision":"allow","allowed":true,"action":"read:contacts","reason":"constant"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})
"""


@contextmanager
def server(folder: Path, port: int, *command: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | SECRETS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        pause, deadline = threading.Event(), monotonic() + 60
        while monotonic() < deadline:
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                pause.wait(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def agent_headers(url: str) -> dict[str, str]:
    policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
    headers = {"X-Admin-Token": SECRETS["MESHGUARD_ADMIN_TOKEN"]}
    with httpx.Client(base_url=url, headers=headers) as admin:
        admin.put("/admin/policies/readers", json=policy).raise_for_status()
        token = admin.post("/admin/agents", json={"name": "bench"}).raise_for_status().json()["token"]
    return {"Authorization": f"Bearer {token}", "X-MeshGuard-Action": "read:contacts"}


def rate(url: str, headers: dict[str, str], seconds: int) -> float:
    """Requests a second by wrk."""
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", *given, f"{url}/proxy/check"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report:
        sys.exit(f"not every answer was 200:\n{report}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if found is None:
        sys.exit(f"wrk said:\n{report}")
    return float(found[1])


async def latencies(url: str, headers: dict[str, str], per_second: float, seconds: float) -> list[float]:
    """Seconds that each request took from the moment at which it was due."""
    parts = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET /proxy/check HTTP/1.1\r\nHost: {parts.netloc}\r\n{lines}\r\n".encode()
    number = int(per_second * seconds)
    due = iter(range(number))
    taken: list[float] = []
    start = perf_counter() + 0.1

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for turn in due:
            moment = start + turn / per_second
            await asyncio.sleep(max(0.0, moment - perf_counter()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            taken.append(perf_counter() - moment)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return sorted(taken)


def measure(folder: Path, rounds: int, seconds: int) -> None:
    (folder / "bare.py").write_bytes(BARE)
    gateway_port, bare_port = free_port(), free_port()
    granian = ("granian", "--interface", "asgi", "--no-ws", "--port", str(bare_port), "bare:app")
    serve = ("meshguard.cli", "serve", "--port", str(gateway_port), "--rate-limit-rpm", "0")
    with ExitStack() as stack:
        bare = stack.enter_context(server(folder, bare_port, *granian))
        gateway = stack.enter_context(server(folder, gateway_port, *serve))
        headers = agent_headers(gateway)
        pairs = [(rate(bare, headers, seconds), rate(gateway, headers, seconds)) for _ in range(rounds)]
        bare_rate, gateway_rate = (statistics.median(rates) for rates in zip(*pairs, strict=True))
        ratio = statistics.median(gateway / bare for bare, gateway in pairs)
        print("| | requests/s | ratio |\n|---|---:|---:|")
        print(f"| bare ASGI app | {bare_rate:,.0f} | 1.00 |")
        print(f"| durable `GET /proxy/check` | {gateway_rate:,.0f} | {ratio:.2f} |", flush=True)
        half = gateway_rate / 2
        taken = asyncio.run(latencies(gateway, headers, half, 2.0 * seconds))
        p50, p99 = (taken[int(len(taken) * part)] * 1000 for part in (0.5, 0.99))
        print("\n| at requests/s | p50 ms | p99 ms | p99 / p50 |\n|---:|---:|---:|---:|")
        print(f"| {half:,.0f} | {p50:.1f} | {p99:.1f} | {p99 / p50:.1f} |")
        count = httpx.get(
            f"{gateway}/admin/audit/stats", headers={"X-Admin-Token": SECRETS["MESHGUARD_ADMIN_TOKEN"]}
        ).json()["total"]
        print(f"\n{json.dumps(count)} decisions are in the log.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the database is; else the system's temporary one")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit(
            "install wrk (apt-get install wrk): a generator in Python would be slower than what it measures"
        )
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        measure(Path(folder), given.rounds, given.seconds)


if __name__ == "__main__":
    main()
