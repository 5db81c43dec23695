"""What `client.check` costs beside a bare `httpx` GET and the published package, as a Markdown table.

The server is a process that answers every request with the same bytes. Each candidate runs in a process of
its own, their rounds are interleaved, and the figures are medians over rounds.
"""

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import threading

from tests.environments import environment

BODY = json.dumps(
    {
        "decision": "allow",
        "allowed": True,
        "action": "read:contacts",
        "policy": "support-agents",
        "rule": "read-anything",
        "reason": 'Rule "read-anything" of policy "support-agents" allows it.',
        "traceId": "3f2b8c1e-6a54-4d0a-9d35-6d1f6b0f7a11",
        "auditId": "aud_01k9y6",
        "mode": "enforce",
    }
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-MeshGuard-Decision: allow\r\n"
    b"X-MeshGuard-Policy: support-agents\r\nX-MeshGuard-Agent-Id: agent_5h2k9q\r\n"
    b"X-MeshGuard-Trace-ID: 3f2b8c1e-6a54-4d0a-9d35-6d1f6b0f7a11\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)

BARE = """
import httpx
client = httpx.Client(timeout=30.0)
headers = {
    "Authorization": "Bearer header.claims.signature",
    "X-MeshGuard-Trace-ID": "3f2b8c1e-6a54-4d0a-9d35-6d1f6b0f7a11",
    "X-MeshGuard-Action": "read:contacts",
}
def call():
    client.get(f"{url}/proxy/check", headers=headers).json()
"""
CLIENT = """
from meshguard import MeshGuardClient
client = MeshGuardClient(url, "header.claims.signature", trace_id="3f2b8c1e-6a54-4d0a-9d35-6d1f6b0f7a11")
def call():
    assert client.check("read:contacts").allowed
"""
RUNNER = """
import sys, time
url = sys.argv[1]
{setup}
for _ in range(200):
    call()
print("ready", flush=True)
for line in sys.stdin:
    calls = int(line)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    print((time.perf_counter() - start) / calls, flush=True)
"""


def serve() -> None:
    """Answer every request on an ephemeral port, whose number is printed, until killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
            while b"\r\n\r\n" in received:
                received = received.partition(b"\r\n\r\n")[2]
                connection.sendall(ANSWER)


def measure(rounds: int, calls: int) -> dict[str, list[float]]:
    """Seconds a call, by candidate and round."""
    published = environment("published", "meshguard==0.1.2", constraints=None)
    candidates = {
        "`httpx.Client.get(...).json()`": (sys.executable, BARE),
        "`MeshGuardClient.check`": (sys.executable, CLIENT),
        "the same of `meshguard==0.1.2`": (str(published), CLIENT),
    }
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    runners = {
        name: subprocess.Popen(
            [python, "-c", RUNNER.format(setup=setup), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        for name, (python, setup) in candidates.items()
    }
    try:
        return _rounds(runners, rounds, calls)
    finally:
        for process in (*runners.values(), server):
            process.kill()
            process.communicate()


def _rounds(runners: dict[str, "subprocess.Popen[str]"], rounds: int, calls: int) -> dict[str, list[float]]:
    for runner in runners.values():
        assert runner.stdout
        assert runner.stdout.readline() == "ready\n"
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            assert runner.stdin
            assert runner.stdout
            runner.stdin.write(f"{calls}\n")
            runner.stdin.flush()
            seconds[name].append(float(runner.stdout.readline()))
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=100, help="calls in a round")
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
    seconds = measure(arguments.rounds, arguments.calls)
    bare = next(iter(seconds.values()))
    print("| call | median | ratio to the first |\n|---|---:|---:|")
    for name, values in seconds.items():
        ratio = statistics.median(mine / base for mine, base in zip(values, bare, strict=True))
        print(f"| {name} | {statistics.median(values) * 1e6:.0f} µs | {ratio:.2f} |")


if __name__ == "__main__":
    main()
