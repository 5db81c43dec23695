"""The one thread that writes to the database."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import SQLAlchemyError

from meshguard.gateway.applying import Applying
from meshguard.gateway.audit import Chain, Row
from meshguard.gateway.background import Repeating
from meshguard.gateway.logs import log_failure
from meshguard.gateway.outages import is_outage, is_timeout
from meshguard.gateway.pools import WorkError
from meshguard.gateway.problems import Problem, unavailable
from meshguard.gateway.store import (
    audit_heads,
    insert_entries,
    is_postgresql,
    limit_waiting,
    move_head,
    next_number,
    read_head,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from meshguard.gateway.audit_seals import Seals
    from meshguard.gateway.background import Faults

_log = logging.getLogger("meshguard.gateway")

MAX_PENDING = 10_000  # entries that may wait for the database before the gateway sheds load
WRITE_TIMEOUT = 10.0  # seconds that a caller waits for its entries
_MAX_GROUP = 500  # entries of one transaction, give or take the last job's
_PART = 100  # entries of one job
_TICK = 0.25  # seconds between two looks for callers that have waited too long
_RECORDING = "recording decisions and changes"
_NOT_WRITTEN = "The audit log can't be written, so nothing is allowed; try again later."
_STOPPING = "The gateway is stopping; try again in a second."

_T = TypeVar("_T")


@dataclass(slots=True)
class Change(Generic[_T]):
    """What a job did besides recording.

    Args:
        result: What the caller gets.
        rows: The entries that record it.
        applied: Called once it is committed, in another thread, before the caller gets the result.
        is_undone: Nothing was to be changed: whatever the job wrote is rolled back.
    """

    result: _T
    rows: list[Row] = field(default_factory=list)
    applied: Callable[[], None] | None = None
    is_undone: bool = False


Perform: TypeAlias = "Callable[[Connection], Change[_T]]"


@dataclass(slots=True, eq=False)
class _Job:
    """A caller's work: a change to perform, or entries that are ready."""

    future: asyncio.Future[Any]
    weight: int
    work: Perform[Any] | Change[Any]
    deadline: float
    is_counted: bool = True
    is_expired: bool = False
    is_answered: bool = False


_Outcome: TypeAlias = "Change[Any] | Exception"


class _HeadLostError(RuntimeError):
    """The head of this process's chain is not where it left it."""


