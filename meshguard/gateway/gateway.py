"""A gateway: its parts, and how they start and stop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic as monotonic_clock
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from meshguard.gateway import partitions, store
from meshguard.gateway.audit_context import ContextKeeper
from meshguard.gateway.audit_operations import Counts
from meshguard.gateway.audit_retention import Retention, StoppedError
from meshguard.gateway.audit_seals import Seals
from meshguard.gateway.auth import AdminToken, Tokens
from meshguard.gateway.background import STOP_TIMEOUT, Faults, repeat
from meshguard.gateway.checkpoints import Checkpoints
from meshguard.gateway.clock import milliseconds
from meshguard.gateway.contract import load_contract
from meshguard.gateway.decisions import Decisions
from meshguard.gateway.disk import Disk
from meshguard.gateway.exchanges import Exchanges
from meshguard.gateway.files import PolicyFiles
from meshguard.gateway.guesses import GuessReports
from meshguard.gateway.idempotency import forget_old_keys
from meshguard.gateway.limits import RateLimit
from meshguard.gateway.metrics import Metrics
from meshguard.gateway.pools import LONG_TIMEOUT, POLICY_TIMEOUT, READ_TIMEOUT, Pool, Pools
from meshguard.gateway.problems import unavailable
from meshguard.gateway.snapshot import Current
from meshguard.gateway.sync import Sync
from meshguard.gateway.system import Probe
from meshguard.gateway.turns import Turns
from meshguard.gateway.upstream import Upstream
from meshguard.gateway.writer import Writer
from meshguard.policy import PolicyLoadError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection, Engine

    from meshguard.gateway.clock import Clock
    from meshguard.gateway.settings import Settings

_log = logging.getLogger("meshguard.gateway")

_DAY = 86_400_000
_MAINTENANCE_INTERVAL = 3600.0  # seconds
_MAINTENANCE_PAUSE = 30.0  # seconds after an error
_SUPERVISION_INTERVAL = 0.5  # seconds

_T = TypeVar("_T")


class StartError(RuntimeError):
    """The gateway can't start; the message says why, without secrets."""


