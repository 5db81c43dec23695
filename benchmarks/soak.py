"""Checks and proxied requests at the machine's limit for minutes: does anything leak or fail?

Some connections ask on and on, half of them for decisions and half through the proxy; one more leaves before
each answer comes. Printed are, by interval, requests, errors, and what the serving process holds.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks._load import Connection, descriptors, gateway, request_to, upstream


@dataclass
class Count:
    """What was asked so far."""

    checks: int = 0
    proxied: int = 0
    abandoned: int = 0
    errors: int = 0


async def ask_on(port: int, authorization: str, count: Count, ends: float, *, proxied: bool) -> None:
    """Ask on one connection until the end."""
    connection = Connection(port)
    request = request_to("/proxy/x" if proxied else "/proxy/check", authorization)
    while time.monotonic() < ends:
        try:
            status, body = await connection.ask(request)
            count.errors += status != 200 or b'"allow"' not in body  # noqa: PLR2004
        except (OSError, asyncio.IncompleteReadError):
            count.errors += 1
            await connection.close()
        count.proxied += proxied
        count.checks += not proxied
    await connection.close()


async def leave_early(port: int, authorization: str, count: Count, ends: float) -> None:
    """Open connections and close them before the answer."""
    request = request_to("/proxy/x", authorization)
    while time.monotonic() < ends:
        await Connection(port).abandon(request)
        count.abandoned += 1
        await asyncio.sleep(0.02)


async def soak(seconds: float, interval: float, connections: int, folder: str) -> None:
    """Run the load and print what is seen."""
    with upstream() as upstream_port, gateway(folder, upstream_port) as (port, authorization, pid):
        count, ends = Count(), time.monotonic() + seconds
        load = [ask_on(port, authorization, count, ends, proxied=bool(n % 2)) for n in range(connections)]
        tasks = [asyncio.create_task(work) for work in (*load, leave_early(port, authorization, count, ends))]
        print("| s | checks | proxied | abandoned | errors | RSS MiB | descriptors | tasks |")
        print("|---:|---:|---:|---:|---:|---:|---:|---:|")
        while time.monotonic() < ends - interval / 2:
            await asyncio.sleep(interval)
            print(await _row(seconds - (ends - time.monotonic()), count, port, pid), flush=True)
        await asyncio.gather(*tasks)
        await asyncio.sleep(6)  # by then idle connections to the upstream are closed too
        print(await _row(seconds + 6, count, port, pid))


async def _row(at: float, count: Count, port: int, pid: int) -> str:
    connection = Connection(port)
    _, tasks = await connection.ask(request_to("/tasks"))
    await connection.close()
    asked = f"{count.checks:,} | {count.proxied:,} | {count.abandoned:,} | {count.errors}"
    return f"| {at:.0f} | {asked} | {_resident(pid):.1f} | {descriptors(pid)} | {int(tasks)} |"


def _resident(pid: int) -> float:
    """Return the MiB that a process holds in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between two lines")
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(soak(arguments.minutes * 60, arguments.interval, arguments.connections, folder))


if __name__ == "__main__":
    main()
