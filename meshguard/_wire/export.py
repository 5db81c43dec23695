"""An export of the audit log while it is received: in bounded memory, complete or an error."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from meshguard._wire.errors import invalid_response
from meshguard._wire.intake import too_large
from meshguard.audit_verify import UnreadableError, Verifier, is_head, read_object
from meshguard.exceptions import GatewayError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    import httpx

    from meshguard.types import AuditHead, AuditVerification, BinaryWriter, BrokenEntry

MAX_ROUNDS = 5  # while retention removes entries
_NEEDED = frozenset({"timestamp", "action", "decision"})


class EntryReader:
    """Splits the body of an export into entries, however it is cut into pieces.

    Args:
        response: The response that is read.
        limit: Bytes that one entry may have.
        take: Takes the line of an entry, without its line break, and the entry.
    """

    def __init__(
        self, response: httpx.Response, limit: int, take: Callable[[bytes, dict[str, Any]], None]
    ) -> None:
        self._response = response
        self._limit = limit
        self._take = take
        self._number = 0
        self._open: list[bytes] = []
        self._open_size = 0

    def add(self, piece: bytes) -> None:
        """Take the entries that a piece completes."""
        complete, line_break, rest = piece.rpartition(b"\n")
        if line_break:
            for line in b"".join([*self._open, complete]).split(b"\n"):
                self._read(line)
            self._open, self._open_size = [], 0
        self._open.append(rest)
        self._open_size += len(rest)
        if self._open_size > self._limit:
            raise too_large(self._limit)

    def finish(self) -> None:
        """Check that the last entry is complete."""
        if self._open_size:
            raise invalid_response(self._response, "the export is cut short within an entry")

    def _read(self, line: bytes) -> None:
        self._number += 1
        try:
            entry = read_object(line, f"line {self._number}")
        except UnreadableError:
            entry = {}
        if not entry.keys() >= _NEEDED:
            raise invalid_response(self._response, f"line {self._number} of the export is not an audit entry")
        self._take(line, entry)


class EntryWriter:
    """Writes the lines of entries to a file and counts them."""

    def __init__(self, file: BinaryWriter) -> None:
        if isinstance(file, io.TextIOBase) or not hasattr(file, "write"):
            raise InvalidRequestError(
                "Invalid file: it must be a path, or a file that is open for writing bytes."
            )
        self._file = file
        self.count = 0

    def take(self, line: bytes, _entry: Mapping[str, Any]) -> None:
        """Write an entry."""
        left = line + b"\n"
        while left:  # an unbuffered file may take less than it is given
            written = self._file.write(left)
            left = left[written:] if isinstance(written, int) else b""
        self.count += 1


class ChainFollower:
    """Verifies the entries that were there when the heads were read, and writes them.

    Args:
        heads: The ends of all chains.
        anchors: Heads that were seen at earlier times.
        out: A file for the entries, which is emptied first; None to write none.
    """

    def __init__(self, heads: list[AuditHead], anchors: Iterable[AuditHead], out: IO[bytes] | None) -> None:
        self._counts = {head["stream"]: head["count"] for head in heads}
        self._verifier = Verifier(heads, anchors=anchors)
        self._writer = EntryWriter(out) if out else None
        if out:
            out.seek(0)
            out.truncate()

    @property
    def written(self) -> int:
        """How many entries were written."""
        return self._writer.count if self._writer else 0

    def take(self, line: bytes, entry: Mapping[str, Any]) -> None:
        """Follow a chain by one entry; a later one is omitted."""
        stream, sequence = entry.get("stream"), entry.get("sequence")
        is_later = isinstance(sequence, int) and sequence > self._counts.get(str(stream), 0)
        if is_later:
            return
        self._verifier.add(entry)
        if self._writer:
            self._writer.take(line, entry)

    def finish(self) -> BrokenEntry | None:
        """Return the first broken place."""
        broken = self._verifier.finish()
        if broken is None:
            return None
        place: BrokenEntry = {
            "stream": broken.stream,
            "sequence": broken.sequence,
            "problem": broken.problem,
        }
        return {**place, "id": broken.id} if broken.id else place


def check_anchors(anchors: Iterable[AuditHead]) -> list[AuditHead]:
    """Return anchors that are well-formed."""
    checked = list(anchors)
    for number, anchor in enumerate(checked):
        if not is_head(anchor):
            raise InvalidRequestError(
                f"Invalid anchors[{number}]: it is not the head of a chain. "
                "Pass heads of earlier verifications."
            )
    return checked


def have_same_tombstones(one: AuditVerification, other: AuditVerification) -> bool:
    """Whether retention removed nothing between two verifications."""
    pruned = [{head["stream"]: head.get("pruned") for head in found.heads} for found in (one, other)]
    return pruned[0] == pruned[1]


def busy_retention() -> GatewayError:
    """The error for a log that changes whenever it is read."""
    return GatewayError(
        f"Cannot read the whole audit log: old entries were removed in each of {MAX_ROUNDS} attempts. "
        "Try again later."
    )


@contextlib.contextmanager
def replacing(path: Path) -> Generator[IO[bytes], None, None]:
    """Open a private file that takes its name once everything is written."""
    if path.exists() and not path.is_file():
        raise InvalidRequestError(f"Cannot replace {path}: it is not a regular file. Pass an open file.")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".meshguard-", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_heads(path: Path, verification: AuditVerification | None) -> None:
    """Write the heads beside an export; those of an earlier export are removed."""
    beside = Path(f"{path}.heads")
    if verification is None:
        beside.unlink(missing_ok=True)
        return
    with replacing(beside) as file:
        file.write(json.dumps({"heads": verification.heads}, ensure_ascii=False).encode() + b"\n")
