"""An ASGI application that answers and does nothing: what it takes under load, the machine takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from benchmarks._load import ROOT, stopped

_BODY = b"{}"
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, and send an empty object."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


def _load() -> Any:
    return application


@contextmanager
def bare_application(port: int) -> Iterator[None]:
    """Run it in a process of its own, on the server that the gateway has."""
    command = [sys.executable, "-m", "benchmarks._bare", str(port)]
    with stopped(Popen(command, text=True, cwd=ROOT)):
        yield


def main() -> None:
    """Be the application."""
    server = Granian(
        "benchmarks._bare",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=_load, wrap_loader=False)


if __name__ == "__main__":
    main()
