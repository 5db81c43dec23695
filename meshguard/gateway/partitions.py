"""The parts of the audit table on PostgreSQL, each a span of time, made ahead and dropped when it is old."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import text

from meshguard.audit_verify import NO_HASH, Verifier
from meshguard.gateway import store
from meshguard.gateway.audit_log import leave_tombstone
from meshguard.gateway.audit_seals import read_heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from meshguard.gateway.audit_seals import Seals

_log = logging.getLogger("meshguard.gateway")

Span: TypeAlias = Literal["month", "day"]

_AHEAD = {"month": timedelta(days=62), "day": timedelta(days=7)}
_DAY = 86_400_000
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


# By the index of streams and sequences; a look at each entry's hash would take hours where this is needed.
_CHAINS = """
    WITH chain AS (
        SELECT stream, count(*) AS number, min(sequence) AS first, max(sequence) AS sequence
        FROM {0} GROUP BY stream
    )
    SELECT chain.*, oldest.prev_hash, newest.hash
    FROM chain
    JOIN {0} oldest ON oldest.stream = chain.stream AND oldest.sequence = chain.first
    JOIN {0} newest ON newest.stream = chain.stream AND newest.sequence = chain.sequence
"""


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


def drop_expired(engine: Engine, before: int, now: int, span: Span, seals: Seals) -> int:
    """Drop the partitions all of whose entries are older than a moment, and leave tombstones.

    A partition in which a chain has a gap, or does not go on where its tombstone ends, stays.

    Args:
        engine: The database; nothing happens on SQLite.
        before: Milliseconds since 1970.
        now: Milliseconds since 1970.
        span: How much time a new partition is for.
        seals: To sign with.

    Returns:
        The moment before which entries that are still there are to be removed one by one.

    Raises:
        SQLAlchemyError: The database does not answer, or others kept a lock for too long.
    """
    if engine.dialect.name != "postgresql":
        return before
    dropped = True
    while dropped:
        with engine.begin() as connection:
            dropped = store.may_prune(connection) and _drop_oldest(connection, before, now, seals)
    return before - before % _DAY if span == "day" else before


def _drop_oldest(connection: Connection, before: int, now: int, seals: Seals) -> bool:
    part = next((part for part in partitions(connection) if part.until <= before), None)
    if part is None:
        return False
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    connection.execute(text(f"LOCK TABLE {part.name} IN SHARE MODE"))
    heads = {head["stream"]: head for head in read_heads(connection)}
    for chain in connection.execute(text(_CHAINS.format(part.name))).mappings().all():
        if not _is_whole(chain, heads.get(chain["stream"]), seals):
            _log.error("partition %s is not dropped: chain %s is not whole", part.name, chain["stream"])
            return False
        leave_tombstone(connection, chain, now, seals)
    connection.execute(text(f"DROP TABLE {part.name}"))
    return True


def _is_whole(chain: Mapping[Any, Any], head: dict[str, Any] | None, seals: Seals) -> bool:
    """Return whether a partition has the next entries of a chain without a gap."""
    if head is None or Verifier([head], keys=seals.keys).broken:
        return False
    pruned = head.get("pruned") or {"count": 0, "hash": NO_HASH}
    return bool(
        chain["first"] == pruned["count"] + 1
        and chain["prev_hash"] == pruned["hash"]
        and chain["sequence"] == pruned["count"] + chain["number"]
    )


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
