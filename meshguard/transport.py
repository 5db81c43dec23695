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
from meshguard.exceptions import (
    AuthenticationError,
    ConfigurationError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardError,
    UpstreamError,
)
from meshguard.operations import (
    DECISION_HEADER,
    TRACE_HEADER,
    Credential,
    Operation,
    made_by_gateway,
    retry_after,
)
from meshguard.telemetry import Observation, observe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from meshguard_api import AuthenticatedClient
    from tenacity import RetryCallState

    from meshguard.config import Config

_log = logging.getLogger("meshguard")

T = TypeVar("T")
HttpClient = TypeVar("HttpClient", httpx.Client, httpx.AsyncClient)
Outcome = httpx.Response | Exception

LONGEST_WAIT = 30.0
USER_AGENT = f"meshguard-python/{__version__}"
_TRY_LATER = {429, 502, 503, 504}
_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, RuntimeError, ValueError, OSError)
_url = lru_cache(maxsize=128)(httpx.URL)


def own_http_client(config: Config, *, trust_env: bool) -> dict[str, Any]:
    """The arguments of the `httpx` client that is made when the user brings none; it keeps no cookies."""
    return {
        "trust_env": trust_env,
        "timeout": config.timeout,
        "headers": {"User-Agent": USER_AGENT},
        "cookies": CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    }


