"""How requests leave: one identity, one deadline over all tries, and no `httpx` exception on the way back.

`tenacity` and the generated client are imported when they are first needed, which most programs never do.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import contextlib
import copy
import logging
import time
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import httpx

from meshguard import __version__
from meshguard.connections import Connections, HttpClient, is_proxied
from meshguard.exceptions import (
    AuthenticationError,
    ConfigurationError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardError,
    UpstreamError,
)
from meshguard.intake import ENCODINGS, SMALL, aread, detach, read
from meshguard.low_level import AsyncShared, Shared, detached
from meshguard.operations import (
    DECISION_HEADER,
    Credential,
    Operation,
    made_by_gateway,
    retry_after,
)
from meshguard.telemetry import Observation, observe
from meshguard.token_auth import TokenAuth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from meshguard_api import AuthenticatedClient
    from tenacity import RetryCallState

    from meshguard.config import Config

_log = logging.getLogger("meshguard")

T = TypeVar("T")
Outcome = httpx.Response | Exception
Intake = tuple[int, "Callable[[], bool]"]

LONGEST_WAIT = 30.0
USER_AGENT = f"meshguard-python/{__version__}"
_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": ENCODINGS,
    "Connection": "keep-alive",
    "User-Agent": USER_AGENT,
}
_TRY_LATER = {429, 502, 503, 504}
_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
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


def default_client_options(config: Config, *, trust_env: bool) -> dict[str, Any]:
    """The arguments of the `httpx` client that is made when the user brings none; it keeps no cookies."""
    return {
        "trust_env": trust_env,
        "timeout": config.timeout,
        "headers": _HEADERS,
        "cookies": CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    }


class Transport(Generic[HttpClient]):
    """All of sending that needs no I/O; `SyncTransport` and `AsyncTransport` add that."""

    def __init__(
        self,
        config: Config,
        http_client: HttpClient | None = None,
        *,
        trust_env: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        self.config = config
        self._connections: Connections[HttpClient] = Connections(http_client, self._maker(config, trust_env))
        self._owns_connections = http_client is None
        self._trust_env = trust_env
        self._clock = clock
        self._sleep = sleep
        self._closed = False
        self._warned: set[str] = set()
        self.http_client()  # so that unusable settings of the environment show at once

    @staticmethod
    def _maker(config: Config, trust_env: bool) -> Callable[[bool], HttpClient]:
        """Return what makes the `httpx` client; it keeps no transport alive."""
        raise NotImplementedError

    def http_client(self) -> HttpClient:
        """Return the client of `httpx` for the next request."""
        http_client: HttpClient = self._connections.client(direct=self.config.is_loopback)
        return http_client

    def sharing(self, config: Config) -> Self:
        """One with other settings that sends over the same connections, and does not close them."""
        twin = copy.copy(self)
        twin.config, twin._owns_connections = config, False  # noqa: SLF001 - it is of this very class
        return twin

    @property
    def has_own_http_client(self) -> bool:
        """Whether the `httpx` client was made here, and so can be made again."""
        return self._connections.given is None

    @property
    def trusts_env(self) -> bool:
        """Whether the `httpx` client uses the proxies and certificates of the environment."""
        given = self._connections.given
        return self._trust_env if given is None else given.trust_env

    def identity(self, credential: Credential | None) -> TokenAuth:
        """The identity to send as.

        Raises:
            AuthenticationError: There is no admin token.
        """
        if credential == "admin" and not self.config.admin_token:
            raise AuthenticationError(
                "This needs an admin token: give admin_token, or set MESHGUARD_ADMIN_TOKEN."
            )
        return TokenAuth(self, credential)

    def check_exposure(self) -> None:
        """Do nothing if nobody on the way can read the token; otherwise warn once for each host.

        Raises:
            ConfigurationError: `require_tls` is set.
        """
        config, given = self.config, self._connections.given
        if not config.exposes_tokens:
            if given is None or not config.is_plain or not is_proxied(given, _url(config.gateway_url)):
                return
            if config.require_tls:
                raise ConfigurationError(
                    "http_client sends requests for this machine to a proxy, without encryption. "
                    "Make it with trust_env=False, or do not set require_tls."
                )
        host = _url(config.gateway_url).host
        if host not in self._warned and (config.agent_token or config.admin_token):
            self._warned.add(host)
            _log.warning(
                "The token goes to %s without encryption: use https://, or set require_tls to refuse this.",
                host,
            )

    def _build(self, operation: Operation[Any], deadline: float) -> httpx.Request:
        if self._closed or self._connections.is_closed:
            raise ConfigurationError("The client is closed; make a new one.")
        http_client = self.http_client()
        try:
            options = {**operation.request, "url": _url(self.config.gateway_url + operation.request["url"])}
            if not self.has_own_http_client or not isinstance(options["headers"], dict):
                request: httpx.Request = http_client.build_request(**options)
            else:
                # Our own client has no settings to merge, which takes `httpx` longest.
                request = httpx.Request(**{**options, "headers": {**_HEADERS, **options["headers"]}})
            if operation.name != "request":
                request.headers["Accept-Encoding"] = ENCODINGS
        except (ValueError, TypeError, AttributeError, RecursionError, httpx.InvalidURL) as error:
            fault = type(error).__name__
        else:
            self._limit(request, operation, deadline)
            return request
        raise InvalidRequestError(f"The arguments can't be sent: {fault} while the request was made of them.")

    def _limit(self, request: httpx.Request, operation: Operation[Any], deadline: float) -> None:
        if "timeout" not in operation.request:
            left = max(0.001, deadline - self._clock())
            request.extensions["timeout"] = {"connect": left, "read": left, "write": left, "pool": left}

    def _intake(self, operation: Operation[Any], deadline: float) -> Intake:
        """How many bytes of a body are read, and whether it is too late for more."""
        largest = self.config.max_response_bytes
        limit = min(largest, SMALL) if operation.is_small else largest
        if "timeout" in operation.request:
            return limit, lambda: False
        return limit, lambda: self._clock() > deadline

    def _rules(self, operation: Operation[Any], deadline: float, seen: Observation) -> dict[str, Any]:
        def stop(state: RetryCallState) -> bool:
            exhausted = state.attempt_number > self.config.max_retries or state.upcoming_sleep > LONGEST_WAIT
            return exhausted or self._clock() + state.upcoming_sleep >= deadline

        return {
            "retry": lambda state: _is_worth_repeating(_outcome(state), operation),
            "wait": _wait,
            "stop": stop,
            "before_sleep": lambda state: seen.repeating(_outcome(state)),
            "retry_error_callback": _outcome,
        } | ({"sleep": self._sleep} if self._sleep else {})

    def _generated(self, credential: Credential, shared: object) -> AuthenticatedClient:
        from meshguard_api import AuthenticatedClient

        return AuthenticatedClient(
            base_url=self.config.gateway_url,
            token="[hidden]",  # noqa: S106
            prefix="Bearer" if credential == "agent" else "",
            auth_header_name="Authorization" if credential == "agent" else "X-Admin-Token",
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(self.config.timeout),
            httpx_args={"auth": self.identity(credential), "transport": shared, "trust_env": False},
        )


class SyncTransport(Transport[httpx.Client]):
    """Sends and waits."""

    @staticmethod
    def _maker(config: Config, trust_env: bool) -> Callable[[bool], httpx.Client]:
        options = default_client_options(config, trust_env=trust_env)

        def make(direct: bool) -> httpx.Client:
            # With a transport of its own, `httpx` uses no proxy of the environment.
            transport = httpx.HTTPTransport(trust_env=trust_env) if direct else None
            return httpx.Client(transport=transport, **options)

        return make

    def send(self, operation: Operation[T]) -> T:
        """Send an operation and read its answer.

        Raises:
            MeshGuardError: The operation failed; its subclass says how.
        """
        with observe(operation, self.config) as seen:
            try:
                return seen.resulted(operation.read(self._exchange(operation, seen)))
            except MeshGuardError as error:
                seen.failed(error)
                return seen.resulted(operation.recover(error))

    @contextlib.contextmanager
    def stream(self, operation: Operation[httpx.Response]) -> Iterator[httpx.Response]:
        """Send an operation and leave the body of its answer to be read piece by piece."""
        with observe(operation, self.config) as seen:
            response = self._exchange(operation, seen, stream=True)
        try:
            try:
                answer = operation.read(response)
            except UpstreamError:
                read(response, *self._intake(operation, self._clock() + self.config.timeout))
                raise
            yield answer
        except httpx.RequestError as error:
            if not _belongs_to(error, response.request):
                raise
            raise map_exception(error) from error
        finally:
            response.close()
            detach(response)

    def generated(self, credential: Credential) -> AuthenticatedClient:
        """A generated client that sends through the same connections."""
        return self._generated(credential, Shared(self))

    def close(self) -> None:
        """Close the connections, unless the user brought them."""
        self._closed = True
        if self._owns_connections:
            for http_client in self._connections.taken():
                http_client.close()

    def _exchange(
        self, operation: Operation[Any], seen: Observation, *, stream: bool = False
    ) -> httpx.Response:
        identity = self.identity(operation.credential)
        deadline = self._clock() + self.config.timeout
        request, intake = self._build(operation, deadline), self._intake(operation, deadline)
        seen.sending(request)
        outcome = self._try(request, identity, stream, intake)
        if _is_worth_repeating(outcome, operation):
            first = [outcome]

            def attempt() -> Outcome:
                if first:
                    return first.pop()
                self._limit(request, operation, deadline)
                return self._try(request, identity, stream, intake)

            from tenacity import Retrying

            outcome = Retrying(**self._rules(operation, deadline, seen))(attempt)
        response = _arrived(outcome)
        seen.answered(response)
        return response

    def _try(self, request: httpx.Request, identity: TokenAuth, stream: bool, intake: Intake) -> Outcome:
        try:
            response = self.http_client().send(request, auth=identity, stream=True, follow_redirects=False)
            if not stream or made_by_gateway(response):
                read(response, *intake)
        except FAILURES as error:
            return error
        except BaseException as error:  # noqa: BLE001 - an interruption
            raise detached(error) from None
        return response


class AsyncTransport(Transport[httpx.AsyncClient]):
    """Sends and awaits."""

    @staticmethod
    def _maker(config: Config, trust_env: bool) -> Callable[[bool], httpx.AsyncClient]:
        options = default_client_options(config, trust_env=trust_env)

        def make(direct: bool) -> httpx.AsyncClient:
            # With a transport of its own, `httpx` uses no proxy of the environment.
            transport = httpx.AsyncHTTPTransport(trust_env=trust_env) if direct else None
            return httpx.AsyncClient(transport=transport, **options)

        return make

    async def send(self, operation: Operation[T]) -> T:
        """Send an operation and read its answer.

        Raises:
            MeshGuardError: The operation failed; its subclass says how.
        """
        with observe(operation, self.config) as seen:
            try:
                return seen.resulted(operation.read(await self._exchange(operation, seen)))
            except MeshGuardError as error:
                seen.failed(error)
                return seen.resulted(operation.recover(error))

    @contextlib.asynccontextmanager
    async def stream(self, operation: Operation[httpx.Response]) -> AsyncIterator[httpx.Response]:
        """Send an operation and leave the body of its answer to be read piece by piece."""
        with observe(operation, self.config) as seen:
            response = await self._exchange(operation, seen, stream=True)
        try:
            try:
                answer = operation.read(response)
            except UpstreamError:
                await aread(response, *self._intake(operation, self._clock() + self.config.timeout))
                raise
            yield answer
        except httpx.RequestError as error:
            if not _belongs_to(error, response.request):
                raise
            raise map_exception(error) from error
        finally:
            await response.aclose()
            detach(response)

    def generated(self, credential: Credential) -> AuthenticatedClient:
        """A generated client that sends through the same connections."""
        return self._generated(credential, AsyncShared(self))

    async def aclose(self) -> None:
        """Close the connections, unless the user brought them."""
        self._closed = True
        if self._owns_connections:
            for http_client in self._connections.taken():
                await http_client.aclose()

    async def _exchange(
        self, operation: Operation[Any], seen: Observation, *, stream: bool = False
    ) -> httpx.Response:
        identity = self.identity(operation.credential)
        deadline = self._clock() + self.config.timeout
        request, intake = self._build(operation, deadline), self._intake(operation, deadline)
        seen.sending(request)
        outcome = await self._try(request, identity, stream, intake)
        if _is_worth_repeating(outcome, operation):
            first = [outcome]

            async def attempt() -> Outcome:
                if first:
                    return first.pop()
                self._limit(request, operation, deadline)
                return await self._try(request, identity, stream, intake)

            from tenacity import AsyncRetrying

            outcome = await AsyncRetrying(**self._rules(operation, deadline, seen))(attempt)
        response = _arrived(outcome)
        seen.answered(response)
        return response

    async def _try(
        self, request: httpx.Request, identity: TokenAuth, stream: bool, intake: Intake
    ) -> Outcome:
        try:
            response = await self.http_client().send(
                request, auth=identity, stream=True, follow_redirects=False
            )
            if not stream or made_by_gateway(response):
                await aread(response, *intake)
        except FAILURES as error:
            return error
        except BaseException as error:  # noqa: BLE001 - an interruption
            raise detached(error) from None
        return response


def map_exception(error: Exception) -> MeshGuardError:
    """Our error for a failure to send or receive, which is detached from its request."""
    detached(error)
    if isinstance(error, MeshGuardError):
        return error
    if _is_interruption(error):
        return GatewayUnavailableError(f"The gateway can't be reached: {type(error).__name__}: {error}")
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return InvalidRequestError("The request is no valid HTTP; look at the method and the headers.")
    if type(error) is RuntimeError:
        return ConfigurationError(f"The HTTP client can't be used: {error}")
    return InvalidResponseError(
        f"What came back is not the answer of a gateway ({type(error).__name__}). "
        "Look at gateway_url, and at what stands between here and the gateway."
    )


def _error_for(failure: Exception) -> MeshGuardError:
    error = map_exception(failure)
    if error is not failure:
        error.__cause__ = failure
    return error


def _is_interruption(error: Exception) -> bool:
    if isinstance(error, httpx.RemoteProtocolError):
        return str(error).startswith(("Server disconnected", "peer closed connection"))
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.ProxyError | OSError)


def _arrived(outcome: Outcome) -> httpx.Response:
    if isinstance(outcome, httpx.Response):
        return outcome
    raise _error_for(outcome)


def _is_worth_repeating(outcome: Outcome, operation: Operation[Any]) -> bool:
    if isinstance(outcome, httpx.Response):
        later = outcome.status_code in _TRY_LATER and DECISION_HEADER not in outcome.headers
        return later and operation.repeatable
    return isinstance(outcome, _NEVER_CONNECTED) or (operation.repeatable and _is_interruption(outcome))


def _wait(state: RetryCallState) -> float:
    from tenacity import wait_random_exponential

    outcome = _outcome(state)
    asked = retry_after(outcome) if isinstance(outcome, httpx.Response) else None
    return wait_random_exponential(multiplier=0.25, max=5)(state) if asked is None else asked


def _outcome(state: RetryCallState) -> Outcome:
    assert state.outcome is not None  # noqa: S101
    return cast("Outcome", state.outcome.result())


def _belongs_to(error: httpx.RequestError, request: httpx.Request) -> bool:
    with contextlib.suppress(RuntimeError):
        return error.request is request
    return False
