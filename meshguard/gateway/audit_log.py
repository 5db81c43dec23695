"""Reading the audit log: pages, counts, export, verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
    union,
)

from meshguard.audit_verify import NO_HASH, Verifier, is_head
from meshguard.gateway.audit import entry_of, new_row
from meshguard.gateway.audit_proof import add_row
from meshguard.gateway.audit_seals import count_chains, read_heads, read_milestones
from meshguard.gateway.store import ACTION_KEY_LENGTH, audit_entries, insert_entries, is_postgresql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshguard.gateway.audit_seals import Seals

_entry = audit_entries.c
# As the index has it: with bound numbers it would be another expression.
_key = func.substr(_entry.action, literal_column("1"), literal_column(str(ACTION_KEY_LENGTH)))
_TOP = 10
_VERIFIED_AT_ONCE = 1_000
_LOOKED_UP = 100  # actions that a pattern is taken apart into
_LISTED_ACTIONS = 1_000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries are wanted; moments in milliseconds since 1970."""

    decision: str | None = None
    agent: str | None = None
    agent_id: str | None = None
    action: str | None = None
    trace_id: str | None = None
    policy: str | None = None
    kind: str | None = None
    since: int | None = None
    until: int | None = None

    def condition(self) -> ColumnElement[bool]:
        """Return the filters as an SQL condition, without agent and action."""
        wanted: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (_entry.decision, self.decision),
                (_entry.agent_id, self.agent_id),
                (_entry.trace_id, self.trace_id),
                (_entry.policy, self.policy),
                (_entry.kind, self.kind),
            )
            if value is not None
        ]
        if self.since is not None:
            wanted.append(_entry.timestamp >= self.since)
        if self.until is not None:
            wanted.append(_entry.timestamp < self.until)
        return and_(True, *wanted)

    def alternatives(self, connection: Connection) -> list[ColumnElement[bool]]:
        """Return conditions of which an entry fits one; an index answers each in the order of pages."""
        texts = (self.decision, self.agent, self.agent_id, self.action, self.trace_id, self.policy, self.kind)
        if any(text is not None and "\0" in text for text in texts):
            return []
        of_action: list[ColumnElement[bool]] = [true()]
        if self.action is not None:
            of_action = _fitting(connection, self.action)
        if self.agent is None:
            return of_action
        by_agent = (_entry.agent_id == self.agent, _entry.agent_name == self.agent)
        return [and_(agent, or_(false(), *of_action)) for agent in by_agent]


def _fitting(connection: Connection, pattern: str) -> list[ColumnElement[bool]]:
    """Return conditions that an action fits a pattern of literal text and `*`; case matters.

    Few actions fit, mostly; then each is looked up in the index. Of very many, the newest entries have some.
    """
    if "*" not in pattern:
        return [_is_action(pattern)]
    known = _known_keys(connection, pattern[:ACTION_KEY_LENGTH])
    # A key of full length may be the beginning of many actions; each of them is looked at.
    fitting = [key for key in known if len(key) == ACTION_KEY_LENGTH or _fits(key, pattern)]
    if len(known) < _LISTED_ACTIONS and len(fitting) <= _LOOKED_UP:
        whole = _matches(connection, pattern)
        return [
            _is_action(key) if len(key) < ACTION_KEY_LENGTH else and_(_key == key, whole) for key in fitting
        ]
    return [_matches(connection, pattern)]


def _is_action(action: str) -> ColumnElement[bool]:
    is_action = _key == action[:ACTION_KEY_LENGTH]
    return is_action if len(action) < ACTION_KEY_LENGTH else and_(is_action, _entry.action == action)


def _matches(connection: Connection, pattern: str) -> ColumnElement[bool]:
    """Return the condition that an action fits a pattern, which no index answers."""
    if connection.dialect.name == "sqlite":
        glob = "".join(f"[{char}]" if char in "?[" else char for char in pattern)
        return _entry.action.op("GLOB", is_comparison=True)(glob)
    like = "".join("%" if char == "*" else f"\\{char}" if char in "%_\\" else char for char in pattern)
    return _entry.action.like(like, escape="\\")


def _known_keys(connection: Connection, pattern: str) -> list[str]:
    """Return the different keys of actions in the log, one step in the index for each; about 1,000 at most.

    SQLite compares text by code point, so that only actions with the pattern's beginning need be looked at.
    """
    least = pattern.partition("*")[0] if connection.dialect.name == "sqlite" else ""
    known = select(func.min(_key).label("action")).where(_key >= least).cte(recursive=True)
    following = select(func.min(_key)).where(_key > known.c.action).scalar_subquery()
    known = known.union_all(select(following).where(_begins(known.c.action, least)))
    listed = select(known.c.action).where(_begins(known.c.action, least)).limit(_LISTED_ACTIONS)
    return list(connection.execute(listed).scalars())


