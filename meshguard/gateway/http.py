"""Requests and responses of the gateway, over bare ASGI."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from meshguard_api import models

from meshguard.gateway.contract import parse_query, unknown_parameter
from meshguard.gateway.json_body import JsonError, parse_json
from meshguard.gateway.json_size import has_more_values
from meshguard.gateway.pools import BODY_TIMEOUT
from meshguard.gateway.problems import CODES, Detail, Problem, invalid, unavailable
from meshguard.gateway.store import to_json
from meshguard.gateway.work import BYTES_PER_UNIT, MAX_ERRORS, MAX_VALUES, Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Receive, Scope, Send

    from meshguard.gateway.contract import Operation
    from meshguard.gateway.pools import Pool
    from meshguard.gateway.snapshot import Agent

RawHeaders: TypeAlias = "tuple[tuple[bytes, bytes], ...]"

NO_STORE: RawHeaders = ((b"cache-control", b"no-store"),)
MAX_BODY = 1_048_576
MAX_HEADERS = 100
MAX_HEAD = 65_536  # bytes of all headers together, names and values
_LONG_BODY = 8_192  # bytes, from which on a body is read beside the event loop
_PATIENCE = 2.0  # seconds; for what is left of a refused body
_JSON_TYPES = frozenset({"application/json"})


_SAFETY = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


class ClientGone(Exception):  # noqa: N818 - nobody is there to be told of an error
    """The client closed the connection, or the rest of its body is no HTTP."""


_REQUEST_ID = re.compile(r"[!-~]{1,128}")
NO_WEBSOCKETS = "this gateway carries no WebSockets; send plain HTTP requests"


class Body:
    """ASGI's `receive` of a request with a body, which knows whether some of it is still to come.

    Args:
        receive: ASGI's own.
        head: The request's headers.
    """

    __slots__ = ("_is_over", "_left", "_receive")

    def __init__(self, receive: Receive, head: Head) -> None:
        self._receive = receive
        length = head.last(b"content-length")
        self._left = int(length[:20]) if length.isdigit() else None
        self._is_over = self._left == 0

    async def __call__(self) -> Message:
        """Return ASGI's next message."""
        message = await self._receive()
        if self._left is not None:
            self._left -= len(message.get("body", b""))
        self._is_over = not message.get("more_body") or self._left == 0
        return message

    async def drain(self) -> None:
        """Take what is left of the body, once the request is answered, for a while.

        A server that closes before it has taken what was sent resets the connection, and the answer may be
        lost with it: a load balancer then says 502, and counts a failure of the gateway.
        """
        if self._is_over:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not self._is_over:
                    await self()


class Head:
    """The headers of a request, read once.

    Args:
        scope: ASGI's own.
    """

    __slots__ = ("_http_version", "_values", "pairs")

    def __init__(self, scope: Scope) -> None:
        self.pairs: list[tuple[bytes, bytes]] = scope["headers"]
        self._values: dict[bytes, bytes] = dict(self.pairs)
        self._http_version = scope.get("http_version")

    def __contains__(self, name: bytes) -> bool:
        return name in self._values

    def get(self, name: bytes) -> str | None:
        """Return a header's text; None when it is absent.

        Raises:
            Problem: 400, when it is given twice.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if len(self._values) < len(self.pairs) and len(self.all(name)) > 1:
            raise invalid(Detail(f"/header/{name.decode('latin-1')}", "given twice"))
        return value.decode("latin-1").strip()

    @property
    def announces_body(self) -> bool:
        """Whether a body follows."""
        return b"content-length" in self._values or b"transfer-encoding" in self._values

    def last(self, name: bytes) -> bytes:
        """Return a header's last value; empty when it is absent."""
        return self._values.get(name, b"")

    def all(self, name: bytes) -> list[bytes]:
        """Return each value of a header."""
        return [value for key, value in self.pairs if key == name]

    def check(self) -> None:
        """Do nothing if the head has one meaning, is of bearable size, and wants plain HTTP.

        Raises:
            Problem: 400.
        """
        if len(self.pairs) > MAX_HEADERS or sum(map(len, chain.from_iterable(self.pairs))) > MAX_HEAD:
            raise invalid(Detail("/header", f"at most {MAX_HEADERS} headers of {MAX_HEAD} bytes in all"))
        if b"transfer-encoding" in self and b"content-length" in self:
            raise invalid(Detail("/header/Content-Length", "not together with Transfer-Encoding"))
        if not self.get(b"host") and self._http_version == "1.1":
            raise invalid(Detail("/header/Host", "this header is needed"))
        if b"upgrade" in self and any(b"websocket" in value.lower() for value in self.all(b"upgrade")):
            raise invalid(Detail("/header/Upgrade", NO_WEBSOCKETS))


