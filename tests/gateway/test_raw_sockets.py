"""What HTTP libraries would not send, over raw sockets, against `meshguard serve`."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.test_serve import SECRETS, agent_of, served
from tests.support import admin_client, until

END = b"\r\n\r\n"
ALLOW_ALL = "{name: all, rules: [{name: most, effect: allow, actions: ['*']}]}"
DENY_BAD = "{name: bad, rules: [{name: bad, effect: deny, actions: ['*:bad']}]}"


class Recorder:
    """An upstream that keeps the very bytes it got, and answers `ok` to each request."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = b""
            while not _is_whole(received):
                piece = connection.recv(65_536)
                if not piece:
                    break
                received += piece
            self.requests.append(received)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    def close(self) -> None:
        self._listener.close()


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(END)
    if not found:
        return False
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return len(body) >= int(length[1] if length else 0)


class Door:
    """A served gateway, to be talked to byte by byte."""

    def __init__(self, url: str, authorization: str, process: subprocess.Popen[str]) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.url = url
        self.address = (host, int(port))
        self.authorization = authorization
        self.process = process

    def connect(self, data: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection(self.address, timeout=10, source_address=(source, 0))
        connection.sendall(data)
        return connection

    def request(self, line: str, *headers: str | bytes, body: bytes = b"") -> bytes:
        """Return a request of the agent; its connection is to be closed."""
        lines = [line, "Host: gateway", f"Authorization: {self.authorization}", "Connection: close", *headers]
        return b"\r\n".join(item.encode() if isinstance(item, str) else item for item in lines) + END + body

    def ask(self, data: bytes) -> bytes:
        """Return all that is answered until the gateway closes the connection."""
        with self.connect(data) as connection:
            connection.shutdown(socket.SHUT_WR) if not data else None
            return read_all(connection)

    def statuses(self, data: bytes) -> list[int]:
        return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) (?!Continue)", self.ask(data))]


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            answer += piece
    return answer


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with closing(Recorder()) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory, recorder: Recorder) -> Iterator[Callable[..., Door]]:
    with ExitStack() as stack:

        def start(**settings: str) -> Door:
            folder: Path = tmp_path_factory.mktemp("gateway")
            settings = {"PROXY_TARGET": f"{recorder.url}/base", "RATE_LIMIT_RPM": "0", **SECRETS, **settings}
            process, url = stack.enter_context(served(folder, **settings))
            agent = stack.enter_context(agent_of(url))
            with admin_client(url) as admin:
                for name, policy in (("all", ALLOW_ALL), ("bad", DENY_BAD)):
                    headers = {"Content-Type": "application/yaml"}
                    admin.put(f"/admin/policies/{name}", content=policy, headers=headers)
            return Door(url, agent.headers["Authorization"], process)

        yield start


@pytest.fixture(scope="module")
def shared_door(open_door: Callable[..., Door]) -> Door:
    return open_door()


@pytest.fixture
def door(shared_door: Door, recorder: Recorder) -> Door:
    recorder.requests.clear()
    return shared_door


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 5",),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Content-Length: 0x5",),
        ("Content-Length: 5 5",),
        ("Content-Length: 99999999999999999999999999",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding : chunked",),
        ("X-Folded: a\r\n b: c",),
        ("X-Return: a\rX-Injected: b",),
        (b"X-Zero: a\x00b",),
        ("X Space: a",),
        (": nameless",),
        ("Host: another",),
    ],
)
def test_a_head_that_two_servers_could_read_differently_is_refused(
    door: Door, recorder: Recorder, headers: tuple[str | bytes, ...]
) -> None:
    assert door.statuses(door.request("POST /proxy/x HTTP/1.1", *headers, body=b"abcdef")) == [400]
    assert recorder.requests == []


LINES = [
    "POST /proxy/x",
    "GET /proxy/x",
    "GET /proxy/check",
    "POST /api/v1/pdp/evaluate",
    "POST /api/v1/pdp/evaluate/batch",
    "GET /health",
    "GET /",
    "GET /openapi.yaml",
    "GET /nowhere",
    "GET /admin/agents",
    "POST /admin/agents",
    "DELETE /admin/agents/agent_1",
    "PUT /admin/policies/x",
]


