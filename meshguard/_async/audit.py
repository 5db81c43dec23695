"""The audit log: what was decided and changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from meshguard._async.base import ClientBase
from meshguard._wire.pending import awaited
from meshguard._wire.requests import ApiCall, Page, filter_text, query, timestamp, whole_number
from meshguard._wire.responses import read_as, read_page, typed
from meshguard.types import AuditEntry, AuditStats, EntryKind, Period, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    import httpx


class Audit(ClientBase):
    """The methods that read the audit log."""

    @awaited  # sync:
    async def get_audit_log(
        self,
        limit: int = 50,
        decision: Verdict | None = None,
        *,
        agent: str | None = None,
        action: str | None = None,
        trace_id: str | None = None,
        policy: str | None = None,
        kind: EntryKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[AuditEntry]:
        """Fetch the newest audit entries that fit. Operation `list_audit_entries`.

        Args:
            limit: How many entries at most, 1 to 1,000.
            decision: Only entries with this decision, `allow` or `deny`.
            agent: Only entries of the agent with this id or name.
            action: Only entries whose action fits this pattern; `*` stands for any run of characters.
            trace_id: Only entries with this trace id.
            policy: Only entries that this policy decided.
            kind: Only decisions on agents' actions (`decision`), or only changes by administrators (`admin`).
            since: Only entries of this moment or later; with a time zone.
            until: Only entries before this moment; with a time zone.

        Returns:
            The entries, newest first, with their names on the wire.

        Raises:
            InvalidRequestError: A filter has a value that the gateway does not know, or a time has no zone.

        Example:
            ```python
            for entry in await client.get_audit_log(limit=10, decision="deny"):
                print(f"{entry['timestamp']}: {entry['action']} -> {entry['decision']}")
            ```
        """
        filters = _filters(
            limit,
            decision,
            agent=agent,
            action=action,
            trace_id=trace_id,
            policy=policy,
            kind=kind,
            since=since,
            until=until,
        )
        page = await self._transport.send(_list_entries(filters))
        return page.items

    def iter_audit_log(
        self,
        decision: Verdict | None = None,
        *,
        agent: str | None = None,
        action: str | None = None,
        trace_id: str | None = None,
        policy: str | None = None,
        kind: EntryKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 1000,
    ) -> AsyncIterator[AuditEntry]:
        """Go through all audit entries that fit, page by page. Operation `list_audit_entries`.

        Args:
            decision: Only entries with this decision, `allow` or `deny`.
            agent: Only entries of the agent with this id or name.
            action: Only entries whose action fits this pattern; `*` stands for any run of characters.
            trace_id: Only entries with this trace id.
            policy: Only entries that this policy decided.
            kind: Only decisions on agents' actions (`decision`), or only changes by administrators (`admin`).
            since: Only entries of this moment or later; with a time zone.
            until: Only entries before this moment; with a time zone.
            page_size: How many entries are fetched at a time, 1 to 1,000.

        Returns:
            The entries, newest first; a page is fetched when it is needed.

        Raises:
            InvalidRequestError: A filter has a value that the gateway does not know, or a time has no zone.

        Example:
            ```python
            async for entry in client.iter_audit_log(action="write:*", page_size=100):
                print(entry["timestamp"], entry["action"])
            ```
        """
        filters = _filters(
            page_size,
            decision,
            agent=agent,
            action=action,
            trace_id=trace_id,
            policy=policy,
            kind=kind,
            since=since,
            until=until,
        )
        return self._items(_list_entries(filters))

    @awaited  # sync:
    async def audit_stats(self, period: Period = "24h") -> AuditStats:
        """Count the decisions of a period. Operation `get_audit_stats`.

        Args:
            period: How far back from now: `24h`, `7d` or `30d`.

        Returns:
            `total`, `allowed`, `denied`, `wouldDeny`, `period`, `topDenied` and `topAgents`.

        Raises:
            InvalidRequestError: The gateway does not know the period.

        Example:
            ```python
            stats = await client.audit_stats("7d")
            print(f"{stats['denied']} of {stats['total']} denied")
            ```
        """
        options = query(period=filter_text("period", period))
        call = ApiCall("audit_stats", "GET", "/admin/audit/stats", read_as(AuditStats), options)
        return await self._transport.send(call)


def _filters(
    limit: int,
    decision: str | None,
    *,
    trace_id: str | None,
    since: datetime | None,
    until: datetime | None,
    **others: str | None,
) -> dict[str, Any]:
    return {
        "limit": whole_number("limit", limit),
        "decision": filter_text("decision", decision),
        "traceId": filter_text("trace_id", trace_id),
        "from": timestamp("since", since),
        "to": timestamp("until", until),
        **{name: filter_text(name, value) for name, value in others.items()},
    }


def _list_entries(filters: dict[str, Any], cursor: str | None = None) -> ApiCall[Page[AuditEntry]]:
    def read(response: httpx.Response) -> Page[AuditEntry]:
        item = partial(typed, AuditEntry)
        return read_page(response, "entries", item, cursor, partial(_list_entries, filters))

    return ApiCall("audit_log", "GET", "/admin/audit", read, query(**filters, cursor=cursor))
