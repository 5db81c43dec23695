"""An upstream that does what no HTTP server should, byte by byte."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Lab
from tests.support import until

OK = b"HTTP/1.1 200 OK\r\n"


class Hostile:
    """Answers each connection with the bytes that it was told, and then closes or keeps it open."""

    def __init__(self) -> None:
        self.answer: list[bytes] = []
        self.keeps_open = False
        self.connections = 0
        self.left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            connection.recv(65_536)
            for piece in self.answer:
                connection.sendall(piece)
            if self.keeps_open:
                while connection.recv(65_536):
                    pass
                self.left.set()

    def drip(self, piece: bytes, seconds: float) -> Iterator[bytes]:
        """Yield a piece again and again, too often for a timeout between two of them."""
        pause = threading.Event()
        while not pause.wait(seconds):
            yield piece

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with closing(Hostile()) as upstream:
        yield upstream


@pytest.fixture
def agent(open_lab: Callable[..., Lab], hostile: Hostile) -> httpx.Client:
    lab = open_lab(proxy_target=hostile.url, proxy_timeout=0.5)
    lab.apply("{name: all, rules: [{effect: allow, actions: ['*']}]}", "all")
    return lab.agent()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x16\x03\x01\x00",
        b"<html>hello</html>\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1_000 + OK + b"\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"X A: b\r\n\r\n",
        OK + b"X-A: b\x00c\r\n\r\n",
        OK + b"X-A: b\rSet-Cookie: evil\r\n\r\n",
        OK + b"X-Huge: " + b"a" * 300_000 + b"\r\n\r\n",
        OK + b"X-Many: a\r\n" * 30_000 + b"\r\n",
        OK + b"X-Cut: a",
    ],
)
def test_an_answer_that_is_no_http_is_a_502(agent: httpx.Client, hostile: Hostile, answer: bytes) -> None:
    hostile.answer = [answer]
    response = agent.get("/proxy/x")
    assert (response.status_code, response.json()["error"]) == (502, "bad_gateway")
    assert "X-MeshGuard-Decision" not in response.headers
    assert b"evil" not in response.content
    assert "evil" not in str(response.headers)


@pytest.mark.parametrize("piece", [b"X-Endless: a\r\n", b"a"])
def test_headers_that_drip_for_ever_are_a_504_in_time(
    agent: httpx.Client, hostile: Hostile, piece: bytes
) -> None:
    hostile.answer = hostile.drip(piece, 0.05)  # type: ignore[assignment]
    response = agent.get("/proxy/x")
    assert response.status_code in {502, 504}
    assert response.elapsed.total_seconds() < 4


def test_an_upstream_that_reads_nothing_more_of_a_body_is_a_504(
    agent: httpx.Client, hostile: Hostile
) -> None:
    hostile.keeps_open = True
    hostile.answer = []

    def body() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * 1_000

    assert agent.post("/proxy/x", content=body()).status_code == 504
    assert hostile.left.wait(5)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 100\r\n\r\nshort",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXXXX\r\n0\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(
    agent: httpx.Client, hostile: Hostile, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    hostile.answer = [answer]
    with pytest.raises(httpx.RemoteProtocolError):
        agent.get("/proxy/x")
    assert until(lambda: "broke off" in caplog.text)
    assert "Traceback" not in caplog.text
    assert agent.get("/health").status_code == 200


def test_a_body_that_stalls_is_given_up_after_the_timeout(agent: httpx.Client, hostile: Hostile) -> None:
    hostile.answer = [OK + b"Content-Length: 100\r\n\r\npart"]
    hostile.keeps_open = True
    with pytest.raises(httpx.RemoteProtocolError):
        agent.get("/proxy/x")
    assert hostile.left.wait(5)


def test_more_body_than_was_declared_is_cut_off(agent: httpx.Client, hostile: Hostile) -> None:
    hostile.answer = [OK + b"Content-Length: 2\r\n\r\nok and more"]
    assert [agent.get("/proxy/x").content for _ in range(3)] == [b"ok"] * 3


def test_a_body_in_the_smallest_chunks_arrives_whole(agent: httpx.Client, hostile: Hostile) -> None:
    hostile.answer = [OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n"]
    assert agent.get("/proxy/x").content == b"x" * 10_000


def test_a_length_beside_chunks_is_not_passed_on(agent: httpx.Client, hostile: Hostile) -> None:
    hostile.answer = [OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"]
    response = agent.get("/proxy/x")
    assert response.content == b"abcde"
    assert "Content-Length" not in response.headers


def test_trailers_of_the_upstream_are_dropped(agent: httpx.Client, hostile: Hostile) -> None:
    chunks = b"5\r\nabcde\r\n0\r\nX-MeshGuard-Decision: deny\r\n\r\n"
    hostile.answer = [OK + b"Trailer: X-MeshGuard-Decision\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks]
    response = agent.get("/proxy/x")
    assert response.content == b"abcde"
    assert "Trailer" not in response.headers
    assert response.headers.get_list("X-MeshGuard-Decision") == ["allow"]


def test_interim_answers_are_not_taken_for_the_answer(agent: httpx.Client, hostile: Hostile) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nX-MeshGuard-Decision: deny\r\nLink: </evil>\r\n\r\n"
    hostile.answer = [early * 3 + OK + b"Content-Length: 2\r\n\r\nok"]
    response = agent.get("/proxy/x")
    assert (response.status_code, response.content) == (200, b"ok")
    assert "Link" not in response.headers


@pytest.mark.parametrize(
    "name", ["X-MeshGuard-Decision", "x-meshguard-policy", "X-MESHGUARD-AGENT-ID", "X-MeshGuard-Trace-ID"]
)
def test_forged_headers_never_pass_in_any_number_or_spelling(
    agent: httpx.Client, hostile: Hostile, name: str
) -> None:
    forged = f"{name}: forged\r\n".encode() * 3
    hostile.answer = [OK + forged + b"Content-Length: 0\r\n\r\n"]
    response = agent.get("/proxy/x", headers={"X-MeshGuard-Trace-ID": "mine"})
    assert len(response.headers.get_list(name)) == 1
    assert "forged" not in response.headers[name]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://169.254.169.254/latest", "//127.0.0.1:1/", "file:///etc/passwd"])
def test_no_redirect_is_followed_wherever_it_leads(
    agent: httpx.Client, hostile: Hostile, status: int, to: str
) -> None:
    hostile.answer = [f"HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()]
    response = agent.get("/proxy/x")
    assert (response.status_code, response.headers["Location"]) == (status, to)
    assert hostile.connections == 1


def test_a_redirect_of_the_upstream_to_itself_is_not_followed_either(
    agent: httpx.Client, hostile: Hostile
) -> None:
    hostile.answer = [f"HTTP/1.1 307 Go\r\nLocation: {hostile.url}/\r\nContent-Length: 0\r\n\r\n".encode()]
    assert agent.post("/proxy/x", content=b"x").status_code == 307
    assert hostile.connections == 1


def test_cookies_of_one_answer_are_not_sent_with_the_next_request(
    open_lab: Callable[..., Lab], upstream_headers: Any
) -> None:
    lab = open_lab(proxy_target=upstream_headers.url)
    assert lab.agent().get("/proxy/x").headers["Set-Cookie"] == "session=one-agents-own"
    lab.agent().get("/proxy/x")
    assert b"one-agents-own" not in b"".join(upstream_headers.seen)


class _Setter(Hostile):
    """Sets a cookie and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self.seen.append(connection.recv(65_536))
            connection.sendall(OK + b"Set-Cookie: session=one-agents-own\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def upstream_headers() -> Iterator[_Setter]:
    with closing(_Setter()) as upstream:
        yield upstream


def test_an_early_answer_is_passed_on_before_the_body_is_sent_whole(
    agent: httpx.Client, hostile: Hostile
) -> None:
    hostile.answer = [b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"]
    hostile.keeps_open = True
    response = agent.post("/proxy/x", content=iter([b"x" * 100_000] * 20))
    assert (response.status_code, response.content) == (413, b"no")
    assert response.headers["X-MeshGuard-Decision"] == "allow"


def test_the_log_names_the_fault_and_not_what_the_upstream_said(
    agent: httpx.Client, hostile: Hostile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "meshguard")
    hostile.answer = [b"HTTP/1.1 abc secret-of-the-upstream\r\n\r\n"]
    agent.get("/proxy/x")
    assert "RemoteProtocolError" in caplog.text
    assert "secret-of-the-upstream" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("meshguard")
    )
