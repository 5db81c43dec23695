"""Removal of old audit entries, and of nothing else."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, delete, select

from meshguard.audit_verify import Broken, Verifier, is_head
from meshguard.gateway import partitions, store
from meshguard.gateway.audit_proof import REMOVED_AT_ONCE, Cut, Proof, Prover, Rows, add_row
from meshguard.gateway.audit_seals import put_milestone, read_heads, read_milestones
from meshguard.gateway.background import STOP_TIMEOUT
from meshguard.gateway.pools import LONG_TIMEOUT, Pool
from meshguard.gateway.store import audit_entries
from meshguard.gateway.writer import Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Select

    from meshguard.gateway.audit_seals import Seals
    from meshguard.gateway.partitions import Span
    from meshguard.gateway.writer import Writer

_log = logging.getLogger("meshguard.gateway")

_LONGEST_PAUSE = 1.0  # seconds between two pages of a verification

_entry = audit_entries.c


class StoppedError(RuntimeError):
    """The gateway stops; the verification can begin again at the next start."""


class Retention:
    """Removes entries that are old and proven to be the gateway's own. Keeps the others and reports them.

    Args:
        engine: The database.
        seals: To sign tombstones with, and the keys whose signatures count.
        span: How much time a new partition is for.
    """

    def __init__(self, engine: Engine, seals: Seals, span: Span) -> None:
        self._engine = engine
        self._seals = seals
        self._span = span
        self._stopping = Event()
        self._pool = Pool("retention", threads=1, waiting=10, computes=True)
        self._page_began = monotonic()
        self._kept: list[Broken] = []
        self._verified: Broken | None = None

    @property
    def problems(self) -> list[str]:
        """What the last run and the last verification found broken, each as a sentence's end."""
        found = {
            _where(broken): None for broken in (*self._kept, *([self._verified] if self._verified else []))
        }
        return list(found)

    def note_verification(self, broken: Broken | None) -> None:
        """Report the outcome of a verification of the whole log."""
        self._verified = broken
        if broken:
            _log.error("the audit log is broken: %s", _where(broken))

    async def run(self, writer: Writer, before: int, now: int) -> None:
        """Remove what is old and proven.

        Args:
            writer: The one that all entries are written by.
            before: Milliseconds since 1970; older entries are to go.
            now: Milliseconds since 1970.

        Raises:
            Problem: 503, when the database can't be written.
            SQLAlchemyError: The database does not answer, or others kept a lock for too long.
            StoppedError: The gateway stops.
        """
        await self._take_milestones(writer)
        dropped = await self._beside(lambda: self._drop_partitions(before, now))
        kept = list(dropped.broken)
        for head in await self._beside(lambda: self._heads_with_old_entries(dropped.before)):
            proof = await self._beside(partial(self._prove, head, dropped.before))
            broken = proof.broken or await self._remove(writer, proof.cuts, now)
            if broken and await self._beside(partial(self._is_unchanged, head)):
                kept.append(broken)
        self._kept = kept
        for broken in kept:
            _log.error("old audit entries are kept, since the log is broken: %s", _where(broken))

    async def stop(self) -> None:
        """Give up what is under way."""
        self._stopping.set()
        with suppress(TimeoutError):
            await self._pool.run(lambda: None, STOP_TIMEOUT)
        self._pool.stop()

    async def _beside(self, work: Callable[[], Any]) -> Any:
        return await self._pool.run(work, LONG_TIMEOUT)

    def _pause(self) -> None:
        """Leave the processor to decisions for as long as the page took."""
        took = monotonic() - self._page_began
        if self._stopping.wait(min(took, _LONGEST_PAUSE)):
            raise StoppedError
        self._page_began = monotonic()

    def _drop_partitions(self, before: int, now: int) -> partitions.Dropped:
        self._page_began = monotonic()
        return partitions.drop_expired(self._engine, before, now, self._span, self._seals, pause=self._pause)

    async def _take_milestones(self, writer: Writer) -> None:
        """Keep a copy of each head that has moved since the last time."""
        moved = await self._beside(lambda: store.read(self._engine, self._moved_heads))
        if moved:

            def perform(connection: Connection) -> Change[None]:
                for head in moved:
                    put_milestone(connection, head)
                return Change(None)

            await writer.change(perform)

    def _moved_heads(self, connection: Connection) -> list[dict[str, Any]]:
        known = {(mark["stream"], mark["count"]) for mark in read_milestones(connection)}
        heads = self._seals.signed_by_gateway(filter(is_head, read_heads(connection)))
        return [
            head
            for head in heads
            if (head["stream"], head["count"]) not in known
            and head["count"] > (head.get("pruned") or {"count": 0})["count"]
        ]

    def _heads_with_old_entries(self, before: int) -> list[dict[str, Any]]:
        return store.read(
            self._engine,
            lambda connection: [
                head
                for head in read_heads(connection)
                if is_head(head)
                and (self._is_unsigned(head) or _may_have_old_entries(connection, head, before))
            ],
        )

    def _is_unsigned(self, head: dict[str, Any]) -> bool:
        return bool(Verifier([head], keys=self._seals.keys).broken) or not self._seals.signed_by_gateway(
            [head]
        )

    def _prove(self, head: dict[str, Any], before: int) -> Proof:
        stream = head["stream"]
        marks, heads = store.read(
            self._engine,
            lambda connection: (read_milestones(connection, stream), read_heads(connection, stream)),
        )
        if not heads:
            return Proof(broken=Broken(stream, head["count"], "the chain has no head"))
        self._page_began = monotonic()
        prover = Prover(self._read, self._seals, self._pause)
        return prover.prove(heads[0], self._seals.signed_by_gateway(marks), before)

    def _read(self, query: Select[Any]) -> Rows:
        return store.read(self._engine, lambda connection: connection.execute(query).mappings().all())

    async def _remove(self, writer: Writer, cuts: list[Cut], now: int) -> Broken | None:
        for cut in cuts:

            def perform(connection: Connection, cut: Cut = cut) -> Change[Broken | None]:
                if not store.may_prune(connection):
                    return Change(None)
                return Change(remove(connection, cut, now, self._seals))

            broken = await writer.change(perform)
            if broken or self._stopping.is_set():
                return broken
        return None

    def _is_unchanged(self, head: dict[str, Any]) -> bool:
        """Return whether no other process has removed entries of the chain meanwhile."""
        heads = store.read(self._engine, lambda connection: read_heads(connection, head["stream"]))
        return not heads or _pruned(heads[0]) == _pruned(head)