@dataclass(slots=True)
class Request:
    """One request that fits its operation's parameters.

    Args:
        scope: ASGI's own.
        receive: ASGI's own.
        head: The headers.
        trace_id: From the header, or made up.
        operation: What is asked for.
        path: The path parameters.
        query: The query parameters.
        headers: The declared header parameters.
        agent: Who asks, where the operation is an agent's.
        timeout: Seconds that the body may take to arrive.
        charge: Counts so many requests more against the agent's limit.
        pool: Threads that read long bodies.
        work: Counts what the request causes.
    """

    scope: Scope
    receive: Receive
    head: Head
    trace_id: str
    operation: Operation
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    agent: Agent | None = None
    timeout: float = 30.0
    charge: Callable[[int], Awaitable[None]] | None = None
    pool: Pool | None = None
    work: Work = field(default_factory=Work)

    @property
    def caller(self) -> Agent:
        """The agent; only for operations that are an agent's."""
        if self.agent is None:
            raise TypeError(f"{self.operation.id} is no agent's operation")
        return self.agent

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            Problem: 413, when it has more than 1 MiB; 400, when it does not arrive in time; 429, when it is
                more than the agent's limit has left.
        """
        declared = self.head.get(b"content-length")
        if declared and declared.isdecimal() and int(declared[:20]) > MAX_BODY:
            raise _too_large()
        try:
            async with asyncio.timeout(self.timeout):
                body = await self._received()
        except TimeoutError:
            raise too_slow(self.timeout) from None
        self.work.read = len(body)
        if self.charge and (units := len(body) // BYTES_PER_UNIT):
            await self.charge(units)
        return body

    async def _received(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > MAX_BODY:
                raise _too_large()
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)

    async def json(self) -> Any:
        """Return the body's JSON value, checked against the operation's schema.

        Raises:
            Problem: 400, 413; 503, when too many long bodies wait to be read.
        """
        self.media_type(_JSON_TYPES)
        body = await self.body()
        if self.pool is None or len(body) < _LONG_BODY:
            return self._checked(body)
        try:
            return await self.pool.run(lambda: self._checked(body), BODY_TIMEOUT)
        except TimeoutError:
            raise unavailable("Other long bodies are being read; try again in a few seconds.") from None

    def _checked(self, body: bytes) -> Any:
        value = json_value(body)
        faults = self.operation.body.faults(value, self.work) if self.operation.body else []
        if faults:
            raise invalid(*faults)
        return value

    def media_type(self, known: frozenset[str]) -> str:
        """Return the body's media type.

        Raises:
            Problem: 400, when it is none of the known ones, or the text is not in UTF-8.
        """
        media_type, _, parameters = (self.head.get(b"content-type") or "").partition(";")
        media_type = media_type.strip().lower()
        charset = parameters.strip().lower().removeprefix("charset=").strip('"')
        if media_type not in known or charset not in {"", "utf-8"}:
            expected = " or ".join(self.operation.media_types)
            raise invalid(Detail("/header/Content-Type", f"send the body as {expected}"))
        return media_type


def json_value(body: bytes) -> Any:
    """Return the value of a JSON body.

    Raises:
        Problem: 400.
    """
    if not body:
        raise invalid(Detail("", "a body is needed"))
    if has_more_values(body, MAX_VALUES):
        raise invalid(Detail("", f"more than {MAX_VALUES} values; send them in several requests"))
    try:
        return parse_json(body)
    except JsonError as error:
        raise invalid(Detail("", str(error))) from None


def too_slow(seconds: float) -> Problem:
    """Return the 400 of a body that did not arrive in time."""
    return invalid(Detail("", f"the body did not arrive within {seconds:g} s"))


def _too_large() -> Problem:
    return Problem(413, f"The body has more than {MAX_BODY} bytes; send less.")


def own_headers(headers: RawHeaders, trace_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that is the gateway's own, with those that all of them have."""
    return [*headers, *_SAFETY, (b"x-meshguard-trace-id", trace_id.encode())]


