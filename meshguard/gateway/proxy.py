"""The governed proxy: decide, record, then carry the request to the upstream."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import h11

from meshguard.gateway import telemetry
from meshguard.gateway.audit import new_row
from meshguard.gateway.clock import milliseconds
from meshguard.gateway.decisions import (
    Asked,
    Verdict,
    context_in_header,
    decision_headers,
    denial,
    question_of,
)
from meshguard.gateway.forwarded_headers import (
    canonical,
    named_by_connection,
    reaches_client,
    reaches_upstream,
)
from meshguard.gateway.http import ClientGone, Request, Response
from meshguard.gateway.ids import random_hex
from meshguard.gateway.pace import MIN_RATE, Pace
from meshguard.gateway.problems import Detail, Problem, invalid
from meshguard.gateway.upstream_path import encode, normalise

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.types import Receive, Send

    from meshguard.gateway.gateway import Gateway
    from meshguard.gateway.settings import Settings
    from meshguard.gateway.upstream import Connection

_log = logging.getLogger("meshguard.gateway")

_VERBS = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "POST": "write",
    "PUT": "write",
    "PATCH": "write",
    "DELETE": "delete",
}
_SAME = ("trace_id", "agent_id", "agent_name", "trust_tier", "action", "resource", "method", "path")
_MOMENT = 0.02  # seconds that a client may be gone unnoticed


async def proxy(gateway: Gateway, request: Request) -> Response | Forwarding:
    """Operations `proxy_get`, `proxy_post`, and so on for each method."""
    path = normalise(request.path["path"])
    if any(not 0x21 <= byte <= 0x7E for byte in request.scope["query_string"]):  # noqa: PLR2004 - visible ASCII
        raise invalid(Detail("/query", "percent-encode what is not visible ASCII"))
    length = _declared_length(request)
    if length is not None and length > gateway.settings.proxy_max_body:
        raise _too_large(gateway.settings)
    asked = _questions(gateway.settings.proxy_action, request, path)
    about = {"method": request.scope["method"], "path": f"/{path}"}
    with telemetry.deciding(asked[0].question.action):
        verdicts = await gateway.decisions.ask(request.caller, asked, request.trace_id, **about)
        refused = next((verdict for verdict in verdicts if not verdict.allowed), None)
        await gateway.decisions.record(verdicts, 403 if refused else None)
    if refused:
        answer = denial(refused)
        return Response(403, headers=answer.headers) if request.scope["method"] == "HEAD" else answer
    forwarding = Forwarding(gateway, request, verdicts[0], path, length)
    gateway.exchanges.add(forwarding)
    try:
        await forwarding.begin()
    except BaseException:
        gateway.exchanges.remove(forwarding)
        raise
    return forwarding


def _questions(setting: str, request: Request, path: str) -> list[Asked]:
    """Return what has to be allowed: what the agent declares, what follows from its request, or both."""
    derived = (f"{_VERBS[request.scope['method']]}:{path}", f"/{path}")
    declared = (
        request.headers.get("X-MeshGuard-Action", derived[0]),
        request.headers.get("X-MeshGuard-Resource", derived[1]),
    )
    asked = {"declared": [declared], "derived": [derived], "both": [declared, derived]}[setting]
    context = context_in_header(request)
    return [Asked(question_of(action, resource, context)) for action, resource in dict.fromkeys(asked)]


def _declared_length(request: Request) -> int | None:
    text = request.head.get(b"content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise invalid(Detail("/header/Content-Length", "send the number of bytes"))
    return int(text[:20])


@dataclass(eq=False)
class _BodyTooLarge(Exception):  # noqa: N818 - it ends the stream of a body
    """The request's body went over the limit while it was streamed."""


