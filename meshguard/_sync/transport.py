# Made from meshguard/_async/transport.py by scripts/unasync; edit that file.
"""Sends calls: one deadline over all attempts, and no `httpx` exception on the way back."""

from __future__ import annotations

import contextlib
import copy
import logging
import time
from collections.abc import Awaitable
from datetime import timedelta
from functools import lru_cache
from time import sleep
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx

from meshguard._sync.http_clients import HttpClient, OwnClient, given_client
from meshguard._sync.intake import read_body
from meshguard._wire import credentials
from meshguard._wire.connections import Connections, is_proxied
from meshguard._wire.credentials import Identity
from meshguard._wire.errors import detach_error, map_exception
from meshguard._wire.http import USER_AGENT, client_options
from meshguard._wire.intake import ENCODINGS, SMALL, detach
from meshguard._wire.logs import log_attempt, log_retry
from meshguard._wire.retry import retry_delay
from meshguard.exceptions import ConfigurationError, InvalidRequestError, MeshGuardError, UpstreamError
from meshguard.telemetry import Observation, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import httpx2
    from meshguard_api import AuthenticatedClient

    from meshguard._wire.requests import ApiCall, Credential
    from meshguard.config import Config

_log = logging.getLogger("meshguard")

T = TypeVar("T")
Outcome = httpx.Response | Exception

FAILURES = (
    MeshGuardError,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    RuntimeError,
    ValueError,
    OSError,
)
_url = lru_cache(maxsize=128)(httpx.URL)


