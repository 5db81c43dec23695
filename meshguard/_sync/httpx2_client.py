# Made from meshguard/_async/httpx2_client.py by scripts/unasync; edit that file.
"""Sends requests through the caller's `httpx2` client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from meshguard._wire.http import unread
from meshguard._wire.httpx2 import ERRORS, build_request, to_httpx2, to_httpx_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2


class Httpx2Client:
    """The caller's own `httpx2` client, with its hooks, cookies, headers and transports."""

    def __init__(self, raw: httpx2.Client) -> None:
        self.raw = raw

    def build(self, method: str, url: httpx.URL, options: Mapping[str, Any]) -> httpx.Request:
        """Make a request."""
        return build_request(self.raw, method, url, options)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of its response is left to be read."""
        try:
            response = self.raw.send(to_httpx2(request), auth=None, stream=True, follow_redirects=False)
        except ERRORS as error:
            raise to_httpx_error(error) from None
        if response.is_stream_consumed:
            return unread(response.status_code, response.headers.raw, response.content, request)
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=Httpx2Stream(response),
            extensions=response.extensions,
            request=request,
        )


class Httpx2Stream(httpx.SyncByteStream):
    """The body of a response of `httpx2`, with the errors of `httpx`."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._response.stream:  # type: ignore[union-attr]
                yield piece
        except ERRORS as error:
            raise to_httpx_error(error) from None

    def close(self) -> None:
        """Close the response."""
        try:
            self._response.close()
        except ERRORS as error:
            raise to_httpx_error(error) from None
