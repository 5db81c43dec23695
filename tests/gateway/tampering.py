"""A log on either store, and what an intruder who knows all but the secret may do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, text

from meshguard.audit_verify import Broken, Verifier, entry_hash, head_fields, seal_key, sign
from meshguard.gateway import audit_log, partitions, store
from meshguard.gateway.audit import Chain, entry_of, new_row
from meshguard.gateway.audit_retention import Retention
from meshguard.gateway.audit_seals import Seals, read_heads
from meshguard.gateway.background import Faults
from meshguard.gateway.writer import Writer
from tests.support import gateway_settings

DAY = 86_400_000
START = 1_795_305_600_000  # midnight
VICTIM, OTHER, LAST = "gw-victim", "gw-other", "gw-last"


class Log:
    """Three chains with entries of four days, of which the first has been removed as old.

    The victim has entries 1 to 3 of the first day, 4 to 9 of the second, 10 to 13 of the fourth.
    """

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.seals = Seals(gateway_settings(directory))
        self.retention = Retention(engine, self.seals, "day")
        self._chains: dict[str, Chain] = {}
        store.migrate(engine)
        with engine.begin() as connection:
            partitions.create_ahead(connection, START, "day")

    def fill(self) -> None:
        for day, counts in ((0, (3, 2, 2)), (1, (6, 3, 2)), (3, (4, 3, 2))):
            for stream, count in zip((VICTIM, OTHER, LAST), counts, strict=True):
                self.append(stream, count, START + day * DAY)
            if day == 1:
                self.old_head = self.rows(f"SELECT * FROM audit_heads WHERE stream = '{VICTIM}'")[0]
            self.retain(0)  # an hour went by
        self.retain(1)

    def append(self, stream: str, count: int, moment: int) -> None:
        about = {"kind": "decision", "decision": "deny", "reason": "No rule allows it.", "latency_ms": 0.5}
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            chain = self._chains.get(stream) or Chain(stream, store.next_number(connection, "chains"))
            rows = [
                new_row(timestamp=moment + 1_000 * number, trace_id="t", action=f"read:{number}", **about)
                for number in range(count)
            ]
            end = chain.extend(rows, chain.number or 0)
            store.insert_entries(connection, rows)
            head = {"count": end.count, "hash": end.hash, "signature": self.seals.sign_head(end)}
            if stream in self._chains:
                assert store.move_head(connection, stream, chain.count, head)
            else:
                values = {"stream": stream, "number": end.number, **head}
                connection.execute(insert(store.audit_heads).values(values))
            self._chains[stream] = end

    def retain(self, days: int) -> None:
        """Remove what is older than so many days after the start."""

        async def run() -> None:
            writer = Writer(self.engine, self.seals, Faults())
            try:
                await self.retention.run(writer, START + days * DAY, START + 9 * DAY)
            finally:
                await writer.stop()

        asyncio.run(run())

    def verify(self) -> Broken | None:
        verifier, _ = store.read(self.engine, lambda connection: audit_log.verify(connection, self.seals))
        return verifier.broken

    def verify_export(self) -> Broken | None:
        """Verify what an auditor with the secret gets."""
        heads = store.read(self.engine, read_heads)
        verifier = Verifier(heads, keys=self.seals.keys)
        for row in self.rows("SELECT * FROM audit_entries ORDER BY row_id"):
            verifier.add(entry_of(row))
        return verifier.finish()

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(text(statement)).mappings()]

    def evidence(self, stream: str) -> list[dict[str, Any]]:
        return self.rows(f"SELECT * FROM audit_entries WHERE stream = '{stream}' ORDER BY row_id")

    def rehash(self, first: int, last: int, previous: str) -> str:
        """Hash the victim's entries from one place to another again, in their order; return the last hash."""
        between = f"stream = '{VICTIM}' AND sequence BETWEEN {first} AND {last}"
        for row in self.rows(f"SELECT * FROM audit_entries WHERE {between} ORDER BY sequence"):
            row |= {"prev_hash": previous, "hash": None}
            previous = entry_hash(entry_of(row))
            self.run(
                f"UPDATE audit_entries SET prev_hash = '{row['prev_hash']}', hash = '{previous}'"
                f" WHERE row_id = {row['row_id']}"
            )
        return previous

    def hash_of(self, sequence: int) -> str:
        found = self.rows(
            f"SELECT hash FROM audit_entries WHERE stream = '{VICTIM}' AND sequence = {sequence}"
        )
        return str(found[0]["hash"]) if found else self.tombstone()["hash"]

    def tombstone(self) -> dict[str, Any]:
        return self.rows(f"SELECT * FROM audit_tombstones WHERE stream = '{VICTIM}'")[0]


Attack = Callable[[Log], None]
OF_VICTIM = f"stream = '{VICTIM}'"
OLD = START + DAY + 30_000


def statements(*lines: str) -> Attack:
    return lambda log: log.run(*lines)


