"""Room on the disk of a SQLite database, and how much of it the database takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

LITTLE = 512 * 2**20  # bytes that are free when `/health` warns


class Disk:
    """The disk that a gateway's database is on; known for SQLite, whose file is on this machine.

    Args:
        engine: The database.
    """

    def __init__(self, engine: Engine) -> None:
        is_file = engine.dialect.name == "sqlite" and engine.url.database
        self._file = Path(str(engine.url.database)) if is_file else None

    def free(self) -> int | None:
        """Return the free bytes for the gateway's user; None when they are not known."""
        if self._file is None:
            return None
        try:
            found = os.statvfs(self._file.absolute().parent)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def used(self) -> int | None:
        """Return the bytes of the database's files; None when they are not known."""
        if self._file is None:
            return None
        sizes = []
        for suffix in ("", "-wal", "-shm"):
            try:
                sizes.append(Path(f"{self._file}{suffix}").stat().st_size)
            except OSError:
                continue
        return sum(sizes)

    @property
    def problem(self) -> str | None:
        """What `/health` says when there is little room; None while there is enough."""
        free = self.free()
        if free is None or free >= LITTLE:
            return None
        return f"only {free // 2**20} MiB are free on the disk of the database"
