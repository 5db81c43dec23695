from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert

from meshguard.gateway import audit_log, store
from meshguard.gateway.audit import Chain, new_row
from meshguard.gateway.audit_log import Filters, Position
from tests.gateway.conftest import Lab, check
from tests.support import SECRET, Clock


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Connection]:
    engine = store.open_database(f"sqlite:///{tmp_path}/log.db")
    store.migrate(engine)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection
    engine.dispose()


def write(log: Connection, count: int, **changes: Callable[[int], Any]) -> None:
    rows = []
    for number in range(count):
        values = {
            "timestamp": number,
            "trace_id": f"t-{number}",
            "kind": "decision",
            "agent_id": f"agent_{number % 5}",
            "agent_name": f"name {number % 7}",
            "action": f"read:{number % 20}",
            "decision": "allow" if number % 3 else "deny",
            "policy": "readers",
        }
        rows.append(
            new_row(
                reason="Because.", latency_ms=0.1, **{**values, **{k: f(number) for k, f in changes.items()}}
            )
        )
    Chain.new().extend(rows, 1)
    log.execute(insert(store.audit_entries), rows)


def read_all(log: Connection, filters: Filters, limit: int = 7) -> list[str]:
    found: list[str] = []
    below: Position | None = None
    while True:
        entries, below = audit_log.read_page(log, filters, limit, below)
        found += [entry["id"] for entry in entries]
        if below is None:
            return found
        below = Position.parse(str(below))


SINGLE = [
    Filters(decision="deny"),
    Filters(agent="agent_1"),
    Filters(agent="name 1"),
    Filters(action="read:1"),
    Filters(action="read:1*"),
    Filters(action="*:1"),
    Filters(trace_id="t-5"),
    Filters(policy="readers"),
    Filters(kind="decision"),
    Filters(since=40),
    Filters(until=40),
]


@pytest.mark.parametrize("filters", SINGLE, ids=str)
def test_every_filter_is_answered_from_an_index_in_order(log: Connection, filters: Filters) -> None:
    write(log, 100)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(log, "before_cursor_execute", note)
    audit_log.read_page(log, filters, 10, None)
    audit_log.read_page(log, filters, 10, Position(60, 60))
    audit_log.read_onwards(log, filters, 10, None, 1_000)
    event.remove(log, "before_cursor_execute", note)
    for statement, parameters in asked:
        plan = [row[3] for row in log.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        assert any("SEARCH audit_entries USING" in step for step in plan)
        assert not [step for step in plan if step.startswith("SCAN audit_entries")]
        sorted_here = [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step]
        assert not sorted_here or any("SUBQUERY" in step for step in plan), plan


@pytest.mark.parametrize("filters", [Filters(), *SINGLE, Filters(agent="name 1", action="read:*")], ids=str)
def test_pages_hold_every_fitting_entry_once(log: Connection, filters: Filters) -> None:
    write(log, 100, timestamp=lambda number: 10 + (number * 37) % 40)
    whole = read_all(log, filters, 1000)
    assert read_all(log, filters) == whole
    assert len(set(whole)) == len(whole)
    onwards, _ = audit_log.read_onwards(log, filters, 1000, None, 1_000)
    assert {entry["id"] for entry in onwards} == set(whole)


def test_a_pattern_that_fits_very_many_actions_still_finds_them_all(log: Connection) -> None:
    write(log, 3_000, action=lambda number: f"read:item/{number}" if number % 2 else f"write:{number % 150}")
    assert len(read_all(log, Filters(action="read:*"), 500)) == 1500
    assert len(read_all(log, Filters(action="write:*"), 500)) == 1500
    assert len(read_all(log, Filters(action="*1*9*"), 500)) == sum(
        "1" in text and "9" in text[text.index("1") :]
        for text in (f"read:item/{n}" if n % 2 else f"write:{n % 150}" for n in range(3_000))
    )


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("read:*", True),
        ("*:x?[1]", True),
        ("read:x?[1]", True),
        ("r*a*?[1]", True),
        ("**", True),
        ("read:x?[1]*", True),
        ("read:x", False),
        ("Read:*", False),
        ("read:x?[1]?*", False),
        ("*x*x*", False),
        ("read:x?[1*1]", False),
    ],
)
def test_a_star_stands_for_any_run_of_characters_and_all_else_for_itself(
    log: Connection, pattern: str, fits: bool
) -> None:
    write(log, 1, action=lambda _: "read:x?[1]")
    assert bool(read_all(log, Filters(action=pattern))) is fits


