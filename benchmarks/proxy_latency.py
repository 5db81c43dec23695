"""What the governed proxy adds to a request's latency, next to nginx's `proxy_pass`, as a table.

One connection asks the upstream directly, through nginx, and through the gateway, in interleaved rounds. The
gateway decides and makes its audit entry durable before it forwards, as it does for a `check`, which forwards
nothing; nginx does neither. Debian's nginx is installed when it is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._load import Connection, free_port, gateway, request_to, stopped, upstream

NGINX = "nginx `proxy_pass`"
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; keepalive_requests 10000000;
  upstream service {{ server 127.0.0.1:{upstream}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location /proxy/ {{ proxy_pass http://service/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@contextmanager
def nginx(folder: str, upstream_port: int) -> Iterator[int]:
    """Run nginx in front of the upstream; gives its port."""
    if not shutil.which("nginx"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "nginx-light"], check=True)
    port = free_port()
    file = Path(folder) / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=upstream_port))
    with stopped(subprocess.Popen(["nginx", "-c", str(file)], text=True)):
        yield port


async def measure(rounds: int, calls: int, folder: str) -> dict[str, list[float]]:
    """Return seconds a call, by way and round."""
    with (
        upstream() as direct,
        nginx(folder, direct) as through_nginx,
        gateway(folder, direct) as (port, authorization, _),
    ):
        request = request_to("/proxy/x", authorization)
        ways = {
            "directly": (direct, request),
            NGINX: (through_nginx, request),
            "`check` alone": (port, request_to("/proxy/check", authorization)),
            "the governed proxy": (port, request),
        }
        connections = {way: Connection(number) for way, (number, _) in ways.items()}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way, connection in connections.items():
                took = [await _timed(connection, ways[way][1]) for _ in range(calls)]
                if number:  # the first round warms up
                    seconds[way].append(statistics.median(took))
        for connection in connections.values():
            await connection.close()
        return seconds


async def _timed(connection: Connection, request: bytes) -> float:
    start = time.perf_counter()
    status, _ = await connection.ask(request)
    assert status == 200  # noqa: PLR2004
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=100, help="calls in a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        seconds = asyncio.run(measure(arguments.rounds, arguments.calls, folder))
    base, *_ = seconds.values()
    added = {
        way: statistics.median(mine - direct for mine, direct in zip(values, base, strict=True))
        for way, values in seconds.items()
    }
    nginxs = added[NGINX]
    print("| way | median | added | ratio of what is added |\n|---|---:|---:|---:|")
    for way, values in seconds.items():
        ratio = f"{added[way] / nginxs:.1f}" if added[way] else ""
        print(f"| {way} | {statistics.median(values) * 1e6:.0f} µs | {added[way] * 1e6:.0f} µs | {ratio} |")


if __name__ == "__main__":
    main()