class Forwarding:
    """A request on its way to the upstream, and the answer on its way back."""

    def __init__(
        self, gateway: Gateway, request: Request, verdict: Verdict, path: str, length: int | None
    ) -> None:
        if gateway.upstream is None:
            raise Problem(502, "The gateway has no upstream service; set PROXY_TARGET.")
        self.agent = request.caller
        self.authorization = request.head.get(b"authorization")
        self._gateway = gateway
        self._upstream = gateway.upstream
        self._settings = gateway.settings
        self._request = request
        self._verdict = verdict
        self._path = path
        self._length = length
        self._has_body = length is not None or b"transfer-encoding" in request.head
        self._body_read = asyncio.Event()
        self._deadline = asyncio.timeout(None)
        self._streaming: asyncio.Timeout | None = None
        self._cut: tuple[str, Problem] | None = None
        self._started = perf_counter()
        self._answer: Connection
        if not self._has_body:
            self._body_read.set()

    def _target(self) -> bytes:
        query = self._request.scope["query_string"]
        path = f"{self._upstream.url.path.rstrip('/')}/{encode(self._path)}".encode()
        return path + b"?" + query if query else path

    def _headers(self) -> list[tuple[bytes, bytes]]:
        scope = self._request.scope
        pairs = self._request.head.pairs
        named = named_by_connection(pairs)
        kept = [
            (name, value)
            for name, value in pairs
            if reaches_upstream(spelled := canonical(name)) and spelled not in named
        ]
        client = scope.get("client") or ("unknown", 0)
        added = {
            "Host": self._upstream.url.netloc,
            "X-MeshGuard-Agent-Id": self._verdict.row["agent_id"],
            "X-MeshGuard-Trace-ID": self._request.trace_id,
            "X-Forwarded-For": client[0],
            "X-Forwarded-Proto": scope.get("scheme", "http"),
            "X-Forwarded-Host": self._request.head.get(b"host") or "",
            "traceparent": _traceparent(self._request),
        }
        if self._length is not None:
            added["Content-Length"] = str(self._length)
        elif self._has_body:
            added["Transfer-Encoding"] = "chunked"
        if self._settings.proxy_authorization:
            added["Authorization"] = self._settings.proxy_authorization.get_secret_value()
        return kept + [(name.encode(), value.encode("latin-1")) for name, value in added.items()]

    def cut(self, cause: str, problem: Problem) -> None:
        """End the exchange now: the agent's credential has ended.

        Args:
            cause: Why, for the log and the audit entry.
            problem: What the client gets if no response has begun.
        """
        self._cut = (cause, problem)
        scope = self._streaming or self._deadline
        if not scope.expired():
            with suppress(RuntimeError):  # it is about to end anyway
                scope.reschedule(0)

    async def _record_cut(self) -> Problem | None:
        """Record that the exchange was cut, if it was; return what the client gets."""
        if self._cut is None:
            return None
        cause, problem = self._cut
        decided = self._verdict.row
        _log.warning("request %s of agent %s was cut: %s", decided["trace_id"], decided["agent_id"], cause)
        if self._gateway.metrics:
            self._gateway.metrics.count_cut()
        row = new_row(
            **{name: decided[name] for name in _SAME},
            timestamp=milliseconds(self._gateway.clock()),
            kind="cut",
            decision="deny",
            reason=f"{cause} The exchange was cut.",
            status=self._answer.status if self._streaming else problem.status,
            latency_ms=round((perf_counter() - self._started) * 1000, 3),
        )
        try:
            await self._gateway.writer.record([row])
        except Problem:
            _log.error("the cut of request %s could not be recorded", decided["trace_id"])
        return problem

    async def _body(self) -> AsyncGenerator[bytes, None]:
        size, more, pace = 0, True, Pace(self._request.timeout)
        while more:
            self._deadline.reschedule(None)
            with pace:
                chunk, more = await _next_chunk(self._request.receive, pace.patience(size))
            size += len(chunk)
            if size > self._settings.proxy_max_body:
                raise _BodyTooLarge
            self._start_clock()
            if not more:
                self._body_read.set()
            if chunk:
                yield chunk

    def _start_clock(self) -> None:
        """Give the upstream its time, from now on; what the client takes to send counts against nobody."""
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._settings.proxy_timeout)

    async def begin(self) -> None:
        """Send the request and wait for the upstream's status and headers.

        Raises:
            Problem: 413, 502, 504.
            ClientGone: The client closed the connection; the upstream call is cancelled.
        """
        headers, method = self._headers(), self._request.scope["method"]
        with telemetry.forwarding(method, self._upstream.url, headers) as span:
            await self._send(_head(method, self._target(), headers))
            telemetry.forwarded(span, self._answer.status)

    async def _send(self, head: h11.Request) -> None:
        agent_id = self._verdict.row["agent_id"]
        body = self._body() if self._has_body else None
        try:
            async with _watched(self._request.receive, self._body_read, self._deadline):
                self._start_clock()
                self._answer = await self._upstream.ask(agent_id, head, body)
        except _BodyTooLarge:
            raise _too_large(self._settings) from None
        except TimeoutError:
            if problem := await self._record_cut():
                raise problem from None
            timeout = f"{self._settings.proxy_timeout:g}"
            raise Problem(504, f"The upstream service did not answer within {timeout} s.") from None
        except (OSError, h11.ProtocolError) as error:
            _log.warning("the upstream can't be reached (%s)", type(error).__name__)
            raise _unreachable() from None
        self._body_read.set()  # whoever answers before the body's end does not read the rest

    @property
    def status(self) -> int:
        """The upstream's status."""
        return self._answer.status

    async def send_to(self, send: Send, trace_id: str) -> None:
        """Stream the upstream's answer, as its bytes come.

        When it breaks off there, it breaks off here: a server that gets no end of an answer cuts the
        connection, so that the client can't take it for whole.
        """
        try:
            headers = self._answer_headers(trace_id)
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            piece, more = self._answer.read()
            if more:
                piece = await self._stream(piece, send)
            await send({"type": "http.response.body", "body": piece})
        except (OSError, h11.ProtocolError) as error:
            if self._cut is None:
                _log.warning("the upstream's answer to %s broke off (%s)", trace_id, type(error).__name__)
        finally:
            self._upstream.release(self._answer)
            self._gateway.exchanges.remove(self)
        await self._record_cut()

    async def _stream(self, piece: bytes, send: Send) -> bytes:
        """Send all but the last piece, as they come, and return that.

        The first may be empty: it makes servers send the headers, for which clients of event streams wait.
        """
        more = True
        self._streaming = asyncio.timeout(None)
        async with _watched(self._request.receive, self._body_read, self._streaming):
            while more:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                async with asyncio.timeout(self._settings.proxy_timeout):
                    piece, more = await self._answer.piece()
        return piece

    def _answer_headers(self, trace_id: str) -> list[tuple[bytes, bytes]]:
        raw = self._answer.headers
        named = named_by_connection(raw)
        if any(name == b"transfer-encoding" for name, _ in raw):
            named.add(b"content-length")  # which, beside it, says nothing
        kept = [
            (name, value)
            for name, value in raw
            if reaches_client(spelled := canonical(name)) and spelled not in named
        ]
        return [*kept, *decision_headers(self._verdict), (b"x-meshguard-trace-id", trace_id.encode())]


