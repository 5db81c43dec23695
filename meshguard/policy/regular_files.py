"""Reading files that somebody named: never waits, and never takes in more than a limit."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would wait for a writer
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularError(OSError):
    """The path leads to something other than a regular file; `kind` says to what."""

    def __init__(self, kind: str, path: Path | None = None) -> None:
        super().__init__(errno.EINVAL, f"{kind}, not a regular file", None if path is None else str(path))
        self.kind = kind


def require_regular(status: os.stat_result, path: Path | None = None) -> None:
    """Do nothing for a regular file.

    Raises:
        NotRegularError: It is something else.
    """
    if not stat.S_ISREG(status.st_mode):
        kinds = (name for is_kind, name in _KINDS if is_kind(status.st_mode))
        raise NotRegularError(next(kinds, "an odd entry"), path)


def read_regular(path: Path, limit: int) -> bytes:
    """Return the contents of a regular file, links followed; of a longer file, the first `limit` bytes.

    Args:
        path: The file.
        limit: Bytes.

    Raises:
        OSError: The file can't be read, or is not a regular file (`NotRegularError`).
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        require_regular(path.stat(), path)  # a socket can't be opened at all
        raise
    try:
        require_regular(os.fstat(descriptor), path)
        parts: list[bytes] = []
        while limit and (part := os.read(descriptor, limit)):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
