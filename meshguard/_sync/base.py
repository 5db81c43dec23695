# Made from meshguard/_async/base.py by scripts/unasync; edit that file.
"""The settings of a client, and how its methods send."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from meshguard.config import TokenProvider, secret, token_or_provider
from meshguard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshguard._sync.transport import SyncTransport
    from meshguard._wire.requests import ApiCall, Page
    from meshguard.config import AgentToken
    from meshguard.types import OnUnavailable

T = TypeVar("T")


class ClientBase:
    """The settings, which can be read, and changed for the requests that follow."""

    _transport: SyncTransport

    @property
    def gateway_url(self) -> str:
        """The gateway's URL, without a trailing slash."""
        return self._transport.config.gateway_url

    @gateway_url.setter
    def gateway_url(self, value: str) -> None:
        self._set(gateway_url=value)

    @property
    def agent_token(self) -> AgentToken | None:
        """The agent's token, hidden in its repr, or the callable that returns it."""
        token = self._transport.config.agent_token
        return cast("AgentToken", token.call) if isinstance(token, TokenProvider) else token

    @agent_token.setter
    def agent_token(self, value: AgentToken | None) -> None:
        self._set(agent_token=token_or_provider(value))

    @property
    def admin_token(self) -> str | None:
        """The administrator's token; hidden in its repr."""
        return self._transport.config.admin_token

    @admin_token.setter
    def admin_token(self, value: str | None) -> None:
        self._set(admin_token=secret(value))

    @property
    def timeout(self) -> float:
        """Seconds that one call may take, all its attempts together."""
        return self._transport.config.timeout

    @timeout.setter
    def timeout(self, value: float) -> None:
        self._set(timeout=value)

    @property
    def trace_id(self) -> str:
        """Ties this client's requests together in the gateway's responses and audit entries."""
        return self._transport.config.trace_id

    @trace_id.setter
    def trace_id(self, value: str) -> None:
        self._set(trace_id=value)

    @property
    def default_headers(self) -> Mapping[str, str]:
        """The headers of every request, whose values are hidden in their repr."""
        return dict(self._transport.config.default_headers)

    @property
    def max_retries(self) -> int:
        """How often a failed call is retried at most."""
        return self._transport.config.max_retries

    @property
    def on_unavailable(self) -> OnUnavailable:
        """What decisions come to when the gateway is unavailable."""
        return self._transport.config.on_unavailable

    def with_options(
        self,
        *,
        agent_token: AgentToken | None = None,
        trace_id: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        on_unavailable: OnUnavailable | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a client with other options, over the same connections.

        It takes microseconds, so one can be made for each request. Closing the original client closes the
        connections.

        Args:
            agent_token: The token of the agent to act as, or a callable that returns it; defaults to this
                client's.
            trace_id: 1 to 128 visible ASCII characters; defaults to this client's.
            timeout: Seconds that one call may take; defaults to this client's.
            max_retries: How often a failed call is retried at most; defaults to this client's.
            on_unavailable: `"raise"`, `"deny"` or `"allow"`; defaults to this client's.
            default_headers: Headers of every request, in place of this client's; defaults to this client's.

        Returns:
            A client with all other settings of this one, as they are now.

        Example:
            ```python
            run = client.with_options(trace_id="run-17")
            quick = run.with_options(timeout=0.5, max_retries=0, on_unavailable="deny")
            print(run.trace_id, quick.timeout)
            ```
        """
        if agent_token == "":
            raise ConfigurationError("Invalid agent_token: it is empty. Pass a token, or omit it.")
        changes: dict[str, Any] = {
            "agent_token": token_or_provider(agent_token),
            "trace_id": trace_id or None,
            "timeout": timeout,
            "max_retries": max_retries,
            "on_unavailable": on_unavailable,
            "default_headers": default_headers,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        client = copy.copy(self)
        transport = self._transport.with_config(replace(self._transport.config, **given))
        client._transport = transport  # noqa: SLF001 - of the same class
        return client

    def _set(self, **changes: Any) -> None:
        self._transport.config = replace(self._transport.config, **changes)

    def _items(self, call: ApiCall[Page[T]] | None) -> Iterator[T]:
        while call:
            page = self._transport.send(call)
            for item in page.items:
                yield item
            call = page.next

    def __repr__(self) -> str:
        if not hasattr(self, "_transport"):
            return f"{type(self).__name__}(<rejected settings>)"
        return f"{type(self).__name__}(gateway_url={self.gateway_url!r}, trace_id={self.trace_id!r})"
