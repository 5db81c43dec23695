"""Rules for the generated client's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import httpx

from meshguard._wire.intake import Limiter, encodings, unrequested
from meshguard.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from meshguard._wire.requests import Credential
    from meshguard.config import Config


class Sender(Protocol):
    """A transport of the sync client."""

    config: Config

    def send_as(self, request: httpx.Request, credential: Credential) -> httpx.Response:
        """Send a request with the token of an identity."""
        ...


class AsyncSender(Protocol):
    """A transport of the async client."""

    config: Config

    async def send_as(self, request: httpx.Request, credential: Credential) -> httpx.Response:
        """Send a request with the token of an identity."""
        ...


def check_origin(config: Config, request: httpx.Request) -> None:
    """Do nothing if the request goes to the gateway; a redirect could lead it, and the token, elsewhere."""
    if _origin(request.url) != _origin(httpx.URL(config.gateway_url)):
        raise InvalidRequestError(
            "Cannot send the request: its host is not that of gateway_url, and must not get the token. "
            "Use a client without a token."
        )


def limiter_for(config: Config, request: httpx.Request, response: httpx.Response) -> Limiter:
    """Return what bounds the body of a response."""
    for encoding in encodings(response):
        raise unrequested(encoding)
    is_export = request.url.path.endswith("/admin/audit/export")
    return Limiter(config.max_response_bytes, lines=is_export)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
