"""Threads for blocking work, a pool for each kind, so that none can use up another's."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from meshguard.gateway.problems import unavailable
from meshguard.gateway.sharing import computing

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

READ_TIMEOUT = 30.0  # seconds
DNS_TIMEOUT = 10.0
HEALTH_TIMEOUT = 3.0
POLICY_TIMEOUT = 10.0
BODY_TIMEOUT = 10.0
LONG_TIMEOUT = 3600.0  # verification, migration, retention
_END = None


class WorkError(RuntimeError):
    """Work in a pool raised what an event loop can't pass on, such as `SystemExit`."""


@dataclass(frozen=True, slots=True)
class _Work:
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    call: Callable[[], Any]


class Pool:
    """A few daemon threads, which no interpreter waits for at its exit.

    Args:
        kind: What it does, in the names of its threads and in errors.
        threads: How many calls run at once.
        waiting: How many more may wait for a thread; further ones are rejected.
        computes: Whether it mostly computes, rather than waits.
    """

    def __init__(self, kind: str, threads: int, waiting: int, *, computes: bool = False) -> None:
        self._kind = kind
        self._most = threads
        self._waiting = waiting
        self._around = computing if computes else nullcontext
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads: list[Thread] = []

    async def run(self, call: Callable[[], _T], seconds: float) -> _T:
        """Return the result of a call in a thread; what it raises is raised here.

        Args:
            call: The call.
            seconds: How long it may wait and run. After that it still runs to its end.

        Raises:
            Problem: 503, when too many calls are waiting.
            TimeoutError: It took too long.
            WorkError: It raised `SystemExit` or the like.
        """
        if self._queue.qsize() >= self._waiting:
            raise unavailable(f"Too many requests wait for {self._kind}; try again in a second.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._queue.put(_Work(loop, future, call))
        self._staff()
        try:
            done, _ = await asyncio.wait([future], timeout=seconds)
        finally:
            future.cancel()
        if not done:
            raise TimeoutError(f"{self._kind} took longer than {seconds:g} s")
        return future.result()

    def stop(self) -> None:
        """Let the threads end when they are free."""
        for _ in self._threads:
            self._queue.put(_END)

    def _staff(self) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) < self._most:
            thread = Thread(target=self._work, name=f"meshguard-{self._kind}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        while (work := self._queue.get()) is not _END:
            if not work.future.done():  # otherwise its caller is gone
                with self._around():
                    _perform(work)


def _perform(work: _Work) -> None:
    try:
        result = work.call()
    except BaseException as error:  # noqa: BLE001 - the caller gets it, and the thread goes on
        settle = partial(_fail, work.future, error)
    else:
        settle = partial(_succeed, work.future, result)
    with suppress(RuntimeError):  # the loop is closed
        work.loop.call_soon_threadsafe(settle)


def _succeed(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if future.done():
        return
    if not isinstance(error, Exception) or isinstance(error, StopIteration):
        cause, error = error, WorkError(type(error).__name__)
        error.__cause__ = cause
    future.set_exception(error)


class Pools:
    """The pools of one gateway."""

    def __init__(self) -> None:
        self.reads = Pool("reading the database", threads=4, waiting=100)
        self.dns = Pool("resolving names", threads=4, waiting=1_000)
        self.health = Pool("the health check", threads=1, waiting=10)
        # One at a time: each reads the whole log.
        self.verification = Pool("verifying the audit log", threads=1, waiting=8, computes=True)
        self.upkeep = Pool("maintenance", threads=2, waiting=10)
        self.policies = Pool("compiling policies", threads=1, waiting=100, computes=True)
        self.bodies = Pool("reading long bodies", threads=1, waiting=100, computes=True)

    def stop(self) -> None:
        """Let all threads end."""
        for pool in vars(self).values():
            pool.stop()
