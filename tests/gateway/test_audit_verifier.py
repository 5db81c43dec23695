"""Each check of the verifier alone, and the signatures that it relies on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from meshguard.audit_verify import Broken, Verifier, entry_hash, head_fields, seal_key, sign, tombstone_fields
from meshguard.gateway import audit_log, store
from meshguard.gateway.audit import Chain, entry_of, new_row
from meshguard.gateway.audit_seals import Seals, put_milestone, read_heads, read_milestones
from tests.support import SECRET, gateway_settings

KEY = seal_key(b"a key")
OLD = "old-9Lk7Jh5Gf3Ds1Aq2Wq4Er6Ty8Ui0Op3Mn"


def entries(stream: str = "gw-1", count: int = 4) -> list[dict[str, Any]]:
    rows = [
        new_row(
            timestamp=number,
            trace_id="t",
            kind="decision",
            action="a",
            decision="deny",
            reason="r",
            latency_ms=0.5,
        )
        for number in range(count)
    ]
    Chain(stream).extend(rows, 1)
    return [entry_of(row) for row in rows]


def head_of(log: list[dict[str, Any]], number: int = 1, pruned: int = 0) -> dict[str, Any]:
    last = log[-1]
    head = {"stream": last["stream"], "number": number, "count": last["sequence"], "hash": last["hash"]}
    head["signature"] = sign(KEY, "head", head_fields(head))
    if pruned:
        head["pruned"] = {"count": pruned, "hash": log[pruned - 1]["hash"], "prunedAt": "then"}
        head["pruned"]["signature"] = sign(KEY, "tombstone", tombstone_fields(head))
    return head


def verify(heads: list[dict[str, Any]], log: list[dict[str, Any]], **more: Any) -> Broken | None:
    verifier = Verifier(heads, keys=[KEY], **more)
    for entry in log:
        verifier.add(entry)
    return verifier.finish()


def anchor(entry: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"stream": entry["stream"], "count": entry["sequence"], "hash": entry["hash"], **changes}


def test_a_whole_log_verifies_with_anchors() -> None:
    log = entries()
    assert verify([head_of(log)], log, anchors=map(anchor, log), chains=1) is None
    assert verify([head_of(log, pruned=2)], log[2:], anchors=map(anchor, log)) is None


def test_a_missing_first_chain_is_found() -> None:
    log = entries()
    found = verify([head_of(log, number=2)], log)
    assert found == Broken("chain 1", 1, "the chain is missing, with its head")


def test_a_missing_last_chain_is_found_by_the_count() -> None:
    log = entries()
    found = verify([head_of(log)], log, chains=2)
    assert found == Broken("chain 2", 1, "the chain is missing, with its head")


def test_a_tombstone_is_held_against_an_anchor() -> None:
    log = entries()
    found = verify([head_of(log, pruned=2)], log[2:], anchors=[anchor(log[1], hash="0" * 64)])
    assert found == Broken("gw-1", 2, "the entry has another hash than its anchor")


def test_an_entry_is_held_against_an_anchor() -> None:
    log = entries()
    found = verify([head_of(log)], log, anchors=[anchor(log[1], hash="0" * 64)])
    assert found
    assert (found.sequence, found.id) == (2, log[1]["id"])


def test_a_log_shorter_than_its_anchor_is_found() -> None:
    log = entries()
    found = verify([head_of(log[:3])], log[:3], anchors=[anchor(log[3])])
    assert found == Broken("gw-1", 4, "the entry is missing, and all after it")


def test_an_anchored_chain_without_a_head_is_found() -> None:
    found = verify([], [], anchors=[anchor(entries()[0])])
    assert found == Broken("gw-1", 1, "the chain is anchored and missing, with its head")


@pytest.mark.parametrize("signature", ["", None, "0" * 64, "é"])
def test_an_unsigned_tombstone_is_found(signature: str | None) -> None:
    log = entries()
    head = head_of(log, pruned=2)
    head["pruned"]["signature"] = signature
    found = verify([head], log[2:])
    assert found == Broken("gw-1", 1, "the tombstone of entries 1 to 2 is not signed")


def test_a_heads_signature_is_none_of_a_tombstone() -> None:
    log = entries()
    head = head_of(log, pruned=2)
    head["pruned"]["signature"] = sign(KEY, "head", tombstone_fields(head))
    assert verify([head], log[2:])


@pytest.mark.parametrize("field", ["stream", "number", "count", "hash"])
def test_a_heads_signature_covers_each_field(field: str) -> None:
    head = head_of(entries())
    assert sign(KEY, "head", head_fields({**head, field: "x"})) != head["signature"]


@pytest.mark.parametrize("field", ["stream", "count", "hash", "prunedAt"])
def test_a_tombstones_signature_covers_each_field(field: str) -> None:
    head = head_of(entries(), pruned=2)
    other = {**head, "pruned": {**head["pruned"], field: "x"}} if field != "stream" else {**head, field: "x"}
    assert sign(KEY, "tombstone", tombstone_fields(other)) != head["pruned"]["signature"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prevHash": "1" * 64}, "does not follow"),
        ({"decision": "allow"}, "does not give its hash"),
        ({"sequence": 4}, "missing or not in its place"),
        ({"sequence": 1}, "for the second time"),
        ({"sequence": "2"}, "is not one"),
        ({"sequence": True}, "is not one"),
        ({"stream": None}, "is not one"),
    ],
)
def test_a_changed_entry_is_found(change: dict[str, Any], said: str) -> None:
    log = entries()
    changed = {**log[1], **change}
    found = verify([head_of(log)], [log[0], changed, *log[2:]])
    assert found
    assert said in found.problem


def test_an_entry_hashed_again_does_not_follow_its_chain() -> None:
    log = entries()
    changed = {**log[1], "prevHash": "1" * 64}
    changed["hash"] = entry_hash(changed)
    found = verify([head_of(log)], [log[0], changed, *log[2:]])
    assert found
    assert (found.sequence, found.problem) == (2, "the entry does not follow the one before it")


def test_the_first_broken_place_is_named_and_the_chain_is_followed_no_further() -> None:
    log = entries()
    found = verify([head_of(log)], [log[0], log[2], log[1], log[3]])
    assert found == Broken("gw-1", 2, "the entry is missing or not in its place")


def test_a_head_with_another_hash_or_no_signature_is_found() -> None:
    log = entries()
    for change, said in (({"hash": "1" * 64}, "another hash"), ({"signature": ""}, "not signed")):
        found = verify([{**head_of(log), **change}], log)
        assert found
        assert said in found.problem


def test_entries_after_the_head_and_without_a_head_are_found() -> None:
    log = entries()
    assert verify([head_of(log[:2])], log) == Broken("gw-1", 3, "the entry came after the end of the chain")
    assert verify([], log) == Broken("gw-1", 4, "the chain has no head")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Connection]:
    engine = store.open_database(f"sqlite:///{tmp_path}/log.db")
    store.migrate(engine)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection
    engine.dispose()


def seals(directory: Path, secret: str = SECRET, old: str = "") -> Seals:
    return Seals(gateway_settings(directory, jwt_secret=secret, jwt_secrets_old=old))


def store_head(log: Connection, by: Seals, chain: Chain) -> None:
    values = {"stream": chain.stream, "number": chain.number, "count": chain.count, "hash": chain.hash}
    log.execute(insert(store.audit_heads).values(**values, signature=by.sign_head(chain)))


def test_a_renewed_seal_leaves_a_head_that_has_moved_alone(
    log: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = seals(tmp_path, OLD), seals(tmp_path, SECRET, OLD)
    store_head(log, before, Chain("gw-1", 1, 4, "4" * 64))
    moved = Chain("gw-1", 1, 5, "5" * 64)

    def read_then_move(connection: Connection) -> list[dict[str, Any]]:
        heads = read_heads(connection)
        values = {"count": 5, "hash": moved.hash, "signature": before.sign_head(moved)}
        connection.execute(update(store.audit_heads).values(**values))
        return heads

    monkeypatch.setattr("meshguard.gateway.audit_seals.read_heads", read_then_move)
    after.renew(log)
    assert read_heads(log)[0]["signature"] == before.sign_head(moved)


def test_an_old_seal_is_renewed_and_a_foreign_one_is_not(log: Connection, tmp_path: Path) -> None:
    before, after = seals(tmp_path, OLD), seals(tmp_path, SECRET, OLD)
    foreign = seals(tmp_path, SECRET[::-1])
    chains = [Chain(f"gw-{number}", number, 4, "4" * 64) for number in (1, 2)]
    for by, chain in zip((before, foreign), chains, strict=True):
        store_head(log, by, chain)
        by.leave_tombstone(log, chain.stream, 2, "2" * 64, 7)
    after.renew(log)
    first, second = read_heads(log)
    only_new = seals(tmp_path)
    assert not Verifier([first], keys=only_new.keys).broken
    assert only_new.signed_by_gateway([first, second]) == [first]
    assert second["signature"] == foreign.sign_head(chains[1])
    assert Verifier([second], keys=after.keys).broken


def test_a_milestone_beyond_the_head_is_found(log: Connection, tmp_path: Path) -> None:
    ours, other = seals(tmp_path), seals(tmp_path, OLD)
    moved = Chain("gw-1", 1, 5, "5" * 64)
    store_head(log, ours, moved)
    put_milestone(log, read_heads(log)[0])
    log.execute(update(store.audit_heads).values(count=0, hash="0" * 64))
    store.put_state(log, "chains", "1")
    found, _ = audit_log.verify(log, ours)
    assert found.broken
    assert "missing, and all after it" in found.broken.problem
    assert other.signed_by_gateway(read_milestones(log)) == []


def test_only_milestones_that_are_passed_are_removed(log: Connection, tmp_path: Path) -> None:
    ours = seals(tmp_path)
    for stream in ("gw-1", "gw-2"):
        for count in (9, 10, 100):
            put_milestone(log, {"stream": stream, "number": 1, "count": count, "hash": "", "signature": ""})
    ours.leave_tombstone(log, "gw-1", 10, "1" * 64, 7)
    assert [mark["count"] for mark in read_milestones(log, "gw-1")] == [100]
    assert [mark["count"] for mark in read_milestones(log, "gw-2")] == [9, 10, 100]


@pytest.mark.parametrize("value", ["", "[", "[]", "{}", '{"number": 1e999}', "[" * 100_000])
def test_what_is_no_milestone_is_ignored(log: Connection, value: str) -> None:
    store.put_state(log, "milestone gw-1 1", value)
    store.put_state(log, "milestone", value)
    assert read_milestones(log) == []
