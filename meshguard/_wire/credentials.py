"""Identifies requests while they are sent, and matches responses to them."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from meshguard._wire.errors import REQUEST_ID_HEADER, TRACE_HEADER
from meshguard.exceptions import AuthenticationError, InvalidResponseError

if TYPE_CHECKING:
    from meshguard._wire.requests import Credential
    from meshguard.config import Config

_TOKEN_HEADERS = ("Authorization", "X-Admin-Token")


class Identity:
    """Puts IDs and a token on a request while it is sent, and matches the response to it.

    Each attempt has its own ID, so that a late response to an earlier one is not mistaken for its own.

    Args:
        config: The client's settings.
        credential: Whose token is sent.

    Raises:
        AuthenticationError: The token is missing.
    """

    def __init__(self, config: Config, credential: Credential | None) -> None:
        self._token = config.token(credential) if credential else None
        if credential and not self._token:
            raise missing_token(credential)
        self._config = config
        self._credential = credential
        self._sent = ""
        self._shown = httpx.Headers()

    def put_on(self, request: httpx.Request) -> None:
        """Identify an attempt to send a request."""
        shown = self._shown = request.headers
        shown[TRACE_HEADER] = self._config.trace_id
        shown[REQUEST_ID_HEADER] = self._sent = os.urandom(16).hex()
        if self._token:
            request.headers = sent = masked(httpx.Headers)(shown, shown.encoding)
            if self._credential == "agent":
                sent["Authorization"] = f"Bearer {self._token}"
            else:
                sent["X-Admin-Token"] = str(self._token)

    def take_off(self, request: httpx.Request) -> None:
        """Leave no token on the request."""
        request.headers = self._shown
        for name in _TOKEN_HEADERS:
            if name in request.headers:
                del request.headers[name]

    def matches(self, response: httpx.Response) -> bool:
        """Whether the response is to the last attempt, as far as it says."""
        return bool(response.headers.get(REQUEST_ID_HEADER, self._sent) == self._sent)


def another_request(response: httpx.Response) -> InvalidResponseError:
    """Return the error for a response to another request."""
    return InvalidResponseError(
        f"The response (status {response.status_code}) belongs to another request: its X-Request-ID "
        "differs. Have proxies in front of the gateway pass X-Request-ID unchanged.",
        status_code=response.status_code,
    )


def missing_token(credential: Credential) -> AuthenticationError:
    """Return the error for a call without its token."""
    return AuthenticationError(
        f"This call needs an {credential} token. Pass {credential}_token, or set "
        f"MESHGUARD_{credential.upper()}_TOKEN."
    )


@cache
def masked(headers_class: type[Any]) -> type[Any]:
    """Return a subclass of `httpx.Headers` or its like whose repr hides both tokens."""

    class MaskedHeaders(headers_class):  # type: ignore[misc]
        def __repr__(self) -> str:
            shown = headers_class(self)
            for name in _TOKEN_HEADERS:
                if name in shown:
                    shown[name] = "[secure]"
            return repr(shown)

    return MaskedHeaders
