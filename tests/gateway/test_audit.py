from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meshguard.audit_verify import entry_hash
from meshguard.gateway.audit import Chain, entry_of, new_row
from tests.gateway.conftest import Lab, check
from tests.support import Clock, until


@pytest.fixture
def database(lab: Lab, tmp_path: Path) -> Callable[[str], None]:
    agent = lab.agent()
    for number in range(8):
        check(agent, f"read:{number}")

    def execute(statement: str) -> None:
        with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
            connection.executescript(statement)

    return execute


def verify(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.admin.get("/admin/audit/verify").json()
    return found


@pytest.mark.usefixtures("database")
def test_an_untouched_log_verifies(lab: Lab) -> None:
    found = verify(lab)
    assert found["valid"] is True
    assert found["entries"] == found["heads"][0]["count"] == 10
    assert found["heads"][0]["hash"] == lab.entries(limit=1)[0]["hash"]


@pytest.mark.parametrize(
    ("statement", "sequence", "said"),
    [
        ("UPDATE audit_entries SET action = 'read:nothing' WHERE sequence = 5", 5, "content"),
        ("UPDATE audit_entries SET would_deny = 0 WHERE sequence = 5", 5, "content"),
        ("UPDATE audit_entries SET timestamp = timestamp + 1 WHERE sequence = 5", 5, "content"),
        ("UPDATE audit_entries SET changes = '{' WHERE sequence = 1", 1, "content"),
        ("UPDATE audit_entries SET hash = 'x' WHERE sequence = 5", 5, "content"),
        ("UPDATE audit_entries SET prev_hash = 'x' WHERE sequence = 5", 5, "does not follow"),
        ("DELETE FROM audit_entries WHERE sequence = 5", 5, "missing"),
        ("DELETE FROM audit_entries WHERE sequence = 1", 1, "missing"),
        ("DELETE FROM audit_entries WHERE sequence >= 9", 9, "missing, and all after it"),
        ("DELETE FROM audit_entries", 1, "missing, and all after it"),
        ("DELETE FROM audit_heads", 10, "no head"),
        ("UPDATE audit_heads SET hash = 'x'", 10, "head has another hash"),
        ("UPDATE audit_heads SET count = 9", 10, "after the end"),
        (
            """UPDATE audit_entries SET sequence = 99 WHERE sequence = 5;
               UPDATE audit_entries SET sequence = 5 WHERE sequence = 6;
               UPDATE audit_entries SET sequence = 6 WHERE sequence = 99;""",
            5,
            "not in its place",
        ),
        (
            """UPDATE audit_entries SET sequence = sequence + 100 WHERE sequence >= 5;
               UPDATE audit_entries SET sequence = sequence - 99 WHERE sequence >= 105;
               INSERT INTO audit_entries (id, timestamp, trace_id, kind, action, decision, reason, latency_ms,
                                          stream, sequence, prev_hash, hash)
               SELECT 'aud_x', timestamp, trace_id, kind, action, 'allow', reason, latency_ms, stream, 5,
                      hash, hash FROM audit_entries WHERE sequence = 4;""",
            5,
            "not in its place",
        ),
    ],
)
def test_what_was_done_to_the_log_is_found(
    lab: Lab, database: Callable[[str], None], statement: str, sequence: int, said: str
) -> None:
    database(statement)
    found = verify(lab)
    assert found["valid"] is False
    assert found["firstBroken"]["sequence"] == sequence
    assert said in found["firstBroken"]["problem"]


def test_the_hash_is_that_of_the_documented_canonical_form(lab: Lab) -> None:
    lab.agent().post("/api/v1/pdp/evaluate", json={"action": "write:é", "resource": 'a"b'})
    entry = lab.entries(limit=1)[0]
    claimed = entry.pop("hash")
    canonical = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    assert hashlib.sha256(canonical).hexdigest() == claimed


def test_an_entrys_hash_holds_every_field() -> None:
    row = new_row(
        timestamp=1, trace_id="t", kind="decision", action="a", decision="allow", reason="r", latency_ms=0.5
    )
    Chain.new().extend([row], 1)
    entry = entry_of(row)
    for name in entry.keys() - {"hash"}:
        assert entry_hash({**entry, name: "other"}) != row["hash"]


def test_each_start_writes_a_chain_of_its_own(open_lab: Callable[..., Lab]) -> None:
    open_lab()
    again = open_lab()
    check(again.agent(), "read:x")
    heads = verify(again)["heads"]
    assert len({head["stream"] for head in heads}) == 2
    assert verify(again)["valid"] is True


def test_concurrent_decisions_are_all_recorded_in_one_whole_chain(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(rate_limit_rpm=0)
    agent = lab.agent()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: check(agent, f"read:{number}").json()["auditId"], range(200)))
    recorded = [entry["id"] for entry in lab.entries(kind="decision", limit=1000)]
    assert sorted(recorded) == sorted(answers)
    assert verify(lab)["valid"] is True


def test_pages_stay_stable_while_entries_arrive(lab: Lab) -> None:
    agent = lab.agent()
    for number in range(7):
        check(agent, f"read:{number}")
    expected = [entry["id"] for entry in lab.entries()]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = lab.admin.get("/admin/audit", params=query).json()
        seen += [entry["id"] for entry in page["entries"]]
        check(agent, "read:later")
        if "nextCursor" not in page:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == expected


