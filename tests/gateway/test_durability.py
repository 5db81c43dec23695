from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event

from tests.gateway.conftest import Lab, check
from tests.support import Clock, until


@pytest.fixture
def connections() -> Iterator[list[Any]]:
    """All database connections that gateways of this process have opened since."""
    opened: list[Any] = []

    def note(connection: Any, _record: object) -> None:
        opened.append(connection)

    event.listen(Engine, "connect", note)
    yield opened
    event.remove(Engine, "connect", note)


def pragma(connections: list[Any], statement: str) -> list[Any]:
    return [connection.execute(f"PRAGMA {statement}").fetchone()[0] for connection in connections]


def health(lab: Lab) -> tuple[int, str]:
    response = lab.admin.get("/health", timeout=30)
    return response.status_code, response.json()["checks"]["audit"]


def is_valid(lab: Lab) -> bool:
    return bool(lab.admin.get("/admin/audit/verify").json()["valid"])


def test_every_connection_commits_to_the_disk(connections: list[Any], open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    check(lab.agent(), "read:x")
    assert set(pragma(connections, "journal_mode")) == {"wal"}
    assert set(pragma(connections, "synchronous")) == {2}


def fill(connections: list[Any], agent: httpx.Client) -> list[str]:
    """Leave the database no page more than it has, and ask until it is full; returns what was answered."""
    pragma(connections, "max_page_count = 1")
    answered: list[str] = []
    for number in range(5_000):
        response = check(agent, f"read:{number}/{'x' * 500}")
        if response.status_code == 503:
            assert response.headers["Retry-After"]
            assert "X-MeshGuard-Decision" not in response.headers
            return answered
        answered.append(response.json()["auditId"])
    raise AssertionError("the disk never filled")


def test_a_full_disk_allows_nothing_and_heals_without_anybody_asking(
    connections: list[Any], open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(rate_limit_rpm=0)
    agent = lab.agent()
    answered = fill(connections, agent)
    assert until(lambda: health(lab) == (503, "failed: entries can't be written"))
    assert check(agent, "read:" + "x" * 2_000).status_code == 503
    assert lab.admin.post("/admin/agents", json={"name": "x" * 128, "metadata": {"x": "x" * 9_000}}).is_error
    pragma(connections, "max_page_count = 1000000")
    assert until(lambda: health(lab) == (200, "ok"))
    assert check(agent, "read:x").status_code == 200
    exported = lab.admin.get("/admin/audit/export").text
    assert all(audit_id in exported for audit_id in answered)
    assert is_valid(lab)


def test_a_store_that_others_hold_sheds_load_and_then_goes_on(
    open_lab: Callable[..., Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshguard.gateway.writer.MAX_PENDING", 5)
    lab = open_lab(rate_limit_rpm=0)
    agent = lab.agent()
    held = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None, check_same_thread=False)
    with closing(held) as holder, ThreadPoolExecutor(20) as pool:
        holder.execute("BEGIN IMMEDIATE")
        asked = [pool.submit(check, agent, f"read:{number}") for number in range(20)]
        shed = [response for response in asked if until(response.done, 0.5)]
        assert {response.result().status_code for response in shed} == {503}
        assert all(response.result().headers["Retry-After"] == "1" for response in shed)
        holder.execute("ROLLBACK")
        statuses = [response.result().status_code for response in asked]
    assert statuses.count(200) == 20 - len(shed) > 0
    assert is_valid(lab)


def test_a_lone_request_waits_for_nobody(lab: Lab) -> None:
    agent = lab.agent()
    before = len(lab.entries(limit=1000))
    assert check(agent, "read:x").status_code == 200
    assert len(lab.entries(limit=1000)) == before + 1


def test_entries_that_need_several_statements_are_recorded_whole_and_in_order(
    open_lab: Callable[..., Lab],
) -> None:
    lab = open_lab(rate_limit_rpm=0)
    actions = [f"read:{number}" for number in range(150)]
    body = {"requests": [{"action": action} for action in actions]}
    assert lab.agent().post("/api/v1/pdp/evaluate/batch", json=body).status_code == 200
    recorded = [entry["action"] for entry in reversed(lab.entries(limit=len(actions)))]
    assert recorded == actions
    assert is_valid(lab)


def test_an_entry_that_the_database_refuses_takes_its_whole_group_with_it_and_no_other(
    lab: Lab, tmp_path: Path
) -> None:
    agent = lab.agent()
    check(agent, "read:before")
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as others:
        columns = [row[1] for row in others.execute("PRAGMA table_info(audit_entries)") if row[1] != "row_id"]
        taken = ", ".join("sequence + 2" if column == "sequence" else column for column in columns)
        others.execute(
            f"INSERT INTO audit_entries ({', '.join(columns)})"
            f" SELECT {taken} FROM audit_entries ORDER BY row_id DESC LIMIT 1"
        )
        before = len(lab.entries(limit=1000))
        body = {"requests": [{"action": f"read:{number}"} for number in range(3)]}
        assert agent.post("/api/v1/pdp/evaluate/batch", json=body).status_code == 503
        assert len(lab.entries(limit=1000)) == before
        others.execute("DELETE FROM audit_entries WHERE row_id = (SELECT max(row_id) FROM audit_entries)")
    assert check(agent, "read:after").status_code == 200
    assert is_valid(lab)


def test_time_that_moves_backwards_breaks_nothing(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock, audit_retention_days=30)
    agent = lab.agent()
    for number, step in enumerate((0, -3600, 60, -86_400, 7_200)):
        clock.seconds += step
        agent = lab.agent() if step < -1000 else agent  # a token from the future is refused
        assert check(agent, f"read:{number}").status_code == 200
    assert is_valid(lab)
    times = [entry["timestamp"] for entry in lab.entries()]
    assert times == sorted(times, reverse=True)
    assert len(pages(lab)) == len(set(pages(lab))) == len(times)
    exported = lab.admin.get("/admin/audit/export").text.splitlines()
    assert len(exported) == len(times)


def pages(lab: Lab) -> list[str]:
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = lab.admin.get("/admin/audit", params=query).json()
        found += [entry["id"] for entry in page["entries"]]
        if "nextCursor" not in page:
            return found
        query["cursor"] = page["nextCursor"]


def test_a_database_that_goes_away_is_said_and_allows_nothing(lab: Lab, tmp_path: Path) -> None:
    agent = lab.agent()
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
        connection.execute("ALTER TABLE gateway_state RENAME TO hidden")
        assert until(lambda: health(lab)[0] == 503)
        connection.execute("ALTER TABLE audit_entries RENAME TO hidden_entries")
        assert check(agent, "read:x").status_code == 503
        connection.execute("ALTER TABLE hidden_entries RENAME TO audit_entries")
        connection.execute("ALTER TABLE hidden RENAME TO gateway_state")
    assert until(lambda: health(lab) == (200, "ok"))
    assert check(agent, "read:x").status_code == 200
    assert is_valid(lab)


def test_what_was_written_ahead_moves_into_the_database_beside_the_commits(lab: Lab, tmp_path: Path) -> None:
    audit_id = check(lab.agent(), "read:x").json()["auditId"].encode()
    assert until(lambda: audit_id in (tmp_path / "gateway.db").read_bytes())
