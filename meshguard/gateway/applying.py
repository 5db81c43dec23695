"""Putting committed changes of agents and policies into effect."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from meshguard.gateway.background import Repeating

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.gateway.background import Faults

_PART = "applying changes"

_J = TypeVar("_J")


class Applying(Generic[_J]):
    """A thread that applies changes once they are committed, while decisions go on being written.

    Compiling many policies takes long. Only the callers of the changes wait for it.

    Args:
        answer: Called with the jobs of changes that were applied.
        faults: Where errors are reported.
    """

    def __init__(self, answer: Callable[[list[_J]], None], faults: Faults) -> None:
        self._answer = answer
        self._faults = faults
        self._queue: SimpleQueue[tuple[Callable[[], None], _J] | None] = SimpleQueue()
        self._thread = Repeating("applying", self._step, faults)

    def start(self) -> None:
        """Start the thread, or start it again if it died."""
        self._thread.start()

    def put(self, apply: Callable[[], None], job: _J) -> None:
        """Apply a change; what several changes have in common is done once for all that wait."""
        self._queue.put((apply, job))

    async def stop(self) -> None:
        """Apply what is waiting, then end."""
        self._queue.put(None)
        await self._thread.ended()
        self._thread.stop()

    def _step(self) -> None:
        waiting: dict[Callable[[], None], list[_J]] = {}
        change = self._queue.get()
        while change is not None:
            waiting.setdefault(change[0], []).append(change[1])
            try:
                change = self._queue.get_nowait()
            except Empty:
                break
        else:
            self._thread.stop()
        for apply, jobs in waiting.items():
            self._apply(apply, jobs)

    def _apply(self, apply: Callable[[], None], jobs: list[_J]) -> None:
        try:
            apply()
        except BaseException as error:  # noqa: BLE001 - it is committed, and the caller must hear of it
            self._faults.report(_PART, error)
        else:
            self._faults.clear(_PART)
        finally:
            self._answer(jobs)
