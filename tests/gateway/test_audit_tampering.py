from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meshguard.audit_verify import entry_hash, head_fields, seal_key, sign
from meshguard.gateway.audit import entry_of
from tests.gateway.conftest import Lab, check
from tests.support import OLD_SECRET, SECRET, Clock

OTHER_SECRET = "new-1Az2Sx3Dc4Fv5Gb6Hn7Jm8Kl9Qw0Er1Ty"


class Intruder:
    """Somebody who can write to the database and knows all of MeshGuard but its secret."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.row_factory = sqlite3.Row

    def run(self, *statements: str) -> None:
        for statement in statements:
            self._connection.execute(statement)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(statement)]

    def rewrite_chain(self) -> None:
        """Number and hash all entries anew, and make the head fit, as well as it goes without the key."""
        count, last = 0, "0" * 64
        self.run("UPDATE audit_entries SET sequence = -row_id")
        for row in self.rows("SELECT * FROM audit_entries ORDER BY row_id"):
            count += 1
            row |= {"sequence": count, "prev_hash": last, "hash": None}
            last = entry_hash(entry_of(row))
            self._connection.execute(
                "UPDATE audit_entries SET sequence = ?, prev_hash = ?, hash = ? WHERE row_id = ?",
                (count, row["prev_hash"], last, row["row_id"]),
            )
        self._connection.execute("UPDATE audit_heads SET count = ?, hash = ?", (count, last))

    def forge(self, table: str) -> None:
        """Sign the head or the tombstone with a key that is not the gateway's."""
        head = self.rows("SELECT * FROM audit_heads")[0]
        signature = sign(seal_key(b"guess"), "head", head_fields(head))
        self._connection.execute(f"UPDATE {table} SET signature = ?", (signature,))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def intruder(lab: Lab, tmp_path: Path) -> Any:
    agent = lab.agent()
    for number in range(8):
        check(agent, f"read:{number}")
    with closing(Intruder(tmp_path / "gateway.db")) as intruder:
        yield intruder