class Identity(httpx.Auth):
    """Puts trace id and token on a request at the last moment, so that nothing shown before holds them."""

    def __init__(self, transport: Transport[Any], credential: Credential | None) -> None:
        self._transport = transport
        self._credential = credential

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Identify the request."""
        config = self._transport.config
        request.headers[TRACE_HEADER] = config.trace_id
        if self._credential == "agent" and config.agent_token:
            request.headers["Authorization"] = f"Bearer {config.agent_token}"
        elif self._credential == "admin" and config.admin_token:
            request.headers["X-Admin-Token"] = config.admin_token
        if config.exposes_tokens and self._credential:
            self._transport.warn_of_exposure()
        yield request


class Transport(Generic[HttpClient]):
    """All of sending that needs no I/O; `SyncTransport` and `AsyncTransport` add that."""

    def __init__(
        self,
        config: Config,
        http_client: HttpClient,
        *,
        owned: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        self.config = config
        self._http: HttpClient = http_client
        self._owned = owned
        # A request of our own client needs none of the merging of settings that takes `httpx` longest.
        self._headers = dict(http_client.headers) if owned else None
        self._clock = clock
        self._sleep = sleep
        self._closed = False
        self._warned: set[str] = set()

    def sharing(self, config: Config) -> Self:
        """One with other settings that sends over the same connections, and does not close them."""
        twin = copy.copy(self)
        twin.config, twin._owned = config, False  # noqa: SLF001 - it is of this very class
        return twin

    @property
    def has_own_http_client(self) -> bool:
        """Whether the `httpx` client was made here, and so can be made again."""
        return self._headers is not None

    @property
    def trusts_env(self) -> bool:
        """Whether the `httpx` client heeds the proxies and certificates of the environment."""
        return self._http.trust_env

    def identity(self, credential: Credential | None) -> Identity:
        """The identity to send as.

        Raises:
            AuthenticationError: There is no admin token.
        """
        if credential == "admin" and not self.config.admin_token:
            raise AuthenticationError(
                "This needs an admin token: give admin_token, or set MESHGUARD_ADMIN_TOKEN."
            )
        return Identity(self, credential)

    def warn_of_exposure(self) -> None:
        """Say in the log, once a host, that the token can be read on its way."""
        host = _url(self.config.gateway_url).host
        if host not in self._warned and (self.config.agent_token or self.config.admin_token):
            self._warned.add(host)
            _log.warning(
                "The token goes to %s without encryption: use https://, or set require_tls to refuse this.",
                host,
            )

    def _build(self, operation: Operation[Any], deadline: float) -> httpx.Request:
        if self._closed or self._http.is_closed:
            raise ConfigurationError("The client is closed; make a new one.")
        try:
            options = {**operation.request, "url": _url(self.config.gateway_url + operation.request["url"])}
            if self._headers is None or not isinstance(options["headers"], dict):
                request: httpx.Request = self._http.build_request(**options)
            else:
                request = httpx.Request(**{**options, "headers": {**self._headers, **options["headers"]}})
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
            httpx_args={"auth": self.identity(credential), "transport": shared},
        )


class SyncTransport(Transport[httpx.Client]):
    """Sends and waits."""

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
                response.read()
                raise
            yield answer
        except httpx.RequestError as error:
            if not _belongs_to(error, response.request):
                raise
            raise translated(error) from error
        finally:
            response.close()

    def generated(self, credential: Credential) -> AuthenticatedClient:
        """A generated client that sends through the same connections."""
        return self._generated(credential, _Shared(self._http))

    def close(self) -> None:
        """Close the connections, unless the user brought them."""
        self._closed = True
        if self._owned:
            self._http.close()

    def _exchange(
        self, operation: Operation[Any], seen: Observation, *, stream: bool = False
    ) -> httpx.Response:
        identity = self.identity(operation.credential)
        deadline = self._clock() + self.config.timeout
        request = self._build(operation, deadline)
        seen.sending(request)
        outcome = self._try(request, identity, stream)
        if _is_worth_repeating(outcome, operation):
            first = [outcome]

            def attempt() -> Outcome:
                if first:
                    return first.pop()
                self._limit(request, operation, deadline)
                return self._try(request, identity, stream)

            from tenacity import Retrying

            outcome = Retrying(**self._rules(operation, deadline, seen))(attempt)
        response = _arrived(outcome)
        seen.answered(response)
        return response

    def _try(self, request: httpx.Request, identity: Identity, stream: bool) -> Outcome:
        try:
            response = self._http.send(request, auth=identity, stream=stream, follow_redirects=False)
            if stream and made_by_gateway(response):
                response.read()
        except FAILURES as error:
            return error
        return response


class AsyncTransport(Transport[httpx.AsyncClient]):
    """Sends and awaits."""

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
                await response.aread()
                raise
            yield answer
        except httpx.RequestError as error:
            if not _belongs_to(error, response.request):
                raise
            raise translated(error) from error
        finally:
            await response.aclose()

    def generated(self, credential: Credential) -> AuthenticatedClient:
        """A generated client that sends through the same connections."""
        return self._generated(credential, _AsyncShared(self._http))

    async def aclose(self) -> None:
        """Close the connections, unless the user brought them."""
        self._closed = True
        if self._owned:
            await self._http.aclose()

    async def _exchange(
        self, operation: Operation[Any], seen: Observation, *, stream: bool = False
    ) -> httpx.Response:
        identity = self.identity(operation.credential)
        deadline = self._clock() + self.config.timeout
        request = self._build(operation, deadline)
        seen.sending(request)
        outcome = await self._try(request, identity, stream)
        if _is_worth_repeating(outcome, operation):
            first = [outcome]

            async def attempt() -> Outcome:
                if first:
                    return first.pop()
                self._limit(request, operation, deadline)
                return await self._try(request, identity, stream)

            from tenacity import AsyncRetrying

            outcome = await AsyncRetrying(**self._rules(operation, deadline, seen))(attempt)
        response = _arrived(outcome)
        seen.answered(response)
        return response

    async def _try(self, request: httpx.Request, identity: Identity, stream: bool) -> Outcome:
        try:
            response = await self._http.send(request, auth=identity, stream=stream, follow_redirects=False)
            if stream and made_by_gateway(response):
                await response.aread()
        except FAILURES as error:
            return error
        return response


class _Shared(httpx.BaseTransport):
    """Sends through a client that exists already, and so over its connections."""

    def __init__(self, http_client: httpx.Client) -> None:
        self._http = http_client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._http.send(request, auth=None, stream=True, follow_redirects=False)


class _AsyncShared(httpx.AsyncBaseTransport):
    """Sends through a client that exists already, and so over its connections."""

    def __init__(self, http_client: httpx.AsyncClient) -> None:
        self._http = http_client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._http.send(request, auth=None, stream=True, follow_redirects=False)


def translated(error: Exception) -> MeshGuardError:
    """Our error for a failure to send or receive, freed of the frames in which `h11` held the headers."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
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


def _is_interruption(error: Exception) -> bool:
    if isinstance(error, httpx.RemoteProtocolError):
        return str(error).startswith(("Server disconnected", "peer closed connection"))
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.ProxyError | OSError)


def _arrived(outcome: Outcome) -> httpx.Response:
    if isinstance(outcome, httpx.Response):
        return outcome
    raise translated(outcome) from outcome


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
