"""How much of a response a client reads: no bomb and no endless body gets through."""
# ruff: noqa: SIM117

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any

import pytest
from meshguard_api.api.audit import export_audit_entries
from meshguard_api.api.decisions import evaluate
from meshguard_api.models import EvaluateRequest

from meshguard import (
    AsyncMeshGuardClient,
    ConfigurationError,
    GatewayUnavailableError,
    InvalidResponseError,
    MeshGuardClient,
)
from meshguard._wire.intake import Limiter, too_large

from .conftest import Answer, Gateway
from .raw_server import RawServer, response, run
from .test_any_answer import CALLS, SOUND

CLIENTS = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
MIB = 1_048_576
SENT = 64 * MIB
MARK = "X-MeshGuard-Decision: allow"
READING = [name for name in CALLS if name not in {"is_healthy", "stream", "export_audit_log"}]


def deflated(body: bytes, window: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    return packer.compress(body) + packer.flush()


ZEROS = bytes(SENT)
BOMBS = {
    "gzip": ("gzip", gzip.compress(ZEROS)),
    "zlib": ("deflate", deflated(ZEROS, zlib.MAX_WBITS)),
    "raw deflate": ("deflate", deflated(ZEROS, -zlib.MAX_WBITS)),
    "two layers": ("gzip, gzip", gzip.compress(gzip.compress(ZEROS))),
    "mixed layers": ("deflate, gzip", gzip.compress(deflated(ZEROS, zlib.MAX_WBITS))),
    "spelled otherwise": ("GZip ,identity", gzip.compress(ZEROS)),
    "gzip after an unknown name": ("other, gzip", gzip.compress(ZEROS)),
    "brotli": ("br", bytes.fromhex("1b0000c0ff")),
    "zstandard": ("zstd", bytes.fromhex("28b52ffd")),
    "x-gzip": ("x-gzip", gzip.compress(ZEROS)),
}


def declared(_: dict[str, str]) -> Iterator[bytes]:
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {SENT * 1000}\r\n{MARK}\r\n\r\n".encode()
    yield from repeat(bytes(65_536), 1024)


def chunked(_: dict[str, str]) -> Iterator[bytes]:
    yield f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{MARK}\r\n\r\n".encode()
    yield from repeat(b"10000\r\n" + bytes(65_536) + b"\r\n", 1024)


def until_closed(_: dict[str, str]) -> Iterator[bytes]:
    yield f"HTTP/1.1 200 OK\r\nConnection: close\r\n{MARK}\r\n\r\n".encode()
    yield from repeat(bytes(65_536), 1024)


def _always(answer: bytes, _: dict[str, str]) -> list[bytes]:
    return [answer]


@CLIENTS
@pytest.mark.parametrize("name", READING)
def test_no_bomb_is_decompressed(client_class: Any, name: str) -> None:
    for encoding, body in BOMBS.values():
        answer = response(body, MARK, f"Content-Encoding: {encoding}")
        with RawServer(partial(_always, answer)) as server:
            with pytest.raises(InvalidResponseError, match=r"more than|not requested"):
                run(client_class, CALLS[name][0], server.url, max_response_bytes=MIB)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_takes_little_memory(bomb: str) -> None:
    encoding, body = BOMBS[bomb]
    answer = response(body, MARK, f"Content-Encoding: {encoding}")
    with RawServer(lambda _: [answer]) as server, MeshGuardClient(server.url, "t", max_retries=0) as client:
        tracemalloc.start()
        with pytest.raises(InvalidResponseError):
            client.check("read:a")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 * MIB


@CLIENTS
@pytest.mark.parametrize("reply", [declared, chunked, until_closed])
@pytest.mark.parametrize("name", READING)
def test_an_endless_body_is_cut(client_class: Any, reply: Any, name: str) -> None:
    with RawServer(reply) as server:
        with pytest.raises(InvalidResponseError, match="more than"):
            run(client_class, CALLS[name][0], server.url, max_response_bytes=MIB)
        assert server.bytes_sent < SENT


@CLIENTS
@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "429 Too Many Requests", "500 Failed"])
def test_an_error_of_endless_length_is_cut_too(client_class: Any, status: str) -> None:
    def reply(_: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        yield from repeat(b"10000\r\n" + bytes(65_536) + b"\r\n", 1024)

    with RawServer(reply) as server:
        for call in (
            lambda c: c.check("a:b"),
            lambda c: c.get("/a", "a:b"),
            lambda c: c.stream("GET", "/a", "a:b"),
        ):
            with pytest.raises(InvalidResponseError, match="more than"):
                run(client_class, call, server.url, max_response_bytes=MIB)


@CLIENTS
def test_an_upstreams_endless_error_is_cut_in_a_stream(client_class: Any) -> None:
    def reply(_: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 500 Failed\r\nTransfer-Encoding: chunked\r\n{MARK}\r\n\r\n".encode()
        yield from repeat(b"10000\r\n" + bytes(65_536) + b"\r\n", 1024)

    with RawServer(reply) as server, pytest.raises(InvalidResponseError, match="more than"):
        run(client_class, lambda c: c.stream("GET", "/a", "a:b"), server.url, max_response_bytes=MIB)


@CLIENTS
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "identity", "none"])
def test_a_body_of_bearable_size_is_read(client_class: Any, encoding: str) -> None:
    plain = b'{"decision": "allow", "reason": "' + b"x" * 100_000 + b'"}'
    body = plain
    for name in encoding.split(", "):
        pack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
        body = pack.get(name, bytes)(body)
    answer = response(body, MARK, f"Content-Encoding: {encoding}")
    with RawServer(lambda _: [answer]) as server:
        assert run(client_class, lambda c: c.check("read:a"), server.url).allowed
        found = run(client_class, lambda c: c.get("/a", "read:a"), server.url)
        assert (found.content, found.headers["Content-Encoding"]) == (plain, encoding)
        assert run(client_class, lambda c: c.stream("GET", "/a", "read:a"), server.url) == plain