def test_an_export_in_progress_holds_only_a_page(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshguard.gateway.audit_operations._EXPORTED_AT_ONCE", 2)
    agent = lab.agent()
    for number in range(9):
        check(agent, f"read:{number}")
    with lab.admin.stream("GET", "/admin/audit/export") as response:
        chunks = [chunk for chunk in response.iter_raw() if chunk]
    lines = b"".join(chunks).splitlines()
    assert len(lines) == 11
    assert [json.loads(line)["sequence"] for line in lines] == list(range(1, 12))


CONTEXT = {"amount": 40, "order": {"id": "o-1", "to": "ada@example.org"}, "phone": "+49 30 1234567"}


def context_of(lab: Lab, context: dict[str, Any]) -> dict[str, Any]:
    agent = lab.agent()
    asked = agent.post("/api/v1/pdp/evaluate", json={"action": "read:x", "context": context})
    assert asked.status_code == 200
    kept: dict[str, Any] = lab.entries(limit=1)[0].get("context", {})
    return kept


def test_no_value_of_a_context_is_kept_unasked(lab: Lab, tmp_path: Path) -> None:
    kept = context_of(lab, CONTEXT)
    assert kept.keys() == {"fingerprints"}
    assert kept["fingerprints"].keys() == CONTEXT.keys()
    assert all(len(text) == 32 for text in kept["fingerprints"].values())
    everything = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
    assert b"1234567" not in everything
    assert b"ada@example.org" not in everything


def test_the_values_of_chosen_keys_are_kept(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(audit_context_keys="amount,order.id,absent,amount.deeper")
    kept = context_of(lab, CONTEXT)
    assert kept["values"] == {"amount": 40, "order.id": "o-1"}
    assert kept["fingerprints"].keys() == {"order", "phone"}


def test_fingerprints_tell_equal_values_and_depend_on_the_secret_and_the_key(
    open_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    lab = open_lab()
    first, second = (context_of(lab, {"a": 1, "b": 1})["fingerprints"] for _ in range(2))
    assert first == second
    assert first["a"] != first["b"]
    assert context_of(lab, {"a": 2})["fingerprints"]["a"] != first["a"]
    (tmp_path / "other").mkdir()
    other = open_lab(tmp_path / "other", jwt_secret=SECRET[::-1])
    assert context_of(other, {"a": 1})["fingerprints"]["a"] != first["a"]


def test_what_is_kept_of_a_context_is_bounded(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(audit_context_keys="long,fits")
    huge = {f"key{number:03}": number for number in range(500)}
    kept = context_of(lab, {"long": "x" * 5_000, "fits": "y" * 200, "z" * 5_000: 1, **huge})
    assert kept["values"] == {"fits": "y" * 200}
    assert len(kept["fingerprints"]) == 33
    assert "*" in kept["fingerprints"]
    assert len(json.dumps(kept)) < 4_000


def test_a_request_without_a_context_keeps_none(lab: Lab) -> None:
    check(lab.agent(), "read:x")
    assert "context" not in lab.entries(limit=1)[0]
    assert context_of(lab, {}) == {}


def test_long_texts_are_cut_off(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock)
    rule = {"name": "n", "effect": "allow", "actions": ["read:*"], "reason": "r" * 10_000}
    assert lab.admin.put("/admin/policies/long", json={"name": "long", "rules": [rule]}).status_code < 500
    agent = lab.agent()
    check(agent, "read:x")
    assert len(lab.entries(limit=1)[0]["reason"]) <= 2_048
    assert agent.get("/proxy/" + "p" * 20_000).status_code in {400, 403, 414, 502}
    assert all(len(entry.get("path", "")) <= 8_192 for entry in lab.entries())
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True
