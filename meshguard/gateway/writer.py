"""The one thread that writes to the database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import SQLAlchemyError

from meshguard.gateway.audit import Chain, Row
from meshguard.gateway.problems import Problem, unavailable
from meshguard.gateway.store import audit_heads, insert_entries, move_head, next_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.gateway.audit_seals import Seals

_log = logging.getLogger("meshguard.gateway")

MAX_PENDING = 10_000  # entries that may wait for the database before the gateway sheds load
_MAX_GROUP = 1_000  # entries of one transaction, give or take the last job's

_T = TypeVar("_T")


@dataclass(slots=True)
class Change(Generic[_T]):
    """What a job did besides recording.

    Args:
        result: What the caller gets.
        rows: The entries that record it.
        applied: Called once it is committed, before the caller gets the result.
    """

    result: _T
    rows: list[Row] = field(default_factory=list)
    applied: Callable[[], None] = lambda: None


Perform: TypeAlias = "Callable[[Connection], Change[_T]]"


@dataclass(slots=True)
class _Job:
    future: asyncio.Future[Any]
    weight: int
    perform: Perform[Any]


_Outcome: TypeAlias = "Change[Any] | Exception"


class _HeadLostError(RuntimeError):
    """The head of this process's chain is not where it left it."""


class Writer:
    """Commits audit entries and changes durably, many waiting callers' in one transaction.

    A lone caller waits for nobody: what came in while the last transaction was committed is the next one.
    """

    def __init__(self, engine: Engine, seals: Seals) -> None:
        self._engine = engine.execution_options(writes=True)
        self._seals = seals
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._pending = 0
        self._chain = Chain.new()
        self._connection: Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._run, name="meshguard-writer", daemon=True)
        self._thread.start()
        self.failing = False

    async def record(self, rows: list[Row]) -> None:
        """Return when the entries are durable.

        Raises:
            Problem: 503, when they can't be written or too many are waiting.
        """
        change = Change(None, rows)
        await self._submit(lambda _: change, len(rows))

    async def change(self, perform: Perform[_T]) -> _T:
        """Return the result of a change when it and its entries are durable, in one transaction.

        Args:
            perform: Makes the change; what it raises undoes it and is raised here.

        Raises:
            Problem: 503, when it can't be written or too many are waiting.
        """
        result: _T = await self._submit(perform, 1)
        return result

    async def stop(self) -> None:
        """Write what is waiting, then end."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _submit(self, perform: Perform[Any], weight: int) -> asyncio.Future[Any]:
        if self._pending >= MAX_PENDING:
            raise unavailable("Too many decisions are waiting for the audit log; try again in a second.")
        self._pending += weight
        future = self._loop.create_future()
        self._queue.put(_Job(future, weight, perform))
        return future

    def _run(self) -> None:
        running = True
        while running:
            jobs, running = self._take()
            if jobs:
                outcomes = self._commit(jobs)
                self._loop.call_soon_threadsafe(self._settle, jobs, outcomes)
        self._disconnect()

    def _take(self) -> tuple[list[_Job], bool]:
        """Wait for a job and return it with all that wait too, and whether more may come."""
        jobs: list[_Job] = []
        weight = 0
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            weight += job.weight
            if weight >= _MAX_GROUP:
                return jobs, True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> list[_Outcome]:
        try:
            connection = self._connected()
            with connection.begin():
                outcomes = [_perform(job, connection) for job in jobs]
                done = [outcome for outcome in outcomes if isinstance(outcome, Change)]
                chain = self._append(connection, [row for change in done for row in change.rows])
            self._chain = chain
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be allowed on it
            self._disconnect()
            return self._failed(error, len(jobs))
        if self.failing:
            self.failing = False
            _log.warning("the database can be written again")
        for change in done:
            change.applied()
        return outcomes

    def _connected(self) -> Connection:
        """Return the connection that all groups share: SQLite's cache of pages is its own."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # it may be broken
                connection.close()

    def _failed(self, error: Exception, jobs: int) -> list[_Outcome]:
        """Begin a new chain, since nobody knows how the old one ends, and refuse the jobs."""
        if not self.failing:
            # The error's text is left out: a database error quotes the values it was given.
            _log.error("the database can't be written (%s): every request is refused", type(error).__name__)
        self.failing = True
        self._chain = Chain.new()
        return [unavailable("The audit log can't be written, so nothing is allowed; try again later.")] * jobs

    def _append(self, connection: Connection, rows: list[Row]) -> Chain:
        if not rows:
            return self._chain
        begun = self._chain.number
        chain = self._chain.extend(rows, begun or next_number(connection, "chains"))
        insert_entries(connection, rows)
        end = {"count": chain.count, "hash": chain.hash, "signature": self._seals.sign_head(chain)}
        if begun:
            # Nobody else appends to this chain; where somebody did, the two ends must not both count.
            if not move_head(connection, chain.stream, self._chain.count, end):
                raise _HeadLostError
        else:
            head = insert(audit_heads).values(stream=chain.stream, number=chain.number, **end)
            connection.execute(head)
        return chain

    def _settle(self, jobs: list[_Job], outcomes: list[_Outcome]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._pending -= job.weight
            if job.future.done():
                continue
            if isinstance(outcome, Change):
                job.future.set_result(outcome.result)
            else:
                job.future.set_exception(outcome)


def _perform(job: _Job, connection: Connection) -> _Outcome:
    try:
        return job.perform(connection)
    except Problem as problem:
        return problem
