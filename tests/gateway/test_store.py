from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from meshguard.gateway import store


def test_several_processes_may_migrate_one_new_database_at_once(tmp_path: Path) -> None:
    def start(_: int) -> int:
        engine = store.open_database(f"sqlite:///{tmp_path}/new.db")
        store.migrate(engine)
        with engine.begin() as connection:
            count = len(store.read_agents(connection))
        engine.dispose()
        return count

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [0] * 4


def test_the_migrations_lead_to_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    engine = store.open_database(f"sqlite:///{tmp_path}/new.db")
    store.migrate(engine)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), store.metadata) == []
    engine.dispose()


def test_commits_are_durable(tmp_path: Path) -> None:
    engine = store.open_database(f"sqlite:///{tmp_path}/new.db")
    with closing(engine.connect()) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    engine.dispose()
