"""Keeping up with the database, where this gateway and others change agents and policies."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from meshguard.gateway import store
from meshguard.gateway.background import Repeating
from meshguard.gateway.sharing import computing
from meshguard.policy import load_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from sqlalchemy import Connection, Engine, PoolProxiedConnection

    from meshguard.gateway.background import Faults
    from meshguard.gateway.snapshot import Current

# Seconds between two looks at the revision, when no notification comes first; SQLite has none.
_INTERVAL = {"postgresql": 0.4, "sqlite": 0.2}

_PATIENCE = 0.1  # seconds that stopping may take
_LOAD_TIMEOUT = 5.0  # seconds that a change waits for a look that is under way, and a statement for its rows
_PART = "reading changes of agents and policies"


class Sync:
    """Puts in force what changed in the database, within a second, whoever changed it.

    Args:
        engine: The database.
        current: The snapshot that is kept up.
        monotonic: Seconds of a clock that nobody sets.
        faults: Where errors are reported.
    """

    def __init__(
        self, engine: Engine, current: Current, monotonic: Callable[[], float], faults: Faults
    ) -> None:
        self._engine = engine
        self._current = current
        self._monotonic = monotonic
        self._faults = faults
        self._known = -1
        self._lock = Lock()
        self._listener = _Listener(engine) if engine.dialect.name == "postgresql" else None
        self._thread = Repeating("sync", self._step, faults)

    def start(self) -> None:
        """Begin to keep up, after `load`, or begin again if the thread died."""
        self._thread.start()

    async def stop(self) -> None:
        """End; waits for a look that is under way."""
        self._thread.stop()
        await self._thread.ended()
        if self._listener:
            self._listener.close()

    def load(self) -> None:
        """Put in force what changed since the last time, and confirm the snapshot.

        Raises:
            SQLAlchemyError: The database does not answer.
            PolicyLoadError: This version can't read a stored policy; nothing changed.
            TimeoutError: Another look takes too long.
        """
        if not self._lock.acquire(timeout=_LOAD_TIMEOUT):
            raise TimeoutError("another look at the database takes too long")
        try:
            moment, doubts = self._monotonic(), self._current.doubts
            store.read(self._engine, self._load, _LOAD_TIMEOUT)
            self._current.confirm(moment, doubts)
        finally:
            self._lock.release()

    def _load(self, connection: Connection) -> None:
        number = store.read_revision(connection)
        if number == self._known:
            return
        # A number that went down is another database in the old one's place, such as a restored one.
        after = self._known if number > self._known else -1
        agents = store.read_agents(connection, after)
        policies = store.read_policies(connection, after)
        names = store.read_policy_names(connection)
        with computing():
            changed = {name: load_policy(document) for name, document in policies.items()}
            self._current.replace(
                lambda old: old.changed(agents, changed, names) if after >= 0 else old.reset(agents, changed)
            )
        self._known = number

    def refresh(self) -> None:
        """Do as `load`; after a failure nothing is allowed until it succeeds."""
        if not self._try():
            self._current.doubt()

    def _try(self) -> bool:
        try:
            self.load()
        except BaseException as error:  # noqa: BLE001 - the snapshot grows too old to decide from
            self._faults.report(_PART, error)
            return False
        self._faults.clear(_PART)
        return True

    def _step(self) -> None:
        self._try()
        interval, stopping = _INTERVAL[self._engine.dialect.name], self._thread.stopping
        if not (self._listener and self._listener.wait(interval, stopping)):
            stopping.wait(interval)


class _Listener:
    """Waits for the notifications of PostgreSQL, on a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: PoolProxiedConnection | None = None

    def wait(self, seconds: float, stopping: Event) -> bool:
        """Return after a notification or after so many seconds; false at once when that can't be done."""
        until = monotonic() + seconds
        try:
            while monotonic() < until and not stopping.is_set() and not self._is_notified():
                pass
        except Exception:  # noqa: BLE001 - whatever it is, the caller's own pace is the safety net
            self.close()
            return False
        return True

    def _is_notified(self) -> bool:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
            driver: Any = self._connection.driver_connection
            driver.patience = _LOAD_TIMEOUT
            driver.set_autocommit(True)
            driver.execute(f"LISTEN {store.CHANNEL}")
            return True  # for all one knows
        driver = self._connection.driver_connection
        return any(True for _ in driver.notifies(timeout=_PATIENCE, stop_after=1))

    def close(self) -> None:
        """End the connection, if there is one; it can't go back to the pool."""
        connection, self._connection = self._connection, None
        if connection:
            connection.invalidate()
