"""Which request goes over which connection to the upstream, and what becomes of connections."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import h11
import httpx
import pytest

from meshguard.gateway import upstream as upstream_module
from tests.gateway.conftest import Lab
from tests.support import until

ALL = "{name: all, rules: [{effect: allow, actions: ['*']}]}"
TLS = Path(__file__).parents[1] / "unit" / "tls"
_LINE = re.compile(rb"\w+ (\S+) HTTP/1\.1\r\n")
_AGENT = re.compile(rb"(?i)\r\nx-meshguard-agent-id: (\S+)\r\n")


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


BODILESS = {
    b"/head": answer(b"left out")[:-8],
    b"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n",
}


class Upstream:
    """Answers with the path that it was asked for; some paths say more, or less."""

    def __init__(self, surplus: bytes = b"", context: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[int, bytes, bytes]] = []  # connection, agent, path
        self.closed: list[int] = []
        self.speak = threading.Event()
        self.has_spoken = threading.Event()
        self.surplus = surplus
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}"
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def open(self) -> set[int]:
        return {connection for connection, _, _ in self.asked} - set(self.closed)

    def _run(self) -> None:
        with suppress(OSError):
            for number in itertools.count():
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                connection.settimeout(30)
                self._converse(connection, number)
        self.closed.append(number)

    def _converse(self, connection: socket.socket, number: int) -> None:
        while head := connection.recv(65_536):
            line, agent = _LINE.match(head), _AGENT.search(head)
            if line and agent:
                self.asked.append((number, agent[1], line[1]))
                self._answer(connection, line[1], head)

    def _answer(self, connection: socket.socket, path: bytes, received: bytes) -> None:
        if path in BODILESS:
            connection.sendall(BODILESS[path])
        elif path == b"/interim":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += connection.recv(65_536)
            connection.sendall(answer(b"%d" % received.count(b"~")))
        elif path == b"/more":
            connection.sendall(answer(path) + self.surplus)
        elif path == b"/later":
            connection.sendall(answer(path))
            self.speak.wait(10)
            connection.sendall(self.surplus)
            self.has_spoken.set()
        elif path == b"/meanwhile":
            self.speak.set()
            self.has_spoken.wait(10)
            connection.sendall(answer(path))
        elif path == b"/begun":
            connection.sendall(answer(b"x" * 100)[:-50])
        elif path == b"/last":
            connection.sendall(answer(path))
            connection.shutdown(socket.SHUT_WR)
        elif path not in {b"/never", b"/upload"}:
            connection.sendall(answer(path))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def open_upstream() -> Iterator[Callable[..., Upstream]]:
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(closing(Upstream(*arguments)))


@pytest.fixture
def open_front(open_lab: Callable[..., Lab]) -> Callable[..., Lab]:
    def start(upstream: Upstream, **settings: Any) -> Lab:
        lab = open_lab(proxy_target=upstream.url, **settings)
        lab.apply(ALL, "all")
        return lab

    return start


SURPLUS = pytest.mark.parametrize(
    "surplus",
    [
        b"x",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </evil>\r\n\r\n",
        answer(b"evil"),
        answer(b"evil") * 2,
    ],
)


@SURPLUS
def test_what_comes_with_an_answer_is_not_taken_for_the_next(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], surplus: bytes
) -> None:
    upstream = open_upstream(surplus)
    agent = open_front(upstream).agent()
    for path in ("more", "next", "more", "next"):
        assert agent.get(f"/proxy/{path}").text == f"/{path}"
    assert [connection for connection, _, _ in upstream.asked] == [0, 1, 1, 2]


@SURPLUS
def test_what_comes_unasked_closes_the_connection(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], surplus: bytes
) -> None:
    upstream = open_upstream(surplus)
    agent = open_front(upstream).agent()
    assert agent.get("/proxy/later").text == "/later"
    upstream.speak.set()
    assert until(lambda: upstream.closed == [0])
    assert agent.get("/proxy/next").text == "/next"


def test_a_connection_carries_the_requests_of_one_agent_alone(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab]
) -> None:
    upstream = open_upstream()
    lab = open_front(upstream)
    agents = [lab.agent(), lab.agent(), lab.agent()]
    for agent in agents * 3:
        assert agent.get("/proxy/x").text == "/x"
    assert [connection for connection, _, _ in upstream.asked] == [0, 1, 2] * 3
    assert len({agent for _, agent, _ in upstream.asked}) == 3


def test_an_unasked_answer_never_reaches_another_agent_not_even_while_its_request_is_under_way(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab]
) -> None:
    upstream = open_upstream(answer(b"evil"))
    lab = open_front(upstream)
    assert lab.agent().get("/proxy/later").text == "/later"
    assert lab.agent().get("/proxy/meanwhile").text == "/meanwhile"


@pytest.mark.parametrize(("method", "path"), [("HEAD", "head"), ("GET", "204"), ("GET", "304")])
def test_an_answer_without_body_ends_at_its_headers(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], method: str, path: str
) -> None:
    upstream = open_upstream()
    agent = open_front(upstream).agent()
    assert agent.request(method, f"/proxy/{path}").content == b""
    assert agent.get("/proxy/next").text == "/next"
    assert [connection for connection, _, _ in upstream.asked] == [0, 0]


def test_interim_answers_do_not_end_a_body(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab]
) -> None:
    agent = open_front(open_upstream()).agent()
    assert agent.post("/proxy/interim", content=iter([b"~" * 50_000] * 20)).text == "1000000"
    assert agent.get("/proxy/next").text == "/next"


def test_a_connection_that_the_upstream_closed_is_not_used_again(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab]
) -> None:
    upstream = open_upstream()
    agent = open_front(upstream).agent()
    assert agent.get("/proxy/last").text == "/last"
    assert until(lambda: upstream.closed == [0])
    assert agent.get("/proxy/next").text == "/next"


def test_idle_connections_are_closed_after_their_time_and_kept_in_bounded_number(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "_MAX_IDLE", 2)
    upstream = open_upstream()
    lab = open_front(upstream)
    agents = [lab.agent(), lab.agent(), lab.agent()]
    for agent in agents:
        agent.get("/proxy/x")
    assert until(lambda: upstream.closed == [0])
    monkeypatch.setattr(upstream_module, "_IDLE_TIME", 0.01)
    for agent in agents[1:]:
        agent.get("/proxy/x")
    assert until(lambda: upstream.closed == [0, 1, 2])


@pytest.mark.parametrize("path", ["never", "begun", "upload"])
def test_clients_that_leave_early_leave_no_connection_behind(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], path: str
) -> None:
    upstream = open_upstream()
    agent = open_front(upstream, max_connections=4).agent()
    framing = "POST", "Content-Length: 100\r\n", "part of it"
    method, length, part = framing if path == "upload" else ("GET", "", "")
    request = (
        f"{method} /proxy/{path} HTTP/1.1\r\nHost: gateway\r\n"
        f"Authorization: {agent.headers['Authorization']}\r\n{length}\r\n{part}"
    ).encode()
    with ExitStack() as stack:
        for _ in range(12):
            address = (agent.base_url.host, agent.base_url.port)
            connection = stack.enter_context(socket.create_connection(address))
            connection.sendall(request)
        assert until(lambda: len(upstream.open) == 4)
    assert until(lambda: not upstream.open)
    assert agent.get("/proxy/next", timeout=5).text == "/next"
    assert len(upstream.open) == 1


def test_a_request_that_is_cancelled_at_any_moment_leaves_no_socket_behind(
    open_upstream: Callable[..., Upstream], caplog: pytest.LogCaptureFixture
) -> None:
    upstream = open_upstream()
    head = h11.Request(method="GET", target="/never", headers=[("Host", "upstream")])

    async def cancel_after(steps: int) -> None:
        connections = upstream_module.Upstream(upstream.url, max_connections=1)
        request = asyncio.create_task(connections.ask("an agent", head))
        for _ in range(steps):
            await asyncio.sleep(0)
        request.cancel()
        with suppress(asyncio.CancelledError):
            await request

    for steps in [*range(200)] * 3:
        asyncio.run(cancel_after(steps))
    gc.collect()
    assert caplog.text == ""


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_the_next_address_is_tried_when_the_first(
    open_upstream: Callable[..., Upstream],
    open_front: Callable[..., Lab],
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    upstream = open_upstream()
    upstream.url = f"http://upstream.test:{upstream.port}"
    resolve = socket.getaddrinfo

    def two_addresses(host: str, *arguments: Any, **options: Any) -> list[Any]:
        hosts = ["127.0.0.2", "127.0.0.1"] if host == "upstream.test" else [host]
        return [found for host in hosts for found in resolve(host, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    with ExitStack() as stack:
        if first == "is silent":
            fill_the_queue_of(("127.0.0.2", upstream.port), stack)
        assert open_front(upstream).agent().get("/proxy/x").text == "/x"


def fill_the_queue_of(address: tuple[str, int], stack: ExitStack) -> None:
    """Listen there and answer nobody: once its queue is full, the system drops who wants to connect."""
    stack.enter_context(socket.create_server(address, backlog=0))
    for _ in range(3):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(address)


def served_over_tls(open_upstream: Callable[..., Upstream]) -> Upstream:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    return open_upstream(answer(b"evil"), context)


def test_an_upstream_whose_certificate_is_not_trusted_is_asked_nothing(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab]
) -> None:
    upstream = served_over_tls(open_upstream)
    assert open_front(upstream).agent().get("/proxy/x").status_code == 502
    assert upstream.asked == []


def test_an_upstream_is_asked_over_tls(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(**_: Any) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(TLS / "cert.pem"))

    monkeypatch.setattr(httpx, "create_ssl_context", trusting)
    upstream = served_over_tls(open_upstream)
    agent = open_front(upstream).agent()
    for path in ("x", "y", "more", "z"):
        assert agent.get(f"/proxy/{path}").text == f"/{path}"
    assert [connection for connection, _, _ in upstream.asked] == [0, 0, 0, 1]


def test_a_certificate_for_another_name_is_not_accepted(
    open_upstream: Callable[..., Upstream], open_front: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(**_: Any) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(TLS / "cert.pem"))

    monkeypatch.setattr(httpx, "create_ssl_context", trusting)
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **o: resolve("127.0.0.1" if host == "other.test" else host, *a, **o),
    )
    upstream = served_over_tls(open_upstream)
    upstream.url = f"https://other.test:{upstream.port}"
    assert open_front(upstream).agent().get("/proxy/x").status_code == 502
    assert upstream.asked == []


def test_a_refused_connection_gives_its_place_back(open_front: Callable[..., Lab]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        upstream = Upstream.__new__(Upstream)
        upstream.url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        agent = open_front(upstream, max_connections=1, proxy_timeout=10).agent()
        assert [agent.get("/proxy/x", timeout=20).status_code for _ in range(3)] == [502] * 3


@pytest.mark.parametrize(
    "begun",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart", b"HTTP/1.0 200 OK\r\n\r\npart"],
    ids=["until it closes", "HTTP/1.0"],
)
def test_a_reset_does_not_look_like_the_end(open_front: Callable[..., Lab], begun: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proceed = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(begun)
            proceed.wait(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        upstream = Upstream.__new__(Upstream)
        upstream.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        agent = open_front(upstream).agent()
        with agent.stream("GET", "/proxy/x") as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"part"
            proceed.set()
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
