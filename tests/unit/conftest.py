"""A gateway that answers as it is told, over a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from meshguard import MeshGuardClient
from meshguard.guard import Guard

AGENT_TOKEN = "agent.token.signature"
ADMIN_TOKEN = "admin-token-of-the-tests"


@dataclass
class Received:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What is sent back; a dict or list is sent as JSON, None hangs up without an answer."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


class Gateway:
    """Gives the answers it was given, in turn, the last one for ever, and remembers the requests."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._answers: list[Answer] = [Answer({"decision": "allow", "allowed": True})]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def answers(self, *answers: Any) -> None:
        self._answers = [answer if isinstance(answer, Answer) else Answer(answer) for answer in answers]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next(self) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                gateway.received.append(Received(self.command, self.path, headers, body))
                answer = gateway._next()
                if answer.body is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            setattr(Handler, f"do_{method}", Handler.answer)
        return Handler


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATEWAY_URL", "AGENT_TOKEN", "ADMIN_TOKEN"):
        monkeypatch.delenv(f"MESHGUARD_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[MeshGuardClient]:
    with MeshGuardClient(gateway.url, AGENT_TOKEN, ADMIN_TOKEN, trace_id="trace-1", max_retries=0) as client:
        yield client


@pytest.fixture
def guarded(client: MeshGuardClient) -> Iterator[Callable[..., Guard]]:
    """Make guards of the client; they are closed in the end."""
    made: list[Guard] = []

    def guarded(**options: Any) -> Guard:
        made.append(Guard(client, **options))
        return made[-1]

    yield guarded
    for guard in made:
        guard.close()