class SyncTransport:
    """Sends calls over the connections of one client and its copies.

    Args:
        config: The client's settings.
        http_client: The caller's own client; it stays the caller's to close.
        trust_env: Whether to read proxies and certificates from the environment.
        clock: Seconds of a clock that is never set.
        wait: Waits for a number of seconds.
    """

    def __init__(
        self,
        config: Config,
        http_client: httpx.Client | httpx2.Client | None = None,
        *,
        trust_env: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        self.config = config
        given = None if http_client is None else given_client(http_client)
        self._connections: Connections[HttpClient] = Connections(given, _maker(config.timeout, trust_env))
        self._owns_connections = given is None
        self._trust_env = trust_env
        self._clock = clock
        self._wait = wait
        self._closed = False
        self._warned: set[str] = set()
        self._client()  # raises for unusable settings of the environment

    def with_config(self, config: Config) -> Self:
        """Return a transport with other settings that shares the connections, and does not close them."""
        twin = copy.copy(self)
        twin.config, twin._owns_connections = config, False  # noqa: SLF001 - of the same class
        return twin

    @property
    def has_own_http_client(self) -> bool:
        """Whether the `httpx` client was made here, and so can be made again."""
        return self._connections.given is None

    @property
    def trusts_env(self) -> bool:
        """Whether the `httpx` client reads proxies and certificates from the environment."""
        given = self._connections.given
        return self._trust_env if given is None else bool(given.raw.trust_env)

    def check_exposure(self) -> None:
        """Warn once for each host if the token can be read on the way.

        Raises:
            ConfigurationError: It can, and `require_tls` is set.
        """
        config, given = self.config, self._connections.given
        if not config.exposes_tokens:
            if given is None or not config.is_plain or not is_proxied(given.raw, _url(config.gateway_url)):
                return
            if config.require_tls:
                raise ConfigurationError(
                    "Invalid http_client: it sends the token to a proxy unencrypted, but require_tls is set. "
                    "Create it with trust_env=False."
                )
        host = _url(config.gateway_url).host
        if host not in self._warned:
            self._warned.add(host)
            _log.warning(
                "The token goes to %s unencrypted: use https://, or set require_tls to reject such URLs.",
                host,
            )

    def send(self, call: ApiCall[T]) -> T:
        """Send a call and read its response.

        Raises:
            MeshGuardError: The call failed; the class says how.
        """
        with observe(call, self.config) as observation:
            identity = self._identity(call.credential)
            try:
                return observation.resulted(call.read(self._exchange(call, identity, observation)))
            except MeshGuardError as error:
                observation.failed(error)
                return observation.resulted(call.recover(error))

    @contextlib.contextmanager
    def stream(self, call: ApiCall[httpx.Response]) -> Generator[httpx.Response]:
        """Send a call and leave the body of its response to be read piece by piece."""
        with observe(call, self.config) as observation:
            identity = self._identity(call.credential)
            response = self._exchange(call, identity, observation, stream=True)
        try:
            try:
                result = call.read(response)
            except UpstreamError:
                self._read(call, response, self._clock() + self.config.timeout)
                raise
            yield result
        except httpx.RequestError as error:
            if not _is_about(error, response.request):
                raise
            raise map_exception(error, self.config.gateway_url) from error
        finally:
            response.close()
            detach(response)

    def send_as(self, request: httpx.Request, credential: Credential) -> httpx.Response:
        """Send a request of the generated client; the body of its response is left to be read."""
        return self._send(request, self._identity(credential))

    def generated(self, credential: Credential) -> AuthenticatedClient:
        """Return a generated client that sends over the same connections."""
        # Only some programs need these.
        from meshguard_api import AuthenticatedClient  # noqa: PLC0415

        from meshguard._sync.low_level import SharedConnections  # noqa: PLC0415

        if not self.config.token(credential):
            raise credentials.missing_token(credential)
        return AuthenticatedClient(
            base_url=self.config.gateway_url,
            token="[hidden]",  # noqa: S106
            prefix="Bearer" if credential == "agent" else "",
            auth_header_name="Authorization" if credential == "agent" else "X-Admin-Token",
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(self.config.timeout),
            httpx_args={"transport": SharedConnections(self, credential), "trust_env": False},
        )

    def close(self) -> None:
        """Close the connections, unless the caller brought them."""
        self._closed = True
        if self._owns_connections:
            for http_client in self._connections.taken():
                http_client.raw.close()

    def _exchange(
        self, call: ApiCall[Any], identity: Identity, observation: Observation, *, stream: bool = False
    ) -> httpx.Response:
        deadline = self._clock() + self.config.timeout
        request = self._build(call)
        observation.sending(request)
        attempt = 0
        while True:
            attempt += 1
            self._limit(request, call, deadline)
            started = self._clock()
            outcome = self._attempt(call, request, identity, deadline, stream=stream)
            seconds = self._clock() - started
            if isinstance(outcome, httpx.Response):
                outcome.elapsed = timedelta(seconds=seconds)
            log_attempt(request, outcome, attempt, seconds)
            delay = retry_delay(call, outcome, attempt=attempt, time_left=deadline - self._clock())
            if delay is None or attempt > self.config.max_retries:
                break
            observation.repeating(outcome)
            log_retry(request, outcome, delay)
            self._wait(delay)
        if isinstance(outcome, Exception):
            error = map_exception(outcome, self.config.gateway_url)
            raise error if error is outcome else _caused_by(outcome, error)
        observation.answered(outcome)
        return outcome

    def _attempt(
        self, call: ApiCall[Any], request: httpx.Request, identity: Identity, deadline: float, *, stream: bool
    ) -> Outcome:
        try:
            response = self._send(request, identity)
            if not (stream and call.is_streamed(response)):
                self._read(call, response, deadline)
        except FAILURES as error:
            return error
        except BaseException as error:  # noqa: BLE001 - an interruption
            raise detach_error(error) from None
        return response

    def _send(self, request: httpx.Request, identity: Identity) -> httpx.Response:
        client = self._client()
        identity.put_on(request)
        try:
            response = client.send(request)
        finally:
            identity.take_off(request)
        if not identity.matches(response):
            response.close()
            detach(response)
            raise credentials.another_request(response)
        return response

    def _read(self, call: ApiCall[Any], response: httpx.Response, deadline: float) -> None:
        largest = self.config.max_response_bytes
        limit = min(largest, SMALL) if call.is_small else largest
        unlimited = "timeout" in call.options
        read_body(response, limit, lambda: not unlimited and self._clock() > deadline)

    def _client(self) -> HttpClient:
        if self._closed or self._connections.is_closed:
            raise ConfigurationError("The client is closed. Create a new one.")
        return self._connections.client(direct=self.config.is_loopback)

    def _identity(self, credential: Credential | None) -> Identity:
        if credential is None:
            return Identity(self.config, None, None)
        token: Any = self.config.token(credential)
        if token is None:
            raise credentials.missing_token(credential)
        self.check_exposure()
        if callable(token):
            token = token()
            if isinstance(token, Awaitable):
                later = cast("Any", token)
                raise credentials.unusable_token(later)
            token = credentials.provided_token(token)
        return Identity(self.config, credential, token)

    def _build(self, call: ApiCall[Any]) -> httpx.Request:
        client = self._client()
        try:
            request = client.build(call.method, _url(self.config.gateway_url + call.path), call.options)
            if self._connections.given and call.name != "request":
                own: Any = call.options.get("headers") or {}
                request.headers["Accept-Encoding"] = own.get("Accept-Encoding", ENCODINGS)
        except (ValueError, TypeError, AttributeError, RecursionError, httpx.InvalidURL) as error:
            cause = type(error).__name__
        else:
            return request
        raise InvalidRequestError(
            f"Cannot send the arguments of {call.name}: {cause} while building the request. Correct them."
        )

    def _limit(self, request: httpx.Request, call: ApiCall[Any], deadline: float) -> None:
        if "timeout" not in call.options:
            left = max(0.001, deadline - self._clock())
            request.extensions["timeout"] = {"connect": left, "read": left, "write": left, "pool": left}


def _maker(timeout: float, trust_env: bool) -> Callable[[bool], OwnClient]:
    """Return what makes the `httpx` client; it keeps no transport alive."""

    def make(direct: bool) -> OwnClient:
        # With its own transport, `httpx` uses no proxy of the environment.
        transport = httpx.HTTPTransport(trust_env=trust_env) if direct else None
        options = client_options(timeout, trust_env=trust_env)
        return OwnClient(httpx.Client(transport=transport, **options))

    return make


def _caused_by(cause: Exception, error: MeshGuardError) -> MeshGuardError:
    error.__cause__ = cause
    return error


def _is_about(error: httpx.RequestError, request: httpx.Request) -> bool:
    with contextlib.suppress(RuntimeError):
        return error.request is request
    return False
