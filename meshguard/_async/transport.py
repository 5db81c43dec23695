"""Sends calls: one deadline over all attempts, and no `httpx` exception on the way back."""

from __future__ import annotations

import contextlib
import copy
import time
from asyncio import sleep  # sync: from time import sleep
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from meshguard._wire.credentials import USER_AGENT, TokenAuth
from meshguard._wire.errors import map_exception
from meshguard._wire.retry import retry_delay
from meshguard.exceptions import ConfigurationError, InvalidRequestError, MeshGuardError, UpstreamError
from meshguard.telemetry import Observation, observe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from meshguard_api import AuthenticatedClient

    from meshguard._wire.requests import ApiCall, Credential
    from meshguard.config import Config

T = TypeVar("T")
Outcome = httpx.Response | Exception

FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, RuntimeError, ValueError, OSError)
_url = lru_cache(maxsize=128)(httpx.URL)


def new_http_client(config: Config, *, trust_env: bool) -> httpx.AsyncClient:
    """Return the `httpx` client that is used when the caller brings none; it keeps no cookies."""
    return httpx.AsyncClient(
        trust_env=trust_env,
        timeout=config.timeout,
        headers={"User-Agent": USER_AGENT},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )


class AsyncTransport:
    """Sends calls over one `httpx` client.

    Args:
        config: The client's settings.
        http_client: The connections.
        owned: Whether they are closed with this transport.
        clock: Seconds of a clock that is never set.
        wait: Waits for a number of seconds.
    """

    def __init__(
        self,
        config: Config,
        http_client: httpx.AsyncClient,
        *,
        owned: bool,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Awaitable[None]] = sleep,  # sync: wait: Callable[[float], None] = sleep,
    ) -> None:
        self.config = config
        self._http = http_client
        self._owned = owned
        # A request of our own client needs none of the merging of settings that takes `httpx` longest.
        self._headers = dict(http_client.headers) if owned else None
        self._clock = clock
        self._wait = wait
        self._closed = False
        self._warned: set[str] = set()

    def with_config(self, config: Config) -> Self:
        """Return a transport with other settings that shares the connections, and does not close them."""
        twin = copy.copy(self)
        twin.config, twin._owned = config, False  # noqa: SLF001 - of the same class
        return twin

    @property
    def has_own_http_client(self) -> bool:
        """Whether the `httpx` client was made here, and so can be made again."""
        return self._headers is not None

    @property
    def trusts_env(self) -> bool:
        """Whether the `httpx` client reads proxies and certificates from the environment."""
        return self._http.trust_env

    async def send(self, call: ApiCall[T]) -> T:
        """Send a call and read its response.

        Raises:
            MeshGuardError: The call failed; the class says how.
        """
        with observe(call, self.config) as observation:
            try:
                return observation.resulted(call.read(await self._exchange(call, observation)))
            except MeshGuardError as error:
                observation.failed(error)
                return observation.resulted(call.recover(error))

    @contextlib.asynccontextmanager
    async def stream(self, call: ApiCall[httpx.Response]) -> AsyncIterator[httpx.Response]:
        """Send a call and leave the body of its response to be read piece by piece."""
        with observe(call, self.config) as observation:
            response = await self._exchange(call, observation, stream=True)
        try:
            try:
                result = call.read(response)
            except UpstreamError:
                await response.aread()
                raise
            yield result
        except httpx.RequestError as error:
            if not _is_about(error, response.request):
                raise
            raise map_exception(error) from error
        finally:
            await response.aclose()

    def generated(self, credential: Credential) -> AuthenticatedClient:
        """Return a generated client that sends over the same connections."""
        from meshguard_api import AuthenticatedClient  # noqa: PLC0415 - only some programs need it

        return AuthenticatedClient(
            base_url=self.config.gateway_url,
            token="[hidden]",  # noqa: S106
            prefix="Bearer" if credential == "agent" else "",
            auth_header_name="Authorization" if credential == "agent" else "X-Admin-Token",
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(self.config.timeout),
            httpx_args={
                "auth": TokenAuth(self.config, credential, self._warned),
                "transport": _SharedConnections(self._http),
            },
        )

    async def aclose(self) -> None:
        """Close the connections, unless the caller brought them."""
        self._closed = True
        if self._owned:
            await self._http.aclose()

    async def _exchange(
        self, call: ApiCall[Any], observation: Observation, *, stream: bool = False
    ) -> httpx.Response:
        auth = TokenAuth(self.config, call.credential, self._warned)
        deadline = self._clock() + self.config.timeout
        request = self._build(call)
        observation.sending(request)
        for attempt in range(1, self.config.max_retries + 2):
            self._limit(request, call, deadline)
            outcome = await self._attempt(call, request, auth, stream)
            time_left = deadline - self._clock()
            delay = retry_delay(call, outcome, attempt=attempt, time_left=time_left)
            if delay is None or attempt > self.config.max_retries:
                break
            observation.repeating(outcome)
            await self._wait(delay)
        if isinstance(outcome, Exception):
            raise map_exception(outcome) from outcome
        observation.answered(outcome)
        return outcome

    async def _attempt(
        self, call: ApiCall[Any], request: httpx.Request, auth: TokenAuth, stream: bool
    ) -> Outcome:
        try:
            response = await self._http.send(request, auth=auth, stream=stream, follow_redirects=False)
            if stream and not call.is_streamed(response):
                await response.aread()
        except FAILURES as error:
            return error
        return response

    def _build(self, call: ApiCall[Any]) -> httpx.Request:
        if self._closed or self._http.is_closed:
            raise ConfigurationError("The client is closed. Create a new one.")
        options = {"method": call.method, "url": _url(self.config.gateway_url + call.path), **call.options}
        try:
            headers = options.get("headers", {})
            if self._headers is None or not isinstance(headers, dict):
                return self._http.build_request(**options)
            return httpx.Request(**{**options, "headers": {**self._headers, **headers}})
        except (ValueError, TypeError, AttributeError, RecursionError, httpx.InvalidURL) as error:
            cause = type(error).__name__
        raise InvalidRequestError(f"The arguments can't be sent: {cause} while the request was built.")

    def _limit(self, request: httpx.Request, call: ApiCall[Any], deadline: float) -> None:
        if "timeout" not in call.options:
            left = max(0.001, deadline - self._clock())
            request.extensions["timeout"] = {"connect": left, "read": left, "write": left, "pool": left}


class _SharedConnections(httpx.AsyncBaseTransport):
    """Sends through an existing client, and so over its connections."""

    def __init__(self, http_client: httpx.AsyncClient) -> None:
        self._http = http_client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._http.send(request, auth=None, stream=True, follow_redirects=False)


def _is_about(error: httpx.RequestError, request: httpx.Request) -> bool:
    with contextlib.suppress(RuntimeError):
        return error.request is request
    return False
