"""Operations on the gateway itself."""

from __future__ import annotations

import asyncio
import secrets
from importlib.metadata import version
from typing import TYPE_CHECKING

from meshguard_api import models
from sqlalchemy import text

from meshguard.gateway import audit_log, store
from meshguard.gateway.clock import milliseconds, timestamp
from meshguard.gateway.http import NO_STORE, Request, Response, json_response
from meshguard.gateway.pools import HEALTH_TIMEOUT
from meshguard.gateway.problems import Problem
from meshguard.gateway.writer import Change

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection

    from meshguard.gateway.gateway import Gateway

VERSION = version("meshguard")
_CHECK_TIMEOUT = 3.0  # seconds
_PROBED_ENTRIES = 64
_CHECKED_FOR = 1.0  # seconds that the outcome of a check is good for


async def get_gateway_info(gateway: Gateway, _request: Request) -> Response:
    """Operation `get_gateway_info`."""
    info = models.GatewayInfo("meshguard", VERSION, gateway.settings.mode, "/openapi.yaml")
    return json_response(info.to_dict())


async def get_openapi(gateway: Gateway, _request: Request) -> Response:
    """Operation `get_openapi`."""
    return Response(200, gateway.contract.text, (), b"application/openapi+yaml")


async def get_metrics(gateway: Gateway, _request: Request) -> Response:
    """Operation `get_metrics`."""
    if gateway.metrics is None:
        raise Problem(404, "Metrics are off; switch them on with the setting METRICS_ENABLED.")
    return Response(200, gateway.metrics.text(), NO_STORE, b"text/plain; version=0.0.4; charset=utf-8")


async def get_health(gateway: Gateway, _request: Request) -> Response:
    """Operation `get_health`."""
    database, audit = await gateway.probe.outcome()
    snapshot = _snapshot(gateway)
    healthy = database == audit == snapshot == "ok"
    body = models.Health(
        status="healthy" if healthy else "unhealthy",
        timestamp=timestamp(milliseconds(gateway.clock())),
        version=VERSION,
        mode=gateway.settings.mode,
        uptime=round(gateway.uptime(), 3),
        checks=models.HealthChecks(
            database, _policies(gateway), audit, snapshot, _rate_limit(gateway), _background(gateway)
        ),
    )
    return json_response(body.to_dict(), 200 if healthy else 503)


def _snapshot(gateway: Gateway) -> str:
    if gateway.current.is_confirmed:
        return "ok"
    return "out of date: changes of agents and policies can't be read, so nothing is allowed"


def _rate_limit(gateway: Gateway) -> str:
    return "Redis does not answer: the limit is kept locally" if gateway.limit.is_local else "ok"


def _background(gateway: Gateway) -> str:
    states = (str(gateway.faults), gateway.checkpoints.state())
    return "; ".join(state for state in states if state != "ok") or "ok"


def _policies(gateway: Gateway) -> str:
    snapshot = gateway.current.snapshot
    if gateway.files and gateway.files.fault:
        return f"the files are broken, the last good set stays in force: {gateway.files.fault}"
    hidden = sorted(snapshot.stored.keys() & snapshot.files.keys())
    if hidden:
        return f"files win over the stored policies of the same name: {', '.join(hidden)}"
    return "ok" if snapshot.policies else "none loaded: every action is denied"


class Probe:
    """Tries whether the database can be read and written, at most once a second."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        # A name of its own: probes of several gateways must not wait for each other.
        self._name = f"probe {secrets.token_hex(4)}"
        self._outcome = ("ok", "ok")
        self._good_until = float("-inf")
        self._lock = asyncio.Lock()

    async def outcome(self) -> tuple[str, str]:
        """Return what is the matter with reading and with writing; `ok` when nothing is."""
        async with self._lock:
            if self._gateway.uptime() >= self._good_until:
                self._outcome = (
                    await _try(self._read, "failed: the database does not answer"),
                    await _try(self._write, "failed: entries can't be written"),
                )
                self._good_until = self._gateway.uptime() + _CHECKED_FOR
            return self._outcome

    async def _read(self) -> None:
        await self._gateway.pools.health.run(self._select, HEALTH_TIMEOUT)

    def _select(self) -> None:
        query = text("SELECT 1")
        store.read(
            self._gateway.engine, lambda connection: connection.execute(query).scalar(), HEALTH_TIMEOUT
        )

    async def _write(self) -> None:
        moment = milliseconds(self._gateway.clock())
        # Where entries found no room, a single one may still find some.
        entries = _PROBED_ENTRIES if self._gateway.writer.failing else 1

        def perform(connection: Connection) -> Change[None]:
            store.put_state(connection, self._name, str(moment))
            audit_log.try_to_write(connection, moment, entries)
            return Change(None)

        await self._gateway.writer.change(perform)


async def _try(check: Callable[[], Awaitable[None]], failure: str) -> str:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            await check()
    except Exception:  # noqa: BLE001 - whatever it is, it is not well
        return failure
    return "ok"
