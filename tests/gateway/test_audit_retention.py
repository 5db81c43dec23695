"""Retention removes what is proven and old. What is broken is reported, and stays as evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from meshguard.gateway import partitions, store
from meshguard.gateway.audit_proof import Proof
from meshguard.gateway.audit_retention import Retention
from tests.gateway.tampering import ATTACKS, DAY, LAST, ON_POSTGRESQL, ON_SQLITE, OTHER, START, VICTIM, Log
from tests.servers import PostgreSQL

BOTH = [("sqlite", name) for name in (*ATTACKS, *ON_SQLITE)] + [
    ("postgresql", name) for name in (*ATTACKS, *ON_POSTGRESQL)
]


@pytest.fixture
def open_log(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Log]]:
    engines = []

    def start(kind: str) -> Log:
        url = f"sqlite:///{tmp_path}/log.db"
        if kind == "postgresql":
            postgres: PostgreSQL = request.getfixturevalue("postgres")
            url = postgres.new_database()
        engines.append(store.open_database(url))
        return Log(engines[-1], tmp_path)

    yield start
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_untouched_log_is_pruned_and_verifies(open_log: Callable[[str], Log], kind: str) -> None:
    log = open_log(kind)
    log.fill()
    assert log.tombstone()["count"] == 3
    log.retain(2)
    assert log.tombstone()["count"] == 9
    assert [row["sequence"] for row in log.evidence(VICTIM)] == [10, 11, 12, 13]
    assert log.verify() is log.verify_export() is None
    assert log.retention.problems == []
    log.retain(9)
    assert [log.evidence(stream) for stream in (VICTIM, OTHER, LAST)] == [[], [], []]
    assert log.verify() is log.verify_export() is None


# Damage beyond what retention has to look at. The whole verification finds it.
ELSEWHERE = {
    "days swapped",
    "head moved back",
    "head removed",
    "first chain removed",
    "last chain removed",
    "inserted with another chain's name",
    "inserted after the end",
    "a head's count that is a text",
}


@pytest.mark.parametrize("milestones", ["kept", "removed"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "attack"), BOTH)
def test_no_retention_launders_an_attack(
    open_log: Callable[[str], Log], kind: str, attack: str, when: str, milestones: str
) -> None:
    """Always reported, before and after; only proven entries from before the broken place are removed."""
    log = open_log(kind)
    log.fill()
    if when == "after":
        log.retain(2)
        assert log.verify() is None
    genuine = log.evidence(VICTIM)
    {**ATTACKS, **ON_SQLITE, **ON_POSTGRESQL}[attack](log)
    if milestones == "removed":
        log.run("DELETE FROM gateway_state WHERE name LIKE 'milestone%'")
    evidence = [*log.evidence(VICTIM), *log.evidence("gw-nowhere")]
    found = log.verify()
    assert found
    for _ in range(2):
        log.retain(2)
        left = [*log.evidence(VICTIM), *log.evidence("gw-nowhere")]
        gone = [row for row in evidence if row not in left]
        assert [row for row in gone if row not in genuine] == []
        assert found.stream != VICTIM or all(row["sequence"] < found.sequence for row in gone)
        assert log.verify()
    if (when, milestones) == ("before", "removed") and attack not in ELSEWHERE:
        assert gone == []
        assert log.retention.problems


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_change_after_the_proof_is_kept(
    open_log: Callable[[str], Log], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the proof and the removal nothing is locked, so the removal looks again."""
    log = open_log(kind)
    log.fill()
    prove = Retention._prove

    def change_afterwards(retention: Retention, head: dict[str, Any], before: int) -> Proof:
        proof = prove(retention, head, before)
        log.run(f"UPDATE audit_entries SET reason = 'other' WHERE stream = '{VICTIM}' AND sequence = 5")
        return proof

    def change_partition(*arguments: Any, **options: Any) -> Any:
        found = verify_oldest(*arguments, **options)
        with log.engine.begin() as connection:
            connection.execute(
                text(f"UPDATE audit_entries SET reason = 'x' WHERE stream = '{VICTIM}' AND sequence = 5")
            )
        return found

    verify_oldest = partitions._verify_oldest
    monkeypatch.setattr(Retention, "_prove", change_afterwards)
    monkeypatch.setattr(partitions, "_verify_oldest", change_partition)
    log.retain(2)
    assert [row["sequence"] for row in log.evidence(VICTIM)] == list(range(4, 14))
    broken = log.verify()
    assert broken
    assert broken.sequence == 5


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_entries_are_proven_and_removed_in_pages(
    open_log: Callable[[str], Log], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshguard.gateway.audit_proof._READ_AT_ONCE", 2)
    monkeypatch.setattr("meshguard.gateway.audit_proof.REMOVED_AT_ONCE", 2)
    log = open_log(kind)
    log.fill()
    log.run("UPDATE audit_entries SET reason = 'x' WHERE stream = 'gw-other' AND sequence = 4")
    log.retain(2)
    # A partition with a broken chain stays whole.
    assert log.tombstone()["count"] == (9 if kind == "sqlite" else 3)
    assert len(log.evidence(OTHER)) == 6
    assert log.retention.problems == ["gw-other, entry 4: the entry's content does not give its hash"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("milestones", ["kept", "removed"])
def test_a_clock_that_was_set_back_breaks_nothing(
    open_log: Callable[[str], Log], kind: str, milestones: str
) -> None:
    log = open_log(kind)
    log.fill()
    log.append(VICTIM, 2, START + DAY)
    if milestones == "removed":
        log.run("DELETE FROM gateway_state WHERE name LIKE 'milestone%'")
    log.retain(2)
    assert [row["sequence"] for row in log.evidence(VICTIM)] == list(range(10, 16))
    assert log.retention.problems == []
    assert log.verify() is None
    log.retain(9)
    assert log.evidence(VICTIM) == []
    assert log.verify() is None
