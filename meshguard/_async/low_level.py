"""Sends the generated client's requests over the connections of a transport, to the gateway only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx

from meshguard._wire.errors import detach_error
from meshguard._wire.intake import detach
from meshguard._wire.low_level import check_origin, limiter_for
from meshguard.exceptions import InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meshguard._wire.intake import Limiter
    from meshguard._wire.low_level import AsyncSender
    from meshguard._wire.requests import Credential


class AsyncSharedConnections(httpx.AsyncBaseTransport):
    """Sends requests of the low-level client over the connections of another."""

    def __init__(self, sender: AsyncSender, credential: Credential) -> None:
        self._sender = sender
        self._credential: Credential = credential

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of the generated client."""
        check_origin(self._sender.config, request)
        request.headers["Accept-Encoding"] = "identity"
        try:
            response = await self._sender.send_as(request, self._credential)
        except httpx.HTTPError as error:
            raise detach_error(error) from None
        stream = AsyncBoundedStream(response)
        try:
            stream.limiter = limiter_for(self._sender.config, request, response)
        except InvalidResponseError:
            await stream.aclose()
            raise
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)


class AsyncBoundedStream(httpx.AsyncByteStream):
    """The body of a response for the low-level client; closing it releases the connection."""

    def __init__(self, response: httpx.Response) -> None:
        self._response: httpx.Response | None = response
        self.limiter: Limiter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._response is not None:
            # Not in a variable: a traceback would keep it, and with it the request and its token.
            async for piece in cast("Any", self._response.stream):
                yield self.limiter.count(piece)

    async def aclose(self) -> None:
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()
            detach(response)
