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
_KNOWN_FOR = 10.0  # seconds that it is good for clients without a credential


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


async def get_health(gateway: Gateway, request: Request) -> Response:
    """Operation `get_health`."""
    address = (request.scope.get("client") or ("unknown", 0))[0]
    if not gateway.admin_token.accepts(request.head.get(b"x-admin-token"), address):
        return await _brief_health(gateway)
    database, audit = await gateway.probe.outcome()
    snapshot = _snapshot(gateway)
    healthy = database == audit == snapshot == "ok"
    checks = models.HealthChecks(
        database,
        _policies(gateway),
        _audit(gateway, audit),
        snapshot,
        _rate_limit(gateway),
        _background(gateway),
    )
    body = {
        "status": "healthy" if healthy else "unhealthy",
        "timestamp": timestamp(milliseconds(gateway.clock())),
        "version": VERSION,
        "mode": gateway.settings.mode,
        "uptime": round(gateway.uptime(), 3),
        "checks": checks.to_dict(),
    }
    return json_response(body, 200 if healthy else 503)


async def _brief_health(gateway: Gateway) -> Response:
    """Return what any client may know. Reading it again and again costs nothing."""
    known = await gateway.probe.latest()
    healthy = known == ("ok", "ok") and gateway.current.is_confirmed and not gateway.writer.failing
    body = models.Health("healthy" if healthy else "unhealthy", VERSION, gateway.settings.mode)
    return json_response(body.to_dict(), 200 if healthy else 503)


def _snapshot(gateway: Gateway) -> str:
    if gateway.current.is_confirmed:
        return "ok"
    return "out of date: changes of agents and policies can't be read, so nothing is allowed"


def _audit(gateway: Gateway, writing: str) -> str:
    """Say all that is the matter with the audit log; only entries that can't be written stop decisions."""
    broken = [f"the log is broken: {problem}" for problem in gateway.retention.problems[:3]]
    full = [gateway.disk.problem] if gateway.disk.problem else []
    return "; ".join([*([] if writing == "ok" else [writing]), *broken, *full]) or "ok"


def _rate_limit(gateway: Gateway) -> str:
    return "Redis does not answer: the limit is kept locally" if gateway.limit.is_local else "ok"


def _background(gateway: Gateway) -> str:
    states = (str(gateway.faults), gateway.checkpoints.state())
    return "; ".join(state for state in states if state != "ok") or "ok"


def _policies(gateway: Gateway) -> str:
    snapshot = gateway.current.snapshot
    if gateway.files and (problems := gateway.files.problems()):
        return "; ".join(problems)
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
        self._made_at = float("-inf")
        self._attempt: asyncio.Task[None] | None = None

    async def outcome(self) -> tuple[str, str]:
        """Return the state of reading and of writing, at most a second old; `ok` when nothing is wrong."""
        return await self._within(_CHECKED_FOR)

    async def latest(self) -> tuple[str, str]:
        """Return the state that is known, at most ten seconds old; a newer one is found out meanwhile."""
        return await self._within(_KNOWN_FOR)

    async def stop(self) -> None:
        """Wait for an attempt that is under way."""
        if self._attempt:
            await self._attempt

    async def _within(self, seconds: float) -> tuple[str, str]:
        age = self._gateway.uptime() - self._made_at
        if age >= _CHECKED_FOR:
            attempt = self._attempt = self._attempt or asyncio.create_task(self._try_both())
            if age >= seconds:
                await asyncio.shield(attempt)
        return self._outcome

    async def _try_both(self) -> None:
        self._outcome = (
            await _try(self._read, "failed: the database does not answer"),
            await _try(self._write, "failed: entries can't be written"),
        )
        self._made_at = self._gateway.uptime()
        self._attempt = None

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
    except Exception:  # noqa: BLE001 - whatever it is, health says so instead of failing itself
        return failure
    return "ok"
