"""Identifies requests while they are sent, and matches responses to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx

from meshguard.exceptions import InvalidResponseError
from meshguard.operations import REQUEST_ID_HEADER, TRACE_HEADER

if TYPE_CHECKING:
    from collections.abc import Generator

    from meshguard.operations import Credential
    from meshguard.transport import Transport

_HEADERS = {"agent": "Authorization", "admin": "X-Admin-Token", None: ""}


class TokenAuth(httpx.Auth):
    """Puts IDs and a token on a request while it is sent, and matches the response to it.

    Each try has an ID of its own, so that a late response to an earlier one is not taken for it.
    """

    def __init__(self, transport: Transport[Any], credential: Credential | None) -> None:
        self._transport = transport
        self._credential = credential

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Identify the request, then remove its token.

        Raises:
            InvalidResponseError: The response belongs to another request.
            ConfigurationError: The token would travel as plain text, and `require_tls` is set.
        """
        config = self._transport.config
        name, token = _HEADERS[self._credential], None
        if self._credential:
            token = getattr(config, f"{self._credential}_token")
            self._transport.check_exposure()
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