def with_lengths(door: Door, line: str, version: str, *lengths: object) -> list[int]:
    headers = [f"Content-Length: {length}" for length in lengths]
    return door.statuses(door.request(f"{line} {version}", *headers, body=b"abcdef"))


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_two_different_lengths_are_refused_wherever_they_are_sent(
    door: Door, recorder: Recorder, line: str, version: str
) -> None:
    for lengths in ((5, 6), (6, 5), (0, 5), (5, 0), (5, 5, 6), (5, "5, 5"), (5, "x"), (5, "")):
        assert with_lengths(door, line, version, *lengths) == [400], lengths
    assert recorder.requests == []


@pytest.mark.parametrize("lengths", [(6, 6), (6, 6, 6), (6, "06")])
def test_the_same_length_twice_is_forwarded_once(
    door: Door, recorder: Recorder, lengths: tuple[object, ...]
) -> None:
    """As HTTP permits: the upstream never sees the second one."""
    assert with_lengths(door, "POST /proxy/x", "HTTP/1.1", *lengths) == [200]
    (seen,) = recorder.requests
    assert re.findall(rb"(?i)content-length:[^\r]*", seen) == [b"Content-Length: 6"]
    assert seen.endswith(b"\r\n\r\nabcdef")


@pytest.mark.parametrize("order", [1, -1])
def test_a_request_with_both_framings_smuggles_no_second_one(
    door: Door, recorder: Recorder, order: int
) -> None:
    framings = ["Content-Length: 4", "Transfer-Encoding: chunked"][::order]
    hidden = b"GET /proxy/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    head = door.request("POST /proxy/x HTTP/1.1", *framings, body=b"0\r\n\r\n" + hidden)
    assert len(door.statuses(head.replace(b"Connection: close\r\n", b""))) == 1
    assert all(b"/hidden" not in seen and b"ontent-Length" not in seen for seen in recorder.requests)


def test_chunked_bodies_of_http_1_0_are_refused(door: Door, recorder: Recorder) -> None:
    request = door.request("POST /proxy/x HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    assert door.statuses(request) == [400]
    assert recorder.requests == []


def test_headers_that_end_in_a_bare_line_feed_leave_in_the_one_right_form(
    door: Door, recorder: Recorder
) -> None:
    request = door.request("GET /proxy/x HTTP/1.1", "X-One: 1\nX-Two: 2")
    assert door.statuses(request) == [200]
    head = recorder.requests[0]
    assert b"x-one: 1\r\nx-two: 2\r\n" in head
    assert head.count(b"\n") == head.count(b"\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"+5\r\nabcde\r\n0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b" 5\r\nabcde\r\n0\r\n\r\n",
        b"ffffffffffffffff5\r\nabcde\r\n0\r\n\r\n",
        b"5\nabcde\n0\n\n",
        b"5\r\nabcdeXX\r\n0\r\n\r\n",
        b"5;extension\nabcde\r\n0\r\n\r\n",
        b"\r\nabcde\r\n0\r\n\r\n",
    ],
)
def test_a_chunk_whose_size_is_open_to_debate_is_refused(door: Door, recorder: Recorder, body: bytes) -> None:
    request = door.request("POST /proxy/x HTTP/1.1", "Transfer-Encoding: chunked", body=body)
    assert door.statuses(request) == [400]
    assert all(b"abcde" not in seen or not _is_whole(seen) for seen in recorder.requests)


def test_trailers_and_chunk_extensions_are_dropped(door: Door, recorder: Recorder) -> None:
    body = b"5;extension=1\r\nabcde\r\n0\r\nX-Trailer: 1\r\nAuthorization: evil\r\n\r\n"
    request = door.request(
        "POST /proxy/x HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: X-Trailer", body=body
    )
    assert door.statuses(request) == [200]
    assert recorder.requests[-1].endswith(b"5\r\nabcde\r\n0\r\n\r\n")
    assert not re.search(rb"(?i)trailer|evil|extension", recorder.requests[-1])


