"""`meshguard serve`: a gateway on this machine."""

from __future__ import annotations

import gc
import ipaddress
import logging
import multiprocessing
import secrets
import socket
import sys
import tempfile
import threading
from contextlib import ExitStack
from functools import partial
from logging.handlers import MemoryHandler
from pathlib import Path  # noqa: TC003 - typer resolves it at run time
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import typer
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from meshguard import __version__
from meshguard.cli.lifeline import end_with_parent
from meshguard.gateway import Settings, SettingsError, load_settings, logs
from meshguard.gateway import app as gateway
from meshguard.gateway.connections import ConnectionLimits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_START_TIMEOUT = 60.0  # seconds
_BACKLOG = 2048  # connections that wait in the system's queue
_COLLECTED_AFTER = 20_000  # objects; a hundred requests that wait for the disk have some thousand
_HEAD_BUFFER = 131_072  # bytes; the gateway itself refuses a head of more than half of it


@app.command()
def serve(  # noqa: PLR0917 - typer calls it
    host: str | None = typer.Option(None, help="Address to listen on.  [default: 127.0.0.1]"),
    port: int | None = typer.Option(None, help="Port; 0 lets the system choose.  [default: 3100]"),
    mode: str | None = typer.Option(None, help="enforce, or audit: deny nothing.  [default: enforce]"),
    policies_dir: Path | None = typer.Option(  # noqa: B008 - typer's way
        None, help="Folder of policy files, watched for changes."
    ),
    database_url: str | None = typer.Option(None, help="The store.  [default: sqlite:///meshguard.db]"),
    agent_token_ttl: int | None = typer.Option(None, help="Seconds that an agent token lives."),
    proxy_target: str | None = typer.Option(None, help="Base URL of the upstream."),
    proxy_action: str | None = typer.Option(
        None, help="What the proxy evaluates: declared, derived or both.  [default: declared]"
    ),
    proxy_timeout: float | None = typer.Option(None, help="Seconds to wait for the upstream."),
    proxy_max_body: int | None = typer.Option(None, help="Bytes that a forwarded body may have."),
    request_timeout: float | None = typer.Option(
        None, help="Seconds that a client may take to send a request.  [default: 30]"
    ),
    max_connections: int | None = typer.Option(
        None, help="Connections that each worker serves at once.  [default: 1024]"
    ),
    workers: int | None = typer.Option(None, help="Processes that serve.  [default: 1]"),
    audit_retention_days: int | None = typer.Option(None, help="Days to keep audit entries; 0 keeps all."),
    audit_context_keys: str | None = typer.Option(
        None, help="Keys of a request's context whose values are recorded, comma-separated."
    ),
    rate_limit_rpm: int | None = typer.Option(None, help="Decisions a minute for each agent; 0 is off."),
    rate_limit_storage: str | None = typer.Option(None, help="Where they are counted.  [default: memory://]"),
    explain_to_agents: bool | None = typer.Option(
        None, "--explain-to-agents", help="Explain decisions to agents, with thresholds and names."
    ),
    cors_origin: str | None = typer.Option(None, help="The origin whose pages may call."),
    metrics_enabled: bool | None = typer.Option(
        None, "--metrics/--no-metrics", help="Whether to serve /metrics."
    ),
    log_level: str | None = typer.Option(None, help="debug, info, warning or error."),
    log_format: str | None = typer.Option(None, help="text, or json: one object a line.  [default: text]"),
    dev: bool = typer.Option(
        False, "--dev", help="Make secrets and an agent for this run; listen on loopback alone."
    ),
) -> None:
    """Run a gateway.

    Each option is also a setting in the environment or in `.env`, such as MESHGUARD_PORT. The secrets
    (JWT_SECRET, JWT_SECRETS_OLD, ADMIN_TOKEN, PROXY_AUTHORIZATION) are settings alone: other users of the
    machine can see a command line.
    """
    flags = {name: value for name, value in locals().items() if name != "dev"}
    with ExitStack() as stack:
        if dev:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="meshguard-"))
            flags |= _dev_settings(database_url or f"sqlite:///{folder}/meshguard.db")
        settings = _checked(flags, dev=dev)
        _run(settings, dev=dev)


def _dev_settings(database_url: str) -> dict[str, Any]:
    return {
        "jwt_secret": secrets.token_urlsafe(48),
        "admin_token": secrets.token_urlsafe(32),
        "database_url": database_url,
        "explain_to_agents": True,
    }


def _checked(flags: dict[str, Any], *, dev: bool) -> Settings:
    # What is logged about the settings waits until they say how to log.
    held, log = MemoryHandler(capacity=1_000), logging.getLogger("meshguard.gateway")
    log.addHandler(held)
    try:
        settings = load_settings(**flags)
    except SettingsError as error:
        _quit("The gateway can't start with these settings:", *error.faults)
    finally:
        log.removeHandler(held)
    logs.set_up(settings)
    for record in held.buffer:
        log.handle(record)
    if dev and not _is_loopback(settings.host):
        _quit(
            f"HOST: --dev listens on loopback alone, not on {settings.host}; leave out --dev to serve others."
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
        _quit(f"HOST, PORT: can't listen on {settings.host}, port {settings.port}: {error.strerror}")


def _run(settings: Settings, *, dev: bool) -> None:
    server = make_server(settings)
    announcer = threading.Thread(target=_announce, args=(settings,), kwargs={"dev": dev}, daemon=True)
    server.on_startup(announcer.start)
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


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
    """Say where the gateway is, once it answers."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    with httpx.Client(base_url=url, trust_env=False) as client:
        if not _answers(client):
            return
        typer.echo(f"MeshGuard gateway {__version__}, mode {settings.mode}, answers at {url}")
        if dev:
            _announce_agent(client, settings, url)
        sys.stdout.flush()


def _answers(client: httpx.Client) -> bool:
    deadline = monotonic() + _START_TIMEOUT
    pause = threading.Event()
    while monotonic() < deadline:
        try:
            return client.get("/").is_success
        except httpx.TransportError:
            pause.wait(0.02)
    return False


def _announce_agent(client: httpx.Client, settings: Settings, url: str) -> None:
    admin_token = settings.admin_token.get_secret_value()
    response = client.post("/admin/agents", headers={"X-Admin-Token": admin_token}, json={"name": "dev"})
    token = response.raise_for_status().json()["token"]
    typer.echo("\nThe secrets hold for this run; paste these lines into another terminal:\n")
    typer.echo(f"export MESHGUARD_GATEWAY_URL={url}")
    typer.echo(f"export MESHGUARD_AGENT_TOKEN={token}")
    typer.echo(f"export MESHGUARD_ADMIN_TOKEN={admin_token}")


def _quit(*lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)
