from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

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


def open_each(folder: Path, together: Barrier) -> None:
    failed = 0
    for number in range(60):
        engine = store.open_database(f"sqlite:///{folder}/{number}.db")
        together.wait(60)
        try:
            engine.connect().close()
        except OperationalError:
            failed += 1
        engine.dispose()
    sys.exit(failed)


def test_several_processes_may_open_one_new_database_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(3)
    processes = [spawn.Process(target=open_each, args=(tmp_path, together)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
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
