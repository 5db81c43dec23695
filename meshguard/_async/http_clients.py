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


class AsyncHttpClient(Protocol):
    """What requests are sent with; `raw` is a client of `httpx` or `httpx2`."""

    raw: Any

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        ...

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        ...


def given_client(http_client: httpx.AsyncClient | httpx2.AsyncClient) -> AsyncHttpClient:
    """Return what sends requests with the caller's client.

    Raises:
        ConfigurationError: It is not such a client.
    """
    if isinstance(http_client, httpx.AsyncClient):
        return AsyncGivenClient(http_client)
    httpx2 = sys.modules.get("httpx2")
    if httpx2 is not None and isinstance(http_client, httpx2.AsyncClient):
        from meshguard._async.httpx2_client import AsyncHttpx2Client  # noqa: PLC0415 - few need it

        return AsyncHttpx2Client(http_client)
    raise ConfigurationError(
        f"Invalid http_client: {type(http_client).__name__} is not an httpx.AsyncClient or "
        "httpx2.AsyncClient. Pass such a client, or omit it."
    )


class AsyncOwnClient:
    """A client made here: its requests go to its transport, past `httpx.AsyncClient.send`.

    It has no hooks, cookies or authentication, and follows no redirects, so that nothing is lost.
    """

    def __init__(self, raw: httpx.AsyncClient) -> None:
        self.raw = raw

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        if isinstance(options.get("headers", {}), dict):
            return prepared_request(method, url, options)
        return self.raw.build_request(method, url, **options)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        transport = self.raw._transport_for_url(request.url)  # noqa: SLF001 - the environment's proxies
        response = await transport.handle_async_request(request)
        response.request = request
        return response


class AsyncGivenClient:
    """The caller's own `httpx` client, with its hooks, cookies, headers and transports."""

    def __init__(self, raw: httpx.AsyncClient) -> None:
        self.raw = raw

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        return self.raw.build_request(method, url, **options)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        response = await self.raw.send(request, auth=None, stream=True, follow_redirects=False)
        response.next_request = None  # it has the token
        if response.is_stream_consumed:
            return unread(response.status_code, response.headers.raw, response.content, request)
        return response
