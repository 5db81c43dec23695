"""The settings of a client: an argument beats the environment, the environment beats the default."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Self, get_args

import httpx

from meshguard.exceptions import ConfigurationError
from meshguard.types import OnUnavailable

AgentToken = str | Callable[[], str]
AsyncAgentToken = str | Callable[[], str | Awaitable[str]]

DEFAULT_MAX_RESPONSE_BYTES = 33_554_432

_TOKEN = r"[!-~](?:[ -~]*[!-~])?"  # noqa: S105
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RESERVED_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
        "x-admin-token",
        "x-request-id",
    }
)
_TRACE_ID = r"[!-~]{1,128}"


class Secret(str):
    """A string that does not show itself in a repr, and so in no traceback that renders local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"


class TokenProvider:
    """A callable that returns the token, whose own repr is not shown: it may contain a secret."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def __call__(self) -> object:
        """Return the token, or an awaitable for it."""
        return self.call()


@dataclass(frozen=True, repr=False)
class Config:
    """Settings that have been checked; see `MeshGuardClient` for what they mean."""

    gateway_url: str
    agent_token: Secret | TokenProvider | None
    admin_token: Secret | None
    timeout: float
    trace_id: str
    max_retries: int
    on_unavailable: OnUnavailable
    require_tls: bool = False
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    default_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_loopback: bool = field(default=False, init=False)
    exposes_tokens: bool = field(default=False, init=False)

    @classmethod
    def read(
        cls,
        *,
        gateway_url: str | None,
        agent_token: AsyncAgentToken | None,
        admin_token: str | None,
        timeout: float,
        trace_id: str | None,
        max_retries: int,
        on_unavailable: OnUnavailable,
        require_tls: bool,
        max_response_bytes: int,
        default_headers: Mapping[str, str] | None,
    ) -> Self:
        """Fill in from the environment what is not given.

        Raises:
            ConfigurationError: A setting can't be used.
        """
        return cls(
            gateway_url=gateway_url or os.environ.get("MESHGUARD_GATEWAY_URL") or _no_url(),
            agent_token=token_or_provider(agent_token or os.environ.get("MESHGUARD_AGENT_TOKEN")),
            admin_token=secret(admin_token or os.environ.get("MESHGUARD_ADMIN_TOKEN")),
            timeout=timeout,
            trace_id=trace_id or _new_trace_id(),
            max_retries=max_retries,
            on_unavailable=on_unavailable,
            require_tls=require_tls,
            max_response_bytes=max_response_bytes,
            default_headers=default_headers or {},
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "gateway_url", _checked_url(self.gateway_url))
        object.__setattr__(self, "is_loopback", is_loopback(self.gateway_url))
        object.__setattr__(self, "exposes_tokens", self.is_plain and not self.is_loopback)
        if self.require_tls and self.exposes_tokens:
            raise ConfigurationError(
                "Invalid gateway_url: it must start with https://, because require_tls is set."
            )
        object.__setattr__(self, "default_headers", _checked_headers(self.default_headers))
        if isinstance(self.agent_token, str):
            check_token("agent_token", self.agent_token)
        if self.admin_token is not None:
            check_token("admin_token", self.admin_token)
        _check_timeout(self.timeout)
        if not (isinstance(self.trace_id, str) and re.fullmatch(_TRACE_ID, self.trace_id)):
            raise ConfigurationError("Invalid trace_id: it must be 1 to 128 visible ASCII characters.")
        if not _is_whole(self.max_retries, 0):
            raise ConfigurationError("Invalid max_retries: it must be a whole number, 0 or more.")
        if not _is_whole(self.max_response_bytes, 1):
            raise ConfigurationError("Invalid max_response_bytes: it must be a whole number, 1 or more.")
        if self.on_unavailable not in get_args(OnUnavailable):
            raise ConfigurationError('Invalid on_unavailable: it must be "raise", "deny" or "allow".')

    def token(self, credential: Literal["agent", "admin"]) -> Secret | TokenProvider | None:
        """Return the token of an identity, or what provides it."""
        return self.agent_token if credential == "agent" else self.admin_token

    @property
    def is_plain(self) -> bool:
        """Whether requests are sent without encryption."""
        return self.gateway_url[:5].lower() == "http:"


def _no_url() -> str:
    raise ConfigurationError(
        "No gateway URL. Pass gateway_url, or set MESHGUARD_GATEWAY_URL, such as http://127.0.0.1:3100. "
        "`meshguard serve --dev` runs a gateway."
    )


def secret(token: str | None) -> Secret | None:
    """Wrap a token before anything else sees it; an empty one counts as not given."""
    if token is not None and not isinstance(token, str):
        raise ConfigurationError("Invalid token: it must be a string.")
    return Secret(token) if token else None


def token_or_provider(token: AsyncAgentToken | TokenProvider | None) -> Secret | TokenProvider | None:
    """Wrap a token, or a callable that returns it."""
    if isinstance(token, TokenProvider):
        return token
    return TokenProvider(token) if callable(token) else secret(token)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, Secret]:
    if not isinstance(headers, Mapping):
        raise ConfigurationError("Invalid default_headers: it must be a mapping of header names to text.")
    checked: dict[str, Secret] = {}
    for name, value in headers.items():
        if not (isinstance(name, str) and re.fullmatch(_HEADER_NAME, name)):
            raise ConfigurationError(f"Invalid name {name!r} in default_headers. Use a name such as X-Team.")
        if name.lower() in _RESERVED_HEADERS or name.lower().startswith("x-meshguard-"):
            raise ConfigurationError(f"Invalid default_headers: the client sets {name} itself. Remove it.")
        if not (isinstance(value, str) and re.fullmatch(_TOKEN, value)):
            raise ConfigurationError(
                f"Invalid value of {name} in default_headers. Use printable ASCII without spaces around it."
            )
        checked[name] = Secret(value)
    return checked


def _new_trace_id() -> str:
    import uuid  # noqa: PLC0415 - it takes long to import, and only some need it

    return str(uuid.uuid4())


def _checked_url(gateway_url: str) -> str:
    if not isinstance(gateway_url, str):
        raise ConfigurationError("Invalid gateway_url: it must be a string, such as http://127.0.0.1:3100.")
    return _url_without_slash(gateway_url)


@lru_cache(maxsize=128)
def _url_without_slash(gateway_url: str) -> str:
    try:
        url = httpx.URL(gateway_url)
    except (httpx.InvalidURL, ValueError):
        raise ConfigurationError(
            "Invalid gateway_url: it is not a URL. Use one such as http://127.0.0.1:3100."
        ) from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(
            "Invalid gateway_url: it must start with http:// or https:// and name a host."
        )
    if url.userinfo:
        raise ConfigurationError(
            "Invalid gateway_url: it contains a password. Pass agent_token or admin_token instead."
        )
    if url.query or url.fragment or "?" in gateway_url or "#" in gateway_url:
        raise ConfigurationError("Invalid gateway_url: it must not have a query or a fragment.")
    return gateway_url.rstrip("/")


@lru_cache(maxsize=128)
def is_loopback(gateway_url: str) -> bool:
    """Whether a URL's host is this machine for certain: `localhost`, a name below it, or a loopback address.

    Addresses count only in their usual form: `2130706433` and `127.1` are names to some resolvers.
    """
    host = httpx.URL(gateway_url).host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f".{host.removesuffix('.')}".endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address):
        return address.scope_id is None and (address.ipv4_mapped or address).is_loopback
    return address.is_loopback


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_token(name: str, token: str) -> None:
    """Check that a header can carry a token.

    Raises:
        ConfigurationError: It cannot.
    """
    if not re.fullmatch(_TOKEN, token):
        raise ConfigurationError(
            f"Invalid {name}: it must be printable ASCII without spaces around it. "
            "Look for a line break or quotation mark that was copied with it."
        )


def _check_timeout(timeout: float) -> None:
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (number and math.isfinite(timeout) and timeout > 0):
        raise ConfigurationError("Invalid timeout: it must be a positive number of seconds, such as 30.0.")
