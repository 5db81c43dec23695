"""Nothing outlives the process that started it, killed at whatever moment."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.gateway.processes import command_line, descendants, running
from tests.gateway.test_serve import COMMAND, SECRETS, environment, served, serving
from tests.support import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")

_PATIENCE = 20.0


def workers(process: int) -> set[int]:
    return {child for child in descendants(process) if "spawn_main" in command_line(child)}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def started(command: list[str], folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own, of which nothing remains in the end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("number", ["1", "3"])
def test_no_worker_outlives_a_killed_gateway(tmp_path: Path, number: str) -> None:
    with served(tmp_path, "--workers", number, **SECRETS) as (process, url):
        assert until(lambda: len(workers(process.pid)) == int(number), _PATIENCE)
        below = descendants(process.pid)
        process.kill()
        process.wait(10)
        assert until(lambda: not running(below), _PATIENCE)
        port = httpx.URL(url).port
        assert port
        assert until(lambda: is_free(port), _PATIENCE)
    with serving(tmp_path, ["--port", str(port)], SECRETS) as (_, again):
        assert httpx.get(f"{again}/health").json()["status"] == "healthy"


def test_no_worker_that_took_anothers_place_outlives_the_gateway(tmp_path: Path) -> None:
    with served(tmp_path, "--workers", "2", **SECRETS) as (process, _):
        assert until(lambda: len(workers(process.pid)) == 2, _PATIENCE)
        first = workers(process.pid)
        os.kill(min(first), signal.SIGKILL)
        assert until(lambda: len(running(workers(process.pid)) - first) == 1, _PATIENCE)
        below = descendants(process.pid)
        process.kill()
        process.wait(10)
        assert until(lambda: not running(below), _PATIENCE)


@pytest.mark.parametrize("moment", ["a worker is there", "a worker has loaded the gateway", "it listens"])
def test_a_gateway_killed_while_it_starts_leaves_nothing(tmp_path: Path, moment: str) -> None:
    """The parent may be gone before the worker looks for it."""
    with started([*COMMAND, "serve", "--port", "0"], tmp_path, **SECRETS) as process:

        def loaded() -> set[int]:
            return {one for one in workers(process.pid) if "granian" in Path(f"/proc/{one}/maps").read_text()}

        reached: dict[str, Callable[[], object]] = {
            "a worker is there": lambda: workers(process.pid),
            "a worker has loaded the gateway": loaded,
            "it listens": (tmp_path / "meshguard.db").exists,
        }
        assert until(reached[moment], _PATIENCE)
        below = descendants(process.pid)
        process.kill()
        process.wait(10)
        assert until(lambda: not running(below), _PATIENCE)


def test_a_worker_that_hangs_does_not_outlive_the_gateway(tmp_path: Path) -> None:
    """Stopped, it runs no code of its own; the kernel ends it all the same."""
    with served(tmp_path, **SECRETS) as (process, _):
        (worker,) = workers(process.pid)
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        process.wait(10)
        assert until(lambda: not running({worker}), _PATIENCE)


PIPE_ALONE = """
import multiprocessing, os, sys, threading
from meshguard.cli import lifeline

def work():
    lifeline.end_with_creating_thread = lambda: None  # as on systems other than Linux
    lifeline.end_with_parent()
    print(os.getpid(), flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=work).start()
"""


def test_the_pipe_alone_ends_a_worker(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PIPE_ALONE)
    with started([sys.executable, "parent.py"], tmp_path) as process:
        assert process.stdout
        worker = int(process.stdout.readline())
        process.kill()
        process.wait(10)
        assert until(lambda: not running({worker}), _PATIENCE)


IN_THIS_PROCESS = """
import os
from meshguard.testing import running_gateway

with running_gateway() as gateway:
    print(gateway.url, flush=True)
    input()
"""


def test_a_gateway_of_a_test_ends_with_the_test(tmp_path: Path) -> None:
    (tmp_path / "session.py").write_text(IN_THIS_PROCESS)
    with started([sys.executable, "session.py"], tmp_path) as process:
        assert process.stdout
        port = httpx.URL(process.stdout.readline().strip()).port
        below = descendants(process.pid)
        process.kill()
        process.wait(10)
        assert port
        assert until(lambda: not running(below) and is_free(port), _PATIENCE)


STUBBORN = """
import os, pathlib, signal, subprocess, sys, threading

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
below = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
pathlib.Path("pids.new").write_text(f"{os.getpid()} {below.pid}")
os.rename("pids.new", "pids")
threading.Event().wait()
"""
INITIALIZE = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
    '"capabilities":{},"clientInfo":{"name":"host","version":"1"}}}\n'
)


@pytest.mark.parametrize("killed", ["the proxy", "the tether"])
def test_no_mcp_server_outlives_a_killed_proxy(tmp_path: Path, killed: str) -> None:
    """Neither one that ignores its host's leaving, nor what such a server started."""
    (tmp_path / "server.py").write_text(STUBBORN)
    command = [*COMMAND, "mcp-proxy", "--", sys.executable, "server.py"]
    settings = {"MESHGUARD_GATEWAY_URL": "http://127.0.0.1:9", "MESHGUARD_AGENT_TOKEN": "token"}
    with started(command, tmp_path, **settings) as process:
        assert process.stdin
        process.stdin.write(INITIALIZE)
        process.stdin.flush()
        assert until((tmp_path / "pids").exists, _PATIENCE)
        server, below = map(int, (tmp_path / "pids").read_text().split())
        (tether,) = (one for one in descendants(process.pid) if "tether" in command_line(one))
        every = {server, below, tether}
        try:
            assert running(every) == every
            if killed == "the proxy":
                process.kill()
                process.wait(10)
                assert until(lambda: not running(every), _PATIENCE)
            else:
                os.kill(tether, signal.SIGKILL)
                assert until(lambda: not running({server}), _PATIENCE)
        finally:
            for one in running(every):
                os.kill(one, signal.SIGKILL)


def test_a_tethered_command_keeps_its_pipes_and_its_exit_code(tmp_path: Path) -> None:
    from meshguard.cli import tether  # noqa: PLC0415

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", tether.__file__, str(os.getpid()), sys.executable, "-c", code]
        return subprocess.run(
            command,
            input="in",
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            timeout=60,
        )

    done = run("import sys; print(sys.stdin.read()); sys.stderr.write('err'); sys.exit(3)")
    assert (done.stdout, done.stderr, done.returncode) == ("in\n", "err", 3)
    assert run("import os; os.kill(os.getpid(), 9)").returncode == 137
    command = [sys.executable, "-I", tether.__file__, str(os.getpid()), str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    assert done.returncode == 127
    assert re.fullmatch(r"Cannot start .*none: No such file or directory\.\n", done.stderr)
