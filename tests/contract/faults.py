"""Faults for a gateway, each one violation of the contract: ASGI middleware around our own."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

CHECK = "/proxy/check"
AUDIT = "/admin/audit"


@dataclass
class Exchange:
    """A request on its way in, and the response on its way out; a fault changes either."""

    method: str
    path: str
    query: bytes
    request_headers: list[tuple[bytes, bytes]]
    body: bytes
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    answer: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        return dict(self.request_headers).get(name)

    def without(self, name: bytes) -> None:
        self.headers = [pair for pair in self.headers if pair[0] != name]

    @property
    def json(self) -> Any:
        return json.loads(self.answer)

    def set_json(self, value: Any) -> None:
        self.answer = json.dumps(value).encode()

    def take(self, other: Exchange) -> None:
        self.status, self.headers, self.answer = other.status, other.headers, other.answer


Ask = Callable[[Exchange], Awaitable[None]]
Fault = Callable[[Exchange, Ask], Awaitable[None]]


class Faulty:
    """An application between whose requests and responses a fault lies."""

    def __init__(self, application: Any, fault: Fault) -> None:
        self._application = application
        self._fault = fault

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        exchange = Exchange(
            scope["method"],
            scope["path"],
            scope["query_string"],
            list(scope["headers"]),
            await _read(receive),
        )

        async def ask(exchange: Exchange) -> None:
            await self._ask(scope, exchange)

        await self._fault(exchange, ask)
        exchange.without(b"content-length")
        await send({"type": "http.response.start", "status": exchange.status, "headers": exchange.headers})
        await send({"type": "http.response.body", "body": exchange.answer})

    async def _ask(self, scope: Any, exchange: Exchange) -> None:
        exchange.answer = b""

        async def receive() -> Any:
            return {"type": "http.request", "body": exchange.body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                exchange.status, exchange.headers = message["status"], list(message["headers"])
            else:
                exchange.answer += message.get("body", b"")

        raw = {"raw_path": exchange.path.encode()} if exchange.path != scope["path"] else {}
        changed = {
            "method": exchange.method,
            "path": exchange.path,
            "query_string": exchange.query,
            "headers": exchange.request_headers,
        }
        await self._application({**scope, **changed, **raw}, receive, send)


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def denial_without_decision_header(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.status == 403:
        exchange.without(b"x-meshguard-decision")


async def refusal_without_www_authenticate(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    exchange.without(b"www-authenticate")


async def unknown_fields_taken(exchange: Exchange, ask: Ask) -> None:
    if exchange.method == "POST" and exchange.body.startswith(b"{"):
        known = {"name", "trustTier", "tags", "metadata", "action", "resource", "context", "explain"}
        body = json.loads(exchange.body)
        exchange.body = json.dumps({name: body[name] for name in body if name in known}).encode()
        lengths = [pair for pair in exchange.request_headers if pair[0] != b"content-length"]
        exchange.request_headers = [*lengths, (b"content-length", str(len(exchange.body)).encode())]
    await ask(exchange)


def cached_decisions() -> Fault:
    """Answers to a token that was good once, kept after its end."""
    kept: dict[tuple[Any, ...], Exchange] = {}

    async def fault(exchange: Exchange, ask: Ask) -> None:
        key = (exchange.header(b"authorization"), exchange.header(b"x-meshguard-action"))
        await ask(exchange)
        if exchange.path == CHECK and exchange.status == 200:
            kept[key] = exchange
        elif exchange.path == CHECK and exchange.status == 401 and key in kept:
            exchange.take(kept[key])

    return fault


async def trace_not_repeated(exchange: Exchange, ask: Ask) -> None:
    given = (b"x-meshguard-trace-id", b"x-trace-id")
    exchange.request_headers = [pair for pair in exchange.request_headers if pair[0] not in given]
    await ask(exchange)


async def request_id_not_repeated(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    exchange.without(b"x-request-id")


async def bad_trace_taken(exchange: Exchange, ask: Ask) -> None:
    named = b"x-meshguard-trace-id"
    exchange.request_headers = [
        (name, value.replace(b" ", b"")[:128] if name == named else value)
        for name, value in exchange.request_headers
    ]
    await ask(exchange)


async def denial_answered_with_bare_200(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.status == 403:
        exchange.status, exchange.answer = 200, b"{}"


async def entries_missing(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.path == AUDIT and exchange.status == 200:
        page = exchange.json
        page["entries"] = [entry for entry in page["entries"] if entry["decision"] != "deny"]
        exchange.set_json(page)


def repeated_entry() -> Fault:
    last: list[Any] = []

    async def fault(exchange: Exchange, ask: Ask) -> None:
        await ask(exchange)
        if exchange.path == AUDIT and exchange.status == 200:
            page = exchange.json
            if b"cursor=" in exchange.query:
                page["entries"] = [*last, *page["entries"]]
                exchange.set_json(page)
            last[:] = page["entries"][-1:]

    return fault


async def errors_in_another_shape(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.status >= 400:
        exchange.set_json({"detail": exchange.json.get("message")})


def open_admin_side(token: str) -> Fault:
    async def fault(exchange: Exchange, ask: Ask) -> None:
        if exchange.header(b"x-admin-token") is None:
            exchange.request_headers.append((b"x-admin-token", token.encode()))
        await ask(exchange)

    return fault


async def broken_policy_removes_the_old_one(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.method == "PUT" and exchange.status == 400:
        removal = Exchange("DELETE", exchange.path, b"", exchange.request_headers, b"")
        await ask(removal)


async def second_revocation_is_not_found(exchange: Exchange, ask: Ask) -> None:
    if exchange.method == "DELETE" and exchange.path.startswith("/admin/agents/"):
        stored = Exchange("GET", exchange.path, b"", exchange.request_headers, b"")
        await ask(stored)
        if stored.status == 200 and stored.json["status"] == "revoked":
            exchange.take(stored)
            exchange.status = 404
            return
    await ask(exchange)


def batch_in_reverse() -> Fault:
    async def fault(exchange: Exchange, ask: Ask) -> None:
        await ask(exchange)
        if exchange.path.endswith("/batch") and exchange.status == 200:
            exchange.set_json({"decisions": exchange.json["decisions"][::-1]})

    return fault


async def key_ignored(exchange: Exchange, ask: Ask) -> None:
    exchange.request_headers = [pair for pair in exchange.request_headers if pair[0] != b"idempotency-key"]
    await ask(exchange)


async def times_with_an_offset(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    exchange.answer = re.sub(rb"(:\d\d\.\d{3})Z\"", rb'\1+00:00"', exchange.answer)


async def null_is_an_invalid_policy(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.path == "/admin/policies/validate" and exchange.status == 400:
        exchange.status = 200
        exchange.set_json({"valid": False, "errors": exchange.json["details"], "warnings": []})


async def decisions_may_be_cached(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    exchange.without(b"cache-control")


async def log_claims_to_be_broken(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.path == "/admin/audit/verify":
        exchange.set_json({**exchange.json, "valid": False})


async def export_newest_first(exchange: Exchange, ask: Ask) -> None:
    await ask(exchange)
    if exchange.path == "/admin/audit/export" and exchange.status == 200:
        exchange.answer = b"".join(exchange.answer.splitlines(keepends=True)[::-1])
