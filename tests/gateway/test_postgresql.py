from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from meshguard.cli.db import app
from meshguard.gateway import audit_log, partitions, store
from meshguard.gateway.audit_seals import Seals, read_heads
from tests.gateway.conftest import Lab, check
from tests.gateway.test_serve import SECRETS, run
from tests.servers import PostgreSQL
from tests.support import Clock, until

NOVEMBER_22 = 1_795_340_000_000


@pytest.fixture
def empty(postgres: PostgreSQL) -> str:
    return postgres.new_database(empty=True)


@pytest.fixture
def engine(postgres: PostgreSQL) -> Any:
    engine = store.open_database(postgres.new_database())
    yield engine
    engine.dispose()


def names(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return [part.name.removeprefix("audit_entries_") for part in partitions.partitions(connection)]


def create_ahead(engine: Engine, moment: int, span: partitions.Span) -> None:
    with engine.begin() as connection:
        partitions.create_ahead(connection, moment, span)


def test_several_processes_may_migrate_one_new_database_at_once(empty: str) -> None:
    def start(_: int) -> int:
        engine = store.open_database(empty)
        store.migrate(engine)
        count = len(store.read(engine, store.read_agents))
        engine.dispose()
        return count

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [0] * 4


def test_the_migrations_lead_to_the_tables_that_the_code_uses(engine: Engine) -> None:
    def is_ours(item: Any, name: str | None, kind: str, *_: Any) -> bool:
        if kind == "unique_constraint":  # those of a partitioned table contain what it is partitioned by
            return bool(item.table.name != "audit_entries")
        return not (kind == "table" and str(name).startswith("audit_entries_"))

    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        assert compare_metadata(context, store.metadata) == []


def test_commits_are_durable(engine: Engine) -> None:
    with engine.begin() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_is_killed_half_way_leaves_the_old_schema(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("empty") if kind == "postgresql" else f"sqlite:///{tmp_path}/x.db"
    script = """
import os, signal, sys
from sqlalchemy import event
from meshguard.gateway import store

engine = store.open_database(sys.argv[1])

@event.listens_for(engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if "audit_by_agent_name" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

store.migrate(engine)
"""
    assert subprocess.run([sys.executable, "-c", script, url], check=False).returncode == -signal.SIGKILL
    engine = store.open_database(url)
    assert store.read(engine, store.current_schema) is None
    store.migrate(engine)
    assert store.read(engine, store.current_schema) == store.newest_schema()
    engine.dispose()


def test_a_database_of_a_later_version_is_refused(empty: str) -> None:
    engine = store.open_database(empty)
    store.migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(store.SchemaError, match="schema 9999, of a later version"):
        store.migrate(engine)
    engine.dispose()
    outcome = run("serve", "--port", "0", **SECRETS, DATABASE_URL=empty)
    assert outcome.returncode == 3
    assert "DATABASE_URL: the database has schema 9999" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def db(command: str, database: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, [command], env={"MESHGUARD_DATABASE_URL": database})
    return outcome.exit_code, outcome.output


def test_an_operator_brings_the_schema_up_to_date(empty: str) -> None:
    newest = store.newest_schema()
    assert db("current", empty) == (1, f"schema none, newest {newest}\n")
    assert db("upgrade", empty) == (0, f"schema {newest}\n")
    assert db("current", empty) == (0, f"schema {newest}, newest {newest}\n")
    engine = store.open_database(empty)
    assert len(names(engine)) == 3
    engine.dispose()


def test_a_database_that_cannot_be_reached_is_said_without_its_password() -> None:
    url = "postgresql://gateway:hunter2-secret@127.0.0.1:1/meshguard"
    outcome = run("serve", "--port", "0", **SECRETS, DATABASE_URL=url)
    for code, said in (db("upgrade", url), db("current", url), (outcome.returncode, outcome.stderr)):
        assert code == 3
        assert "DATABASE_URL: " in said
        assert "hunter2" not in said
        assert "Traceback" not in said


def test_partitions_are_made_ahead_by_month(engine: Engine) -> None:
    create_ahead(engine, NOVEMBER_22, "month")
    create_ahead(engine, NOVEMBER_22, "month")
    assert names(engine) == ["2026_11", "2026_12", "2027_01"]


def test_partitions_of_days_continue_those_of_months_and_the_other_way_round(engine: Engine) -> None:
    create_ahead(engine, NOVEMBER_22, "day")
    assert names(engine) == [f"2026_11_{day}" for day in range(22, 30)]
    create_ahead(engine, NOVEMBER_22, "month")
    assert names(engine)[8:] == ["2026_11", "2026_12", "2027_01"]
    create_ahead(engine, NOVEMBER_22 + 70 * 86_400_000, "day")
    with engine.begin() as connection:
        parts = partitions.partitions(connection)
    assert [part.until for part in parts[:-1]] == [part.since for part in parts[1:]]


def test_entries_that_found_no_partition_are_moved_into_a_late_one(
    open_lab: Callable[..., Lab], postgres: PostgreSQL, clock: Clock
) -> None:
    database = postgres.new_database()
    lab = open_lab(database_url=database, clock=clock, agent_token_ttl=365 * 86_400)
    agent = lab.agent()
    check(agent, "read:1")
    clock.seconds += 100 * 86_400
    check(agent, "read:2")

    def count(part: str) -> Any:
        return postgres.execute(f"SELECT count(*) FROM audit_entries_{part}", database.rpartition("/")[2])[0][
            0
        ]

    assert (count("2026_11"), count("default")) == (3, 1)
    engine = store.open_database(database)
    create_ahead(engine, int(clock.seconds * 1000), "month")
    engine.dispose()
    assert (count("2027_03"), count("default")) == (1, 0)
    check(agent, "read:3")
    assert [entry["action"] for entry in lab.entries(kind="decision")] == ["read:3", "read:2", "read:1"]
    assert count("2027_03") == 2
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


@pytest.fixture
def two_days(open_lab: Callable[..., Lab], postgres: PostgreSQL, clock: Clock) -> tuple[Lab, str]:
    """A log with entries of two days, of which the first is to go after two days more."""
    database = postgres.new_database()
    settings = {"database_url": database, "audit_partition": "day", "audit_retention_days": 2}
    lab = open_lab(clock=clock, **settings)
    agent = lab.agent()
    check(agent, "read:1")
    clock.seconds += 86_400
    check(agent, "read:2")
    return lab, database


def start_again(open_lab: Callable[..., Lab], database: str, clock: Clock) -> Lab:
    return open_lab(
        clock=clock,
        database_url=database,
        audit_partition="day",
        audit_retention_days=2,
        policies_dir=None,
        metrics_enabled=True,
    )


def actions(lab: Lab) -> list[str]:
    return [entry["action"] for entry in lab.entries(kind="decision")]


def test_a_partition_is_dropped_when_all_of_it_is_old(
    open_lab: Callable[..., Lab], two_days: tuple[Lab, str], clock: Clock
) -> None:
    lab, database = two_days
    assert actions(lab) == ["read:2", "read:1"]
    clock.seconds += 2 * 86_400
    again = start_again(open_lab, database, clock)
    assert until(lambda: actions(again) == ["read:2"])
    engine = store.open_database(database)
    assert names(engine)[0] == "2026_11_23"
    engine.dispose()
    found = again.admin.get("/admin/audit/verify").json()
    assert found["valid"] is True
    assert found["heads"][0]["pruned"]["count"] == 3


def test_a_partition_that_is_to_go_while_the_log_is_verified_is_not_missed(
    two_days: tuple[Lab, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, database = two_days
    engine = store.open_database(database)

    def drop_afterwards(connection: Connection) -> list[dict[str, Any]]:
        heads = read_heads(connection)
        before = NOVEMBER_22 + 86_400_000
        with suppress(OperationalError):  # it waits for the verification, but not for long
            partitions.drop_expired(engine, before, before, "day", Seals(lab.settings))
        return heads

    monkeypatch.setattr(audit_log, "read_heads", drop_afterwards)
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True
    engine.dispose()


def test_a_partition_from_which_an_entry_was_removed_stays(
    open_lab: Callable[..., Lab],
    two_days: tuple[Lab, str],
    clock: Clock,
    postgres: PostgreSQL,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, database = two_days
    postgres.execute("DELETE FROM audit_entries WHERE sequence = 2", database.rpartition("/")[2])
    clock.seconds += 2 * 86_400
    again = start_again(open_lab, database, clock)
    assert until(lambda: "old audit entries are kept, since the log is broken" in caplog.text)
    assert "the log is broken: gw-" in again.admin.get("/health").json()["checks"]["audit"]
    assert "meshguard_audit_broken 1.0" in again.admin.get("/metrics").text
    assert actions(again) == ["read:2", "read:1"]
    assert again.admin.get("/admin/audit/verify").json()["firstBroken"]["sequence"] == 2