class Writer:
    """Commits audit entries and changes durably, many waiting callers' in one transaction.

    A lone caller waits for nobody: what came in while the last transaction was committed is the next one. A
    job that fails does so alone: a change in its savepoint, and of a failed transaction each job is tried in
    one of its own.
    """

    def __init__(self, engine: Engine, seals: Seals, faults: Faults) -> None:
        self._engine = engine.execution_options(writes=True)
        self._seals = seals
        self._faults = faults
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._pending = 0
        self._waiting: deque[_Job] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._bulk = asyncio.Lock()
        self._is_stopped = False
        self._chain = Chain.new()
        self._doubtful: Chain | None = None  # the end of the chain if the last commit did succeed
        self._knows_head = True
        self._is_committing = False
        self._connection: Connection | None = None
        self._loop = asyncio.get_running_loop()
        self.failing = False
        self._applying: Applying[tuple[_Job, _Outcome]] = Applying(self._answer, faults)
        self._thread = Repeating("writer", self._step, faults)
        self.revive()

    async def record(self, rows: list[Row]) -> None:
        """Return when the entries are durable.

        Raises:
            Problem: 503, when they can't be written, too many are waiting, or it takes too long.
        """
        if len(rows) > _PART:
            await self._record_in_parts(rows)
        else:
            await self._submit(Change(None, rows), len(rows))

    async def _record_in_parts(self, rows: list[Row]) -> None:
        """Record many entries in several transactions: those of a few callers must not fill one.

        All parts count as waiting from the beginning, and the deadline is that of the whole.
        """
        self._refuse_if_full()
        left, deadline = len(rows), self._loop.time() + WRITE_TIMEOUT
        self._pending += left
        try:
            for start in range(0, len(rows), _PART):
                part = Change(None, rows[start : start + _PART])
                async with self._bulk_turn(deadline):
                    self._pending -= len(part.rows)
                    left -= len(part.rows)
                    await self._put(part, len(part.rows), deadline)
        finally:
            self._pending -= left

    @asynccontextmanager
    async def _bulk_turn(self, deadline: float) -> AsyncIterator[None]:
        """Wait until no part of others is waiting for the database."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._bulk.acquire()
        except TimeoutError:
            raise unavailable(_NOT_WRITTEN) from None
        try:
            yield
        finally:
            self._bulk.release()

    async def change(self, perform: Perform[_T]) -> _T:
        """Return the result of a change when it and its entries are durable, in one transaction.

        Args:
            perform: Makes the change; what it raises undoes it and is raised here. It may be called again
                after a failure, when all that it wrote is undone.

        Raises:
            Problem: 503, when it can't be written, too many are waiting, or it takes too long.
        """
        result: _T = await self._submit(perform, 1)
        return result

    def revive(self) -> None:
        """Start the threads, or start them again if they died."""
        if not self._is_stopped:
            self._applying.start()
            self._thread.start()

    async def stop(self) -> None:
        """Write what is waiting, then end; what then still waits gets a 503."""
        self._is_stopped = True
        self._queue.put(None)
        await self._thread.ended()
        self._thread.stop()
        await self._applying.stop()
        if self._timer:
            self._timer.cancel()
        for job in self._waiting:
            _refuse(job, _STOPPING)

    def _submit(self, work: Perform[Any] | Change[Any], weight: int) -> asyncio.Future[Any]:
        self._refuse_if_full()
        return self._put(work, weight, self._loop.time() + WRITE_TIMEOUT)

    def _refuse_if_full(self) -> None:
        if self._pending >= MAX_PENDING or self._queue.qsize() >= MAX_PENDING:
            raise unavailable("Too many decisions are waiting for the audit log; try again in a second.")

    def _put(self, work: Perform[Any] | Change[Any], weight: int, deadline: float) -> asyncio.Future[Any]:
        if self._is_stopped:
            raise unavailable(_STOPPING)
        self._pending += weight
        job = _Job(self._loop.create_future(), weight, work, deadline)
        self._waiting.append(job)
        self._queue.put(job)
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK, self._expire)
        return job.future

    def _expire(self) -> None:
        """Refuse the callers that have waited too long; one timer for all, since each decision has one."""
        now = self._loop.time()
        while self._waiting and (self._waiting[0].future.done() or self._waiting[0].deadline <= now):
            job = self._waiting.popleft()
            if not job.future.done():
                job.is_expired = True
                self._uncount(job)
                _refuse(job, _NOT_WRITTEN)
        self._timer = self._loop.call_later(_TICK, self._expire) if self._waiting else None

    def _step(self) -> None:
        """Write what is waiting; whatever happens meanwhile, each caller gets a result."""
        jobs: list[_Job] = []
        try:
            self._take(jobs)
            self._commit(jobs)
        except BaseException:
            self._lose_connection()
            self._knows_head = False
            self.failing = True
            raise
        finally:
            self._reject([job for job in jobs if not job.is_answered])

    def _take(self, jobs: list[_Job]) -> None:
        """Wait for a job, and add it and all that wait too."""
        weight = 0
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            weight += job.weight
            if weight >= _MAX_GROUP:
                return
            try:
                job = self._queue.get_nowait()
            except Empty:
                return
        self._thread.stop()

    def _commit(self, jobs: list[_Job]) -> None:
        """Write all jobs in one transaction; if that fails, each in one of its own."""
        jobs = [job for job in jobs if not job.is_expired]
        if not jobs:
            return self._close_if_stopping()
        failure = self._try(jobs)
        if failure and not is_timeout(failure) and (len(jobs) > 1 or isinstance(failure, _HeadLostError)):
            failure = self._try_each(jobs)
        left = [job for job in jobs if not job.is_answered]
        if failure:
            self._note_failure(failure, is_total=len(left) == len(jobs))
        self._reject(left)
        return self._close_if_stopping()

    def _try_each(self, jobs: list[_Job]) -> BaseException | None:
        """Write each job in a transaction of its own, until the database fails; return the last error."""
        last = None
        for job in jobs:
            error = self._try([job])
            last = error or last
            if error and is_outage(error):
                break
        return last

    def _close_if_stopping(self) -> None:
        if self._thread.stopping.is_set():
            self._lose_connection()

    def _try(self, jobs: list[_Job]) -> BaseException | None:
        """Write jobs in one transaction and answer them, or return the error and answer none."""
        outcomes: list[_Outcome] = []
        self._is_committing = False
        try:
            self._write(jobs, outcomes)
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing may be allowed on it
            self._lose_connection()
            self._knows_head = False
            if not (self._is_committing and self._is_committed()):
                return error
        if self.failing:
            self.failing = False
            _log.warning("the database can be written again")
        if any(isinstance(outcome, Change) and outcome.rows for outcome in outcomes):
            self._faults.clear(_RECORDING)
        self._conclude(jobs, outcomes)
        return None

    def _write(self, jobs: list[_Job], outcomes: list[_Outcome]) -> None:
        connection = self._connected()
        with connection.begin():
            if not self._knows_head:
                self._find_head(connection)
            outcomes += [_perform(job, connection) for job in jobs]
            rows = [row for outcome in outcomes if isinstance(outcome, Change) for row in outcome.rows]
            chain = self._append(connection, rows) if rows else self._chain
            self._doubtful, self._is_committing = chain, True
        self._chain, self._doubtful = chain, None

    def _find_head(self, connection: Connection) -> None:
        """Find out whether the last commit succeeded; where the head is neither end, begin a new chain."""
        end = read_head(connection, self._chain.stream)
        known = [chain for chain in (self._chain, self._doubtful) if chain]
        found = next((chain for chain in known if (chain.count, chain.hash) == end), None)
        if found is None:
            _log.error("the head of chain %s was changed by others; a new chain begins", self._chain.stream)
        self._chain = found or Chain.new()
        self._doubtful, self._knows_head = None, True

    def _is_committed(self) -> bool:
        """Return whether the last transaction is in the database although its commit failed."""
        doubtful = self._doubtful
        if doubtful is None or doubtful == self._chain:
            return False
        try:
            connection = self._connected()
            with connection.begin():
                self._find_head(connection)
        except BaseException:  # noqa: BLE001 - the next transaction begins with it
            self._lose_connection()
            self._doubtful = doubtful
            return False
        return self._chain == doubtful

    def _connected(self) -> Connection:
        """Return the connection that all groups share: SQLite's cache of pages is its own."""
        if self._connection is None:
            self._connection = self._engine.connect()
            limit_waiting(self._connection)
        return self._connection

    def _lose_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken
                if is_postgresql(connection):
                    connection.invalidate()  # with its limits
            with suppress(Exception):
                connection.close()

    def _note_failure(self, error: BaseException, *, is_total: bool) -> None:
        if not self.failing:
            # The error's text is left out: a database error quotes the values it was given.
            what = "the database can't be written" if is_total else "some of the entries can't be written"
            _log.error("%s (%s): their requests get a 503", what, type(error).__name__)
        self.failing = self.failing or is_total
        self._faults.report(_RECORDING, error)

    def _append(self, connection: Connection, rows: list[Row]) -> Chain:
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

    def _conclude(self, jobs: list[_Job], outcomes: list[_Outcome]) -> None:
        """Answer what is committed; the callers of changes that have to be applied hear of it after that."""
        done: list[tuple[_Job, _Outcome]] = []
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.is_answered = True
            if isinstance(outcome, Change) and outcome.applied:
                self._applying.put(outcome.applied, (job, outcome))
            else:
                done.append((job, outcome))
        self._answer(done)

    def _answer(self, answers: list[tuple[_Job, _Outcome]]) -> None:
        if answers:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._settle, answers)

    def _reject(self, jobs: list[_Job]) -> None:
        for job in jobs:
            job.is_answered = True
        self._answer([(job, unavailable(_NOT_WRITTEN)) for job in jobs])

    def _settle(self, answers: list[tuple[_Job, _Outcome]]) -> None:
        for job, outcome in answers:
            self._uncount(job)
            if job.future.done():
                continue
            if isinstance(outcome, Change):
                job.future.set_result(outcome.result)
            else:
                job.future.set_exception(outcome)

    def _uncount(self, job: _Job) -> None:
        if job.is_counted:
            job.is_counted = False
            self._pending -= job.weight


def _refuse(job: _Job, message: str) -> None:
    if not job.future.done():
        job.future.set_exception(unavailable(message))


def _perform(job: _Job, connection: Connection) -> _Outcome:
    """Perform a change in a savepoint of its own; entries that are ready need none."""
    if isinstance(job.work, Change):
        return job.work
    savepoint = connection.begin_nested()
    try:
        change = job.work(connection)
    except BaseException as error:
        if is_outage(error) and not is_timeout(error):
            raise
        savepoint.rollback()
        return _exception(error)
    if change.is_undone:
        savepoint.rollback()
    else:
        savepoint.commit()
    return change


def _exception(error: BaseException) -> Exception:
    """Return what the caller of a change is to get for what it raised."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, SQLAlchemyError):
        log_failure(error, "a change can't be written")
        return unavailable("The database rejected the change; try again later.")
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    failure = WorkError(type(error).__name__)
    failure.__cause__ = error
    return failure
