"""Identifies requests while they are sent, and matches responses to them."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from meshguard._wire.errors import REQUEST_ID_HEADER, TRACE_HEADER
from meshguard.config import Secret, check_token
from meshguard.exceptions import AuthenticationError, ConfigurationError, InvalidResponseError

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
        token: The token.
    """

    def __init__(self, config: Config, credential: Credential | None, token: Secret | None) -> None:
        self._token = token
        self._config = config
        self._credential = credential
        self._sent = ""
        self._shown = httpx.Headers()

    def put_on(self, request: httpx.Request) -> None:
        """Identify an attempt to send a request."""
        shown = self._shown = request.headers
        shown[TRACE_HEADER] = self._config.trace_id
        shown[REQUEST_ID_HEADER] = self._sent = os.urandom(16).hex()
        request.headers = sent = masked(httpx.Headers)(shown, shown.encoding)
        if defaults := self._config.default_headers:
            sent.hidden = (*_TOKEN_HEADERS, *defaults)
            sent.update({name: str(value) for name, value in defaults.items() if name not in shown})
        if self._credential == "agent":
            sent["Authorization"] = f"Bearer {self._token}"
        elif self._credential == "admin":
            sent["X-Admin-Token"] = str(self._token)

    def take_off(self, request: httpx.Request) -> None:
        """Leave neither a token nor a default header on the request."""
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


def provided_token(value: object) -> Secret:
    """Check what a callable `agent_token` returned.

    Raises:
        ConfigurationError: It is not a token.
    """
    if not isinstance(value, str) or not value:
        kind = "an empty string" if value == "" else f"a value of type {type(value).__name__}"
        raise ConfigurationError(
            f"Invalid token from agent_token: it returned {kind}. Return a non-empty string."
        )
    token = Secret(value)
    check_token("token from agent_token", token)
    return token


def unusable_token(value: object) -> ConfigurationError:
    """Return the error for an async callable, which the sync client cannot wait for."""
    if isinstance(value, Coroutine):
        value.close()
    return ConfigurationError(
        "Invalid token from agent_token: it returned an awaitable, which MeshGuardClient cannot await. "
        "Pass a function that returns a string, or use AsyncMeshGuardClient."
    )


@cache
def masked(headers_class: type[Any]) -> type[Any]:
    """Return a subclass of `httpx.Headers` or its like whose repr hides tokens and default headers."""

    class MaskedHeaders(headers_class):  # type: ignore[misc]
        hidden: tuple[str, ...] = _TOKEN_HEADERS

        def __repr__(self) -> str:
            shown = headers_class(self)
            for name in self.hidden:
                if name in shown:
                    shown[name] = "[secure]"
            return repr(shown)

    return MaskedHeaders
