"""The headers and settings of the HTTP clients made here."""

from __future__ import annotations

import sys
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx

from meshguard import __version__
from meshguard._wire.intake import ENCODINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

_PYTHON = ".".join(map(str, sys.version_info[:3]))
USER_AGENT = f"meshguard-python/{__version__} python/{_PYTHON} ({sys.platform})"
_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": ENCODINGS,
    "Connection": "keep-alive",
    "User-Agent": USER_AGENT,
}
_RAW_HEADERS = {name: (name.encode(), value.encode()) for name, value in _HEADERS.items()}
_SIMPLE = {"content", "headers"}


def client_options(timeout: float, *, trust_env: bool) -> dict[str, Any]:
    """Return the options of an `httpx` client that keeps no cookies."""
    return {
        "trust_env": trust_env,
        "timeout": timeout,
        "headers": _HEADERS,
        "cookies": CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    }


def unread(
    status: int, headers: list[tuple[bytes, bytes]], content: bytes, request: httpx.Request
) -> httpx.Response:
    """Return a response that can be read once more after a hook read it, which also decompressed it."""
    kept = [pair for pair in headers if pair[0].lower() != b"content-encoding"]
    return httpx.Response(status, headers=kept, stream=httpx.ByteStream(content), request=request)


def prepared_request(method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
    """Make a request of our own client; the headers of a call replace those of the client.

    Raises:
        UnicodeEncodeError: A header is not ASCII.
    """
    given = options.get("headers", {})
    raw = {name: (name.encode("ascii"), value.encode("ascii")) for name, value in given.items()}
    headers = [(b"Host", url.netloc), *{**_RAW_HEADERS, **raw}.values()]
    if not options.keys() <= _SIMPLE:
        others: dict[str, Any] = {name: value for name, value in options.items() if name != "headers"}
        return httpx.Request(method, url, headers=headers, **others)
    # `httpx` takes longest to add headers, which it does without a stream, and to find their encoding.
    content = options.get("content", b"")
    if content:
        headers.append((b"Content-Length", b"%d" % len(content)))
    request = httpx.Request(method, url, headers=headers, stream=httpx.ByteStream(content))
    request.read()
    request.headers.encoding = "ascii"
    return request
