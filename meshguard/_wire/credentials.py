"""The headers that identify a request, added at the last moment, so that nothing shown earlier has them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import httpx

from meshguard import __version__
from meshguard._wire.errors import TRACE_HEADER
from meshguard.exceptions import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Generator

    from meshguard._wire.requests import Credential
    from meshguard.config import Config

_log = logging.getLogger("meshguard")

USER_AGENT = f"meshguard-python/{__version__}"
IDENTITY_HEADERS = ("authorization", "x-admin-token")


class TokenAuth(httpx.Auth):
    """Adds the trace ID and the token.

    Args:
        config: The client's settings.
        credential: Whose token is sent.
        warned: The hosts for which a warning was logged; shared by the copies of a client.

    Raises:
        AuthenticationError: There is no such token.
    """

    def __init__(self, config: Config, credential: Credential | None, warned: set[str]) -> None:
        if credential == "admin" and not config.admin_token:
            raise AuthenticationError(
                "This call needs an admin token. Pass admin_token, or set MESHGUARD_ADMIN_TOKEN."
            )
        if credential == "agent" and not config.agent_token:
            raise AuthenticationError(
                "This call needs an agent token. Pass agent_token, or set MESHGUARD_AGENT_TOKEN."
            )
        self._config = config
        self._credential = credential
        self._warned = warned

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Identify the request."""
        config = self._config
        request.headers[TRACE_HEADER] = config.trace_id
        if self._credential == "agent":
            request.headers["Authorization"] = f"Bearer {config.agent_token}"
        elif self._credential == "admin":
            request.headers["X-Admin-Token"] = str(config.admin_token)
        if self._credential and config.exposes_tokens:
            self._warn(request.url.host)
        yield request

    def _warn(self, host: str) -> None:
        if host not in self._warned:
            self._warned.add(host)
            _log.warning(
                "The token goes to %s unencrypted: use https://, or set require_tls to reject such URLs.",
                host,
            )
