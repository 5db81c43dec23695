"""Identifies requests while they are sent, and matches responses to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import httpx

from meshguard._wire.errors import REQUEST_ID_HEADER, TRACE_HEADER
from meshguard.exceptions import AuthenticationError, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Generator

    from meshguard._wire.requests import Credential
    from meshguard.config import Config

_HEADERS = {"agent": "Authorization", "admin": "X-Admin-Token", None: ""}


class Sender(Protocol):
    """What a credential has to know of a transport."""

    config: Config

    def check_exposure(self) -> None:
        """Check that a token may be sent, and warn if it can be read on the way."""


class TokenAuth(httpx.Auth):
    """Puts IDs and a token on a request while it is sent, and matches the response to it.

    Each attempt has its own ID, so that a late response to an earlier one is not mistaken for its own.

    Args:
        sender: The transport.
        credential: Whose token is sent.

    Raises:
        AuthenticationError: There is no such token.
    """

    def __init__(self, sender: Sender, credential: Credential | None) -> None:
        if credential and not getattr(sender.config, f"{credential}_token"):
            raise AuthenticationError(
                f"This call needs an {credential} token. Pass {credential}_token, or set "
                f"MESHGUARD_{credential.upper()}_TOKEN."
            )
        self._sender = sender
        self._credential = credential

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Identify the request, then remove its token.

        Raises:
            InvalidResponseError: The response belongs to another request.
            ConfigurationError: The token would be sent unencrypted, and `require_tls` is set.
        """
        config = self._sender.config
        name, token = _HEADERS[self._credential], None
        if self._credential:
            token = getattr(config, f"{self._credential}_token")
            self._sender.check_exposure()
        request.headers[TRACE_HEADER] = config.trace_id
        sent = request.headers[REQUEST_ID_HEADER] = os.urandom(16).hex()
        if token:
            if self._credential == "admin":
                request.headers = _MaskedHeaders(request.headers)
            request.headers[name] = f"Bearer {token}" if self._credential == "agent" else str(token)
        try:
            response = yield request
        finally:
            if token:
                request.headers.pop(name, None)
        if response.headers.get(REQUEST_ID_HEADER, sent) != sent:
            raise InvalidResponseError(
                f"The response (status {response.status_code}) belongs to another request: its X-Request-ID "
                "differs. Have proxies in front of the gateway pass X-Request-ID unchanged.",
                status_code=response.status_code,
            )


class _MaskedHeaders(httpx.Headers):
    """Headers whose repr hides the admin token, as `httpx` hides `Authorization`."""

    def __repr__(self) -> str:
        shown = httpx.Headers(self)
        shown["X-Admin-Token"] = "[secure]"
        return repr(shown)