def _where(broken: Broken) -> str:
    return f"{broken.stream}, entry {broken.sequence}: {broken.problem}"


def _pruned(head: dict[str, Any]) -> int:
    return int((head.get("pruned") or {"count": 0})["count"])


def _may_have_old_entries(connection: Connection, head: dict[str, Any], before: int) -> bool:
    ours = _entry.stream == head["stream"]
    first = connection.execute(
        select(_entry.sequence, _entry.timestamp).where(ours).order_by(_entry.sequence).limit(1)
    ).first()
    if first is None:
        return bool(head["count"] != _pruned(head))
    in_place = first.sequence == _pruned(head) + 1 and isinstance(first.timestamp, int)
    return not in_place or first.timestamp < before


def remove(connection: Connection, cut: Cut, now: int, seals: Seals) -> Broken | None:
    """Remove the entries up to a proven place, if they are still those that lead to it.

    The entries are read and hashed again within the transaction: what was changed since the proof stays.

    Args:
        connection: In a transaction.
        cut: The place.
        now: Milliseconds since 1970.
        seals: To sign with.

    Returns:
        Where the chain is broken now; None when the entries are removed, or were already.
    """
    heads = read_heads(connection, cut.stream)
    if not heads:
        return Broken(cut.stream, cut.sequence, "the chain has no head")
    head = heads[0]
    if _pruned(head) >= cut.sequence:
        return None
    verifier = Verifier([head], keys=seals.keys, anchors=[_anchor(cut)])
    ours = (_entry.stream == cut.stream, _entry.sequence <= cut.sequence)
    oldest = select(audit_entries).where(*ours).order_by(_entry.sequence).limit(REMOVED_AT_ONCE + 1)
    rows = connection.execute(oldest).mappings().all()
    for row in rows:
        add_row(verifier, row)
    if verifier.broken or len(rows) != cut.sequence - _pruned(head):
        return verifier.broken or Broken(cut.stream, cut.sequence, "the entries are not all there")
    connection.execute(delete(audit_entries).where(*ours))
    seals.leave_tombstone(connection, cut.stream, cut.sequence, cut.hash, now)
    return None


def _anchor(cut: Cut) -> dict[str, Any]:
    return {"stream": cut.stream, "count": cut.sequence, "hash": cut.hash}