class Gateway:
    """All that the operations need. `start` makes what needs a running event loop.

    Args:
        settings: The checked settings.
        clock: Seconds since 1970.
        monotonic: Seconds of a clock that nobody sets.
    """

    engine: Engine
    writer: Writer
    checkpoints: Checkpoints
    decisions: Decisions
    probe: Probe
    sync: Sync
    upstream: Upstream | None
    exchanges: Exchanges
    retention: Retention

    def __init__(self, settings: Settings, clock: Clock, monotonic: Clock = monotonic_clock) -> None:
        self.settings = settings
        self.clock = clock
        self._monotonic = monotonic
        self.contract = load_contract()
        self.faults = Faults()
        self.pools = Pools()
        self.turns = Turns()
        self.current = Current(settings.snapshot_max_age, monotonic)
        self.metrics = Metrics(self.current, self.faults) if settings.metrics_enabled else None
        on_invalid = self.metrics.count_invalid_token if self.metrics else lambda: None
        self.tokens = Tokens(settings, clock, on_invalid)
        self._guess_reports = GuessReports(self, monotonic)
        self.admin_token = AdminToken(settings, monotonic, self._guess_reports)
        self.seals = Seals(settings)
        self.counts = Counts()
        self.files = PolicyFiles(settings.policies_dir, self.current) if settings.policies_dir else None
        self.limit = RateLimit(settings, clock)
        self._started = monotonic_clock()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def uptime(self) -> float:
        """Return the seconds since the gateway started."""
        return monotonic_clock() - self._started

    async def read(
        self, query: Callable[[Connection], _T], pool: Pool | None = None, seconds: float = READ_TIMEOUT
    ) -> _T:
        """Return the result of a query, off the event loop and in one transaction.

        Args:
            query: The query.
            pool: Its threads; defaults to those of short reads.
            seconds: How long it may take.

        Raises:
            Problem: 503, when the database does not answer in time, or too many are waiting.
        """
        try:
            return await (pool or self.pools.reads).run(
                lambda: store.read(self.engine, query, seconds), seconds
            )
        except TimeoutError as error:
            _log.error("%s", error)
            raise unavailable("The database takes too long; try again later.") from None
        except SQLAlchemyError as error:
            _log.error("the database can't be read (%s)", type(error).__name__)
            raise unavailable("The database does not answer; try again later.") from None

    async def compile(self, work: Callable[[], _T]) -> _T:
        """Return the result of work on policies, or raise what it raises, off the event loop.

        Raises:
            Problem: 503, when it is not done in time, or too many are waiting.
        """
        try:
            return await self.pools.policies.run(work, POLICY_TIMEOUT)
        except TimeoutError:
            raise unavailable("Other policies are being compiled; try again in a few seconds.") from None

    async def start(self) -> None:
        """Open the database and put agents and policies in force.

        Raises:
            StartError: The database can't be opened, or a policy is broken.
        """
        self._started = monotonic_clock()
        self._stopping = asyncio.Event()
        self.engine = store.open_database(self.settings.database_url.get_secret_value())
        self.sync = Sync(self.engine, self.current, self._monotonic, self.faults)
        try:
            await self.pools.upkeep.run(self._load, LONG_TIMEOUT)
        except BaseException:
            self.engine.dispose()
            raise
        self.sync.start()
        self.writer = Writer(self.engine, self.seals, self.faults)
        self.checkpoints = Checkpoints(self.engine, self.faults)
        self.retention = Retention(self.engine, self.seals, self.settings.audit_partition)
        self.disk = Disk(self.engine)
        if self.metrics:
            self.metrics.watch_audit(self.retention, self.disk)
        self.decisions = Decisions(
            mode=self.settings.mode,
            current=self.current,
            writer=self.writer,
            limit=self.limit,
            metrics=self.metrics,
            context=ContextKeeper(self.settings),
            clock=self.clock,
            turns=self.turns,
            explain=self.settings.explain_to_agents,
        )
        self.probe = Probe(self)
        target = self.settings.proxy_target
        self.upstream = Upstream(target, self.settings.max_connections, self.pools.dns) if target else None
        self.exchanges = Exchanges(self.tokens, self.current, self.settings.snapshot_max_age)
        self._repeat("supervision", self._revive, _SUPERVISION_INTERVAL)
        self._repeat("retention", self.prune, _MAINTENANCE_INTERVAL, _MAINTENANCE_PAUSE)
        self._repeat("forgetting keys", self._forget_old_keys, _MAINTENANCE_INTERVAL, _MAINTENANCE_PAUSE)
        self._repeat("making partitions", self._extend_partitions, _MAINTENANCE_INTERVAL, _MAINTENANCE_PAUSE)
        if self.files:
            self._tasks.append(asyncio.create_task(self.files.watch(self._stopping)))

    def _repeat(
        self, part: str, step: Callable[[], Awaitable[None]], interval: float, pause: float | None = None
    ) -> None:
        self._tasks.append(asyncio.create_task(repeat(part, step, self.faults, interval, pause)))

    async def _revive(self) -> None:
        """Start the threads again that died, which no error in their steps can make them do."""
        self.writer.revive()
        self.sync.start()
        self.checkpoints.start()

    def _load(self) -> None:
        try:
            store.migrate(self.engine)
            self._create_partitions()
            with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
                self.seals.renew(connection)
            self.sync.load()
            if self.files:
                self.files.load()
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or type(error).__name__
            raise StartError(f"DATABASE_URL: the database can't be opened: {cause}") from None
        except store.SchemaError as error:
            raise StartError(f"DATABASE_URL: {error}") from None
        except PolicyLoadError as error:
            raise StartError(f"policies: {error}") from None

    async def stop(self) -> None:
        """Write what is waiting and close everything."""
        self._stopping.set()
        await self.retention.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
        self._tasks.clear()
        self.exchanges.close()
        if self.upstream:
            self.upstream.close()
        await self.probe.stop()
        await self._guess_reports.finish()
        await self.writer.stop()
        await self.sync.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.limit.stop(), STOP_TIMEOUT)
        await self.checkpoints.stop()
        self.pools.stop()
        self.engine.dispose()

    async def _extend_partitions(self) -> None:
        if self.uptime() >= _MAINTENANCE_INTERVAL:  # the start has made those of now
            await self.pools.upkeep.run(self._create_partitions, LONG_TIMEOUT)

    def _create_partitions(self) -> None:
        now = milliseconds(self.clock())
        try:
            with self.engine.begin() as connection:
                partitions.create_ahead(connection, now, self.settings.audit_partition)
        except SQLAlchemyError as error:
            # Entries that find no partition go into the default one, so this can wait.
            cause = type(getattr(error, "orig", None) or error).__name__
            _log.warning("partitions of the audit log could not be made ahead (%s)", cause)

    async def _forget_old_keys(self) -> None:
        await forget_old_keys(self)

    async def prune(self) -> None:
        """Remove the audit entries that are older than `AUDIT_RETENTION_DAYS`.

        Raises:
            Problem: 503.
        """
        if not self.settings.audit_retention_days:
            return
        now = milliseconds(self.clock())
        before = now - self.settings.audit_retention_days * _DAY
        try:
            await self.retention.run(self.writer, before, now)
        except StoppedError:
            return
        except SQLAlchemyError as error:
            raise unavailable("The database does not answer; try again later.") from error
