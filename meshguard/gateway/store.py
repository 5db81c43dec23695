"""The database: tables, connections, migrations, and what they hold of agents and policies."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
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
    func,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from meshguard.audit_verify import NO_HASH
from meshguard.gateway.data_folder import make_data_folder
from meshguard.gateway.private_files import PrivateDatabase
from meshguard.policy.json_text import exact_json, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT = 5.0  # seconds that a writer waits for another process
_BUSY_PAUSE = 0.01  # seconds
_STATEMENT_TIMEOUT = 6.0  # seconds of a statement that writes on PostgreSQL
_LOCK_TIMEOUT = "4s"
GRACE = 2.0  # seconds that a server has to keep its own limit
_MIGRATING = 0x6D657368  # the advisory lock of whoever changes the schema
_PRUNING = 0x6D657369  # that of whoever removes old entries
CHANNEL = "meshguard"  # on which PostgreSQL tells the gateways of a change

_PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "cache_size = -8192",  # KiB: the upper pages of the indexes
    "wal_autocheckpoint = 262144",  # a last resort of 1 GiB: it would make commits slow
)


# What is indexed of an action: PostgreSQL takes no index row of more than 2,704 bytes.
ACTION_KEY_LENGTH = 512  # characters
ACTION_KEY = f"substr(action, 1, {ACTION_KEY_LENGTH})"

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
    Column("description", Text),
    Column("capabilities", Text),
    Column("status", String(16), nullable=False),
    Column("token_id", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("agents_by_revision", "revision"),
    sqlite_autoincrement=True,
)

policies = Table(
    "policies",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
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
    Column("hint", Text),
    Column("stream", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("stream", "sequence"),
    Index("audit_by_timestamp", "timestamp", "row_id"),
    Index("audit_by_trace", "trace_id", "timestamp", "row_id"),
    Index("audit_by_agent", "agent_id", "timestamp", "row_id"),
    Index("audit_by_agent_name", "agent_name", "timestamp", "row_id"),
    Index("audit_by_action", text(ACTION_KEY), "timestamp", "row_id"),
    Index("audit_by_decision", "decision", "timestamp", "row_id"),
    Index("audit_by_policy", "policy", "timestamp", "row_id"),
    Index("audit_by_kind", "kind", "timestamp", "row_id"),
    sqlite_autoincrement=True,
)

_ENTRY = [column.name for column in audit_entries.columns if column.name != "row_id"]
_ENTRY_COLUMNS = ", ".join(_ENTRY)
_values = itemgetter(*_ENTRY)
_INSERTED_AT_ONCE = 64  # entries
_MARKS = {"sqlite": "?", "postgresql": "%s"}
_MOVE_HEAD = "UPDATE audit_heads SET count = ?, hash = ?, signature = ? WHERE stream = ? AND count = ?"

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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("claims", Text, nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_keys_by_time", "created_at"),
)


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as it is stored; times in milliseconds since 1970, `revision` that of its last change."""

    row_id: int
    id: str
    name: str
    trust_tier: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    description: str | None
    capabilities: tuple[str, ...] | None
    status: str
    token_id: str | None
    created_at: int
    updated_at: int
    revision: int


_T = TypeVar("_T")


class SchemaError(RuntimeError):
    """The database has a schema that this version doesn't know."""