def move(first: int, last: int) -> str:
    """A statement that puts fresh entries into the part that expires next."""
    return (
        f"UPDATE audit_entries SET timestamp = {OLD} + sequence"
        f" WHERE {OF_VICTIM} AND sequence BETWEEN {first} AND {last}"
    )


def moved_and_hashed(log: Log) -> None:
    log.run(move(10, 12))
    log.rehash(10, 12, log.hash_of(9))


def moved_hashed_and_head(log: Log) -> None:
    log.run(move(10, 13))
    last = log.rehash(10, 13, log.hash_of(9))
    log.run(f"UPDATE audit_heads SET hash = '{last}' WHERE {OF_VICTIM}")


def rewritten(change: str, *, until: int, head: bool = False) -> Attack:
    def attack(log: Log) -> None:
        first = log.rows(f"SELECT min(sequence) AS first FROM audit_entries WHERE {OF_VICTIM}")[0]["first"]
        log.run(change.format(place=first))
        last = log.rehash(first, until, log.tombstone()["hash"])
        if head:
            log.run(f"UPDATE audit_heads SET hash = '{last}' WHERE {OF_VICTIM}")

    return attack


def removed_and_closed(log: Log) -> None:
    """Remove the oldest entry that is left, number all that follow again, and make the head fit."""
    first = log.rows(f"SELECT min(sequence) AS first FROM audit_entries WHERE {OF_VICTIM}")[0]["first"]
    log.run(f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence = {first}")
    for sequence in range(first + 1, 14):
        log.run(
            f"UPDATE audit_entries SET sequence = {sequence - 1} WHERE {OF_VICTIM} AND sequence = {sequence}"
        )
    last = log.rehash(first, 12, log.tombstone()["hash"])
    log.run(f"UPDATE audit_heads SET count = 12, hash = '{last}' WHERE {OF_VICTIM}")


def forged_tombstone(log: Log) -> None:
    """Remove some entries and stand in a tombstone, signed with another key."""
    head = {"stream": VICTIM, "pruned": {"count": 11, "hash": log.hash_of(11), "prunedAt": "1970"}}
    signature = sign(seal_key(b"guess"), "tombstone", head_fields(head))
    log.run(
        f"UPDATE audit_tombstones SET count = 11, hash = '{log.hash_of(11)}', signature = '{signature}'"
        f" WHERE {OF_VICTIM}",
        f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence <= 11",
    )


def unsigned_tombstone(log: Log) -> None:
    log.run(
        f"UPDATE audit_tombstones SET count = 11, hash = '{log.hash_of(11)}', signature = ''"
        f" WHERE {OF_VICTIM}",
        f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence <= 11",
    )


def others_tombstone(log: Log) -> None:
    names = ("count", "hash", "pruned_at", "signature")
    copied = ", ".join(
        f"{name} = (SELECT {name} FROM audit_tombstones WHERE stream = '{OTHER}')" for name in names
    )
    log.run(f"UPDATE audit_tombstones SET {copied} WHERE {OF_VICTIM}")


def inserted(stream: str, sequence: int, moment: int, previous: str = "0" * 64) -> Attack:
    def attack(log: Log) -> None:
        row = new_row(
            timestamp=moment,
            trace_id="t",
            kind="decision",
            action="read:x",
            decision="allow",
            reason="r",
            latency_ms=0.5,
        )
        row |= {"stream": stream, "sequence": sequence, "prev_hash": previous, "hash": None}
        row["hash"] = entry_hash(entry_of(row))
        with log.engine.begin() as connection:
            store.insert_entries(connection, [row])

    return attack


def moved_back(log: Log) -> None:
    """Put an old head, signed in its time, in the place of the present one."""
    log.run(
        "UPDATE audit_heads SET "
        + ", ".join(f"{name} = '{log.old_head[name]}'" for name in ("count", "hash", "signature"))
        + f" WHERE {OF_VICTIM}"
    )


def swapped_days(log: Log) -> None:
    """Exchange the days of the entries of two partitions."""
    log.run(
        f"UPDATE audit_entries SET timestamp = {2 * START + 4 * DAY + 86_000_000} - timestamp"
        f" WHERE timestamp >= {START + DAY}"
    )


ATTACKS: dict[str, Attack] = {
    "fresh entries moved": statements(move(10, 12)),
    "fresh entries moved and hashed": moved_and_hashed,
    "fresh entries moved, hashed, head rewritten": moved_hashed_and_head,
    "all fresh entries moved": statements(move(10, 13)),
    "one moved": statements(move(11, 11)),
    "the last one moved": statements(move(13, 13)),
    "times shifted": statements(f"UPDATE audit_entries SET timestamp = timestamp + 1 WHERE {OF_VICTIM}"),
    "days swapped": swapped_days,
    "content changed": statements(f"UPDATE audit_entries SET decision = 'allow' WHERE {OF_VICTIM}"),
    "hash changed": statements(f"UPDATE audit_entries SET hash = '{'1' * 64}' WHERE {OF_VICTIM}"),
    "prev_hash changed": statements(f"UPDATE audit_entries SET prev_hash = '{'1' * 64}' WHERE {OF_VICTIM}"),
    "unreadable": statements(f"UPDATE audit_entries SET changes = '[' WHERE {OF_VICTIM}"),
    "removed at the beginning": statements(
        f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence IN (4, 10)"
    ),
    "removed in the middle": statements(
        f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence IN (6, 11)"
    ),
    "removed at the border": statements(
        f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence IN (9, 10)"
    ),
    "tail removed": statements(f"DELETE FROM audit_entries WHERE {OF_VICTIM} AND sequence > 11"),
    "all entries removed": statements(f"DELETE FROM audit_entries WHERE {OF_VICTIM}"),
    "removed, numbered and hashed": removed_and_closed,
    "prefix rewritten": rewritten(
        f"UPDATE audit_entries SET decision = 'allow' WHERE {OF_VICTIM} AND sequence = {{place}}", until=9
    ),
    "prefix rewritten beyond the border": rewritten(
        f"UPDATE audit_entries SET decision = 'allow' WHERE {OF_VICTIM} AND sequence = {{place}}", until=11
    ),
    "all rewritten, the head left": rewritten(
        f"UPDATE audit_entries SET decision = 'allow' WHERE {OF_VICTIM}", until=13
    ),
    "all rewritten with the head": rewritten(
        f"UPDATE audit_entries SET decision = 'allow' WHERE {OF_VICTIM}", until=13, head=True
    ),
    "inserted into a removed place": inserted(VICTIM, 2, OLD),
    "inserted with another chain's name": inserted("gw-nowhere", 1, OLD),
    "inserted after the end": inserted(VICTIM, 14, OLD),
    "given to another chain": statements(
        f"UPDATE audit_entries SET stream = 'gw-nowhere' WHERE {OF_VICTIM} AND sequence IN (9, 11)"
    ),
    "tombstone forged": forged_tombstone,
    "tombstone unsigned": unsigned_tombstone,
    "tombstone of another chain": others_tombstone,
    "tombstone removed": statements(f"DELETE FROM audit_tombstones WHERE {OF_VICTIM}"),
    "tombstone's time changed": statements(
        f"UPDATE audit_tombstones SET pruned_at = pruned_at + 1 WHERE {OF_VICTIM}"
    ),
    "head moved back": moved_back,
    "head's count changed": statements(f"UPDATE audit_heads SET count = count - 1 WHERE {OF_VICTIM}"),
    "head's hash changed": statements(f"UPDATE audit_heads SET hash = '{'1' * 64}' WHERE {OF_VICTIM}"),
    "head's signature changed": statements(f"UPDATE audit_heads SET signature = '' WHERE {OF_VICTIM}"),
    "head removed": statements(f"DELETE FROM audit_heads WHERE {OF_VICTIM}"),
    "first chain removed": statements(
        *(f"DELETE FROM {table} WHERE {OF_VICTIM}" for table in ("audit_entries", "audit_heads"))
    ),
    "last chain removed": statements(
        *(f"DELETE FROM {table} WHERE stream = '{LAST}'" for table in ("audit_entries", "audit_heads"))
    ),
}
ON_SQLITE: dict[str, Attack] = {
    "text that is no UTF-8": statements(
        f"UPDATE audit_entries SET action = CAST(x'72ff' AS TEXT) WHERE {OF_VICTIM}"
    ),
    "a time that is a text": statements(f"UPDATE audit_entries SET timestamp = 'then' WHERE {OF_VICTIM}"),
    "a number that is a text": statements(
        f"UPDATE audit_entries SET sequence = 'n' || sequence WHERE {OF_VICTIM}"
    ),
    "a tombstone's time that is a text": statements(
        f"UPDATE audit_tombstones SET pruned_at = 'then' WHERE {OF_VICTIM}"
    ),
    "a head's count that is a text": statements(f"UPDATE audit_heads SET count = 'many' WHERE {OF_VICTIM}"),
}
ON_POSTGRESQL: dict[str, Attack] = {
    "partition detached": statements(
        "ALTER TABLE audit_entries DETACH PARTITION audit_entries_2026_11_25",
    ),
    "partition emptied": statements("TRUNCATE audit_entries_2026_11_25"),
    "partition dropped": statements("DROP TABLE audit_entries_2026_11_25"),
    "duplicate within a partition": statements(
        """INSERT INTO audit_entries (id, timestamp, trace_id, kind, action, decision, reason, latency_ms,
           stream, sequence, prev_hash, hash)
           SELECT id, timestamp + 1, trace_id, kind, action, decision, reason, latency_ms, stream,
           sequence, prev_hash, hash FROM audit_entries WHERE sequence IN (7, 11)"""
    ),
    "partition's bounds changed": statements(
        "ALTER TABLE audit_entries DETACH PARTITION audit_entries_2026_11_25",
        f"UPDATE audit_entries_2026_11_25 SET timestamp = timestamp - {2 * DAY}",
        "INSERT INTO audit_entries SELECT * FROM audit_entries_2026_11_25",
    ),
}
