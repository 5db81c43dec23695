"""How the generated client's requests leave: over the connections of a `Transport`, to the gateway only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from meshguard.exceptions import InvalidRequestError, InvalidResponseError
from meshguard.intake import Limiter, detach, encodings, unrequested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from meshguard.config import Config
    from meshguard.transport import AsyncTransport, SyncTransport

Failure = TypeVar("Failure", bound=BaseException)


def detached(error: Failure) -> Failure:
    """Return an error without its request, and without the frames in which `h11` held the headers."""
    error.__cause__ = error.__context__ = None
    if isinstance(error, httpx.RequestError):
        error.request = cast("Any", None)
    return error.with_traceback(None)


class Shared(httpx.BaseTransport):
    """Sends requests of the low-level client through a transport, and so over its connections."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of the generated client."""
        _check_origin(self._transport.config, request)
        request.headers["Accept-Encoding"] = "identity"
        try:
            response = self._transport.http_client().send(
                request, auth=None, stream=True, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise detached(error) from None
        stream = BoundedStream(response)
        try:
            stream.limiter = _limiter(self._transport.config, request, response)
        except InvalidResponseError:
            stream.close()
            raise
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)


class AsyncShared(httpx.AsyncBaseTransport):
    """Sends requests of the low-level client through a transport, and so over its connections."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of the generated client."""
        _check_origin(self._transport.config, request)
        request.headers["Accept-Encoding"] = "identity"
        try:
            response = await self._transport.http_client().send(
                request, auth=None, stream=True, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise detached(error) from None
        stream = AsyncBoundedStream(response)
        try:
            stream.limiter = _limiter(self._transport.config, request, response)
        except InvalidResponseError:
            await stream.aclose()
            raise
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)


class BoundedStream(httpx.SyncByteStream):
    """The body of a response for the low-level client; it lets go of the connection when it is closed."""

    def __init__(self, response: httpx.Response) -> None:
        self._response: httpx.Response | None = response
        self.limiter: Limiter

    def __iter__(self) -> Iterator[bytes]:
        if self._response is not None:
            for piece in self._response.stream:  # type: ignore[union-attr]
                yield self.limiter.count(piece)

    def close(self) -> None:
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            response.close()
            detach(response)


class AsyncBoundedStream(httpx.AsyncByteStream):
    """`BoundedStream` for an event loop."""

    def __init__(self, response: httpx.Response) -> None:
        self._response: httpx.Response | None = response
        self.limiter: Limiter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._response is not None:
            async for piece in self._response.stream:  # type: ignore[union-attr]
                yield self.limiter.count(piece)

    async def aclose(self) -> None:
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()
            detach(response)


def _check_origin(config: Config, request: httpx.Request) -> None:
    """Do nothing if the request goes to the gateway; a redirect could lead it, and the token, elsewhere."""
    if _origin(request.url) != _origin(httpx.URL(config.gateway_url)):
        raise InvalidRequestError(
            "The request goes to another host than gateway_url, and would carry the token there. "
            "Use a client without a token for it."
        )


def _limiter(config: Config, request: httpx.Request, response: httpx.Response) -> Limiter:
    for encoding in encodings(response):
        raise unrequested(encoding)
    is_export = request.url.path.endswith("/admin/audit/export")
    return Limiter(config.max_response_bytes, lines=is_export)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
