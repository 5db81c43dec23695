"""Proof that the oldest entries of a chain are those that the gateway wrote, before they are removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Select, and_, or_, select

from meshguard.audit_verify import Broken, Verifier, head_fields, is_signed
from meshguard.gateway.audit import entry_of
from meshguard.gateway.store import audit_entries

if TYPE_CHECKING:
    from meshguard.gateway.audit_seals import Seals

Rows: TypeAlias = Sequence[Mapping[Any, Any]]
ReadRows: TypeAlias = Callable[[Select[Any]], Rows]

REMOVED_AT_ONCE = 250  # entries of one transaction, so that decisions don't wait for long
_READ_AT_ONCE = 500

_entry = audit_entries.c


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in a chain up to which its entries may be removed.

    Args:
        stream: The chain.
        sequence: The last entry to remove.
        hash: That entry's hash.
    """

    stream: str
    sequence: int
    hash: str


@dataclass(slots=True)
class Proof:
    """What was found out about the oldest entries of a chain.

    Args:
        cuts: Where the chain may be cut, oldest first; empty when it is broken.
        broken: Where it is broken.
        at: The place that was asked for, if it was reached.
    """

    cuts: list[Cut] = field(default_factory=list)
    broken: Broken | None = None
    at: Cut | None = None

    @property
    def end(self) -> int:
        """The last entry that may be removed; 0 when none may."""
        return self.cuts[-1].sequence if self.cuts else 0


class Prover:
    """Follows a chain from its tombstone to a place that the gateway signed.

    Only there are the entries before it proven: whoever rewrites them can compute every hash but not the
    signature. Signed places are the milestones, and the head. Reads page by page, in bounded memory.

    Args:
        read: Returns the rows of a query.
        seals: The keys whose signatures count.
        pause: Called after each page, to leave the processor to decisions; may raise to give up.
    """

    def __init__(self, read: ReadRows, seals: Seals, pause: Callable[[], None]) -> None:
        self._read = read
        self.seals = seals
        self._pause = pause

    def prove(
        self, head: Mapping[str, Any], milestones: Sequence[Mapping[str, Any]], before: int, place: int = 0
    ) -> Proof:
        """Return where a chain may be cut.

        Args:
            head: The chain's AuditHead.
            milestones: Earlier heads of the chain that the gateway signed.
            before: Entries older than this moment may be removed, up to the first that is not.
            place: A place whose hash is wanted too.
        """
        walk = _Walk(head, milestones, self.seals, before, place)
        if walk.broken:
            return Proof(broken=walk.broken)
        for row in self.rows(head):
            if walk.step(row):
                break
        else:
            walk.end()
        return Proof(broken=walk.broken) if walk.broken else Proof(walk.cuts, at=walk.at)

    def rows(self, head: Mapping[str, Any]) -> Iterator[Mapping[Any, Any]]:
        """Give the entries of a chain up to its head, in order, duplicates included."""
        ours = and_(_entry.stream == head["stream"], _entry.sequence <= head["count"])
        query = (
            select(audit_entries).where(ours).order_by(_entry.sequence, _entry.row_id).limit(_READ_AT_ONCE)
        )
        page = self._read(query)
        while page:
            yield from page
            sequence, row_id = page[-1]["sequence"], page[-1]["row_id"]
            if len(page) < _READ_AT_ONCE:
                return
            self._pause()
            after = and_(_entry.sequence >= sequence, or_(_entry.sequence > sequence, _entry.row_id > row_id))
            page = self._read(query.where(after))


class _Walk:
    """How far a chain has been followed."""

    def __init__(
        self,
        head: Mapping[str, Any],
        milestones: Sequence[Mapping[str, Any]],
        seals: Seals,
        before: int,
        place: int,
    ) -> None:
        self._stream = head["stream"]
        self._before = before
        self._place = place
        self.at: Cut | None = None
        self._signed = sorted(mark["count"] for mark in milestones)
        self._verifier = Verifier([head], keys=seals.keys, anchors=milestones)
        self.broken = self._verifier.broken
        if not self.broken and not is_signed(seals.keys, "head", head_fields(head), head["signature"]):
            self.broken = Broken(self._stream, head["count"], "the chain's head is not signed by the gateway")
        if not self.broken and self._signed and self._signed[-1] > head["count"]:
            self.broken = Broken(self._stream, head["count"] + 1, "the entry is missing, and all after it")
        self.cuts: list[Cut] = []
        self.oldest_end = (head.get("pruned") or {"count": 0})["count"]
        self._goal: int | None = None
        self._last_old: Mapping[Any, Any] | None = None
        self._since_cut = 0

    def step(self, row: Mapping[Any, Any]) -> bool:
        """Follow by one entry; return whether nothing more needs to be read."""
        add_row(self._verifier, row)
        self.broken = self._verifier.broken
        if self.broken:
            return True
        if row["sequence"] == self._place:
            self.at = Cut(self._stream, row["sequence"], row["hash"])
        if self._goal is None and row["timestamp"] < self._before:
            self._note_old(row)
            return False
        if self._goal is None:
            self._close()
            if not self.cuts:
                return True
            self._goal = self._signed_from(self.oldest_end)
        return int(row["sequence"]) >= self._goal > 0

    def _note_old(self, row: Mapping[Any, Any]) -> None:
        self._last_old = row
        self.oldest_end = row["sequence"]
        self._since_cut += 1
        if self._since_cut == REMOVED_AT_ONCE:
            self._close()

    def _close(self) -> None:
        if self._since_cut and self._last_old is not None:
            self.cuts.append(Cut(self._stream, self._last_old["sequence"], self._last_old["hash"]))
            self._since_cut = 0

    def _signed_from(self, place: int) -> int:
        """Return the first signed place from here on; 0 when only the head is left."""
        return next((count for count in self._signed if count >= place), 0)

    def end(self) -> None:
        """Hold the chain against its head; there is nothing more to read."""
        self._close()
        self._verifier.finish_chain(self._stream)
        self.broken = self._verifier.broken


def add_row(verifier: Verifier, row: Mapping[Any, Any]) -> None:
    """Follow a chain by the entry of a row, whatever is in the row."""
    try:
        entry = entry_of(row)
    except (TypeError, ValueError, OverflowError, RecursionError, OSError):
        verifier.unreadable(row["stream"], row["sequence"], row["id"])
    else:
        verifier.add(entry)
