"""A gateway that serves from a thread of this process, on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_TIMEOUT = 30.0  # seconds
_STOP_TIMEOUT = 30.0  # seconds


@contextmanager
def serve_in_thread(application: Any) -> Iterator[str]:
    """Serve an application until the block ends.

    Args:
        application: What `meshguard.gateway.app` returns.

    Yields:
        The URL, on a port that the system chose.

    Raises:
        RuntimeError: It did not start; the log says why.

    Example:
        ```python
        import secrets

        from meshguard import MeshGuardClient
        from meshguard.gateway import app, load_settings
        from meshguard.gateway.embedded import serve_in_thread

        tokens = {name: secrets.token_urlsafe(48) for name in ("jwt_secret", "admin_token")}
        with serve_in_thread(app(load_settings(database_url="sqlite:///embedded.db", **tokens))) as url:
            print(MeshGuardClient(url).health()["status"])
        ```
    """
    from granian.constants import Interfaces  # noqa: PLC0415 - slow to import
    from granian.server.embed import Server  # noqa: PLC0415

    port = free_port()
    server = Server(application, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop, server), name="meshguard-gateway", daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, thread)
        yield url
    finally:
        with suppress(RuntimeError):  # it ended by itself
            loop.call_soon_threadsafe(server.stop)
        thread.join(_STOP_TIMEOUT)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that no program listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _serve(loop: asyncio.AbstractEventLoop, server: Any) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(server.serve())
    finally:
        loop.close()


def _wait_for(url: str, thread: threading.Thread) -> None:
    pause, deadline = threading.Event(), monotonic() + _START_TIMEOUT
    with httpx.Client(trust_env=False) as client:
        while thread.is_alive() and monotonic() < deadline:
            with suppress(httpx.TransportError):
                client.get(f"{url}/health")
                return
            pause.wait(0.01)
    raise RuntimeError("The gateway did not start. Its log says why.")
