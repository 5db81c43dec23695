"""A gateway on this machine, served by Granian."""

from __future__ import annotations

import gc
import ipaddress
import logging
import multiprocessing
import signal
import socket
import sys
import threading
from functools import partial
from logging.handlers import MemoryHandler
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx
import typer
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from meshguard import __version__
from meshguard.cli.dev_gateway import dev_settings, follow_gateway, shown_database
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.lifeline import end_with_parent
from meshguard.cli.signals import on_signals
from meshguard.gateway import Settings, SettingsError, load_settings, logs
from meshguard.gateway import app as gateway
from meshguard.gateway.connections import ConnectionLimits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_START_TIMEOUT = 60.0  # seconds
_BACKLOG = 2048  # connections that wait in the system's queue
_COLLECTED_AFTER = 20_000  # objects; a hundred requests that wait for the disk have some thousand
_HEAD_BUFFER = 131_072  # bytes; the gateway itself refuses a head of more than half of it


def serve(flags: dict[str, Any], *, dev: bool) -> None:
    """Run a gateway until it is stopped.

    Args:
        flags: Settings by their names; None leaves one to the environment.
        dev: Whether it is the development gateway of this folder.

    Raises:
        CommandError: The gateway cannot start with these settings.
    """
    if dev:
        flags |= dev_settings(flags["database_url"])
    settings = _checked(flags, dev=dev)
    _run(settings, dev=dev)


def _checked(flags: dict[str, Any], *, dev: bool) -> Settings:
    # What is logged about the settings waits until they say how to log.
    held, log = MemoryHandler(capacity=1_000), logging.getLogger("meshguard.gateway")
    log.addHandler(held)
    try:
        settings = load_settings(**flags)
    except SettingsError as error:
        lines = ["The gateway cannot start with these settings:", *error.faults]
        raise CommandError("\n".join(lines)) from None
    finally:
        log.removeHandler(held)
    logs.set_up(settings)
    for record in held.buffer:
        log.handle(record)
    if dev and not _is_loopback(settings.host):
        raise CommandError(
            f"Cannot listen on {settings.host}: --dev listens on loopback only. Omit --dev to serve others."
        )
    return settings.model_copy(update={"port": _free_port(settings)})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_port(settings: Settings) -> int:
    """Return the port to listen on, chosen by the system when it is 0, or quit when it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {settings.host}, port {settings.port}: {error.strerror}. "
            "Use another --host or --port; --port 0 lets the system choose."
        ) from None


def _run(settings: Settings, *, dev: bool) -> None:
    server = make_server(settings)
    announcer = threading.Thread(target=_announce, args=(settings,), kwargs={"dev": dev}, daemon=True)
    server.on_startup(announcer.start)
    on_signals(lambda number: _stop(server, number))
    try:
        server.serve(target_loader=partial(_load, settings), wrap_loader=False)
    except SystemExit as end:
        raise typer.Exit(ExitCode.CANNOT_TELL if end.code else ExitCode.OK) from None  # the cause is logged


def _stop(server: Any, number: int) -> None:
    if number in {signal.SIGINT, signal.SIGTERM}:
        server.signal_handler_interrupt()


def make_server(settings: Settings) -> Any:
    """Return the server, with its limits, that is still to be told what to serve."""
    multiprocessing.set_start_method("spawn", force=True)
    return Granian(
        "meshguard.gateway",
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        respawn_failed_workers=settings.workers > 1,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=settings.max_connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.request_timeout * 1000), max_buffer_size=_HEAD_BUFFER
        ),
        log_level=LogLevels.error,
        log_dictconfig=logs.of_server(settings),
    )


def _load(settings: Settings) -> ASGIApp:
    """Return the application, in the process that serves it."""
    end_with_parent()
    logs.set_up(settings)
    application = gateway(settings)
    ConnectionLimits(settings.port, settings.max_connections, settings.request_timeout).start()
    _spare_collector()
    return application


def _spare_collector() -> None:
    """Let the garbage collector look at what requests leave behind, and seldom.

    What is loaded by now stays for good; to look at it again and again cost a decision a fifth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER)


def _announce(settings: Settings, *, dev: bool) -> None:
    """Say where the gateway is, once it responds; with `dev`, show decisions until the process ends."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    if not _responds(url):
        return
    typer.echo(f"MeshGuard gateway {__version__}, mode {settings.mode}, is ready at {url}")
    typer.echo(f"Database: {shown_database(settings.database_url.get_secret_value())}")
    sys.stdout.flush()
    if dev:
        follow_gateway(settings, url)


def _responds(url: str) -> bool:
    deadline = monotonic() + _START_TIMEOUT
    pause = threading.Event()
    with httpx.Client(trust_env=False) as client:
        while monotonic() < deadline:
            try:
                return client.get(url).is_success
            except httpx.TransportError:
                pause.wait(0.02)
    return False