def test_a_request_without_host_is_refused(door: Door) -> None:
    for host in (b"", b"Host:\r\n"):
        assert door.statuses(b"GET / HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n") == [400]


@pytest.mark.parametrize("target", ["http://169.254.169.254/proxy/x", "https://elsewhere:81/proxy/x"])
def test_a_whole_url_as_target_leads_nowhere_but_to_the_upstream(
    door: Door, recorder: Recorder, target: str
) -> None:
    assert door.statuses(door.request(f"GET {target} HTTP/1.1")) == [200]
    assert recorder.requests[0].startswith(b"GET /base/x HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("CONNECT elsewhere:80 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("GET proxy/x HTTP/1.1", 400),
        ("GET /proxy/x HTTP/3.7", 400),
        ("GET /proxy/x y HTTP/1.1", 400),
        ("GE\x01T /proxy/x HTTP/1.1", 400),
        ("GET /proxy/" + "x" * 70_000 + " HTTP/1.1", 414),
        ("PRI * HTTP/2.0", 400),
    ],
)
def test_an_odd_request_line_reaches_nobody(door: Door, recorder: Recorder, line: str, status: int) -> None:
    assert door.statuses(door.request(line)) == [status]
    assert recorder.requests == []


def test_too_many_or_too_large_headers_are_refused(door: Door, recorder: Recorder) -> None:
    many = [f"X-{number}: a" for number in range(200)]
    assert door.statuses(door.request("GET /proxy/x HTTP/1.1", *many)) == [431]
    assert door.statuses(door.request("GET /proxy/x HTTP/1.1", "X-Large: " + "a" * 66_000)) == [400]
    assert door.statuses(door.request("GET /proxy/x HTTP/1.1", "X-Large: " + "a" * 400_000)) in ([431], [])
    assert recorder.requests == []