def open_database(url: str) -> Engine:
    """Return the engine of a database; nothing is connected yet."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        from meshguard.gateway.postgresql import open_postgresql  # noqa: PLC0415 - needs the extra

        return open_postgresql(parsed)
    engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT})
    private = PrivateDatabase(parsed.database or "")

    def prepare_files(*_: object) -> None:
        make_data_folder(parsed.database or "")
        private.protect()

    event.listen(engine, "do_connect", prepare_files)  # before SQLite makes the file
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    # What is no UTF-8 was not written by a gateway; it can be read, exported, and found by its hash.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    _write_ahead(connection)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


@retry(
    retry=retry_if_exception(lambda error: getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")),
    wait=wait_fixed(_BUSY_PAUSE),
    stop=stop_after_delay(BUSY_TIMEOUT),
    reraise=True,
)
def _write_ahead(connection: Any) -> None:
    """Switch to WAL; while another process does so with a new file, SQLite fails instead of waiting."""
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def read(engine: Engine, query: Callable[[Connection], _T], timeout: float | None = None) -> _T:
    """Return the result of a query, in one transaction that sees one moment of the database.

    A connection that the server has ended is found out by using it; the query then has a second try.

    Args:
        engine: The database.
        query: The query.
        timeout: Seconds that PostgreSQL may spend on each statement.
    """
    try:
        return _read(engine, query, timeout)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return _read(engine, query, timeout)


def _read(engine: Engine, query: Callable[[Connection], _T], timeout: float | None) -> _T:
    with engine.connect() as connection:
        if is_postgresql(connection):
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            if timeout and is_postgresql(connection):
                limit_statements(connection, "SET LOCAL", timeout)
            return query(connection)


def limit_waiting(connection: Connection) -> None:
    """Limit how long each statement of a new connection may take and wait for locks.

    The limits stay with the connection, so that it must not go back to the pool. SQLite has its busy timeout.
    """
    if is_postgresql(connection):
        with connection.begin():
            limit_statements(connection, "SET", _STATEMENT_TIMEOUT)
            connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")


def limit_statements(connection: Connection, scope: str, seconds: float) -> None:
    """Limit the time of each statement on PostgreSQL, at the server and here.

    Args:
        connection: In a transaction.
        scope: `SET`, or `SET LOCAL` for this transaction.
        seconds: The server's limit. When it does not keep it, the connection is closed.
    """
    driver: Any = connection.connection.driver_connection
    driver.patience = seconds + GRACE
    connection.exec_driver_sql(f"{scope} statement_timeout = {int(seconds * 1000)}")


def is_postgresql(connection: Connection) -> bool:
    """Return whether a connection is to PostgreSQL."""
    return connection.dialect.name == "postgresql"


def lock_schema(connection: Connection) -> None:
    """Wait until nobody else changes the schema, and keep others from it until the transaction ends."""
    if is_postgresql(connection):
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))


def may_prune(connection: Connection) -> bool:
    """Return whether nobody else removes old entries, and keep others from it until the transaction ends."""
    if not is_postgresql(connection):
        return True
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(_PRUNING))).scalar())


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; safe when several processes start at once.

    All steps are one transaction: what is interrupted leaves the old schema.

    Raises:
        SchemaError: The database was migrated by a later version.
    """
    config = _alembic()
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        lock_schema(connection)
        found = current_schema(connection)
        known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise SchemaError(
                f"the database has schema {found}, of a later version; upgrade this one as well"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current_schema(connection: Connection) -> str | None:
    """Return the name of the last migration step that was made, None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_schema() -> str | None:
    """Return the name of the last migration step that this version knows."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def begin_change(connection: Connection) -> int:
    """Return the revision of a change of agents or policies; all gateways hear of it once it is committed.

    To be called before the change reads what it depends on: from here to the end of the transaction no other
    gateway changes agents or policies, so that none can undo another's revocation.
    """
    bump = update(revision).values(number=revision.c.number + 1).returning(revision.c.number)
    number: int = connection.execute(bump).scalar_one()
    if is_postgresql(connection):
        connection.execute(select(func.pg_notify(CHANNEL, "")))
    return number


def read_revision(connection: Connection) -> int:
    """Return the revision of the last change of agents or policies."""
    number: int = connection.execute(select(revision.c.number)).scalar_one()
    return number


def read_agents(connection: Connection, after: int = -1) -> list[AgentRecord]:
    """Return all agents that changed after a revision, oldest first."""
    changed = select(agents).where(agents.c.revision > after).order_by(agents.c.row_id)
    return [_agent(row) for row in connection.execute(changed).mappings()]


def find_agent(connection: Connection, agent_id: str) -> AgentRecord | None:
    """Return an agent, None when there is none with this id."""
    row = connection.execute(select(agents).where(agents.c.id == agent_id)).mappings().one_or_none()
    return _agent(row) if row else None


def _agent(row: Mapping[Any, Any]) -> AgentRecord:
    read = {
        "tags": tuple(json.loads(row["tags"])),
        "metadata": exact_json(row["metadata"]),
        "capabilities": tuple(json.loads(row["capabilities"])) if row["capabilities"] else None,
    }
    return AgentRecord(**{**row, **read})


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
    texts = {name: to_json(values[name]) for name in ("tags", "metadata")}
    capabilities = None if agent.capabilities is None else to_json(agent.capabilities)
    return {**values, **texts, "capabilities": capabilities}


def read_policy(connection: Connection, name: str) -> str | None:
    """Return a stored policy's JSON text, None when there is none of this name."""
    document: str | None = connection.execute(
        select(policies.c.document).where(policies.c.name == name)
    ).scalar()
    return document


def read_policies(connection: Connection, after: int = -1) -> dict[str, str]:
    """Return the JSON texts of the stored policies that changed after a revision, by name."""
    changed = select(policies.c.name, policies.c.document).where(policies.c.revision > after)
    return {row.name: row.document for row in connection.execute(changed.order_by(policies.c.name))}


def read_policy_names(connection: Connection) -> set[str]:
    """Return the names of all stored policies."""
    return set(connection.execute(select(policies.c.name)).scalars())


def put_policy(connection: Connection, name: str, document: str, now: int, number: int) -> None:
    """Store a policy's JSON text as of a revision, new or in place of the old one."""
    remove_policy(connection, name)
    values = {"name": name, "document": document, "updated_at": now, "revision": number}
    connection.execute(insert(policies).values(**values))


def remove_policy(connection: Connection, name: str) -> None:
    """Remove a policy, if it is there."""
    connection.execute(delete(policies).where(policies.c.name == name))


@contextmanager
def _driver(connection: Connection) -> Iterator[Any]:
    """Give the driver's connection: SQLAlchemy takes as long over a statement as SQLite over some rows."""
    try:
        yield connection.connection.driver_connection
    except BaseException as error:
        if is_postgresql(connection):
            connection.invalidate(error)  # SQLAlchemy did not see it fail
        raise


def insert_entries(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add audit entries, each with a value for every column but its row id."""
    with _driver(connection) as driver:
        if len(rows) > 1 and is_postgresql(connection):
            _copy_entries(driver, rows)
            return
        # The driver gives up the interpreter's lock for each statement, so it gets few of them.
        for start in range(0, len(rows), _INSERTED_AT_ONCE):
            some = rows[start : start + _INSERTED_AT_ONCE]
            values = tuple(chain.from_iterable(map(_values, some)))
            driver.execute(_insertion(connection.dialect.name, len(some)), values)


@cache
def _insertion(dialect: str, rows: int) -> str:
    # SQLite keeps what it would put back for a statement in a file, unless a failure ends the transaction.
    verb = {"sqlite": "INSERT OR ROLLBACK", "postgresql": "INSERT"}[dialect]
    row = f"({', '.join([_MARKS[dialect]] * len(_ENTRY))})"
    return f"{verb} INTO audit_entries ({_ENTRY_COLUMNS}) VALUES {', '.join([row] * rows)}"


def _copy_entries(driver: Any, rows: list[dict[str, Any]]) -> None:
    """Do as an INSERT of many rows would, at a quarter of its cost."""
    with driver.cursor().copy(f"COPY audit_entries ({_ENTRY_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(_values(row))


def read_head(connection: Connection, stream: str) -> tuple[int, str]:
    """Return count and hash at the end of a chain, or those of an empty chain.

    On PostgreSQL it waits for a transaction that moves the head just now.
    """
    head = select(audit_heads.c["count"], audit_heads.c.hash).where(audit_heads.c.stream == stream)
    row = connection.execute(head.with_for_update()).one_or_none()
    return (row[0], row[1]) if row else (0, NO_HASH)


def move_head(connection: Connection, stream: str, was: int, end: Mapping[str, Any]) -> bool:
    """Move the head of a chain, and return whether it was where the caller left it.

    Args:
        connection: In a transaction.
        stream: The chain.
        was: The count of its head until now.
        end: The columns of its head from now on.
    """
    statement = _MOVE_HEAD.replace("?", _MARKS[connection.dialect.name])
    with _driver(connection) as driver:
        moved = driver.execute(statement, (end["count"], end["hash"], end["signature"], stream, was))
    return bool(moved.rowcount == 1)


_PUT_STATE = text(
    "INSERT INTO gateway_state (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def put_state(connection: Connection, name: str, value: str) -> None:
    """Store a value that all gateways on the database share."""
    # Not removed and added: of two gateways that do so at once, one would fail.
    connection.execute(_PUT_STATE, {"name": name, "value": value})


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
    return json_text(value)