def test_filters_find_what_they_say(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock)
    ada, bob = lab.create(name="ada"), lab.create(name="bob")
    check(lab.client(ada["token"]), "read:x[1]", **{"X-MeshGuard-Trace-ID": "t-1"})
    clock.seconds += 60
    check(lab.client(bob["token"]), "read:secret")
    check(lab.client(bob["token"]), "Read:x")

    def actions(**query: str) -> list[str]:
        return [entry["action"] for entry in lab.entries(kind="decision", **query)]

    assert actions() == ["Read:x", "read:secret", "read:x[1]"]
    assert actions(decision="allow") == ["read:x[1]"]
    assert actions(agent=bob["id"]) == actions(agent="bob") == ["Read:x", "read:secret"]
    assert actions(action="read:*") == ["read:secret", "read:x[1]"]
    assert actions(action="*x[1]") == ["read:x[1]"]
    assert actions(action="read:secret") == actions(action="r*s*t") == ["read:secret"]
    assert actions(action="read:?ecret") == actions(action="read:[a-z]*") == []
    assert actions(traceId="t-1") == ["read:x[1]"]
    assert actions(policy="readers") == ["read:secret", "read:x[1]"]
    assert actions(agent="a\0") == []


def test_from_is_inclusive_and_to_is_not(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock)
    check(lab.agent(), "read:x")
    moment = lab.entries(limit=1)[0]["timestamp"]
    assert lab.entries(**{"from": moment})
    assert not lab.entries(to=moment)
    shifted = moment.replace("Z", "+00:00")
    assert lab.entries(**{"from": shifted})


def test_the_export_has_every_entry_oldest_first_one_a_line(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshguard.gateway.audit_operations._EXPORTED_AT_ONCE", 3)
    agent = lab.agent()
    for number in range(10):
        check(agent, f"read:{number}")
    response = lab.admin.get("/admin/audit/export")
    assert response.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines == list(reversed(lab.entries(limit=1000)))
    filtered = lab.admin.get("/admin/audit/export", params={"action": "read:1*"}).text
    assert [json.loads(line)["action"] for line in filtered.splitlines()] == ["read:1"]


def test_an_empty_export_is_empty(lab: Lab) -> None:
    assert lab.admin.get("/admin/audit/export", params={"decision": "deny"}).text == ""


def test_stats_count_the_decisions_of_a_period(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock)
    agent = lab.create(name="ada")
    client = lab.client(agent["token"])
    check(client, "read:old")
    clock.seconds += 2 * 86_400
    for action in ("read:x", "write:x", "write:x", "draw:x"):
        check(client, action)
    day = lab.admin.get("/admin/audit/stats").json()
    assert (day["total"], day["allowed"], day["denied"], day["period"]) == (4, 1, 3, "24h")
    assert day["topDenied"] == [{"action": "write:x", "count": 2}, {"action": "draw:x", "count": 1}]
    assert day["topAgents"] == [{"agentId": agent["id"], "agentName": "ada", "count": 4}]
    assert lab.admin.get("/admin/audit/stats", params={"period": "7d"}).json()["total"] == 5


def test_retention_removes_old_entries_and_the_rest_verifies(
    open_lab: Callable[..., Lab], clock: Clock
) -> None:
    lab = open_lab(clock=clock, audit_retention_days=30)
    check(lab.agent(), "read:old")
    clock.seconds += 31 * 86_400
    check(lab.agent(), "read:new")
    again = open_lab(clock=clock, audit_retention_days=30)
    check(again.agent(), "read:newest")
    assert until(lambda: len(again.entries(action="read:*")) == 2)
    assert [entry["action"] for entry in again.entries(action="read:*")] == ["read:newest", "read:new"]
    found = verify(again)
    assert found["valid"] is True
    assert found["entries"] < sum(head["count"] for head in found["heads"])


def test_a_store_that_cannot_be_written_allows_nothing_and_recovers(lab: Lab, tmp_path: Path) -> None:
    agent = lab.agent()
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
        connection.execute("ALTER TABLE audit_entries RENAME TO hidden")
        response = check(agent, "read:x")
        assert response.status_code == 503
        assert response.json()["error"] == "unavailable"
        assert "X-MeshGuard-Decision" not in response.headers
        assert response.headers["Retry-After"]
        assert lab.admin.post("/admin/agents", json={"name": "x"}).status_code == 503
        assert lab.admin.get("/health").json()["checks"]["audit"] == "failed: entries can't be written"
        connection.execute("ALTER TABLE hidden RENAME TO audit_entries")
    assert check(agent, "read:x").status_code == 200
    assert len(lab.admin.get("/admin/agents").json()["agents"]) == 1
    assert verify(lab)["valid"] is True


def test_a_locked_store_is_said_in_health(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = open_lab()
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        health = lab.admin.get("/health", timeout=20)
        assert health.status_code == 503
        assert health.json()["status"] == "unhealthy"
        assert health.json()["checks"]["audit"].startswith("failed")
        connection.execute("ROLLBACK")


def test_a_full_queue_sheds_load(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = lab.agent()
    monkeypatch.setattr("meshguard.gateway.writer.MAX_PENDING", 0)
    response = check(agent, "read:x")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
