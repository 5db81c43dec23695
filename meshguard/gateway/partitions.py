"""The parts of the audit table on PostgreSQL, each a span of time, made ahead and dropped when it is old."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import text

from meshguard.audit_verify import Broken
from meshguard.gateway import store
from meshguard.gateway.audit_proof import Cut, Prover
from meshguard.gateway.audit_seals import read_heads, read_milestones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from meshguard.gateway.audit_seals import Seals

_log = logging.getLogger("meshguard.gateway")

Span: TypeAlias = Literal["month", "day"]

_AHEAD = {"month": timedelta(days=62), "day": timedelta(days=7)}
_DAY = 86_400_000
_LOCK_TIMEOUT = "3s"  # rather try again in an hour than hold up decisions
_DROP_TIMEOUT = "200ms"  # decisions queue behind this lock
_BOUNDS = re.compile(r"FOR VALUES FROM \('(-?\d+)'\) TO \('(-?\d+)'\)")
_PARTS = text(
    """
    SELECT part.relname, pg_get_expr(part.relpartbound, part.oid)
    FROM pg_inherits
    JOIN pg_class part ON part.oid = inhrelid
    WHERE inhparent = 'audit_entries'::regclass
    """
)


_CHAINS = "SELECT stream, count(*) AS number, max(sequence) AS last FROM {0} GROUP BY stream ORDER BY stream"
# Each version of a row has another place or another transaction.
_VERSIONS = "SELECT count(*), sum(hashtextextended(concat(ctid, ' ', xmin), 0)::numeric) FROM {0}"


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """Entries from a moment on and before another, in milliseconds since 1970."""

    since: int
    until: int
    name: str

    @property
    def table(self) -> str:
        """Its name as SQL has it."""
        return '"{}"'.format(self.name.replace('"', '""'))


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


@dataclass(frozen=True, slots=True)
class Dropped:
    """What came of dropping the old partitions.

    Args:
        before: The moment before which entries that are still there are to be removed one by one.
        broken: Why a partition was kept.
    """

    before: int
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True, slots=True)
class _Verified:
    """A partition whose entries are proven: what it is made of, and where its chains end in it."""

    part: Partition
    versions: tuple[Any, ...]
    ends: tuple[Cut, ...]
    tombstones: dict[str, Any]


def drop_expired(
    engine: Engine,
    before: int,
    now: int,
    span: Span,
    seals: Seals,
    *,
    pause: Callable[[], None] = lambda: None,
) -> Dropped:
    """Drop the partitions all of whose entries are older than a moment, and leave tombstones.

    Each is verified first, without a lock on it: every hash and link of its entries, and on to a place that
    the gateway signed. One that is broken is evidence; it stays, and so does all that is later.

    Args:
        engine: The database; nothing happens on SQLite.
        before: Milliseconds since 1970.
        now: Milliseconds since 1970.
        span: How much time a new partition is for.
        seals: To sign with, and the keys whose signatures count.
        pause: Called after each page that was verified; may raise to give up.

    Raises:
        SQLAlchemyError: The database does not answer, or others kept a lock for too long.
    """
    if engine.dialect.name != "postgresql":
        return Dropped(before)
    while True:
        with engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                found = _verify_oldest(connection, before, seals, pause)
        if isinstance(found, Dropped):
            return found
        with engine.begin() as connection:
            dropped = found and _drop(connection, found, now, seals)
        if not dropped:
            return Dropped(before - before % _DAY if span == "day" else before)


def _verify_oldest(
    connection: Connection, before: int, seals: Seals, pause: Callable[[], None]
) -> _Verified | Dropped | None:
    """Return the oldest partition that may be dropped, or why it is kept; None when there is none."""
    if not store.may_prune(connection):
        return None
    part = next((part for part in partitions(connection) if part.until <= before), None)
    if part is None:
        return None
    versions = tuple(connection.execute(text(_VERSIONS.format(part.table))).one())
    heads = {head["stream"]: head for head in read_heads(connection)}
    prover = Prover(lambda query: connection.execute(query).mappings().all(), seals, pause)
    ends: list[Cut] = []
    for chain in connection.execute(text(_CHAINS.format(part.table))).mappings().all():
        end = _end_in_part(connection, chain, heads.get(chain["stream"]), part, prover)
        if isinstance(end, Broken):
            return Dropped(part.since, (end,))
        if end is None:
            return None
        ends.append(end)
    tombstones = {end.stream: heads[end.stream].get("pruned") for end in ends}
    return _Verified(part, versions, tuple(ends), tombstones)


def _end_in_part(
    connection: Connection,
    chain: Mapping[Any, Any],
    head: dict[str, Any] | None,
    part: Partition,
    prover: Prover,
) -> Cut | Broken | None:
    """Return the last entry of a chain in a partition that has its next entries, all of them proven.

    None when they are proven and others come first: a clock was wrong. Then they leave one by one, in order.
    """
    stream, last = chain["stream"], chain["last"]
    if head is None:
        return Broken(stream, last, "the chain has no head")
    if last > head["count"]:
        return Broken(stream, head["count"] + 1, "the entry came after the end of the chain")
    marks = prover.seals.signed_by_gateway(read_milestones(connection, stream))
    proof = prover.prove(head, marks, part.until, last)
    if proof.broken:
        return proof.broken
    first = (head.get("pruned") or {"count": 0})["count"] + 1
    if proof.at and proof.end >= last and last - first + 1 == chain["number"]:
        return proof.at
    _log.warning("partition %s is not dropped: earlier entries of chain %s are elsewhere", part.name, stream)
    return None


def _drop(connection: Connection, verified: _Verified, now: int, seals: Seals) -> bool:
    """Drop a partition if nothing in it has changed since it was verified."""
    if not store.may_prune(connection):
        return False
    table = verified.part.table
    connection.execute(text(f"SET LOCAL lock_timeout = '{_DROP_TIMEOUT}'"))
    connection.execute(text(f"LOCK TABLE {table} IN SHARE MODE"))
    heads = {head["stream"]: head.get("pruned") for head in read_heads(connection)}
    same = tuple(connection.execute(text(_VERSIONS.format(table))).one()) == verified.versions
    if not same or any(heads.get(stream) != pruned for stream, pruned in verified.tombstones.items()):
        _log.warning("partition %s changed while it was verified; the next try is in an hour", table)
        return False
    for end in verified.ends:
        seals.leave_tombstone(connection, end.stream, end.sequence, end.hash, now)
    connection.execute(text(f"DROP TABLE {table}"))
    return True


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
