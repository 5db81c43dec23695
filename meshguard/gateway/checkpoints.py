"""Moving what SQLite has written ahead into the database, beside the commits rather than during one."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshguard.gateway.background import Repeating
from meshguard.gateway.store import BUSY_TIMEOUT

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from meshguard.gateway.background import Faults

_log = logging.getLogger("meshguard.gateway")

_INTERVAL = 1.0  # seconds
_LONG_LOG = 4_000  # pages of 4 KiB, from which on the log begins anew
_MUCH_LEFT = 1_000  # pages that would take too long while writers wait
_ATTEMPTS = 50
_ATTEMPT_PAUSE = 0.005  # seconds
HUGE_LOG = 268_435_456  # bytes, from which on the log is reported


class Checkpoints:
    """A thread that checkpoints a SQLite database; with another database it does nothing.

    SQLite would do it at the end of a commit, and all decisions of that moment would wait for the disk. No
    commit waits for this thread: while others write or read, it leaves the log as it is.
    """

    def __init__(self, engine: Engine, faults: Faults) -> None:
        self._engine = engine
        self._log_file = Path(f"{engine.url.database}-wal")
        self._is_reported = False
        self._thread = Repeating("checkpoints", self._step, faults)
        self.start()

    def start(self) -> None:
        """Start the thread, or start it again if it died."""
        if self._engine.dialect.name == "sqlite":
            self._thread.start()

    async def stop(self) -> None:
        """End; the last connection that closes checkpoints what is left."""
        self._thread.stop()
        await self._thread.ended()

    def size(self) -> int:
        """Return the bytes of the write-ahead log; 0 when there is none."""
        try:
            return self._log_file.stat().st_size
        except OSError:
            return 0

    def state(self) -> str:
        """Return `ok`, or what is wrong with the log."""
        size = self.size()
        if size < HUGE_LOG:
            return "ok"
        return f"a long read keeps SQLite's log from being emptied: {size // 1_048_576} MiB"

    def _step(self) -> None:
        if self._thread.stopping.wait(_INTERVAL):
            return
        with closing(self._engine.raw_connection()) as connection:
            driver: Any = connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 0")
            try:
                self._checkpoint(driver)
            finally:
                driver.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
        self._report()

    def _checkpoint(self, driver: Any) -> None:
        _, pages, moved = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages <= _LONG_LOG or pages - moved > _MUCH_LEFT:
            return
        # It takes the writers' lock, and gives up at once where it would have to wait for it or for readers.
        kind = "TRUNCATE" if self.size() >= HUGE_LOG else "RESTART"
        for _ in range(_ATTEMPTS):
            is_busy, _, _ = driver.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
            if not is_busy or self._thread.stopping.wait(_ATTEMPT_PAUSE):
                return

    def _report(self) -> None:
        state = self.state()
        if state != "ok" and not self._is_reported:
            _log.warning("%s", state)
        self._is_reported = state != "ok"
