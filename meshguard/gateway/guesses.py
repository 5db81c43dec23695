"""Wrong admin tokens: how often an address may try, and what is kept of it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from meshguard.gateway.audit import Row, new_row
from meshguard.gateway.clock import milliseconds
from meshguard.gateway.ids import new_id
from meshguard.gateway.problems import Problem
from meshguard.gateway.telemetry import current_trace_id

if TYPE_CHECKING:
    from meshguard.gateway.clock import Clock
    from meshguard.gateway.gateway import Gateway

_log = logging.getLogger("meshguard.gateway")

MAX_GUESSES = 10  # wrong admin tokens that one address may try in a minute
MAX_ADDRESSES = 10_000
_MAX_REPORTS = 20  # log lines and entries a minute, so that guesses fill neither the log nor the disk
_MINUTE = 60.0
_IPV4 = 4
_HOST_BITS = 64  # of an IPv6 address: a client has all of its network's


class Guesses:
    """The wrong admin tokens of the last minute, by address; the same one again is not another guess.

    Args:
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(self, monotonic: Clock) -> None:
        self._monotonic = monotonic
        self._made: OrderedDict[str, tuple[float, set[bytes]]] = OrderedDict()

    def check(self, address: str) -> None:
        """Do nothing if the address may guess.

        Raises:
            Problem: 429, with the seconds to wait.
        """
        ends, digests = self._made.get(network_of(address), (0.0, ()))
        wait = math.ceil(ends - self._monotonic())
        if wait <= 0 or len(digests) < MAX_GUESSES:
            return
        raise Problem(
            429,
            f"Wait {wait} s; this address sent {MAX_GUESSES} wrong admin tokens within a minute.",
            headers=(("Retry-After", str(wait)),),
            fields={"retryAfter": wait, "limit": MAX_GUESSES},
        )

    def add(self, address: str, digest: bytes) -> tuple[int, bool]:
        """Remember a guess.

        Returns:
            How many different ones the address made in its minute, and whether this one is among them
            for the first time.
        """
        network, now = network_of(address), self._monotonic()
        ends, before = self._made.pop(network, (0.0, set()))
        if ends <= now:
            ends, before = now + _MINUTE, set()
        made = before | {digest}
        self._made[network] = (ends, made)
        if len(self._made) > MAX_ADDRESSES:
            self._made.popitem(last=False)
        return len(made), len(made) > len(before)


class GuessReports:
    """Counts each wrong admin token; logs and records the first of an address's minute, and its lockout.

    Over a gateway that is guessed at from many addresses there are 20 reports a minute; the next one names
    the number of those that were omitted.

    Args:
        gateway: Has the metrics, and the audit log once it is started.
        monotonic: Seconds of a clock that nobody sets.
    """

    def __init__(self, gateway: Gateway, monotonic: Clock) -> None:
        self._gateway = gateway
        self._monotonic = monotonic
        self._window_ends = float("-inf")
        self._made = 0
        self._omitted = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def count_locked_out(self) -> None:
        """Count a request that was rejected unread because its address guessed too often."""
        if self._gateway.metrics:
            self._gateway.metrics.count_guess("locked_out")

    def count(self, address: str, number: int) -> None:
        """Count a wrong token, and report it if it is the first or the last that the address may send.

        Args:
            address: The client's.
            number: How many different ones the address has sent in this minute; 0 for one sent before.
        """
        if self._gateway.metrics:
            self._gateway.metrics.count_guess("wrong")
        if number == 1:
            self._report(address, "A wrong admin token")
        elif number == MAX_GUESSES:
            self._report(
                address, f"{MAX_GUESSES} wrong admin tokens within a minute; locked out for the rest"
            )

    def _report(self, address: str, event: str) -> None:
        if not self._may_report():
            self._omitted += 1
            return
        shown = shown_address(address)
        omitted, self._omitted = self._omitted, 0
        rest = f"; {omitted} earlier reports were omitted" if omitted else ""
        reason = f"{event}{rest}."
        _log.warning("admin token guessed from %s: %s", shown, reason)
        self._record(shown, reason)

    def _may_report(self) -> bool:
        now = self._monotonic()
        if now >= self._window_ends:
            self._window_ends, self._made = now + _MINUTE, 0
        self._made += 1
        return self._made <= _MAX_REPORTS

    def _record(self, address: str, reason: str) -> None:
        row = new_row(
            timestamp=milliseconds(self._gateway.clock()),
            trace_id=current_trace_id() or new_id(),
            kind="admin",
            action="admin:token.guess",
            resource=address,
            decision="deny",
            reason=reason,
            latency_ms=0.0,
        )
        # The client does not wait for it: it is denied in any case.
        task = asyncio.get_running_loop().create_task(self._write(row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, row: Row) -> None:
        try:
            await self._gateway.writer.record([row])
        except Problem:
            _log.error("a guess of the admin token could not be recorded")

    async def finish(self) -> None:
        """Wait until what was reported is recorded."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def shown_address(address: str) -> str:
    """Return an address as people write it: an IPv4 address without the form that IPv6 sockets give it."""
    parsed = _parsed(address)
    return address[:64] if parsed is None else str(parsed)


def network_of(address: str) -> str:
    """Return whose an address is: an IPv4 address, or the /64 network of an IPv6 address."""
    parsed = _parsed(address)
    if parsed is None:
        return address
    if parsed.version == _IPV4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed) >> _HOST_BITS << _HOST_BITS, _HOST_BITS)))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    # A socket that listens on `::` gets IPv4 clients as ::ffff:192.0.2.1, all in one /64.
    return getattr(parsed, "ipv4_mapped", None) or parsed
