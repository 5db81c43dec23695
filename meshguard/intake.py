"""How much of a response is read: its body is bounded before and after decompression."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httpx

from meshguard.exceptions import InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS = "gzip, deflate"
SMALL = 4_194_304  # bytes of a response that is one object
_UNREQUESTED = {"br", "compress", "dcb", "dcz", "x-compress", "x-gzip", "zstd"}
_WINDOWS = {"gzip": (zlib.MAX_WBITS | 16,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}


def read(response: httpx.Response, limit: int, is_late: Callable[[], bool]) -> None:
    """Read the whole body of a streamed response and let go of its connection.

    Args:
        response: Sent with `stream=True`.
        limit: Bytes that the body may have, compressed or not.
        is_late: Whether the time for the whole call is over.

    Raises:
        InvalidResponseError: The body is larger, or compressed in a way that was not requested.
        httpx.HTTPError: The connection failed, or the time is over.
    """
    body = _Body(response, limit, is_late)
    try:
        for piece in response.stream:  # type: ignore[union-attr]
            body.add(piece)
    finally:
        response.close()
        detach(response)
    body.complete()


async def aread(response: httpx.Response, limit: int, is_late: Callable[[], bool]) -> None:
    """Read the whole body as `read` does, without blocking the event loop."""
    body = _Body(response, limit, is_late)
    try:
        async for piece in response.stream:  # type: ignore[union-attr]
            body.add(piece)
    finally:
        await response.aclose()
        detach(response)
    body.complete()


class _Body:
    def __init__(self, response: httpx.Response, limit: int, is_late: Callable[[], bool]) -> None:
        self._response = response
        self._limit = limit
        self._is_late = is_late
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        if self._is_late():
            raise httpx.ReadTimeout("the body did not arrive in time")
        self._pieces.append(piece)

    def complete(self) -> None:
        response, raw = self._response, b"".join(self._pieces)
        detach(response, raw)
        if "Content-Encoding" in response.headers:
            _check_decompressed(response, raw, self._limit)
        response.is_closed = response.is_stream_consumed = False
        response.read()


def detach(response: httpx.Response, body: bytes = b"") -> None:
    """Let go of the connection of a closed response, and of the request's headers with it."""
    response.stream = httpx.ByteStream(body)
    response.extensions = {
        name: value
        for name, value in response.extensions.items()
        if name in {"http_version", "reason_phrase"}
    }


def too_large(limit: int) -> InvalidResponseError:
    """The error for a body over the limit."""
    return InvalidResponseError(
        f"The response body has more than {limit:,} bytes. "
        "Raise max_response_bytes, fetch less at a time, or use stream() for a proxied response."
    )


def encodings(response: httpx.Response) -> list[str]:
    """The compressions of the body, in the order in which they were applied; `httpx` ignores other names."""
    given = response.headers.get("Content-Encoding", "").lower().split(",")
    return [name for name in map(str.strip, given) if name in _WINDOWS or name in _UNREQUESTED]


def _check_decompressed(response: httpx.Response, body: bytes, limit: int) -> None:
    """Decompress the body piece by piece, and stop before it is too large; `httpx` has no such limit."""
    for encoding in reversed(encodings(response)):
        windows = _WINDOWS.get(encoding)
        if windows is None:
            raise unrequested(encoding)
        found = _decompressed(body, windows, limit)
        if found is None:
            return  # httpx raises the same error again
        body = found


def unrequested(encoding: str) -> InvalidResponseError:
    """The error for a compressed body that was not requested."""
    return InvalidResponseError(
        f"The response body is compressed with {encoding[:20]!r}, which was not requested. "
        "Disable that in the proxy or service that compresses it, or use stream()."
    )


def _decompressed(body: bytes, windows: tuple[int, ...], limit: int) -> bytes | None:
    for window in windows:
        decoder = zlib.decompressobj(window)
        try:
            found = decoder.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(found) > limit:
            raise too_large(limit)
        return found
    return None


class Limiter:
    """Counts the bytes of a streamed body; with `lines`, those of each line.

    Args:
        limit: Bytes that may come.
        lines: Whether the count starts again at each line.
    """

    def __init__(self, limit: int, *, lines: bool) -> None:
        self._limit = limit
        self._lines = lines
        self._size = 0

    def count(self, piece: bytes) -> bytes:
        """Count and return a piece.

        Raises:
            InvalidResponseError: There are too many bytes.
        """
        first, _, rest = piece.partition(b"\n") if self._lines else (piece, b"", b"")
        self._size += len(first)
        longest = max(map(len, rest.split(b"\n")), default=0) if rest else 0
        if max(self._size, longest) > self._limit:
            raise too_large(self._limit)
        if len(first) < len(piece):
            self._size = len(piece) - piece.rindex(b"\n") - 1
        return piece
