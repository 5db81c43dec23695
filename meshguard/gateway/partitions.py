"""The parts of the audit table on PostgreSQL, each a span of time, made ahead and dropped when it is old."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlalchemy import text

from meshguard.gateway import store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

Span: TypeAlias = Literal["month", "day"]

_AHEAD = {"month": timedelta(days=62), "day": timedelta(days=7)}
_LOCK_TIMEOUT = "3s"  # rather try again in an hour than hold up decisions
_BOUNDS = re.compile(r"FOR VALUES FROM \('(-?\d+)'\) TO \('(-?\d+)'\)")
_PARTS = text(
    """
    SELECT part.relname, pg_get_expr(part.relpartbound, part.oid)
    FROM pg_inherits
    JOIN pg_class part ON part.oid = inhrelid
    WHERE inhparent = 'audit_entries'::regclass
    """
)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """Entries from a moment on and before another, in milliseconds since 1970."""

    since: int
    until: int
    name: str


def create_ahead(connection: Connection, now: int, span: Span) -> None:
    """Make the partitions that the next weeks need.

    Args:
        connection: In a transaction of its own; nothing happens on SQLite.
        now: Milliseconds since 1970.
        span: How much time a new partition is for.
    """
    if not store.is_postgresql(connection):
        return
    store.lock_schema(connection)
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    edge = max((part.until for part in partitions(connection)), default=0)
    for part in _wanted(now, span):
        if part.until > edge:
            _create(connection, Partition(max(part.since, edge), part.until, part.name))


def partitions(connection: Connection) -> list[Partition]:
    """Return the partitions for a span of time, oldest first."""
    bounds = [(name, _BOUNDS.fullmatch(bound)) for name, bound in connection.execute(_PARTS)]
    return sorted(Partition(int(found[1]), int(found[2]), name) for name, found in bounds if found)


def _wanted(now: int, span: Span) -> Iterator[Partition]:
    moment = datetime.fromtimestamp(now / 1000, UTC)
    end = moment + _AHEAD[span]
    since = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    since = since.replace(day=1) if span == "month" else since
    form = "%Y_%m" if span == "month" else "%Y_%m_%d"
    while since <= end:
        until = since + timedelta(days=1)
        if span == "month":
            until = (since + timedelta(days=31)).replace(day=1)
        name = f"audit_entries_{since.strftime(form)}"
        yield Partition(_milliseconds(since), _milliseconds(until), name)
        since = until


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def _create(connection: Connection, part: Partition) -> None:
    """Make a partition, and move what the default one caught meanwhile."""
    inside = f"timestamp >= {part.since} AND timestamp < {part.until}"
    late = f"DELETE FROM audit_entries_default WHERE {inside} RETURNING *"  # noqa: S608 - numbers
    bounds = f"FROM ({part.since}) TO ({part.until})"
    for statement in (
        f"CREATE TABLE {part.name} (LIKE audit_entries INCLUDING DEFAULTS)",
        f"WITH late AS ({late}) INSERT INTO {part.name} SELECT * FROM late",  # noqa: S608 - our own names
        f"ALTER TABLE audit_entries ATTACH PARTITION {part.name} FOR VALUES {bounds}",
    ):
        connection.execute(text(statement))
