"""Clients that hold connections without reading, sending or asking, against `meshguard serve`."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from meshguard.gateway.connections import MIN_RATE, ConnectionLimits, network_of
from meshguard.gateway.pace import Pace
from tests.gateway.test_serve import SECRETS, served
from tests.support import Clock, until

GET = b"GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s\r\n\r\n"
LONG, CHUNKED = b"Content-Length: 1000000", b"Transfer-Encoding: chunked"

# What is sent at once, and what then follows again and again.
ATTACKS: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "keeps alive": (GET.replace(b"openapi.yaml", b""), b""),
    "trickles the request line": (b"GE", b"T"),
    "trickles headers": (b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"a"),
    "trickles header lines": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: a\r\n"),
    "trickles a body": (POST % (b"/admin/agents", LONG), b"a"),
    "trickles chunks": (POST % (b"/admin/agents", CHUNKED), b"1\r\na\r\n"),
    "trickles an unwanted body": (POST.replace(b"POST", b"GET") % (b"/health", LONG), b"a"),
    "trickles a body to nowhere": (POST % (b"/nowhere", CHUNKED), b"1\r\na\r\n"),
    "trickles a body to the proxy": (POST % (b"/proxy/x", CHUNKED), b"1\r\na\r\n"),
    "never reads": (GET * 3_000, b""),
    "never reads and sends on": (GET * 3_000, b"GET"),
    "never reads after a half-close": (GET * 3_000, b""),
}


class Victim:
    def __init__(self, url: str) -> None:
        self.url = url
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))


@pytest.fixture(scope="module")
def open_victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Victim]]:
    with ExitStack() as stack:

        def start(**settings: str) -> Victim:
            folder: Path = tmp_path_factory.mktemp("gateway")
            _, url = stack.enter_context(served(folder, **{**SECRETS, "REQUEST_TIMEOUT": "1", **settings}))
            return Victim(url)

        yield start


def is_dropped(victim: Victim, beginning: bytes, following: bytes, *, half_close: bool = False) -> bool:
    """Attack until the connection is reset or closed; false when it is not after half a minute."""
    with socket.create_connection(victim.address) as connection:
        connection.setblocking(False)
        left = memoryview(beginning)
        with suppress(BlockingIOError):
            while left:
                left = left[connection.send(left) :]
        if half_close:
            connection.shutdown(socket.SHUT_WR)

        def has_ended() -> bool:
            try:
                if following:
                    connection.send(following)
            except BlockingIOError:
                pass
            except OSError:
                return True
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return True
            # TCP_INFO begins with the state: anything but ESTABLISHED and the client's own FIN is the end.
            state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            return state not in {1, 4, 5}

        return until(has_ended, 30)


@pytest.fixture(scope="module")
def victim(open_victim: Callable[..., Victim]) -> Victim:
    return open_victim()


@pytest.mark.parametrize("name", ATTACKS)
def test_no_client_holds_its_connection_for_long(victim: Victim, name: str) -> None:
    assert is_dropped(victim, *ATTACKS[name], half_close="half-close" in name)


def test_an_address_holds_no_more_than_its_share_when_places_are_scarce(
    open_victim: Callable[..., Victim],
) -> None:
    victim = open_victim(REQUEST_TIMEOUT="60", MAX_CONNECTIONS="16")
    with ExitStack() as stack:
        attackers = [
            stack.enter_context(socket.create_connection(victim.address, source_address=("127.0.0.2", 0)))
            for _ in range(64)
        ]
        assert attackers
        # From another address; every place would be taken for a minute.
        transport = httpx.HTTPTransport(local_address="127.0.0.3")
        with httpx.Client(transport=transport, timeout=30) as client:
            assert client.get(f"{victim.url}/health").status_code == 200


def test_a_reader_above_the_minimum_rate_is_served_to_the_end(victim: Victim) -> None:
    with socket.create_connection(victim.address) as connection:
        connection.sendall(GET.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        received = b""
        while piece := connection.recv(4_000):
            received += piece
    length = re.search(rb"content-length: (\d+)", received)
    assert length
    assert received.endswith(received.partition(b"\r\n\r\n")[2])
    assert len(received.partition(b"\r\n\r\n")[2]) == int(length[1])


class Pair:
    """A connection to a port of this process, and limits on it that are looked at when the test says so."""

    def __init__(self, places: int = 100) -> None:
        self.clock = Clock(0)
        self.stack = ExitStack()
        self.listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
        self.limits = ConnectionLimits(self.listener.getsockname()[1], places, 10.0, self.clock)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = self.stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        client.connect(self.listener.getsockname())
        server = self.stack.enter_context(self.listener.accept()[0])
        server.setblocking(False)
        return client, server

    def close(self) -> None:
        self.stack.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with closing(Pair()) as made:
        yield made


def fill(server: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            server.send(b"x" * 10_000)


def test_a_client_that_takes_nothing_is_dropped_after_the_timeout(pair: Pair) -> None:
    _, server = pair.connect()
    fill(server)
    assert pair.limits.look() == 0
    pair.clock.seconds = 9.9
    assert pair.limits.look() == 0
    pair.clock.seconds = 10
    assert pair.limits.look() == 1
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        server.send(b"x")


def test_a_client_that_takes_enough_stays(pair: Pair) -> None:
    client, server = pair.connect()
    for turn in range(6):
        fill(server)
        pair.clock.seconds = 10.0 * turn
        assert pair.limits.look() == 0
        taken = 0
        while taken < MIN_RATE * 20:
            taken += len(client.recv(10_000))


def test_a_client_that_nothing_waits_for_stays(pair: Pair) -> None:
    pair.connect()
    for seconds in (0, 100, 200):
        pair.clock.seconds = seconds
        assert pair.limits.look() == 0


def test_an_address_keeps_its_share(pair: Pair) -> None:
    pair.limits = ConnectionLimits(pair.listener.getsockname()[1], 8, 10.0, pair.clock)
    connections = [pair.connect() for _ in range(6)]
    assert pair.limits.look() == 0  # places are not scarce
    connections.append(pair.connect())
    assert pair.limits.look() == 3


def test_sockets_of_other_ports_are_left_alone(pair: Pair) -> None:
    _, server = pair.connect()
    fill(server)
    other = ConnectionLimits(1, 1, 1.0, pair.clock)
    assert other.look() == 0
    pair.clock.seconds = 100
    assert other.look() == 0


def test_the_limits_survive_a_failure(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    looked = threading.Event()
    failures = iter([RuntimeError("secret"), OSError("secret")])

    def look() -> int:
        if error := next(failures, None):
            raise error
        looked.set()
        return 0

    pair.limits.look = look  # type: ignore[method-assign]
    pair.limits.start()
    assert looked.wait(20)
    pair.limits.stop()
    assert "connections can't be looked at (RuntimeError)" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_share_belongs_to_a_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_body_has_a_minimum_rate() -> None:
    clock = Clock(0)
    pace = Pace(10, clock)
    assert pace.patience(0) == 10
    with pace:
        clock.seconds += 9
    assert pace.patience(0) == 1
    assert pace.patience(5 * MIN_RATE) == 6
    assert pace.patience(500 * MIN_RATE) == 10
    clock.seconds += 1_000  # the upstream's time is not the client's
    assert pace.patience(0) == 1
    with pace:
        clock.seconds += 50
    assert pace.patience(10) == 0
