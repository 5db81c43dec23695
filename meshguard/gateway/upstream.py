"""HTTP/1.1 to the upstream, over connections that each carry the requests of one agent.

An upstream may send more than the answer that it was asked for, and nothing in HTTP/1.1 tells that from the
answer to the next request. So a connection that says anything unasked is closed, and none is ever lent to
another agent.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import FIRST_COMPLETED
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11
import httpx

from meshguard.gateway.pools import DNS_TIMEOUT, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_MAX_HEAD = 102_400  # bytes of an answer's status and headers
_MAX_INTERIM = 20  # answers before the answer
_MAX_BATCH = 256  # chunks that are read in one go
_MAX_IDLE = 100  # connections
_IDLE_TIME = 4.0  # seconds; common servers close after 5, and a request must not cross with that
_ATTEMPT = 0.25  # seconds until the next address of the upstream's name is tried as well


class Upstream:
    """The connections to the upstream.

    No cookie is kept, no redirect followed, no proxy of the environment asked, and no URL logged.

    Args:
        target: The upstream's base URL.
        max_connections: How many requests it is asked at once; further ones wait.
        names: The threads that resolve its name; defaults to threads that nothing else uses.
    """

    def __init__(self, target: str, max_connections: int, names: Pool | None = None) -> None:
        self.url = urlsplit(target)
        is_tls = self.url.scheme == "https"
        self._address = (self.url.hostname or "", self.url.port or (443 if is_tls else 80))
        self._tls = httpx.create_ssl_context(trust_env=False) if is_tls else None
        self._names = names or Pool("resolving names", threads=4, waiting=1_000)
        self._places = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []

    async def ask(
        self, owner: str, request: h11.Request, body: AsyncGenerator[bytes, None] | None = None
    ) -> Connection:
        """Send a request; its answer is read from the connection, which is then to be released.

        Args:
            owner: The agent whose request it is.
            request: Its head, which says how the body is framed.
            body: Its body; what it raises is raised here.

        Raises:
            OSError: The upstream can't be reached, or the connection broke.
            h11.RemoteProtocolError: What it sent is no HTTP answer.
        """
        await self._places.acquire()
        try:
            connection = self._rested(owner) or await self._connected(owner)
        except BaseException:
            self._places.release()
            raise
        try:
            await connection.ask(request, body)
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Connection) -> None:
        """Keep the connection for its agent's next request, or close it when its answer is not at its end.

        Nothing is awaited here, so that no cancelled request can leave its connection behind.
        """
        self._places.release()
        if connection.rest():
            self._idle.append(connection)
            if len(self._idle) > _MAX_IDLE:
                self._idle.pop(0).close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _rested(self, owner: str) -> Connection | None:
        self._idle = [connection for connection in self._idle if connection.is_open]
        for connection in reversed(self._idle):
            if connection.owner == owner:
                self._idle.remove(connection)
                return connection
        return None

    async def _connected(self, owner: str) -> Connection:
        """Try the addresses of the upstream's name, the next when one has failed or takes its time.

        asyncio can do that too (`happy_eyeballs_delay`), but loses a socket when it is cancelled meanwhile.
        """
        resolve = partial(socket.getaddrinfo, *self._address, type=socket.SOCK_STREAM)
        addresses = await self._names.run(resolve, DNS_TIMEOUT)
        attempts: list[asyncio.Task[Connection]] = []
        pending: set[asyncio.Task[Connection]] = set()
        try:
            while addresses or pending:
                if addresses:
                    *_, address = addresses.pop(0)
                    attempts.append(asyncio.create_task(self._attempt(owner, str(address[0]))))
                    pending.add(attempts[-1])
                patience = _ATTEMPT if addresses else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=FIRST_COMPLETED)
                if attempt := next((attempt for attempt in done if not attempt.exception()), None):
                    attempts.remove(attempt)
                    return attempt.result()
            return attempts[-1].result()
        finally:
            for attempt in attempts:
                attempt.cancel()
                attempt.add_done_callback(_close_unused)

    async def _attempt(self, owner: str, address: str) -> Connection:
        host, port = self._address
        name = host if self._tls else None
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(owner), address, port, ssl=self._tls, server_hostname=name
        )
        return connection


def _close_unused(attempt: asyncio.Task[Connection]) -> None:
    if not (attempt.cancelled() or attempt.exception()):
        attempt.result().close()


class Connection(asyncio.Protocol):
    """One connection, and the answer that is read from it.

    Args:
        owner: The agent whose requests it carries.
    """

    status: int
    headers: list[tuple[bytes, bytes]]

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._transport: asyncio.Transport
        self._news: asyncio.Future[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None
        self._interim = 0
        self._is_full = False

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return not self._transport.is_closing()

    async def ask(self, request: h11.Request, body: AsyncGenerator[bytes, None] | None) -> None:
        """Send a request and read status and headers of its answer; raises as `Upstream.ask` does."""
        if self._expiry:
            self._expiry.cancel()
        self._interim = 0
        self._write(request)
        answer = await self._send(body) if body else None
        if answer is None:
            self._write(h11.EndOfMessage())
            while (answer := self._answer()) is None:
                await self._wait()
        self.status = answer.status_code
        self.headers = list(answer.headers)

    async def _send(self, body: AsyncGenerator[bytes, None]) -> h11.Response | None:
        """Send a body; return the answer if it comes before the body's end, when no more of it is wanted."""
        async with aclosing(body):
            async for chunk in body:
                self._write(h11.Data(chunk))
                while (answer := self._answer()) is None and self._is_full:
                    await self._wait()
                if answer:
                    return answer
        return None

    def _answer(self) -> h11.Response | None:
        """Return status and headers, if they are there; interim answers are left out."""
        while (event := self._event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                return event
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise h11.RemoteProtocolError("too many interim answers")
        return None

    def read(self) -> tuple[bytes, bool]:
        """Return what has come of the answer's body since the last time, and whether there is more.

        Raises:
            OSError: The connection broke.
            h11.RemoteProtocolError: The body is not framed as HTTP has it, or broke off.
        """
        data = []
        while isinstance(event := self._event(), h11.Data):
            data.append(event.data)
            if len(data) == _MAX_BATCH:
                break
        return b"".join(data), not isinstance(event, h11.EndOfMessage)

    async def piece(self) -> tuple[bytes, bool]:
        """Return the same, once anything has come; raises as `read` does."""
        await asyncio.sleep(0)  # so that others have their turn, however fast the upstream sends
        data, more = self.read()
        while more and not data:
            await self._wait()
            data, more = self.read()
        return data, more

    def rest(self) -> bool:
        """Make ready for the next request, and say whether that can be; if not, close."""
        http = self._http
        is_reusable = http.our_state is http.their_state is h11.DONE and http.trailing_data == (b"", False)
        if not (is_reusable and self.is_open):
            self.close()
            return False
        http.start_next_cycle()
        self._transport.resume_reading()
        self._expiry = asyncio.get_running_loop().call_later(_IDLE_TIME, self.close)
        return True

    def close(self) -> None:
        """Close it at once, whatever is still to be sent."""
        if self._expiry:
            self._expiry.cancel()
        self._transport.abort()

    def _event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        event = self._http.next_event()
        if event is h11.NEED_DATA and self._failure:
            raise self._failure
        return event

    def _write(self, event: h11.Event) -> None:
        self._transport.write(self._http.send(event) or b"")

    async def _wait(self) -> None:
        """Wait for what comes next: bytes, the end, or room to write."""
        self._transport.resume_reading()
        self._news = asyncio.get_running_loop().create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _wake(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = transport  # type: ignore[assignment]  # of a stream it is always a Transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop; nothing more is read while nobody waits for it."""
        if self._http.our_state is h11.IDLE:
            self.close()  # nobody has asked for this
            return
        self._http.receive_data(data)
        if self._news is None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Called by the event loop, which then closes the connection."""
        self._http.receive_data(b"")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._failure = exc
        if exc is None:
            self._http.receive_data(b"")
        self._wake()  # without an end: what a failure cuts off must not look whole

    def pause_writing(self) -> None:
        """Called by the event loop, when the upstream reads too slowly."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Called by the event loop."""
        self._is_full = False
        self._wake()
