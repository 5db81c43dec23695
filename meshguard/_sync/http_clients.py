# Made from meshguard/_async/http_clients.py by scripts/unasync; edit that file.
"""The HTTP clients that requests are sent with: one made here, or the caller's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from meshguard._wire.http import prepared_request, unread
from meshguard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2


class HttpClient(Protocol):
    """What requests are sent with; `raw` is a client of `httpx` or `httpx2`."""

    raw: Any

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        ...

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        ...


def given_client(http_client: httpx.Client | httpx2.Client) -> HttpClient:
    """Return what sends requests with the caller's client.

    Raises:
        ConfigurationError: It is not such a client.
    """
    if isinstance(http_client, httpx.Client):
        return GivenClient(http_client)
    httpx2 = sys.modules.get("httpx2")
    if httpx2 is not None and isinstance(http_client, httpx2.Client):
        from meshguard._sync.httpx2_client import Httpx2Client  # noqa: PLC0415 - few need it

        return Httpx2Client(http_client)
    raise ConfigurationError(
        f"Invalid http_client: {type(http_client).__name__} is not an httpx.Client or "
        "httpx2.Client. Pass such a client, or omit it."
    )


class OwnClient:
    """A client made here: its requests go to its transport, past `httpx.Client.send`.

    It has no hooks, cookies or authentication, and follows no redirects, so that nothing is lost.
    """

    def __init__(self, raw: httpx.Client) -> None:
        self.raw = raw

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        if isinstance(options.get("headers", {}), dict):
            return prepared_request(method, url, options)
        return self.raw.build_request(method, url, **options)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        transport = self.raw._transport_for_url(request.url)  # noqa: SLF001 - the environment's proxies
        response = transport.handle_request(request)
        response.request = request
        return response


class GivenClient:
    """The caller's own `httpx` client, with its hooks, cookies, headers and transports."""

    def __init__(self, raw: httpx.Client) -> None:
        self.raw = raw

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        return self.raw.build_request(method, url, **options)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        response = self.raw.send(request, auth=None, stream=True, follow_redirects=False)
        response.next_request = None  # it has the token
        if response.is_stream_consumed:
            return unread(response.status_code, response.headers.raw, response.content, request)
        return response
