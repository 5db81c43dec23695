"""A gateway to test against: in this process or as a real server."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any

import httpx
import uvicorn

from meshguard.gateway import Settings, app, load_settings
from tests.traffic import Traffic

ADMIN_TOKEN = "adm-7Qz1xWc9Vb3Nn5Mm8Kk2Jj4Hh6Gg0Ff"
SECRET = "jwt-4Rt6Yu8Io0Pa2Sd4Fg6Hj8Kl1Zx3Cv5Bn"
OLD_SECRET = "old-9Lk7Jh5Gf3Ds1Aq2Wq4Er6Ty8Ui0Op3Mn"

ALLOW_READS = """
name: readers
rules:
  - {name: reads, effect: allow, actions: ["read:*"]}
  - {name: no-secrets, effect: deny, actions: ["read:secret*"], reason: Secrets are off limits}
"""


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    seconds: float = 1_795_340_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that answers at a URL."""

    url: str
    admin_token: str
    secret: str
    settings: Settings


def gateway_settings(directory: Path, **changes: Any) -> Settings:
    """Return settings for a gateway that keeps everything in a directory."""
    values = {
        "jwt_secret": SECRET,
        "admin_token": ADMIN_TOKEN,
        "database_url": f"sqlite:///{directory}/gateway.db",
        **changes,
    }
    return load_settings(_env_file=None, **values)


def admin_client(url: str, **arguments: Any) -> httpx.Client:
    """Return a client that carries the admin token."""
    return httpx.Client(base_url=url, headers={"X-Admin-Token": ADMIN_TOKEN}, trust_env=False, **arguments)


@contextmanager
def running_gateway(
    directory: Path, *, clock: Any = time, monotonic: Any = monotonic, **changes: Any
) -> Iterator[RunningGateway]:
    """Run a gateway on an ephemeral port and a database in a directory, in a thread of this process.

    In the end all its traffic has to have been as openapi.yaml has it.
    """
    settings = gateway_settings(directory, **changes)
    traffic = Traffic()
    with running_app(traffic.watch(app(settings, clock=clock, monotonic=monotonic))) as url:
        yield RunningGateway(url, ADMIN_TOKEN, SECRET, settings)
    traffic.assert_conforms()


@contextmanager
def running_app(application: Any, **options: Any) -> Iterator[str]:
    """Run an ASGI application on an ephemeral port; gives its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        application,
        log_level="error",
        log_config=None,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        **options,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run_quietly, args=([listener],), daemon=True)
    thread.start()
    try:
        if not server.ready.wait(20) or not server.started:
            raise RuntimeError("the server did not start")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def run_quietly(self, sockets: list[socket.socket]) -> None:
        with suppress(SystemExit):  # uvicorn's way to say that the application did not start
            self.run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


@asynccontextmanager
async def lifespan(application: Any) -> AsyncIterator[None]:
    """Keep an ASGI application started."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.create_task(application({"type": "lifespan", "state": {}}, to_app.get, from_app.put))
    try:
        await to_app.put({"type": "lifespan.startup"})
        message = await from_app.get()
        if message["type"] != "lifespan.startup.complete":
            raise RuntimeError(message["message"])
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await task


@asynccontextmanager
async def gateway_client(
    directory: Path, *, clock: Any = time, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a gateway in this process, without a socket; it carries no credential."""
    traffic = Traffic()
    application = traffic.watch(app(gateway_settings(directory, **changes), clock=clock))
    async with (
        lifespan(application),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(application, raise_app_exceptions=False), base_url="http://gateway"
        ) as client,
    ):
        yield client
    traffic.assert_conforms()


def until(condition: Any, seconds: float = 5.0) -> bool:
    """Ask again and again until it is so; false when it is not so in time."""
    pause = threading.Event()
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        if condition():
            return True
        pause.wait(0.01)
    return False


logging.getLogger("uvicorn").setLevel(logging.ERROR)
