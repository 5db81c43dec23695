"""The examples of docs/operations.md, with values of a test in them, run by the real programs."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.docs.snippets import snippets
from tests.environments import ROOT
from tests.gateway.test_proxy import Upstream
from tests.gateway.test_serve import SECRETS, served
from tests.servers import PostgreSQL, free_port, postgresql
from tests.support import ADMIN_TOKEN, admin_client, running_app, until

PAGE = ROOT / "docs" / "operations.md"
TLS = ROOT / "tests" / "unit" / "tls"
INSIDE = "127.0.0.2"  # stands for the network of the administrators; clients without it have 127.0.0.1
ALLOW_ALL = "{name: all, rules: [{effect: allow, actions: ['*']}]}"


def block(language: str, containing: str) -> str:
    """Return the page's one block of a language that has a text in it."""
    found = [snippet.code for snippet in snippets(PAGE, language) if containing in snippet.code]
    assert len(found) == 1
    return found[0]


def filled(text: str, values: dict[str, str]) -> str:
    """Return a block with each placeholder replaced; one that is not there is an error."""
    for placeholder, value in values.items():
        assert placeholder in text, placeholder
        text = text.replace(placeholder, value)
    return text


def require(program: str, package: str) -> None:
    """Install a program with apt-get when it is missing."""
    if shutil.which(program):
        return
    apt = ["apt-get"] if os.geteuid() == 0 else ["sudo", "--non-interactive", "apt-get"]
    for command in (["update", "--quiet"], ["install", "--yes", "--quiet", package]):
        done = subprocess.run([*apt, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(
                f"{program} is missing and apt-get {command[0]} failed:\n{done.stderr}", pytrace=False
            )


class Service(Upstream):
    """The service behind the gateways."""

    def __init__(self) -> None:
        super().__init__()
        routes = [Route("/base/wordy", self.wordy), Route("/base/endless", self.endless)]
        self.app.router.routes[:0] = routes

    async def wordy(self, _request: Request) -> Response:
        return Response(headers={"X-Long": "x" * 60_000})

    async def endless(self, _request: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()

        return StreamingResponse(stream(), media_type="text/event-stream")


class Cluster:
    """Two gateways, each a process with a login of its own to one PostgreSQL."""

    def __init__(self, postgres: PostgreSQL, folder: Path, upstream: str) -> None:
        self._postgres = postgres
        self._folder = folder
        self._upstream = upstream
        self._database = postgres.new_database()
        self._running: dict[int, AbstractContextManager[Any]] = {}
        self.ports = [free_port(), free_port()]
        for number in range(2):
            postgres.execute(f"CREATE ROLE {self._login(number)} LOGIN SUPERUSER")
            self.start(number)
        with admin_client(self.url(0)) as admin:
            headers = {"Content-Type": "application/yaml"}
            admin.put("/admin/policies/all", content=ALLOW_ALL, headers=headers)
            self.token = admin.post("/admin/agents", json={"name": "bot"}).json()["token"]
        assert until(lambda: self.is_known_at(1))

    def _login(self, number: int) -> str:
        return f"{self._database.rpartition('/')[2]}_{number}"

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[number]}"

    def is_known_at(self, number: int) -> bool:
        headers = {"Authorization": f"Bearer {self.token}", "X-MeshGuard-Action": "read:x"}
        return httpx.get(f"{self.url(number)}/proxy/check", headers=headers).is_success

    def start(self, number: int) -> None:
        settings = {
            "DATABASE_URL": self._database.replace("postgres@", f"{self._login(number)}@"),
            "PROXY_TARGET": f"{self._upstream}/base",
            "PROXY_ACTION": "derived",
            "RATE_LIMIT_RPM": "0",
        }
        running = served(self._folder, "--port", str(self.ports[number]), **SECRETS, **settings)
        running.__enter__()
        self._running[number] = running

    def stop(self, number: int) -> None:
        self._running.pop(number).__exit__(None, None, None)

    def stop_all(self) -> None:
        for number in list(self._running):
            self.stop(number)

    def cut_off(self, number: int) -> None:
        """Take a gateway's link to the database away."""
        login = self._login(number)
        self._postgres.execute(f"ALTER ROLE {login} NOLOGIN")
        self._postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{login}'"
        )

    def link(self, number: int) -> None:
        self._postgres.execute(f"ALTER ROLE {self._login(number)} LOGIN")

    def streams(self, trace_id: str) -> set[str]:
        """Return the chains, one for each gateway, that have an entry with a trace id."""
        with admin_client(self.url(0)) as admin:
            page = admin.get("/admin/audit", params={"traceId": trace_id, "limit": 1000}).json()
        return {entry["stream"] for entry in page["entries"]}


@dataclass
class Site:
    """A cluster behind a load balancer."""

    port: int
    balancer: str
    cluster: Cluster
    service: Service

    def client(self, **arguments: Any) -> httpx.Client:
        """Return a client of the agent's."""
        context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
        headers = {"Authorization": f"Bearer {self.cluster.token}"}
        url = f"https://localhost:{self.port}"
        return httpx.Client(base_url=url, headers=headers, verify=context, trust_env=False, **arguments)

    def administrator(self, address: str) -> httpx.Client:
        """Return a client of an administrator's with an address."""
        context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
        transport = httpx.HTTPTransport(local_address=address, verify=context)
        url = f"https://localhost:{self.port}"
        return httpx.Client(base_url=url, headers={"X-Admin-Token": ADMIN_TOKEN}, transport=transport)

    def exchange(self, request: bytes) -> bytes:
        """Return what comes back to these bytes until the connection is closed."""
        context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
        address = ("127.0.0.1", self.port)
        with (
            socket.create_connection(address, timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


def nginx(folder: Path, port: int, ports: list[int]) -> list[str]:
    """Write the configuration of nginx; returns the command that runs it."""
    require("nginx", "nginx-light")
    example = filled(
        block("nginx", "upstream meshguard"),
        {
            "10.0.0.11:3100": f"127.0.0.1:{ports[0]}",
            "10.0.0.12:3100": f"127.0.0.1:{ports[1]}",
            "listen 443": f"listen 127.0.0.1:{port}",
            "gateway.example.com": "localhost",
            "/etc/ssl/gateway.pem": str(TLS / "cert.pem"),
            "/etc/ssl/gateway.key": str(TLS / "key.pem"),
            "10.0.0.0/8": INSIDE,
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = pwd.getpwuid(os.geteuid()).pw_name
    main = f"daemon off; user {user}; pid {folder}/pid; worker_processes 2; error_log stderr; events {{}}\n"
    file = folder / "nginx.conf"
    file.write_text(f"{main} http {{ access_log off;\n{places}{example}}}\n")
    return ["nginx", "-e", "stderr", "-c", str(file)]


def caddy(folder: Path, port: int, ports: list[int]) -> list[str]:
    """Write the configuration of Caddy; returns the command that runs it."""
    require("caddy", "caddy")
    certificate = f"tls {TLS / 'cert.pem'} {TLS / 'key.pem'}"
    example = filled(
        block("caddy", "reverse_proxy"),
        {
            "10.0.0.11:3100": f"127.0.0.1:{ports[0]}",
            "10.0.0.12:3100": f"127.0.0.1:{ports[1]}",
            "gateway.example.com {": f"https://localhost:{port} {{\n bind 127.0.0.1\n {certificate}\n",
            "10.0.0.0/8": INSIDE,
        },
    )
    file = folder / "Caddyfile"
    file.write_text(
        f"{{\n admin off\n auto_https disable_redirects\n storage file_system {folder}\n}}\n{example}"
    )
    return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]


BALANCERS: dict[str, Callable[[Path, int, list[int]], list[str]]] = {"nginx": nginx, "caddy": caddy}


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """Run a program until the block ends, with its messages in a file."""
    log = folder / "log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        assert until(lambda: process.poll() is not None or listens(port), 20)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module", params=BALANCERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two gateways on one PostgreSQL behind nginx or Caddy."""
    folder, port, service = tmp_path_factory.mktemp("site"), free_port(), Service()
    with ExitStack() as stack:
        upstream = stack.enter_context(running_app(service.app))
        stack.callback(service.proceed.set)
        cluster = Cluster(stack.enter_context(postgresql()), folder, upstream)
        stack.callback(cluster.stop_all)
        command = BALANCERS[request.param](folder, port, cluster.ports)
        stack.enter_context(running(command, port, folder))
        yield Site(port, request.param, cluster, service)
