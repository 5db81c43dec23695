"""Reading the audit log: pages, counts, export, verification; and its retention."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from meshguard.gateway.audit import NO_HASH, Chain, entry_hash, entry_of, new_row
from meshguard.gateway.store import audit_entries, audit_heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_entry = audit_entries.c
_TOP = 10
_PRUNED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries are wanted; moments in milliseconds since 1970."""

    decision: str | None = None
    agent: str | None = None
    action: str | None = None
    trace_id: str | None = None
    policy: str | None = None
    kind: str | None = None
    since: int | None = None
    until: int | None = None

    def condition(self, dialect: str) -> ColumnElement[bool]:
        """Return the filters as an SQL condition."""
        texts = (self.decision, self.agent, self.action, self.trace_id, self.policy, self.kind)
        if any(text is not None and "\0" in text for text in texts):
            return false()
        wanted: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (_entry.decision, self.decision),
                (_entry.trace_id, self.trace_id),
                (_entry.policy, self.policy),
                (_entry.kind, self.kind),
            )
            if value is not None
        ]
        if self.agent is not None:
            wanted.append(or_(_entry.agent_id == self.agent, _entry.agent_name == self.agent))
        if self.action is not None:
            wanted.append(_fits(self.action, dialect))
        if self.since is not None:
            wanted.append(_entry.timestamp >= self.since)
        if self.until is not None:
            wanted.append(_entry.timestamp < self.until)
        return and_(True, *wanted)


def _fits(pattern: str, dialect: str) -> ColumnElement[bool]:
    """Return the condition that an action fits a pattern of literal text and `*`; case matters."""
    if "*" not in pattern:
        return _entry.action == pattern
    if dialect == "sqlite":
        glob = "".join(f"[{char}]" if char in "?[" else char for char in pattern)
        return _entry.action.op("GLOB", is_comparison=True)(glob)
    like = "".join("%" if char == "*" else f"\\{char}" if char in "%_\\" else char for char in pattern)
    return _entry.action.like(like, escape="\\")