def test_the_gateway_adds_no_header_of_its_http_client(door: Door, recorder: Recorder) -> None:
    door.ask(door.request("GET /proxy/x HTTP/1.1", "X-Mine: a", "X-Mine: b"))
    names = [line.split(b":")[0].lower() for line in recorder.requests[0].removesuffix(END).split(b"\r\n")]
    added = [b"x-meshguard-agent-id", b"x-meshguard-trace-id", b"traceparent"]
    forwarded = [b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"]
    assert sorted(names[1:]) == sorted([b"host", b"x-mine", b"x-mine", *added, *forwarded])


def test_a_websocket_is_refused_with_words(door: Door, recorder: Recorder) -> None:
    request = door.request(
        "GET /proxy/x HTTP/1.1",
        "Upgrade: WebSocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    answer = door.ask(request.replace(b"Connection: close", b"Connection: Upgrade, close"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"no WebSockets" in answer
    assert recorder.requests == []


def test_another_protocol_on_offer_is_not_taken_up(door: Door, recorder: Recorder) -> None:
    request = door.request(
        "GET /proxy/x HTTP/1.1", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    )
    assert door.statuses(request) == [200]
    assert b"h2c" not in recorder.requests[0]


def test_a_client_that_expects_it_is_told_to_continue_once_its_request_is_allowed(door: Door) -> None:
    expecting = ("Content-Length: 5", "Expect: 100-continue")
    with door.connect(door.request("POST /proxy/x HTTP/1.1", *expecting)) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("line", "length", "status"),
    [("POST /proxy/bad HTTP/1.1", 5, 403), ("POST /proxy/x HTTP/1.1", 99_999_999, 413)],
)
def test_a_refused_request_is_never_told_to_continue(door: Door, line: str, length: int, status: int) -> None:
    expecting = (f"Content-Length: {length}", "Expect: 100-continue")
    with door.connect(door.request(line, *expecting)) as connection:
        assert connection.recv(1000).startswith(f"HTTP/1.1 {status} ".encode())


def test_what_is_left_of_a_refused_body_is_taken_so_that_the_answer_arrives(door: Door) -> None:
    body = b"x" * 20_000_000  # more than the buffers of sockets hold
    for line in ("POST /proxy/bad HTTP/1.1", "POST /proxy/x HTTP/1.1", "POST /nowhere HTTP/1.1"):
        answer = door.ask(door.request(line, f"Content-Length: {len(body)}", body=body))
        assert answer[9:12] in {b"403", b"404", b"413"}


def test_a_refused_client_that_sends_no_more_is_let_go(door: Door) -> None:
    assert door.statuses(door.request("POST /proxy/bad HTTP/1.1", "Content-Length: 50", body=b"x")) == [403]


def test_head_answers_have_no_body_and_the_next_answer_is_in_its_place(door: Door) -> None:
    head = door.request("HEAD /proxy/x HTTP/1.1").replace(b"Connection: close\r\n", b"")
    answer = door.ask(head + door.request("GET /health HTTP/1.1"))
    assert [found[1] for found in re.finditer(rb"HTTP/1\.1 (\d+)", answer)] == [b"200", b"200"]
    assert b"\r\n\r\nHTTP/1.1 200" in answer
    assert b"\r\ncontent-length: 2\r\n" in answer


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(door: Door, recorder: Recorder) -> None:
    hidden = b"GET /proxy/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    first = door.request("GET /health HTTP/1.1", f"Content-Length: {len(hidden)}", body=hidden)
    answers = door.statuses(first.replace(b"Connection: close\r\n", b"") + door.request("GET / HTTP/1.1"))
    assert answers == [200, 200]
    assert recorder.requests == []


def test_an_aborted_upload_ends_the_upstream_call(door: Door, recorder: Recorder) -> None:
    request = door.request("POST /proxy/x HTTP/1.1", "Content-Length: 50", body=b"part")
    door.connect(request).close()
    assert until(lambda: len(recorder.requests) == 1)
    assert recorder.requests[0].endswith(b"part")
    assert httpx.get(f"{door.url}/health").status_code == 200


def test_slow_clients_lose_their_place_after_the_timeout(open_door: Callable[..., Door]) -> None:
    door = open_door(REQUEST_TIMEOUT="1", MAX_CONNECTIONS="6")
    json = ("Content-Type: application/json", "Content-Length: 50")
    beginnings = [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nX-Slow: ",
        door.request("POST /api/v1/pdp/evaluate HTTP/1.1", *json, body=b"{"),
        door.request("POST /proxy/x HTTP/1.1", "Content-Length: 50", body=b"x"),
        door.request("POST /proxy/x HTTP/1.1", "Transfer-Encoding: chunked", body=b"5\r\nab"),
    ]
    started = time.monotonic()
    with ExitStack() as stack:
        # From three addresses, since one may not hold more than half of the places.
        slow = [
            stack.enter_context(door.connect(beginning, source=f"127.0.0.{2 + number % 3}"))
            for number, beginning in enumerate(beginnings)
        ]
        # All places are taken, so this waits for one of them.
        assert httpx.get(f"{door.url}/health", timeout=10).status_code == 200
        answers = [read_all(connection)[:13] for connection in slow]
    assert 0.5 < time.monotonic() - started < 8
    assert answers == [b"", b"", b"", *[b"HTTP/1.1 400 "] * 3]


def test_a_flood_of_connections_is_outlived(open_door: Callable[..., Door]) -> None:
    door = open_door(REQUEST_TIMEOUT="1", MAX_CONNECTIONS="50")
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(door.connect())
        assert descriptors_of(worker_of(door.process)) < 50 + 50
    assert httpx.get(f"{door.url}/health", timeout=15).status_code == 200


def worker_of(process: subprocess.Popen[Any]) -> int:
    """Return the process that serves: the child with the most open sockets."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return max((int(child) for child in listed), key=descriptors_of)


def descriptors_of(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_large_bodies_pass_in_both_directions_without_being_held(open_door: Callable[..., Door]) -> None:
    size, piece = 60_000_000, b"x" * 100_000
    with closing(Mirror()) as mirror:
        door = open_door(PROXY_TARGET=mirror.url, PROXY_MAX_BODY=str(size))
        headers = {"Authorization": door.authorization}
        httpx.get(f"{door.url}/proxy/warm", headers=headers)
        before = _peak_memory(worker_of(door.process))
        pieces = iter([piece] * (size // len(piece)))
        with httpx.stream("POST", f"{door.url}/proxy/x", content=pieces, headers=headers) as response:
            received = sum(len(chunk) for chunk in response.iter_raw())
        assert received == size
        assert _peak_memory(worker_of(door.process)) - before < 25_000_000


def _peak_memory(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


class Mirror(Recorder):
    """An upstream that reads a chunked body to its end and sends one as long back."""

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received, last = 0, b""
            while not (last.endswith(b"0\r\n\r\n") or (b"chunked" not in last and END in last)):
                piece = connection.recv(262_144)
                received += len(piece)
                last = last[-500:] + piece
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            left = 60_000_000 if received > 60_000_000 else 0
            while left > 0:
                connection.sendall(b"y" * 100_000)
                left -= 100_000


def test_nothing_of_all_this_leaves_a_traceback(open_door: Callable[..., Door]) -> None:
    door = open_door(LOG_LEVEL="debug", PROXY_TARGET="http://127.0.0.1:9")
    door.statuses(door.request("POST /proxy/x HTTP/1.1", "Transfer-Encoding: chunked", body=b"zz\r\n"))
    door.statuses(door.request("GET /proxy/x HTTP/1.1"))
    door.connect(door.request("POST /proxy/x HTTP/1.1", "Content-Length: 50", body=b"part")).close()
    os.kill(door.process.pid, signal.SIGTERM)
    _, log = door.process.communicate(timeout=20)
    assert "Traceback" not in log
    assert "can't be reached" in log
    assert door.authorization.removeprefix("Bearer ") not in log


class Stage(Recorder):
    """An upstream that sends an answer piece by piece, each when it is told, and then closes."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.cues = [threading.Event() for _ in (*pieces, b"")]
        self.left = threading.Event()
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            threading.Thread(target=self._watch, args=(connection,), daemon=True).start()
            for cue, piece in zip(self.cues, (*self.pieces, b""), strict=True):
                cue.wait(10)
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_RDWR)

    def _watch(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(1)
        self.left.set()


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = [CHUNKED + b"7\r\ndata: 0\r\n", b"7\r\ndata: 1\r\n"]


def received_until(connection: socket.socket, expected: bytes) -> bytes:
    received = b""
    while expected not in received:
        received += connection.recv(1_000)
    return received


def test_events_arrive_as_they_are_sent_and_a_break_is_passed_on_without_a_traceback(
    open_door: Callable[..., Door],
) -> None:
    with closing(Stage(*EVENTS)) as stage:
        door = open_door(PROXY_TARGET=stage.url, LOG_LEVEL="debug")
        with door.connect(door.request("GET /proxy/x HTTP/1.1")) as connection:
            for number in range(2):
                stage.cues[number].set()
                assert b"data: %d" % (number + 1) not in received_until(connection, b"data: %d" % number)
            stage.cues[2].set()
            assert b"0\r\n\r\n" not in read_all(connection)
        os.kill(door.process.pid, signal.SIGTERM)
        log = door.process.communicate(timeout=20)[1]
    assert "broke off (RemoteProtocolError)" in log
    assert "Traceback" not in log


def test_headers_of_a_stream_arrive_before_its_first_event(open_door: Callable[..., Door]) -> None:
    with closing(Stage(CHUNKED, EVENTS[1])) as stage:
        door = open_door(PROXY_TARGET=stage.url)
        with door.connect(door.request("GET /proxy/x HTTP/1.1")) as connection:
            stage.cues[0].set()
            assert b"text/event-stream" in received_until(connection, END)


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_ends_the_upstream_call(open_door: Callable[..., Door], begun: bool) -> None:
    with closing(Stage(*EVENTS)) as stage:
        door = open_door(PROXY_TARGET=stage.url)
        with door.connect(door.request("GET /proxy/x HTTP/1.1")) as connection:
            if begun:
                stage.cues[0].set()
                received_until(connection, b"data: 0")
            else:
                assert httpx.get(f"{door.url}/health").status_code == 200
            assert not stage.left.is_set()
        assert stage.left.wait(5)