@asynccontextmanager
async def _watched(receive: Receive, body_read: asyncio.Event, scope: asyncio.Timeout) -> AsyncIterator[None]:
    """Cancel what is inside when the client goes away.

    Watching begins after a moment: it costs more than most answers take.

    Args:
        receive: ASGI's own.
        body_read: Set when nobody else calls `receive` any more.
        scope: What is inside is ended by letting its time be up.

    Raises:
        ClientGone: It did.
        TimeoutError: The time was up without that.
    """
    gone = False
    watcher: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    async def watch() -> None:
        nonlocal gone
        await body_read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        scope.reschedule(0)

    timer = asyncio.get_running_loop().call_later(_MOMENT, begin)
    try:
        async with scope:
            try:
                yield
            finally:
                timer.cancel()
                if watcher:
                    watcher.cancel()
    except TimeoutError:
        if gone:
            raise ClientGone from None
        raise


async def _next_chunk(receive: Receive, timeout: float) -> tuple[bytes, bool]:  # noqa: ASYNC109 - of this piece
    try:
        async with asyncio.timeout(timeout):
            message = await receive()
    except TimeoutError:
        raise invalid(Detail("", f"send the body faster than {MIN_RATE} bytes/s")) from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _head(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> h11.Request:
    try:
        return h11.Request(method=method, target=target, headers=headers)
    except h11.LocalProtocolError:
        raise invalid(Detail("/header", "a header has characters that can't be forwarded")) from None


def _traceparent(request: Request) -> str:
    given = request.head.get(b"traceparent")
    return given or f"00-{random_hex(32)}-{random_hex(16)}-01"


def _unreachable() -> Problem:
    return Problem(502, "The upstream service can't be reached; check the gateway's PROXY_TARGET.")


def _too_large(settings: Settings) -> Problem:
    return Problem(413, f"The body has more than {settings.proxy_max_body} bytes; send less.")
