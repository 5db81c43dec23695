"""Sharing the interpreter's lock with threads that compute for long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVAL = 0.0005  # seconds after which a thread that computes gives up the lock when others wait for it


class _Sharing:
    """How many threads of the process compute: the interval is the process's own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = 0
        self._usual = 0.0

    def begin(self) -> None:
        with self._lock:
            self._number += 1
            if self._number == 1:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(INTERVAL)

    def end(self) -> None:
        with self._lock:
            self._number -= 1
            if not self._number:
                sys.setswitchinterval(self._usual)


_sharing = _Sharing()


@contextmanager
def computing() -> Iterator[None]:
    """Let the event loop wait less for the interpreter's lock while this thread computes.

    A decision needs the lock several times, and waits up to 5 ms for each otherwise. Always waiting less
    would cost each decision a fifth more of the processor.
    """
    _sharing.begin()
    try:
        yield
    finally:
        _sharing.end()
