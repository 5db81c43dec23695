"""Keeping up with the database, where this gateway and others change agents and policies."""

from __future__ import annotations

import logging
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from meshguard.gateway import store
from meshguard.policy import PolicyLoadError, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine, PoolProxiedConnection

    from meshguard.gateway.snapshot import Current

_log = logging.getLogger("meshguard.gateway")

# Seconds between two looks at the revision, when no notification comes first; SQLite has none.
_INTERVAL = {"postgresql": 0.4, "sqlite": 0.2}

_PATIENCE = 0.1  # seconds that stopping may take


class Sync:
    """Puts in force what changed in the database, within a second, whoever changed it.

    Args:
        engine: The database.
        current: The snapshot that is kept up.
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(self, engine: Engine, current: Current, monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._current = current
        self._monotonic = monotonic
        self._known = -1
        self._lock = Lock()
        self._stopping = Event()
        self._failing = False
        self._thread = Thread(target=self._run, name="meshguard-sync", daemon=True)

    def start(self) -> None:
        """Begin to keep up, after `load`."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a look that is under way."""
        self._stopping.set()
        self._thread.join()

    def load(self) -> None:
        """Put in force what changed since the last time, and confirm the snapshot.

        Raises:
            SQLAlchemyError: The database does not answer.
            PolicyLoadError: This version can't read a stored policy; nothing changed.
        """
        with self._lock:
            moment = self._monotonic()
            store.read(self._engine, self._load)
            self._current.confirm(moment)

    def _load(self, connection: Connection) -> None:
        number = store.read_revision(connection)
        if number == self._known:
            return
        # A number that went down is another database in the old one's place, such as a restored one.
        after = self._known if number > self._known else -1
        agents = store.read_agents(connection, after)
        policies = store.read_policies(connection, after)
        names = store.read_policy_names(connection)
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
        except (SQLAlchemyError, PolicyLoadError) as error:
            if not self._failing:
                _log.error("changes of agents and policies can't be read (%s)", type(error).__name__)
            self._failing = True
            return False
        if self._failing:
            _log.info("changes of agents and policies can be read again")
        self._failing = False
        return True

    def _run(self) -> None:
        interval = _INTERVAL[self._engine.dialect.name]
        listener = _Listener(self._engine) if self._engine.dialect.name == "postgresql" else None
        while not self._stopping.is_set():
            self._try()
            if not (listener and listener.wait(interval, self._stopping)):
                self._stopping.wait(interval)
        if listener:
            listener.close()


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
