"""The database: tables, connections, migrations, and what they hold of agents and policies."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT = 5.0  # seconds that a writer waits for another process

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "cache_size = -8192",  # KiB: the upper pages of the indexes
    "wal_autocheckpoint = 32768",  # a last resort: `Checkpoints` comes first
)

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

metadata = MetaData()
_row_id = BigInteger().with_variant(Integer, "sqlite")

agents = Table(
    "agents",
    metadata,
    Column("row_id", _row_id, primary_key=True, autoincrement=True),
    Column("id", String(128), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("trust_tier", String(32), nullable=False),
    Column("tags", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("token_id", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

policies = Table(
    "policies",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("row_id", _row_id, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("trace_id", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("agent_id", String(128)),
    Column("agent_name", Text),
    Column("trust_tier", String(32)),
    Column("action", Text, nullable=False),
    Column("resource", Text),
    Column("decision", String(16), nullable=False),
    Column("would_deny", Integer),
    Column("policy", String(128)),
    Column("rule", Text),
    Column("reason", Text, nullable=False),
    Column("method", String(16)),
    Column("path", Text),
    Column("status", Integer),
    Column("latency_ms", Float(53), nullable=False),
    Column("changes", Text),
    Column("context", Text),
    Column("stream", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("stream", "sequence"),
    Index("audit_by_timestamp", "timestamp", "row_id"),
    Index("audit_by_trace", "trace_id", "timestamp", "row_id"),
    Index("audit_by_agent", "agent_id", "timestamp", "row_id"),
    Index("audit_by_agent_name", "agent_name", "timestamp", "row_id"),
    Index("audit_by_action", "action", "timestamp", "row_id"),
    Index("audit_by_decision", "decision", "timestamp", "row_id"),
    Index("audit_by_policy", "policy", "timestamp", "row_id"),
    Index("audit_by_kind", "kind", "timestamp", "row_id"),
    sqlite_autoincrement=True,
)

_ENTRY = [column.name for column in audit_entries.columns if column.name != "row_id"]

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("signature", String(64), nullable=False),
)

audit_tombstones = Table(
    "audit_tombstones",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("pruned_at", BigInteger, nullable=False),
    Column("signature", String(64), nullable=False),
)

state = Table(
    "gateway_state",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as it is stored; times in milliseconds since 1970."""

    row_id: int
    id: str
    name: str
    trust_tier: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    status: str
    token_id: str | None
    created_at: int
    updated_at: int


def open_database(url: str) -> Engine:
    """Return the engine of a database; nothing is connected yet."""
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_TIMEOUT})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; safe when several processes start at once."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def read_agents(connection: Connection) -> list[AgentRecord]:
    """Return all agents, oldest first."""
    return [_agent(row) for row in connection.execute(select(agents).order_by(agents.c.row_id)).mappings()]


def find_agent(connection: Connection, agent_id: str) -> AgentRecord | None:
    """Return an agent, None when there is none with this id."""
    row = connection.execute(select(agents).where(agents.c.id == agent_id)).mappings().one_or_none()
    return _agent(row) if row else None


def _agent(row: Mapping[Any, Any]) -> AgentRecord:
    return AgentRecord(
        **{**row, "tags": tuple(json.loads(row["tags"])), "metadata": json.loads(row["metadata"])}
    )


def insert_agent(connection: Connection, agent: AgentRecord) -> AgentRecord:
    """Store a new agent and return it with its row id."""
    values = _agent_values(agent)
    del values["row_id"]
    row_id = connection.execute(insert(agents).values(**values).returning(agents.c.row_id)).scalar_one()
    return replace(agent, row_id=row_id)


def update_agent(connection: Connection, agent: AgentRecord) -> None:
    """Store all fields of an agent anew."""
    connection.execute(update(agents).where(agents.c.row_id == agent.row_id).values(**_agent_values(agent)))


def _agent_values(agent: AgentRecord) -> dict[str, Any]:
    values = {name: getattr(agent, name) for name in AgentRecord.__slots__}
    return {**values, "tags": to_json(agent.tags), "metadata": to_json(agent.metadata)}


def read_policies(connection: Connection) -> dict[str, str]:
    """Return the stored policies' JSON texts by name."""
    rows = connection.execute(select(policies.c.name, policies.c.document).order_by(policies.c.name))
    return {row.name: row.document for row in rows}


def put_policy(connection: Connection, name: str, document: str, now: int) -> None:
    """Store a policy's JSON text, new or in place of the old one."""
    remove_policy(connection, name)
    connection.execute(insert(policies).values(name=name, document=document, updated_at=now))


def remove_policy(connection: Connection, name: str) -> None:
    """Remove a policy, if it is there."""
    connection.execute(delete(policies).where(policies.c.name == name))


def put_state(connection: Connection, name: str, value: str) -> None:
    """Store a value that all gateways on the database share."""
    connection.execute(delete(state).where(state.c.name == name))
    connection.execute(insert(state).values(name=name, value=value))


def insert_entries(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add audit entries.

    Past SQLAlchemy's own handling of parameters, which takes as long as the database does for the rows.
    """
    marks = ":{}" if connection.dialect.name == "sqlite" else "%({})s"
    values = ", ".join(marks.format(name) for name in _ENTRY)
    statement = f"INSERT INTO audit_entries ({', '.join(_ENTRY)}) VALUES ({values})"  # noqa: S608 - of our names
    connection.exec_driver_sql(statement, rows)


def next_number(connection: Connection, name: str) -> int:
    """Return the next number of a count that all gateways on the database share, from 1."""
    here = state.c.name == name
    # Writing it, be it unchanged, keeps other writers away from it until the transaction ends.
    locked = update(state).where(here).values(value=state.c.value).returning(state.c.value)
    number = int(connection.execute(locked).scalar() or 0) + 1
    put_state(connection, name, str(number))
    return number


def to_json(value: object) -> str:
    """Return a value as compact JSON text."""
    return _ENCODER.encode(value)
