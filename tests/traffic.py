"""What passes between clients and a gateway under test, held against openapi.yaml.

Every response of the gateway has to fit the contract. A request has to when it comes from our client; others
may be wrong on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshguard.contract.document import Operation, load_document
from meshguard.contract.exchange import Exchange

OURS = "meshguard-python/"


@dataclass
class Traffic:
    """Violations of the contract seen so far."""

    violations: list[str] = field(default_factory=list)
    exchanges: int = 0

    def watch(self, application: Any) -> Any:
        """Return an ASGI application that answers as the given one and is listened to."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await application(scope, receive, send)
                return
            exchange = _Recorder(scope)
            await application(scope, exchange.receiving(receive), exchange.sending(send))
            if exchange.is_complete:
                self._judge(exchange.exchange())

        return watched

    def assert_conforms(self) -> None:
        """Fail with all violations."""
        assert not self.violations, "\n".join(["not as openapi.yaml has it:", *self.violations])

    def _judge(self, exchange: Exchange) -> None:
        self.exchanges += 1
        operation = load_document().find(exchange.method, exchange.url.partition("?")[0])
        faults = ["there is no such operation"] if operation is None and _is_ours(exchange) else []
        if operation is not None:
            faults += operation.response_faults(exchange)
            faults += _request_faults(operation, exchange)
        line = f"{exchange.method} {exchange.url} {exchange.status}"
        self.violations += [f"{line}: {fault}" for fault in faults]


def _is_ours(exchange: Exchange) -> bool:
    return dict(exchange.request_headers).get("user-agent", "").startswith(OURS)


def _request_faults(operation: Operation, exchange: Exchange) -> list[str]:
    """What the client sent wrong, unless it was refused: users may ask for what is not valid."""
    if not _is_ours(exchange) or exchange.status in {400, 401}:
        return []
    return operation.request_faults(exchange)


class _Recorder:
    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self._sent = b""
        self._status = 0
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body = b""
        self.is_complete = False

    def receiving(self, receive: Any) -> Any:
        async def received() -> Any:
            message = await receive()
            self._sent += message.get("body", b"")
            return message

        return received

    def sending(self, send: Any) -> Any:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._status, self._headers = message["status"], _text(message["headers"])
            elif message["type"] == "http.response.body":
                self._body += message.get("body", b"")
                self.is_complete = not message.get("more_body", False)
            await send(message)

        return sent

    def exchange(self) -> Exchange:
        query = self._scope["query_string"].decode("latin-1")
        path = (self._scope.get("raw_path") or self._scope["path"].encode()).decode("latin-1")
        return Exchange(
            self._scope["method"],
            f"{path}?{query}" if query else path,
            _text(self._scope["headers"]),
            self._sent,
            self._status,
            self._headers,
            self._body,
        )


def _text(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