def request_id(head: Head) -> bytes | None:
    """Return the ID that the request gives itself; None without one.

    Raises:
        Problem: 400.
    """
    text = head.get(b"x-request-id")
    if text is None:
        return None
    if not _REQUEST_ID.fullmatch(text):
        raise invalid(Detail("/header/X-Request-ID", "1 to 128 visible ASCII characters"))
    return text.encode()


def echoing(send: Send, request_id: bytes | None) -> Send:
    """Return a `send` that repeats the request's ID on the response, in place of the upstream's own."""
    if request_id is None:
        return send

    async def echoed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
            message["headers"] = [*kept, (b"x-request-id", request_id)]
        await send(message)

    return echoed


class Answer(Protocol):
    """Something that can be sent as the response."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    async def send_to(self, send: Send, trace_id: str) -> None:
        """Send status, headers and body."""


@dataclass(slots=True)
class Response:
    """A response whose body is at hand."""

    status: int
    body: bytes = b""
    headers: RawHeaders = NO_STORE
    media_type: bytes = b"application/json"

    async def send_to(self, send: Send, trace_id: str) -> None:
        """Send status, headers and body."""
        headers = own_headers(self.headers, trace_id)
        if self.body:
            headers.append((b"content-type", self.media_type))
        if self.status != 204:  # noqa: PLR2004
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(content: dict[str, Any], status: int = 200, headers: RawHeaders = NO_STORE) -> Response:
    """Return a response with a JSON body."""
    return Response(status, to_json(content).encode(), headers)


def error_response(problem: Problem, trace_id: str, *, is_head: bool = False) -> Response:
    """Return the response that says what is wrong (openapi.yaml, "Errors")."""
    headers = (*((name.lower().encode(), value.encode()) for name, value in problem.headers), *NO_STORE)
    if is_head:
        return Response(problem.status, headers=headers)
    return json_response(_error(problem, trace_id), problem.status, headers)


def _error(problem: Problem, trace_id: str) -> dict[str, Any]:
    code = CODES[problem.status]
    if problem.status == 400:  # noqa: PLR2004
        details = [models.ErrorDetail(fault.path, fault.message) for fault in problem.details]
        return models.InvalidRequestError(code, problem.message, trace_id, details).to_dict()
    return {**models.Error(code, problem.message, trace_id).to_dict(), **problem.fields}


def read_parameters(request: Request, *, open_query: bool) -> None:
    """Check the request's parameters against its operation and keep their values.

    Args:
        request: Its `path` is filled already.
        open_query: Whether the query is none of the gateway's business.

    Raises:
        Problem: 400, with every fault.
    """
    faults: list[Detail] = []
    if not open_query:
        _read_query(request, faults)
    for raw_name, parameter in request.operation.headers.items():
        text = request.head.get(raw_name)
        if text is not None:
            request.headers[parameter.name] = text
            faults.extend(parameter.faults(text))
        elif parameter.required:
            faults.append(Detail(f"/header/{parameter.name}", "this header is needed"))
    for name, parameter in request.operation.path.items():
        faults.extend(parameter.faults(request.path[name]))
    if faults:
        raise invalid(*faults)


def _read_query(request: Request, faults: list[Detail]) -> None:
    raw = request.scope["query_string"]
    if not raw:
        return
    try:
        pairs = parse_query(raw)
    except UnicodeDecodeError:
        faults.append(Detail("/query", "the query is not UTF-8"))
        return
    known = request.operation.query
    for name, text in pairs:
        request.work.look()
        if len(faults) >= MAX_ERRORS:
            return
        if name not in known:
            faults.append(unknown_parameter(name, known))
        elif name in request.query:
            faults.append(Detail(f"/query/{name}", "given twice"))
        else:
            request.query[name] = known[name].value(text)
            faults.extend(known[name].faults(text))
