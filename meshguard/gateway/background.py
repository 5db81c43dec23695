"""Threads and tasks beside the requests. They survive every error, and `/health` names what fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from meshguard.gateway.logs import log_failure, log_recovery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LOOK = 0.005  # seconds between two looks whether a thread has ended
_PAUSE = 0.5  # seconds after an error
STOP_TIMEOUT = 10.0  # seconds that the gateway waits for a thread to end


class Faults:
    """What fails in the background at present; safe to use from every thread."""

    def __init__(self) -> None:
        self._present: dict[str, str] = {}

    def report(self, part: str, error: BaseException) -> None:
        """Note that a part failed, and log it if that is new."""
        is_new = part not in self._present
        self._present[part] = type(error).__name__
        if is_new:
            with suppress(BaseException):  # out of memory, for one
                log_failure(error, "background work failed and is retried: %s", part)

    def clear(self, part: str) -> None:
        """Note that a part works."""
        if self._present.pop(part, None) is not None:
            log_recovery("background work succeeds again: %s", part)

    def __len__(self) -> int:
        return len(self._present)

    def __str__(self) -> str:
        if not self._present:
            return "ok"
        failing = sorted(self._present.copy().items())
        return "; ".join(f"{part} fails ({kind}) and is retried" for part, kind in failing)


class Repeating:
    """A thread that repeats a step until it is stopped, whatever the step raises.

    Args:
        part: What it does, for the log and `/health`.
        step: Called again and again.
        faults: Where errors are reported.
    """

    def __init__(self, part: str, step: Callable[[], None], faults: Faults) -> None:
        self._part = part
        self._step = step
        self._faults = faults
        self._thread: Thread | None = None
        self.stopping = Event()

    def start(self) -> None:
        """Start the thread, or start it again if it died."""
        if self.stopping.is_set() or (self._thread and self._thread.is_alive()):
            return
        thread = Thread(target=self._run, name=f"meshguard-{self._part}", daemon=True)
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """Tell the thread to end."""
        self.stopping.set()

    async def ended(self) -> None:
        """Return when the thread has ended, or after `STOP_TIMEOUT`: a system call may hang."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                while self._thread and self._thread.is_alive():  # noqa: ASYNC110 - a dying thread sets no event
                    await asyncio.sleep(_LOOK)
        await asyncio.sleep(0)  # what the thread last passed to the event loop comes first

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._step()
            except BaseException as error:  # noqa: BLE001 - a dead thread would stop every decision
                self._faults.report(self._part, error)
                self.stopping.wait(_PAUSE)
            else:
                self._faults.clear(self._part)


async def repeat(
    part: str,
    step: Callable[[], Awaitable[None]],
    faults: Faults,
    interval: float,
    pause: float | None = None,
) -> None:
    """Repeat a step until the task is cancelled, whatever the step raises.

    Args:
        part: What it does, for the log and `/health`.
        step: Called again and again.
        faults: Where errors are reported.
        interval: Seconds between two steps.
        pause: Seconds after an error; defaults to half a second.
    """
    while True:
        try:
            await step()
        except BaseException as error:
            # A cancelled future may raise CancelledError too; only a cancelled task ends.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            faults.report(part, error)
            await asyncio.sleep(_PAUSE if pause is None else pause)
        else:
            faults.clear(part)
            await asyncio.sleep(interval)