def verify(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.admin.get("/admin/audit/verify").json()
    return found


INSERTED = """
INSERT INTO audit_entries (row_id, id, timestamp, trace_id, kind, action, decision, reason, latency_ms,
                           stream, sequence, prev_hash, hash)
SELECT row_id + {shift}, 'aud_x', timestamp, trace_id, kind, action, 'allow', reason, latency_ms, stream,
       {sequence}, hash, hash FROM audit_entries WHERE sequence = {after}
"""
MAKE_ROOM = (
    "UPDATE audit_entries SET row_id = -row_id, sequence = -sequence WHERE sequence > 4",
    "UPDATE audit_entries SET row_id = 1 - row_id, sequence = 1 - sequence WHERE sequence < 0",
)
SWAP = (
    "UPDATE audit_entries SET row_id = -1 WHERE sequence = 5",
    "UPDATE audit_entries SET row_id = 5 WHERE sequence = 6",
    "UPDATE audit_entries SET row_id = 6 WHERE row_id = -1",
)
ATTACKS = {
    "changed": ("UPDATE audit_entries SET decision = 'deny' WHERE sequence = 5",),
    "removed": ("DELETE FROM audit_entries WHERE sequence = 5",),
    "first removed": ("DELETE FROM audit_entries WHERE sequence = 1",),
    "swapped": SWAP,
    "inserted": (*MAKE_ROOM, INSERTED.format(shift=1, sequence=5, after=4)),
    "appended": (INSERTED.format(shift=1, sequence=11, after=10),),
    "tail cut": ("DELETE FROM audit_entries WHERE sequence > 7",),
}


@pytest.mark.parametrize(
    ("attack", "sequence"),
    [
        ("changed", 5),
        ("removed", 5),
        ("first removed", 1),
        ("swapped", 5),
        ("inserted", 5),
        ("appended", 11),
        ("tail cut", 8),
    ],
)
def test_an_attack_that_leaves_the_head_alone_is_found_at_its_first_entry(
    lab: Lab, intruder: Intruder, attack: str, sequence: int
) -> None:
    intruder.run(*ATTACKS[attack])
    found = verify(lab)
    assert found["valid"] is False
    assert found["firstBroken"]["sequence"] == sequence
    assert found["firstBroken"]["stream"] == found["heads"][0]["stream"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_that_rewrites_the_chain_and_its_head_is_found_by_the_signature(
    lab: Lab, intruder: Intruder, attack: str
) -> None:
    intruder.run(*ATTACKS[attack])
    intruder.rewrite_chain()
    found = verify(lab)
    assert found["valid"] is False
    assert found["firstBroken"]["problem"] == "the chain's head is not signed by the gateway"
    intruder.forge("audit_heads")
    assert verify(lab)["valid"] is False


def test_a_rewritten_chain_with_the_gateways_key_would_verify(lab: Lab, intruder: Intruder) -> None:
    """The tests above mean something: only the key is missing."""
    intruder.run(*ATTACKS["removed"])
    intruder.rewrite_chain()
    head = intruder.rows("SELECT * FROM audit_heads")[0]
    signature = sign(seal_key(SECRET.encode()), "head", head_fields(head))
    intruder.run(f"UPDATE audit_heads SET signature = '{signature}'")
    assert verify(lab)["valid"] is True


def test_the_signature_of_one_head_does_not_fit_another(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    open_lab().create()
    again = open_lab()
    again.create()
    with closing(Intruder(tmp_path / "gateway.db")) as intruder:
        intruder.run("UPDATE audit_heads SET signature = (SELECT max(signature) FROM audit_heads)")
    assert verify(again)["valid"] is False


def test_a_chain_that_is_removed_with_its_head_leaves_a_gap(
    open_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    for _ in range(2):
        open_lab().create()
    lab = open_lab()
    lab.create()
    with closing(Intruder(tmp_path / "gateway.db")) as intruder:
        stream = intruder.rows("SELECT stream FROM audit_heads WHERE number = 2")[0]["stream"]
        for table in ("audit_entries", "audit_heads"):
            intruder.run(f"DELETE FROM {table} WHERE stream = '{stream}'")
        intruder.run("DELETE FROM gateway_state WHERE name LIKE 'milestone%'")
    found = verify(lab)
    assert found["valid"] is False
    assert found["firstBroken"] == {
        "stream": "chain 2",
        "sequence": 1,
        "problem": "the chain is missing, with its head",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET timestamp = 'long ago' WHERE sequence = 5",
        "UPDATE audit_entries SET timestamp = 1e30 WHERE sequence = 5",
        "UPDATE audit_entries SET changes = '[' WHERE sequence = 5",
        "UPDATE audit_entries SET context = '{' WHERE sequence = 5",
        "UPDATE audit_entries SET action = x'ff00' WHERE sequence = 5",
    ],
)
def test_an_entry_that_cannot_be_read_is_named_as_broken(
    lab: Lab, intruder: Intruder, statement: str
) -> None:
    intruder.run(statement)
    found = verify(lab)
    assert found["valid"] is False
    assert found["firstBroken"]["sequence"] == 5


def start_with_old_entries(open_lab: Callable[..., Lab], clock: Clock) -> Lab:
    """A gateway that wrote eight entries 31 days ago, seen again by one that keeps 30 days."""
    lab = open_lab(clock=clock, audit_retention_days=30)
    agent = lab.agent()
    for number in range(6):
        check(agent, f"read:{number}")
    clock.seconds += 31 * 86_400
    check(lab.agent(), "read:new")
    return lab


def test_a_pruned_chain_verifies_by_its_tombstone(open_lab: Callable[..., Lab], clock: Clock) -> None:
    start_with_old_entries(open_lab, clock)
    lab = open_lab(clock=clock, audit_retention_days=30)
    found = verify(lab)
    assert found["valid"] is True
    pruned = found["heads"][0]["pruned"]
    assert (pruned["count"], pruned["prunedAt"]) == (8, "2026-12-23T09:33:20.000Z")
    assert found["entries"] == sum(head["count"] for head in found["heads"]) - 8


def test_a_tombstone_that_the_gateway_did_not_write_hides_nothing(
    open_lab: Callable[..., Lab], clock: Clock, tmp_path: Path
) -> None:
    start_with_old_entries(open_lab, clock)
    lab = open_lab(clock=clock, audit_retention_days=30)
    with closing(Intruder(tmp_path / "gateway.db")) as intruder:
        victim = intruder.rows("SELECT * FROM audit_entries ORDER BY row_id")[0]
        intruder.run(
            f"DELETE FROM audit_entries WHERE row_id = {victim['row_id']}",
            f"UPDATE audit_tombstones SET count = {victim['sequence']}, hash = '{victim['hash']}'",
        )
        assert "tombstone" in verify(lab)["firstBroken"]["problem"]
        intruder.run("DELETE FROM audit_tombstones")
        assert verify(lab)["firstBroken"]["sequence"] == 1
        head = intruder.rows("SELECT * FROM audit_heads ORDER BY number")[0]
        intruder.run(
            "INSERT INTO audit_tombstones (stream, count, hash, pruned_at, signature) VALUES "
            f"('{head['stream']}', {head['count']}, '{head['hash']}', 0, '{head['signature']}')"
        )
        assert "tombstone" in verify(lab)["firstBroken"]["problem"]


def test_retention_never_covers_up_a_removal(
    open_lab: Callable[..., Lab], clock: Clock, tmp_path: Path
) -> None:
    start_with_old_entries(open_lab, clock)
    with closing(Intruder(tmp_path / "gateway.db")) as intruder:
        intruder.run("DELETE FROM audit_entries WHERE sequence = 4")
    lab = open_lab(clock=clock, audit_retention_days=30)
    found = verify(lab)
    assert found["firstBroken"]["sequence"] == 4
    assert "pruned" not in found["heads"][0]
    assert "read:5" in [entry["action"] for entry in lab.entries()]


def test_heads_outlive_the_secret_that_signed_them(open_lab: Callable[..., Lab], clock: Clock) -> None:
    start_with_old_entries(open_lab, clock)
    assert verify(open_lab(clock=clock, audit_retention_days=30))["valid"] is True
    rotated = open_lab(clock=clock, jwt_secret=OTHER_SECRET, jwt_secrets_old=f"{OLD_SECRET},{SECRET}")
    assert verify(rotated)["valid"] is True
    later = open_lab(clock=clock, jwt_secret=OTHER_SECRET)
    heads = verify(later)["heads"]
    # The first two gateways still run with the old secret and may have gone on signing with it.
    assert "pruned" in heads[0]
    key = seal_key(OTHER_SECRET.encode())
    assert heads[0]["signature"] == sign(key, "head", head_fields(heads[0]))
    assert verify(later)["valid"] is True


def test_a_head_that_no_secret_signed_is_not_signed_at_the_next_start(
    open_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    open_lab().agent()
    with closing(Intruder(tmp_path / "gateway.db")) as intruder:
        intruder.run("DELETE FROM audit_entries WHERE sequence > 1")
        intruder.rewrite_chain()
    again = open_lab(jwt_secret=OTHER_SECRET, jwt_secrets_old=SECRET)
    assert verify(again)["valid"] is False


def test_what_is_not_canonical_json_is_still_stored_and_verified(lab: Lab) -> None:
    body = {"name": "ä\u2028😀", "metadata": {"big": 10**40, "small": 1e-300, "deep": [[[None, True]]]}}
    assert lab.admin.post("/admin/agents", json=body).status_code == 201
    assert verify(lab)["valid"] is True
    line = lab.admin.get("/admin/audit/export").text.split("\n")[-2]
    entry = json.loads(line)
    assert entry_hash(entry) == entry["hash"]
