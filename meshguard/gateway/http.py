"""Requests and responses of the gateway, over bare ASGI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from meshguard_api import models

from meshguard.gateway.contract import parse_query, unknown_parameter
from meshguard.gateway.json_body import JsonError, parse_json
from meshguard.gateway.problems import CODES, Detail, Problem, invalid
from meshguard.gateway.store import to_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from meshguard.gateway.contract import Operation
    from meshguard.gateway.snapshot import Agent

MAX_BODY = 1_048_576
_JSON_TYPES = frozenset({"application/json"})


class ClientGone(Exception):  # noqa: N818 - nobody is there to be told of an error
    """The client closed the connection."""


@dataclass(slots=True)
class Request:
    """One request that fits its operation's parameters.

    Args:
        scope: ASGI's own.
        receive: ASGI's own.
        trace_id: From the header, or made up.
        operation: What is asked for.
        path: The path parameters.
        query: The query parameters.
        headers: The declared header parameters.
        agent: Who asks, where the operation is an agent's.
    """

    scope: Scope
    receive: Receive
    trace_id: str
    operation: Operation
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    agent: Agent | None = None

    @property
    def caller(self) -> Agent:
        """The agent; only for operations that are an agent's."""
        if self.agent is None:
            raise TypeError(f"{self.operation.id} is no agent's operation")
        return self.agent

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            Problem: 413, when it has more than 1 MiB.
        """
        declared = header(self.scope, b"content-length")
        if declared and declared.isdecimal() and int(declared[:20]) > MAX_BODY:
            raise _too_large()
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
            Problem: 400, 413.
        """
        self.media_type(_JSON_TYPES)
        value = json_value(await self.body())
        faults = self.operation.body.faults(value) if self.operation.body else []
        if faults:
            raise invalid(*faults)
        return value

    def media_type(self, known: frozenset[str]) -> str:
        """Return the body's media type.

        Raises:
            Problem: 400, when it is none of the known ones, or the text is not in UTF-8.
        """
        media_type, _, parameters = (header(self.scope, b"content-type") or "").partition(";")
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
    try:
        return parse_json(body)
    except JsonError as error:
        raise invalid(Detail("", str(error))) from None


def _too_large() -> Problem:
    return Problem(413, f"The body has more than {MAX_BODY} bytes; send less.")


class Answer(Protocol):
    """Something that can be sent as the response."""

    async def send_to(self, send: Send, trace_id: str) -> None:
        """Send status, headers and body."""


@dataclass(slots=True)
class Response:
    """A response whose body is at hand."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str | None = "application/json"

    async def send_to(self, send: Send, trace_id: str) -> None:
        """Send status, headers and body."""
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers]
        headers.append((b"x-meshguard-trace-id", trace_id.encode()))
        if self.body and self.media_type:
            headers.append((b"content-type", self.media_type.encode()))
        if self.status != 204:  # noqa: PLR2004
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


NO_STORE = (("Cache-Control", "no-store"),)


def json_response(
    content: dict[str, Any], status: int = 200, headers: tuple[tuple[str, str], ...] = NO_STORE
) -> Response:
    """Return a response with a JSON body."""
    return Response(status, to_json(content).encode(), headers)


def error_response(problem: Problem, trace_id: str, *, is_head: bool = False) -> Response:
    """Return the response that says what is wrong (openapi.yaml, "Errors")."""
    if is_head:
        return Response(problem.status, headers=(*problem.headers, *NO_STORE))
    return json_response(_error(problem, trace_id), problem.status, (*problem.headers, *NO_STORE))


def _error(problem: Problem, trace_id: str) -> dict[str, Any]:
    code = CODES[problem.status]
    if problem.status == 400:  # noqa: PLR2004
        details = [models.ErrorDetail(fault.path, fault.message) for fault in problem.details]
        return models.InvalidRequestError(code, problem.message, trace_id, details).to_dict()
    return {**models.Error(code, problem.message, trace_id).to_dict(), **problem.fields}


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header's text; None when it is absent.

    Raises:
        Problem: 400, when it is given twice.
    """
    values = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        raise invalid(Detail(f"/header/{name.decode('latin-1')}", "given twice"))
    return values[0].decode("latin-1").strip() if values else None


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
    for parameter in request.operation.parameters:
        if parameter.place == "header" and parameter.name != "X-MeshGuard-Trace-ID":
            text = header(request.scope, parameter.name.lower().encode())
            if text is not None:
                request.headers[parameter.name] = text
                faults.extend(parameter.faults(text))
            elif parameter.required:
                faults.append(Detail(f"/header/{parameter.name}", "this header is needed"))
        elif parameter.place == "path":
            faults.extend(parameter.faults(request.path[parameter.name]))
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
    known = request.operation.in_place("query")
    for name, text in pairs:
        if name not in known:
            faults.append(unknown_parameter(name, known))
        elif name in request.query:
            faults.append(Detail(f"/query/{name}", "given twice"))
        else:
            request.query[name] = known[name].value(text)
            faults.extend(known[name].faults(text))
