"""Moving what SQLite has written ahead into the database, beside the commits rather than during one."""

from __future__ import annotations

import logging
from contextlib import closing
from sqlite3 import Error
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

_log = logging.getLogger("meshguard.gateway")

_INTERVAL = 1.0  # seconds
_LONG_LOG = 4_000  # pages of 4 KiB, from which on the log begins anew


class Checkpoints:
    """A thread that checkpoints a SQLite database; with another database it does nothing.

    SQLite would do it at the end of a commit, and all decisions of that moment would wait for the disk.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="meshguard-checkpoints", daemon=True)
        if engine.dialect.name == "sqlite":
            self._thread.start()

    def stop(self) -> None:
        """End; the last connection that closes checkpoints what is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            try:
                self._checkpoint()
            except Error as error:
                _log.debug("no checkpoint this time (%s)", type(error).__name__)

    def _checkpoint(self) -> None:
        with closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            _, pages, moved = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > _LONG_LOG and moved > pages // 2:
                # Writers wait for this one, but little is left to be moved.
                cursor.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            cursor.close()
