"""Operations on the audit log."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshguard_api import models

from meshguard.gateway import audit_log
from meshguard.gateway.clock import milliseconds, parse_timestamp
from meshguard.gateway.http import NO_STORE, Request, Response, json_response, own_headers
from meshguard.gateway.pools import LONG_TIMEOUT
from meshguard.gateway.problems import Detail, invalid
from meshguard.gateway.store import to_json

if TYPE_CHECKING:
    from starlette.types import Send

    from meshguard.audit_verify import Broken
    from meshguard.gateway.gateway import Gateway

_DAY = 86_400_000
_PERIODS = {"24h": _DAY, "7d": 7 * _DAY, "30d": 30 * _DAY}
_EXPORTED_AT_ONCE = 500
_QUICK = 0.2  # seconds in which counting is no burden


async def list_audit_entries(gateway: Gateway, request: Request) -> Response:
    """Operation `list_audit_entries`."""
    filters = _filters(request.query)
    limit = request.query.get("limit", 50)
    below = audit_log.Position.parse(request.query["cursor"]) if "cursor" in request.query else None
    entries, cursor = await gateway.read(
        lambda connection: audit_log.read_page(connection, filters, limit, below)
    )
    more = {} if cursor is None else {"nextCursor": str(cursor)}
    return json_response({"entries": entries, **more})


async def get_audit_stats(gateway: Gateway, request: Request) -> Response:
    """Operation `get_audit_stats`."""
    period = request.query.get("period", "24h")
    counts = await gateway.counts.of(gateway, period)
    return json_response(models.AuditStats.from_dict({**counts, "period": period}).to_dict())


class Counts:
    """Counts the decisions of a period; what took long to count is kept for ten times as long.

    However often somebody asks, the database spends little of its time on counting.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = asyncio.Lock()

    async def of(self, gateway: Gateway, period: str) -> dict[str, Any]:
        """Return the counts of a period that ends now, or did a while ago.

        Raises:
            Problem: 503.
        """
        async with self._lock:
            started = gateway.uptime()
            kept_until, counts = self._kept.get(period, (float("-inf"), {}))
            if started >= kept_until:
                since = milliseconds(gateway.clock()) - _PERIODS[period]
                counts = await gateway.read(lambda connection: audit_log.count_decisions(connection, since))
                took = gateway.uptime() - started
                self._kept[period] = (started + (10 * took if took > _QUICK else 0.0), counts)
            return counts


async def export_audit_entries(gateway: Gateway, request: Request) -> Export:
    """Operation `export_audit_entries`."""
    export = Export(gateway, _filters(request.query))
    await export.begin()
    return export


async def verify_audit_log(gateway: Gateway, _request: Request) -> Response:
    """Operation `verify_audit_log`."""
    verifier, heads = await gateway.read(
        lambda connection: audit_log.verify(connection, gateway.seals),
        gateway.pools.verification,
        LONG_TIMEOUT,
    )
    gateway.retention.note_verification(verifier.broken)
    broken = {"firstBroken": _broken(verifier.broken)} if verifier.broken else {}
    outcome = {"valid": not broken, "entries": verifier.entries, "heads": heads}
    return json_response({**outcome, **broken})


def _broken(broken: Broken) -> dict[str, Any]:
    return {name: value for name, value in asdict(broken).items() if value is not None}


class Export:
    """Entries as newline-delimited JSON, read page by page while they are sent.

    They are those that had arrived when it began, lest it chase a busy log for ever.
    """

    status = 200

    def __init__(self, gateway: Gateway, filters: audit_log.Filters) -> None:
        self._gateway = gateway
        self._filters = filters
        self._page: list[dict[str, Any]] = []
        self._last: audit_log.Position | None = None
        self._end = 0

    async def begin(self) -> None:
        """Read the first page, while a failure can still be answered.

        Raises:
            Problem: 503.
        """
        self._end = await self._gateway.read(audit_log.last_arrived)
        await self._read()

    async def _read(self) -> None:
        self._page, self._last = await self._gateway.read(
            lambda connection: audit_log.read_onwards(
                connection, self._filters, _EXPORTED_AT_ONCE, self._last, self._end
            )
        )

    async def send_to(self, send: Send, trace_id: str) -> None:
        """Send status, headers and body."""
        headers = own_headers((*NO_STORE, (b"content-type", b"application/x-ndjson")), trace_id)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        while self._page:
            lines = "".join(f"{to_json(entry)}\n" for entry in self._page).encode()
            await send({"type": "http.response.body", "body": lines, "more_body": True})
            await self._read()
        await send({"type": "http.response.body", "body": b""})


def _filters(query: dict[str, Any]) -> audit_log.Filters:
    return audit_log.Filters(
        decision=query.get("decision"),
        agent=query.get("agent"),
        agent_id=query.get("agentId"),
        action=query.get("action"),
        trace_id=query.get("traceId"),
        policy=query.get("policy"),
        kind=None if query.get("kind") == "all" else query.get("kind"),
        since=_moment(query, "from"),
        until=_moment(query, "to"),
    )


def _moment(query: dict[str, Any], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return parse_timestamp(query[name])
    except (ValueError, OverflowError):
        raise invalid(Detail(f"/query/{name}", f'"{query[name]}" is no moment of the calendar')) from None