def read_page(
    connection: Connection, filters: Filters, limit: int, below: int | None
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the newest entries below a row id, and the row id to continue below, None on the last page."""
    query = select(audit_entries).where(filters.condition(connection.dialect.name))
    if below is not None:
        query = query.where(_entry.row_id < below)
    rows = connection.execute(query.order_by(_entry.row_id.desc()).limit(limit + 1)).mappings().all()
    page = rows[:limit]
    return [entry_of(row) for row in page], page[-1]["row_id"] if len(rows) > limit else None


def read_onwards(
    connection: Connection, filters: Filters, limit: int, above: int
) -> tuple[list[dict[str, Any]], int]:
    """Return the oldest entries above a row id, and the row id of the last of them."""
    query = select(audit_entries).where(filters.condition(connection.dialect.name), _entry.row_id > above)
    rows = connection.execute(query.order_by(_entry.row_id).limit(limit)).mappings().all()
    return [entry_of(row) for row in rows], rows[-1]["row_id"] if rows else above


def count_decisions(connection: Connection, since: int) -> dict[str, Any]:
    """Return the counts of `AuditStats` in openapi.yaml for the decisions since a moment."""
    recent = and_(_entry.kind == "decision", _entry.timestamp >= since)
    counts = select(_entry.decision, func.count(), func.count(_entry.would_deny))
    by_decision = {
        decision: (count, would_deny)
        for decision, count, would_deny in connection.execute(counts.where(recent).group_by(_entry.decision))
    }
    number = func.count().label("number")
    denied = (
        select(_entry.action, number)
        .where(recent, _entry.decision == "deny")
        .group_by(_entry.action)
        .order_by(number.desc(), _entry.action)
        .limit(_TOP)
    )
    asking = (
        select(_entry.agent_id, func.max(_entry.agent_name), number)
        .where(recent)
        .group_by(_entry.agent_id)
        .order_by(number.desc(), _entry.agent_id)
        .limit(_TOP)
    )
    return {
        "total": sum(count for count, _ in by_decision.values()),
        "allowed": by_decision.get("allow", (0, 0))[0],
        "denied": by_decision.get("deny", (0, 0))[0],
        "wouldDeny": sum(would_deny for _, would_deny in by_decision.values()),
        "topDenied": [{"action": action, "count": count} for action, count in connection.execute(denied)],
        "topAgents": [
            {"agentId": agent_id, "agentName": name, "count": count}
            for agent_id, name, count in connection.execute(asking)
        ],
    }


@dataclass(frozen=True, slots=True)
class Broken:
    """A place where a chain is not what it was."""

    stream: str
    sequence: int
    problem: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; `broken` is the first place where the log is not whole."""

    entries: int
    heads: list[dict[str, Any]]
    broken: Broken | None


def verify(connection: Connection) -> Verification:
    """Recompute every hash and link, and compare each chain's end with its stored head."""
    heads = {head["stream"]: head for head in connection.execute(select(audit_heads)).mappings()}
    walk = _Walk(heads)
    in_order = select(audit_entries).order_by(_entry.stream, _entry.sequence)
    rows = connection.execution_options(yield_per=1000).execute(in_order).mappings()
    for stream, entries in groupby(rows, key=lambda row: row["stream"]):
        walk.chain(stream, entries)
    for stream in heads.keys() - walk.seen:
        walk.chain(stream, iter(()))
    wire = [{name: head[name] for name in ("stream", "count", "hash")} for _, head in sorted(heads.items())]
    return Verification(walk.entries, wire, min(walk.broken, key=lambda broken: broken.stream, default=None))


class _Walk:
    """Goes along the chains and notes the first broken place of each."""

    def __init__(self, heads: Mapping[Any, Mapping[Any, Any]]) -> None:
        self._heads = heads
        self.entries = 0
        self.seen: set[str] = set()
        self.broken: list[Broken] = []

    def chain(self, stream: str, rows: Iterator[Mapping[Any, Any]]) -> None:
        self.seen.add(stream)
        head = self._heads.get(stream)
        count, last = (head["pruned_count"], head["pruned_hash"]) if head else (0, NO_HASH)
        fault: Broken | None = None
        for row in rows:
            self.entries += 1
            fault = fault or _fault(row, count + 1, last)
            count, last = row["sequence"], row["hash"]
        fault = fault or _fault_of_end(stream, head, count, last)
        if fault:
            self.broken.append(fault)


def _fault(row: Mapping[Any, Any], sequence: int, previous: str) -> Broken | None:
    stream = row["stream"]
    if row["sequence"] != sequence:
        return Broken(stream, sequence, "the entry is missing")
    if row["prev_hash"] != previous:
        return Broken(stream, sequence, "the entry does not follow the one before it", row["id"])
    if _recomputed(row) != row["hash"]:
        return Broken(stream, sequence, "the entry's content does not give its hash", row["id"])
    return None


def _recomputed(row: Mapping[Any, Any]) -> str | None:
    try:
        return entry_hash(entry_of(row))
    except (TypeError, ValueError, OverflowError):
        return None


def _fault_of_end(stream: str, head: Mapping[Any, Any] | None, count: int, last: str) -> Broken | None:
    if head is None:
        return Broken(stream, count, "the chain has no head")
    if count < head["count"]:
        return Broken(stream, count + 1, "the entry is missing, and all after it")
    if count > head["count"]:
        return Broken(stream, head["count"] + 1, "the entry came after the end of the chain")
    if last != head["hash"]:
        return Broken(stream, count, "the chain's head has another hash than its last entry")
    return None


def try_entry(connection: Connection) -> None:
    """Add an entry and take it back, to see whether entries can be added."""
    row = new_row(
        timestamp=0, trace_id="-", kind="probe", action="-", decision="deny", reason="-", latency_ms=0.0
    )
    Chain.new().append(row)
    attempt = connection.begin_nested()
    connection.execute(insert(audit_entries), [row])
    attempt.rollback()


def prune(connection: Connection, before: int) -> int:
    """Remove entries older than a moment from the beginnings of the chains; return how many.

    To be called until it returns 0. What was removed stays vouched for: the head keeps the number and the
    hash of the last entry removed. At most 5,000 are removed at once, so that decisions don't wait for long.
    """
    prunable = select(audit_heads.c.stream).where(_has_entry_before(before)).limit(1)
    stream = connection.execute(prunable).scalar()
    return _prune_chain(connection, stream, before) if stream else 0


def _has_entry_before(before: int) -> ColumnElement[bool]:
    first = audit_heads.c.pruned_count + 1
    return (
        select(literal_column("1"))
        .where(_entry.stream == audit_heads.c.stream, _entry.sequence == first, _entry.timestamp < before)
        .exists()
    )


def _prune_chain(connection: Connection, stream: str, before: int) -> int:
    of_stream = _entry.stream == stream
    oldest = (
        select(_entry.sequence, _entry.hash, _entry.timestamp)
        .where(of_stream)
        .order_by(_entry.sequence)
        .limit(_PRUNED_AT_ONCE)
    )
    last: Any = None
    for row in connection.execute(oldest).all():
        if row.timestamp >= before:
            break
        last = row
    if last is None:
        return 0
    removed = connection.execute(delete(audit_entries).where(of_stream, _entry.sequence <= last.sequence))
    tombstone = {"pruned_count": last.sequence, "pruned_hash": last.hash}
    connection.execute(update(audit_heads).where(audit_heads.c.stream == stream).values(**tombstone))
    return int(removed.rowcount)