def _begins(text: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    return func.substr(text, 1, len(beginning)) == beginning


def _fits(text: str, pattern: str) -> bool:
    first, *middle, last = pattern.split("*")
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log, between entries: by time, and by arrival where the time is the same."""

    timestamp: int
    row_id: int

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Position:
        """Return the place of an entry."""
        return cls(row["timestamp"], row["row_id"])

    def __str__(self) -> str:
        return f"{self.timestamp}-{self.row_id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the place that a cursor names."""
        timestamp, _, row_id = text.partition("-")
        return cls(int(timestamp), int(row_id))


_ORDER = (_entry.timestamp, _entry.row_id)


def read_page(
    connection: Connection, filters: Filters, limit: int, below: Position | None
) -> tuple[list[dict[str, Any]], Position | None]:
    """Return the newest entries below a place, and the place to continue below, None on the last page."""
    descending = [column.desc() for column in _ORDER]
    condition = filters.condition()
    if below:
        condition = and_(condition, tuple_(*_ORDER) < (below.timestamp, below.row_id))
    alternatives = filters.alternatives(connection)
    rows = _read(connection, alternatives, condition, descending, limit + 1)
    page = rows[:limit]
    return [entry_of(row) for row in page], Position.of(page[-1]) if len(rows) > limit else None


def last_arrived(connection: Connection) -> int:
    """Return the row id up to which all entries have arrived; in a transaction of its own.

    On PostgreSQL row ids are given out before others see the rows, so it waits for those who write just now.
    """
    if is_postgresql(connection):
        connection.execute(text("SET LOCAL lock_timeout = '3s'"))
        connection.execute(text("LOCK TABLE ONLY audit_entries IN SHARE MODE"))
    return int(connection.execute(select(func.max(_entry.row_id))).scalar() or 0)


def read_onwards(
    connection: Connection, filters: Filters, limit: int, above: Position | None, last: int
) -> tuple[list[dict[str, Any]], Position | None]:
    """Return the oldest entries above a place and up to a row id, and the place of the last of them.

    Without a filter they come in the order of their arrival, which is that of the chains whatever clocks did.
    """
    if filters == Filters():
        first = above.row_id if above else 0
        between = and_(_entry.row_id > first, _entry.row_id <= last)
        rows = _read(connection, [true()], between, [_entry.row_id], limit)
    else:
        condition = and_(filters.condition(), _entry.row_id <= last)
        if above:
            condition = and_(condition, tuple_(*_ORDER) > (above.timestamp, above.row_id))
        rows = _read(connection, filters.alternatives(connection), condition, _ORDER, limit)
    return [entry_of(row) for row in rows], Position.of(rows[-1]) if rows else above


def _read(
    connection: Connection,
    alternatives: Sequence[ColumnElement[bool]],
    condition: ColumnElement[bool],
    order: Sequence[ColumnElement[Any]],
    limit: int,
) -> Sequence[Mapping[Any, Any]]:
    """Return the first entries that fit the condition and an alternative, each read from its own index."""
    if not alternatives:
        return []
    queries = [
        select(_entry.row_id).where(alternative, condition).order_by(*order).limit(limit)
        for alternative in alternatives
    ]
    query = select(audit_entries).order_by(*order).limit(limit)
    if len(queries) == 1:
        query = query.where(alternatives[0], condition)
    else:
        firsts = [first.subquery() for first in queries]
        query = query.where(_entry.row_id.in_(union(*(select(first.c.row_id) for first in firsts))))
    return connection.execute(query).mappings().all()


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


def verify(connection: Connection, seals: Seals) -> tuple[Verifier, list[dict[str, Any]]]:
    """Recompute every hash and link and check every signature.

    Args:
        connection: At the beginning of a transaction, so that heads and entries are those of one moment.
        seals: The keys whose signatures count.

    Returns:
        The verifier, finished, and the heads as `AuditHead` in openapi.yaml.
    """
    if is_postgresql(connection):
        # A partition that is dropped is gone from earlier snapshots too; none goes while this lock is held.
        connection.execute(text("LOCK TABLE audit_entries IN ACCESS SHARE MODE"))
    found = read_heads(connection)
    heads = [head for head in found if is_head(head)]
    marks = seals.signed_by_gateway(read_milestones(connection))
    verifier = Verifier(heads, keys=seals.keys, anchors=marks, chains=count_chains(connection))
    in_order = select(audit_entries).order_by(_entry.row_id)
    for row in connection.execution_options(yield_per=_VERIFIED_AT_ONCE).execute(in_order).mappings():
        add_row(verifier, row)
    verifier.finish()
    return verifier, heads


def try_to_write(connection: Connection, now: int, number: int) -> None:
    """Write so many entries of some length that belong to no chain, and take them back."""
    about = {"trace_id": "probe", "kind": "probe", "action": "probe", "decision": "deny", "hash": NO_HASH}
    place = {"stream": "probe", "prev_hash": NO_HASH, "latency_ms": 0.0, "timestamp": now}
    rows = [new_row(**about, **place, sequence=sequence, reason="-" * 1_000) for sequence in range(number)]
    insert_entries(connection, rows)
    connection.execute(delete(audit_entries).where(_entry.stream == "probe"))
