"""Limits on the connections of a server process that no HTTP server enforces.

A client that reads nothing, or a byte now and then, holds its connection for as long as it likes: the
response waits in the system's buffers, where neither the application nor the HTTP server sees it. So the
process looks at its own sockets, as the system counts their bytes, and shuts down those of clients that are
too slow or too many.
"""

from __future__ import annotations

import fcntl
import ipaddress
import logging
import os
import socket
import stat
import struct
import sys
import termios
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from meshguard.gateway.sharing import computing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger("meshguard.gateway")

MIN_RATE = 1_000  # bytes a second that a client has to take, while there are any for it
_INTERVAL = 0.25  # seconds between two looks
_SCARCE = 7 / 8  # of all places taken: then an address may hold no more than its share
_SHARE = 1 / 2  # of all places
_FOLDER = Path("/proc/self/fd")
_ACKED = 120  # where bytes_acked is in Linux's struct tcp_info
_LAST_RECEIVED = 52  # where last_data_recv is, in milliseconds
_INFO_SIZE = 256
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_ABORT = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class _Client:
    """What is known of one connection since it owes bytes to be read."""

    since: float
    acked: int


@dataclass(frozen=True, slots=True)
class _Peer:
    """Whose a connection is, which stays the same as long as it lives."""

    family: socket.AddressFamily
    key: tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Look:
    """One connection as the system sees it."""

    key: tuple[str, int]
    socket: socket.socket
    waiting: int
    acked: int
    idle: int


class ConnectionLimits:
    """Shuts down connections to a port of this process whose clients are too slow or too many.

    Args:
        port: The port that the process serves.
        places: How many connections it serves at once.
        timeout: Seconds that a client may take less than `MIN_RATE`.
        clock: Seconds of a clock that nobody sets.
    """

    def __init__(
        self, port: int, places: int, timeout: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._port = port
        self._places = places
        self._timeout = timeout
        self._clock = clock
        self._clients: dict[tuple[str, int], _Client] = {}
        self._known: dict[int, _Peer | None] = {}  # by inode; None for what is no client's
        self._stopping = Event()
        self._failing = False

    def start(self) -> None:
        """Enforce the limits until the process ends."""
        if not sys.platform.startswith("linux"):
            _log.warning("slow readers and connections of one address are limited on Linux only")
            return
        Thread(target=self._run, name="meshguard-connections", daemon=True).start()

    def stop(self) -> None:
        """Enforce them no longer."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            try:
                with computing():
                    self.look()
            except Exception as error:  # noqa: BLE001 - the limits have to survive whatever happens here
                if not self._failing:
                    _log.error("connections can't be looked at (%s)", type(error).__name__)
                self._failing = True
            else:
                self._failing = False

    def look(self) -> int:
        """Shut down what goes beyond the limits; return how many connections that were."""
        found = list(self._connections())
        connections = list({connection.key: connection for connection in found}.values())
        try:
            doomed = [*self._slow(connections), *self._beyond_share(connections)]
            for connection in doomed:
                with suppress(OSError):
                    # What waits for the client is dropped with the connection, not kept by the system.
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                    connection.socket.shutdown(socket.SHUT_RDWR)
        finally:
            for connection in found:  # a copy may have been copied again, under a number just freed
                connection.socket.close()
        return len(doomed)

    def _connections(self) -> Iterator[_Look]:
        before, self._known = self._known, {}
        for name in os.listdir(_FOLDER):  # noqa: PTH208 - four times a second, for each connection
            with suppress(OSError, struct.error):
                descriptor = int(name)
                status = os.fstat(descriptor)
                if stat.S_ISSOCK(status.st_mode):
                    look = self._examined(descriptor, status.st_ino, before)
                    if look:
                        yield look

    def _examined(self, descriptor: int, inode: int, before: dict[int, _Peer | None]) -> _Look | None:
        if inode in before and before[inode] is None:
            self._known[inode] = None
            return None
        # A copy: whatever the server does with the original meanwhile, this remains the same socket.
        copy = _adopted(os.dup(descriptor), before.get(inode))
        try:
            if os.fstat(copy.fileno()).st_ino != inode:
                copy.close()
                return None
            peer = self._known[inode] = before.get(inode) or self._peer(copy)
            if peer is None:
                copy.close()
                return None
            raw = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
            (waiting,) = struct.unpack("i", fcntl.ioctl(copy.fileno(), termios.TIOCOUTQ, bytes(4)))
            (acked,) = struct.unpack_from("Q", raw, _ACKED)
            (idle,) = struct.unpack_from("I", raw, _LAST_RECEIVED)
        except BaseException:
            copy.close()
            raise
        return _Look(peer.key, copy, waiting, acked, idle)

    def _peer(self, connection: socket.socket) -> _Peer | None:
        """Return the client of a socket; None when it is not a connection to our port."""
        is_tcp = connection.family in _FAMILIES and connection.type is socket.SOCK_STREAM
        if not is_tcp or connection.getsockname()[1] != self._port:
            return None
        address, port = connection.getpeername()[:2]
        return _Peer(connection.family, (address, port))

    def _slow(self, connections: list[_Look]) -> list[_Look]:
        """Return those whose clients took too little of what waited for them, for too long."""
        now, slow = self._clock(), []
        present = {connection.key for connection in connections}
        self._clients = {key: client for key, client in self._clients.items() if key in present}
        for connection in connections:
            client = self._clients.get(connection.key)
            if not connection.waiting:
                self._clients.pop(connection.key, None)
            elif client is None or connection.acked < client.acked:
                self._clients[connection.key] = _Client(now, connection.acked)
            elif now - client.since >= self._timeout:
                if connection.acked - client.acked < MIN_RATE * (now - client.since):
                    slow.append(connection)
                self._clients[connection.key] = _Client(now, connection.acked)
        if slow:
            _log.warning("%d connections were closed: their clients read too slowly", len(slow))
        return slow

    def _beyond_share(self, connections: list[_Look]) -> list[_Look]:
        """Return an address's idlest connections beyond its share, while places are scarce."""
        if len(connections) < self._places * _SCARCE:
            return []
        by_address: dict[str, list[_Look]] = defaultdict(list)
        for connection in connections:
            by_address[network_of(connection.key[0])].append(connection)
        share = max(1, int(self._places * _SHARE))
        beyond: list[_Look] = []
        for held in by_address.values():
            idlest = sorted(held, key=lambda connection: connection.idle, reverse=True)
            beyond += idlest[: max(0, len(held) - share)]
        if beyond:
            _log.warning("%d connections were closed: one address held most of the places", len(beyond))
        return beyond


def _adopted(descriptor: int, peer: _Peer | None) -> socket.socket:
    try:
        if peer is None:
            return socket.socket(fileno=descriptor)
        return socket.socket(peer.family, socket.SOCK_STREAM, 0, fileno=descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def network_of(address: str) -> str:
    """Return whose an address is: IPv4 also when mapped, and the network of 2^64 addresses with IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
