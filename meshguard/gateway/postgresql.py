"""Connections to PostgreSQL, which wait for the server only so long."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import URL, Engine, create_engine, event

if TYPE_CHECKING:
    from collections.abc import Generator

DEFAULT_PATIENCE = 600.0  # seconds that a statement may take where no limit is set, such as a migration's

# A gateway whose machine vanished must neither hold others up with its locks nor be waited for in vain.
_SETTINGS = {
    "application_name": "meshguard",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_OPTIONS = (
    "-c synchronous_commit=on -c idle_in_transaction_session_timeout=30s"
    " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
)

_T = TypeVar("_T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server takes too long over a statement.

    A server that hangs can't keep its own limits, and its machine goes on acknowledging what it is sent, so
    that TCP's timeouts don't help either.

    Attributes:
        patience: Seconds that each statement may take.
    """

    patience = DEFAULT_PATIENCE

    def wait(self, gen: Generator[Any, Any, _T], *args: Any, **kwargs: Any) -> _T:
        """Run the steps of an exchange with the server, as psycopg does, until the patience is over."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, steps: Generator[Any, Any, _T]) -> Generator[Any, Any, _T]:
        until = monotonic() + self.patience
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send((yield wanted))
                if monotonic() > until:
                    break
        except StopIteration as end:
            result: _T = end.value
            return result
        self.pgconn.finish()
        raise psycopg.OperationalError(f"the server took longer than {self.patience:g} s")


def open_postgresql(url: URL) -> Engine:
    """Return the engine of a database; nothing is connected yet."""
    given = url.query.get("options", "")
    settings = {name: value for name, value in _SETTINGS.items() if name not in url.query}
    settings["options"] = f"{given} {_OPTIONS}"
    url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, hide_parameters=True, connect_args=settings)
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _restore_patience)
    return engine


def _connect(_dialect: object, _record: object, args: list[Any], settings: dict[str, Any]) -> Any:
    return BoundedConnection.connect(*args, **settings)


def _restore_patience(driver: BoundedConnection, *_: object) -> None:
    driver.patience = DEFAULT_PATIENCE  # whatever the last user of a pooled connection set