@CLIENTS
def test_the_limit_is_exact(client_class: Any) -> None:
    with RawServer(lambda _: [response(bytes(1000), MARK)]) as server:
        call = CALLS["get"][0]
        assert len(run(client_class, call, server.url, max_response_bytes=1000).content) == 1000
        with pytest.raises(InvalidResponseError, match=r"more than 999 bytes.*max_response_bytes"):
            run(client_class, call, server.url, max_response_bytes=999)


@CLIENTS
def test_a_decision_has_a_smaller_limit(client_class: Any) -> None:
    body = json.dumps({"decision": "allow", "reason": "x" * 5 * MIB}).encode()
    with RawServer(lambda _: [response(body)]) as server:
        with pytest.raises(InvalidResponseError, match="4,194,304"):
            run(client_class, lambda c: c.check("read:a"), server.url)
        assert run(client_class, lambda c: c.check("read:a", explain=True), server.url).allowed


@CLIENTS
def test_a_stream_has_no_limit(client_class: Any) -> None:
    with RawServer(lambda _: [response(bytes(2 * MIB), MARK)]) as server:
        found = run(client_class, CALLS["stream"][0], server.url, max_response_bytes=1000)
    assert len(found) == 2 * MIB


@CLIENTS
def test_a_body_that_drips_ends_with_the_timeout(client_class: Any) -> None:
    def reply(_: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{MARK}\r\n\r\n".encode()
        yield from repeat(b"1\r\nx\r\n")

    with RawServer(reply) as server, pytest.raises(GatewayUnavailableError):
        run(client_class, CALLS["check"][0], server.url, timeout=0.2)


@CLIENTS
def test_only_what_can_be_bounded_is_requested(client_class: Any) -> None:
    with RawServer(lambda _: [response(b"", MARK)]) as server:
        run(client_class, CALLS["get"][0], server.url)
        with pytest.raises(InvalidResponseError):
            run(client_class, CALLS["get_agent"][0], server.url)
    assert [request["accept-encoding"] for request in server.requests] == ["gzip, deflate"] * 2


@pytest.mark.parametrize("bomb", BOMBS)
def test_the_low_level_client_takes_nothing_compressed(bomb: str) -> None:
    encoding, body = BOMBS[bomb]
    answer = response(body, f"Content-Encoding: {encoding}")
    with RawServer(lambda _: [answer]) as server, MeshGuardClient(server.url, "t", "a") as client:
        with pytest.raises(InvalidResponseError, match="not requested"):
            evaluate.sync_detailed(client=client.api, body=EvaluateRequest(action="read:a"))
    assert server.requests[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("reply", [declared, chunked, until_closed])
def test_the_low_level_client_cuts_an_endless_body(reply: Any) -> None:
    with (
        RawServer(reply) as server,
        MeshGuardClient(server.url, "t", "a", max_response_bytes=MIB) as client,
        pytest.raises(InvalidResponseError, match="more than"),
    ):
        evaluate.sync_detailed(client=client.api, body=EvaluateRequest(action="read:a"))


def test_an_export_is_bounded_by_line(gateway: Gateway) -> None:
    with MeshGuardClient(gateway.url, "t", "a", max_response_bytes=1000) as client:
        gateway.answers(Answer("x" * 999 + "\n" + ("y" * 900 + "\n") * 100))
        found = export_audit_entries.sync_detailed(client=client.admin_api)
        assert len(found.content) == 1000 + 90_100
        gateway.answers(Answer("x\n" + "y" * 1001))
        with pytest.raises(InvalidResponseError, match="more than"):
            export_audit_entries.sync_detailed(client=client.admin_api)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("text", "fits"), [
    (b"aaaa\nbbbb\n", True), (b"aaaaa", False), (b"a\nbbbbb\nc", False), (b"\n\n\n", True),
    (b"a\nbbbbb", False), (b"aaaa\nbbbb\ncccc", True), (b"", True),
])  # fmt: skip
def test_lines_are_counted_whatever_the_pieces(text: bytes, fits: bool, size: int) -> None:
    limiter = Limiter(4, lines=True)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    if fits:
        assert b"".join(map(limiter.count, pieces)) == text
    else:
        with pytest.raises(InvalidResponseError):
            list(map(limiter.count, pieces))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1", None])
def test_a_limit_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        MeshGuardClient("http://localhost", max_response_bytes=value)


def test_the_error_says_what_to_do() -> None:
    assert "Raise max_response_bytes" in str(too_large(5))
    assert SOUND
