"""Calls on the audit log, and how their responses are read."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from meshguard._wire.errors import invalid_response
from meshguard._wire.intake import encodings, unrequested
from meshguard._wire.requests import ApiCall, Page, filter_text, query, text, timestamp
from meshguard._wire.responses import read_nothing, read_object, read_page, read_time, typed
from meshguard.types import AuditEntry, AuditHead, AuditRecord, AuditVerification, BrokenEntry, EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import httpx

T = TypeVar("T")

_WIRE_NAMES = {
    item.name: re.sub(r"_([a-z])", lambda found: found[1].upper(), item.name) for item in fields(AuditRecord)
}
_FRAMING = ("Content-Length", "Transfer-Encoding")
_ABSENT: Any = dict.fromkeys(AuditEntry.__annotations__)


def audit_filters(
    decision: str | None = None,
    *,
    agent: str | None = None,
    action: str | None = None,
    trace_id: str | None = None,
    policy: str | None = None,
    kind: EntryKind | Literal["all"] = "decision",
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, str | None]:
    """Return the filters by their names on the wire."""
    return {
        "decision": filter_text("decision", decision),
        "agent": filter_text("agent", agent),
        "action": filter_text("action", action),
        "traceId": filter_text("trace_id", trace_id),
        "policy": filter_text("policy", policy),
        "kind": None if kind == "all" else text("kind", kind),
        "from": timestamp("since", since),
        "to": timestamp("until", until),
    }


def list_entries(
    filters: Mapping[str, Any],
    read_entry: Callable[[httpx.Response, Any], T],
    cursor: str | None = None,
) -> ApiCall[Page[T]]:
    """Operation `list_audit_entries`."""

    def read(response: httpx.Response) -> Page[T]:
        return read_page(response, "entries", read_entry, cursor, partial(list_entries, filters, read_entry))

    return ApiCall("audit_log", "GET", "/admin/audit", read, query(**filters, cursor=cursor))


def read_entry(response: httpx.Response, value: Any) -> AuditEntry:
    """Return an entry with all its fields."""
    return cast("AuditEntry", {**_ABSENT, **typed(AuditEntry, response, value)})


def read_record(response: httpx.Response, value: Any) -> AuditRecord:
    """Return an entry as an object."""
    entry: Mapping[str, Any] = typed(AuditEntry, response, value)
    record: dict[str, Any] = {name: entry[wire] for name, wire in _WIRE_NAMES.items() if wire in entry}
    record["timestamp"] = read_time(response, entry, "timestamp")
    return AuditRecord(**record)


def verify() -> ApiCall[AuditVerification]:
    """Operation `verify_audit_log`."""
    return ApiCall("verify_audit_log", "GET", "/admin/audit/verify", _read_verification)


def export(filters: Mapping[str, Any]) -> ApiCall[httpx.Response]:
    """Operation `export_audit_entries`; its response is read piece by piece."""
    return ApiCall(
        "export_audit_log",
        "GET",
        "/admin/audit/export",
        _read_export,
        {**query(**filters), "headers": {"Accept-Encoding": "identity"}},
        is_streamed=lambda response: response.is_success,
    )


def _read_verification(response: httpx.Response) -> AuditVerification:
    body = read_object(response)
    valid = typed(bool, response, body.get("valid"))
    entries = typed(int, response, body.get("entries"))
    heads = typed(list[AuditHead], response, body.get("heads"))
    broken = body.get("firstBroken")
    if valid is not (broken is None):
        raise invalid_response(response, "it contradicts itself")
    place = None if broken is None else typed(BrokenEntry, response, broken)
    return AuditVerification(valid, entries, heads, place)


def _read_export(response: httpx.Response) -> httpx.Response:
    read_nothing(response)
    if not response.headers.get("Content-Type", "").startswith("application/x-ndjson"):
        raise invalid_response(response, "it is not an export of the audit log")
    for encoding in encodings(response):
        raise unrequested(encoding)
    if response.http_version.startswith("HTTP/1") and not any(name in response.headers for name in _FRAMING):
        raise invalid_response(response, "its end can't be told from a lost connection")
    return response
