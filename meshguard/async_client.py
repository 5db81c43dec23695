"""The client that is awaited: the methods of `MeshGuardClient`, and what differs is `await`."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypeVar, Unpack, cast

import httpx

from meshguard import operations
from meshguard.client import ClientBase, is_async
from meshguard.config import DEFAULT_MAX_RESPONSE_BYTES, Config, secret
from meshguard.exceptions import ConfigurationError, MeshGuardError
from meshguard.pending import awaited, decides, mark_methods
from meshguard.transport import AsyncTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from types import TracebackType

    from meshguard_api import AuthenticatedClient

    from meshguard.operations import Operation, Page
    from meshguard.types import (
        Agent,
        AuditEntry,
        AuditStats,
        CheckRequest,
        CreatedAgent,
        Health,
        IssuedToken,
        OnUnavailable,
        Policy,
        PolicyDecision,
        PolicyValidation,
        ProxyOptions,
    )

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class AsyncGoverned:
    """What `govern` returns: an async context manager and a decorator.

    Attributes:
        decision: The decision of the last `async with`, or None before the first.
    """

    def __init__(self, enforce: Callable[[], Awaitable[PolicyDecision]]) -> None:
        self._enforce = enforce
        self.decision: PolicyDecision | None = None

    async def __aenter__(self) -> PolicyDecision:
        self.decision = await self._enforce()
        return self.decision

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let whatever happened in the block pass."""

    def __enter__(self) -> NoReturn:
        raise TypeError("AsyncMeshGuardClient.govern needs `async with`.")

    def __exit__(self, *_: object) -> None:
        """Make `with` come as far as the error above."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Have each call of an async function decided afresh before the function runs."""
        if inspect.isasyncgenfunction(function):
            return cast("Callable[P, R]", self._generator(function))
        if not is_async(function):
            raise TypeError("This decorates async functions; for others use MeshGuardClient.govern.")
        awaited = cast("Callable[P, Awaitable[Any]]", function)

        @functools.wraps(function)
        async def governed(*args: P.args, **kwargs: P.kwargs) -> Any:
            await self._enforce()
            return await awaited(*args, **kwargs)

        return cast("Callable[P, R]", governed)

    def _generator(self, function: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncIterator[T]]:
        @functools.wraps(function)
        async def governed(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            await self._enforce()
            async for item in function(*args, **kwargs):
                yield item

        return governed


class AsyncMeshGuardClient(ClientBase[AsyncTransport]):
    """Asks a gateway what an agent may do, carries its requests, and administers agents and policies.

    A client may be used by many tasks at once. It fails closed and loud: whatever is not a decision that
    allows, denies or raises. A call that failed is repeated where that does no harm: always when no
    connection came about; after a lost connection and the statuses 429, 502, 503 and 504 only for decisions,
    for reading, and for changes that can be made twice. `Retry-After` is heeded up to 30 seconds.

    Args:
        gateway_url: Where the gateway is; else `MESHGUARD_GATEWAY_URL`, else
            `https://dashboard.meshguard.app`.
        agent_token: The agent's token, for decisions and the proxy; else `MESHGUARD_AGENT_TOKEN`.
        admin_token: The administrator's token, for all of `agents`, `policies` and `audit`; else
            `MESHGUARD_ADMIN_TOKEN`.
        timeout: Seconds that one call may take, all its tries together: no try starts later, and none waits
            longer for the network than what is left.
        trace_id: 1 to 128 visible ASCII characters that tie together what this client does; made up when left
            out.
        max_retries: How often a call that failed is repeated at most.
        http_client: Your own `httpx.AsyncClient`, with your proxies, certificates or limits; it is not closed
            with this client, and names itself in `User-Agent` as you have set it. Redirects are not followed
            and `timeout` is used whatever it says.
        on_unavailable: What `check`, `enforce`, `govern` and `check_many` do when the gateway can't be
            reached, does not answer in time, or answers 502, 503 or 504. `"raise"` raises the error. `"deny"`
            gives a decision that denies. `"allow"` gives one that allows, and a warning in the log
            `meshguard`; both have `decision.degraded`. Nothing else is covered: a refused token, an invalid
            request or an answer that is not a gateway's raises in any case.
        require_tls: Whether a `gateway_url` with `http://` is refused, unless its host is this machine
            (`localhost`, or a loopback address). Otherwise the log `meshguard` has a warning when the first
            token is sent that way.
        trust_env: Whether to read `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and
            `SSL_CERT_DIR` from the environment. A gateway on this machine is never reached through a proxy.
            Ignored when `http_client` is given.
        max_response_bytes: The largest response body that is read, before and after decompression; a larger
            one raises `InvalidResponseError`. `stream` has no such limit.

    Raises:
        ConfigurationError: A setting can't be used; the message says what to do.

    Example:
        ```python
        from meshguard import AsyncMeshGuardClient

        async with AsyncMeshGuardClient(client.gateway_url, client.agent_token) as another:
            print((await another.check("read:contacts")).decision)
        ```
    """

    def __init__(
        self,
        gateway_url: str | None = None,
        agent_token: str | None = None,
        admin_token: str | None = None,
        timeout: float = 30.0,
        trace_id: str | None = None,
        *,
        max_retries: int = 2,
        http_client: httpx.AsyncClient | None = None,
        on_unavailable: OnUnavailable = "raise",
        require_tls: bool = False,
        trust_env: bool = True,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    ) -> None:
        agent_token, admin_token = secret(agent_token), secret(admin_token)
        config = Config.read(
            gateway_url=gateway_url,
            agent_token=agent_token,
            admin_token=admin_token,
            timeout=timeout,
            trace_id=trace_id,
            max_retries=max_retries,
            on_unavailable=on_unavailable,
            require_tls=require_tls,
            max_response_bytes=max_response_bytes,
        )
        if http_client is not None and not isinstance(http_client, httpx.AsyncClient):
            raise ConfigurationError("http_client must be an httpx.AsyncClient.")
        mark_methods()
        self._transport = AsyncTransport(config, http_client, trust_env=trust_env)

    @decides
    async def check(
        self,
        action: str,
        resource: str | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        explain: bool = False,
    ) -> PolicyDecision:
        """Ask whether an action is allowed.

        Operation `check_action`, or `evaluate` when there is a context, an explanation is wanted, or a value
        is more than a header can carry.

        Args:
            action: What is to be done, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: What it is to be done to; up to 8,192 characters.
            context: Facts about this one request for conditions to look at, such as the tool call's
                arguments; anything that JSON can say.
            explain: Whether `decision.explanation` is to say how the decision came about.

        Returns:
            The decision, also when it denies.

        Raises:
            InvalidRequestError: A value is empty or holds control characters, or the gateway refuses it.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time (see
                `on_unavailable`).
            GatewayError: The gateway failed (for 502, 503 and 504 see `on_unavailable`).
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            decision = await client.check("write:refund", "order-1041", context={"amount": 40})
            print(decision.allowed, decision.reason)
            ```
        """
        return await self._transport.send(
            operations.check(
                action,
                resource,
                context=context,
                explain=explain,
                on_unavailable=self._transport.config.on_unavailable,
            )
        )

    @decides
    async def check_many(self, requests: Iterable[str | CheckRequest]) -> list[PolicyDecision]:
        """Ask for many decisions at once.

        Operation `evaluate_batch`, in batches of 1,000. Each decision has an audit entry of its own.

        Args:
            requests: Actions, or mappings of `action`, `resource`, `context` and `explain`, in any mixture.

        Returns:
            A decision for each request, in their order.

        Raises:
            InvalidRequestError: A request is not sound; nothing is sent if that can be told before.
            PolicyDeniedError: The gateway denies the batch as a whole.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time (see
                `on_unavailable`).
            GatewayError: The gateway failed (for 502, 503 and 504 see `on_unavailable`).
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            requests = ["read:contacts", {"action": "read:file", "resource": "/etc/passwd"}]
            decisions = await client.check_many(requests)
            print([decision.allowed for decision in decisions])
            ```
        """
        batches = operations.check_many(requests, on_unavailable=self._transport.config.on_unavailable)
        return [decision for batch in batches for decision in await self._transport.send(batch)]

    @awaited
    async def enforce(
        self, action: str, resource: str | None = None, *, context: Mapping[str, Any] | None = None
    ) -> PolicyDecision:
        """Go on only if an action is allowed.

        Operations `check_action` and `evaluate`, as in `check`.

        Args:
            action: What is to be done, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: What it is to be done to; up to 8,192 characters.
            context: Facts about this one request for conditions to look at.

        Returns:
            The decision, which allows.

        Raises:
            PolicyDeniedError: The action is denied.
            InvalidRequestError: A value is empty or holds control characters, or the gateway refuses it.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time (see
                `on_unavailable`).
            GatewayError: The gateway failed (for 502, 503 and 504 see `on_unavailable`).
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            from meshguard import PolicyDeniedError

            try:
                await client.enforce("delete:database")
            except PolicyDeniedError as error:
                print(f"Denied: {error.reason}")
            ```
        """
        return operations.enforced(await self.check(action, resource, context=context))

    def govern(
        self, action: str, resource: str | None = None, *, context: Mapping[str, Any] | None = None
    ) -> AsyncGoverned:
        """Run a block, or a function, only if an action is allowed.

        With `async with`, the decision is made on entering the block. As a decorator, a decision is made at
        each call, before the function runs. Operations `check_action` and `evaluate`, as in `check`.

        An async generator function is decided on when its first item is asked for.

        Args:
            action: What is to be done, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: What it is to be done to; up to 8,192 characters.
            context: Facts about this one request for conditions to look at.

        Returns:
            A context manager that gives the decision, and a decorator; it can be used again and again.

        Raises:
            TypeError: On decorating: the function is not async; it belongs to `MeshGuardClient`.
            PolicyDeniedError: On entering or calling: the action is denied. All errors of `enforce` may be
                raised there.

        Example:
            ```python
            from meshguard import PolicyDeniedError

            @client.govern("write:email")
            async def send_email(to: str) -> str:
                return f"sent to {to}"

            try:
                async with client.govern("write:email") as decision:
                    print("allowed", decision.trace_id)
                await send_email("ada@example.com")
            except PolicyDeniedError as error:
                print(error)
            ```
        """
        return AsyncGoverned(lambda: self.enforce(action, resource, context=context))

    @awaited
    async def request(
        self,
        method: str,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Send a request to the upstream service through the gateway, which decides on it first.

        Operations `proxy_get` and its siblings. The gateway marks what the upstream said with
        `X-MeshGuard-Decision: allow`. An error status without that mark is the gateway's own and raises the
        error that fits; an answer below 400 without it is returned, since older gateways don't mark.

        Args:
            method: The HTTP method.
            path: The path below the upstream's base URL, with or without a slash in front; a query in it is
                passed on. Dot segments, absolute URLs and fragments are refused.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise; the gateway takes the path when it is left out.
            raise_for_status: Whether an error status of the upstream raises; else its answer is returned.
            **options: What `httpx` takes for a request: `params`, `headers`, `cookies`, `content`, `data`,
                `files`, `json`, `timeout`, `extensions`. Headers that carry identity (`Authorization`,
                `X-Admin-Token`, `X-MeshGuard-*`) are left out. `timeout` is for each try and each wait for
                the network.

        Returns:
            The upstream's answer. Redirects are returned, not followed.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            record = {"status": "updated"}
            response = await client.request("PUT", "/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        return await self._transport.send(
            operations.request(
                method, path, action, resource=resource, raise_for_status=raise_for_status, options=options
            )
        )

    @awaited
    async def get(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Read from the upstream through the gateway. Operation `proxy_get`.

        The rules of `request` hold.

        Args:
            path: The path below the upstream's base URL.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise; the gateway takes the path when it is left out.
            raise_for_status: Whether an error status of the upstream raises; else its answer is returned.
            **options: What `httpx` takes for a request.

        Returns:
            The upstream's answer.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            response = await client.get("/api/contacts", action="read:contacts")
            print(response.status_code)
            ```
        """
        return await self.request(
            "GET", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    @awaited
    async def post(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Send something new to the upstream through the gateway. Operation `proxy_post`.

        The rules of `request` hold.

        Args:
            path: The path below the upstream's base URL.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise; the gateway takes the path when it is left out.
            raise_for_status: Whether an error status of the upstream raises; else its answer is returned.
            **options: What `httpx` takes for a request.

        Returns:
            The upstream's answer.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            email = {"to": "user@example.com", "body": "Hello!"}
            response = await client.post("/api/emails", action="write:email", json=email)
            print(response.status_code)
            ```
        """
        return await self.request(
            "POST", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    @awaited
    async def put(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Replace something at the upstream through the gateway. Operation `proxy_put`.

        The rules of `request` hold.

        Args:
            path: The path below the upstream's base URL.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise; the gateway takes the path when it is left out.
            raise_for_status: Whether an error status of the upstream raises; else its answer is returned.
            **options: What `httpx` takes for a request.

        Returns:
            The upstream's answer.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            record = {"status": "updated"}
            response = await client.put("/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        return await self.request(
            "PUT", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    @awaited
    async def patch(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Change something at the upstream through the gateway. Operation `proxy_patch`.

        The rules of `request` hold.

        Args:
            path: The path below the upstream's base URL.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise; the gateway takes the path when it is left out.
            raise_for_status: Whether an error status of the upstream raises; else its answer is returned.
            **options: What `httpx` takes for a request.

        Returns:
            The upstream's answer.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            record = {"status": "updated"}
            response = await client.patch("/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        return await self.request(
            "PATCH", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    @awaited
    async def delete(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Delete something at the upstream through the gateway. Operation `proxy_delete`.

        The rules of `request` hold.

        Args:
            path: The path below the upstream's base URL.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise; the gateway takes the path when it is left out.
            raise_for_status: Whether an error status of the upstream raises; else its answer is returned.
            **options: What `httpx` takes for a request.

        Returns:
            The upstream's answer.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            response = await client.delete("/api/records/123", action="delete:records")
            print(response.status_code)
            ```
        """
        return await self.request(
            "DELETE", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    def stream(
        self,
        method: str,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Send a request through the gateway, and read the upstream's answer piece by piece.

        The rules of `request` hold; `timeout` (seconds, or None for none) is for each wait for the next
        piece. An `httpx` error of this answer's body in the block becomes one of ours.

        Args:
            method: The HTTP method.
            path: The path below the upstream's base URL.
            action: What is to be decided; at most 2,048 printable ASCII characters.
            resource: What the action is done to, likewise.
            raise_for_status: Whether an error status of the upstream raises; else its answer is given.
            **options: What `httpx` takes for a request.

        Returns:
            A context manager that gives the upstream's answer and closes it.

        Raises:
            PolicyDeniedError: The gateway denies the action.
            UpstreamError: The upstream answered with an error status; `response` is its answer.
            InvalidRequestError: An argument can't be sent, or the gateway refuses it.
            NotFoundError: The gateway has no proxy there.
            ConflictError: The gateway refuses with 409.
            TypeError: An option has a name that `httpx` does not know.
            AuthenticationError: The agent token is missing, wrong or expired, or the agent is revoked.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed, or could not reach the upstream.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            async with client.stream("GET", "/api/contacts", action="read:contacts") as response:
                async for piece in response.aiter_bytes():
                    print(len(piece))
            ```
        """
        return self._transport.stream(
            operations.request(
                method, path, action, resource=resource, raise_for_status=raise_for_status, options=options
            )
        )

    @awaited
    async def list_agents(
        self, *, status: str | None = None, trust_tier: str | None = None, tag: str | None = None
    ) -> list[Agent]:
        """List the agents, oldest first; all pages of them. Operation `list_agents`.

        Args:
            status: Only agents in this state, `active` or `revoked`.
            trust_tier: Only agents of this tier.
            tag: Only agents that have this tag.

        Returns:
            The agents.

        Raises:
            InvalidRequestError: A filter has a value that the gateway does not know.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            for agent in await client.list_agents(status="active"):
                print(f"{agent.name} ({agent.trust_tier})")
            ```
        """
        first = operations.list_agents(status=status, trust_tier=trust_tier, tag=tag)
        return [agent async for agent in self._items(first)]

    @awaited
    async def get_agent(self, agent_id: str) -> Agent:
        """Fetch one agent. Operation `get_agent`.

        Args:
            agent_id: The agent's id.

        Returns:
            The agent as it is stored.

        Raises:
            NotFoundError: There is no such agent.
            InvalidRequestError: The id is empty, a dot segment, or holds control characters.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            created = await client.create_agent("support-bot")
            agent = await client.get_agent(created["id"])
            print(agent.name, agent.status)
            ```
        """
        return await self._transport.send(operations.get_agent(agent_id))

    @awaited
    async def create_agent(
        self,
        name: str,
        trust_tier: str = "verified",
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> CreatedAgent:
        """Create an agent and its first token. Operation `create_agent`.

        Args:
            name: A name for people, 1 to 128 characters; several agents may share one.
            trust_tier: `unverified`, `verified`, `trusted` or `privileged`.
            tags: Labels that policies can apply to, at most 64.
            metadata: Facts about the agent that conditions may look at.

        Returns:
            The agent's fields by their names on the wire, and its `token`, which is shown this once. The
            token does not show in a repr.

        Raises:
            InvalidRequestError: A value is not sound; `details` says which.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            result = await client.create_agent("sales-bot", trust_tier="verified", tags=["sales"])
            print(result["id"])
            ```
        """
        return await self._transport.send(operations.create_agent(name, trust_tier, tags, metadata))

    @awaited
    async def update_agent(
        self,
        agent_id: str,
        *,
        name: str | None = None,
        trust_tier: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Agent:
        """Change an agent; what is not given stays. Operation `update_agent`.

        The change holds from the next decision on, with no new token.

        Args:
            agent_id: The agent's id.
            name: A new name.
            trust_tier: A new tier.
            tags: All its labels from now on.
            metadata: All its metadata from now on.

        Returns:
            The agent as it is stored now.

        Raises:
            InvalidRequestError: Nothing is given to change, or a value is not sound.
            NotFoundError: There is no such agent.
            ConflictError: The agent is revoked.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            result = await client.create_agent("support-bot")
            agent = await client.update_agent(result["id"], trust_tier="trusted", tags=["production"])
            print(agent.trust_tier)
            ```
        """
        return await self._transport.send(operations.update_agent(agent_id, name, trust_tier, tags, metadata))

    @awaited
    async def issue_token(self, agent_id: str) -> IssuedToken:
        """Replace an agent's token; the earlier ones stop working at once. Operation `issue_token`.

        Args:
            agent_id: The agent's id.

        Returns:
            `id`, `expiresAt`, and the `token`, which is shown this once and does not show in a repr.

        Raises:
            NotFoundError: There is no such agent.
            ConflictError: The agent is revoked.
            InvalidRequestError: The id is empty, a dot segment, or holds control characters.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            result = await client.create_agent("support-bot")
            (await client.issue_token(result["id"]))["token"]
            ```
        """
        return await self._transport.send(operations.issue_token(agent_id))

    @awaited
    async def revoke_agent(self, agent_id: str) -> None:
        """Revoke an agent, at once and for good; to revoke it again is no error. Operation `revoke_agent`.

        Args:
            agent_id: The agent's id.

        Raises:
            NotFoundError: There is no such agent.
            InvalidRequestError: The id is empty, a dot segment, or holds control characters.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            result = await client.create_agent("support-bot")
            await client.revoke_agent(result["id"])
            ```
        """
        await self._transport.send(operations.revoke_agent(agent_id))

    @awaited
    async def list_policies(self) -> list[Policy]:
        """List the policies in force, by name. Operation `list_policies`.

        Returns:
            The policies; each has `name` and `rules`.

        Raises:
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            for policy in await client.list_policies():
                print(f"{policy['name']}: {len(policy['rules'])} rules")
            ```
        """
        return await self._transport.send(operations.list_policies())

    @awaited
    async def get_policy(self, name: str) -> Policy:
        """Fetch one policy. Operation `get_policy`.

        Args:
            name: The policy's name.

        Returns:
            The policy as it is in force.

        Raises:
            NotFoundError: There is no such policy.
            InvalidRequestError: The name is empty, a dot segment, or holds control characters.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            await client.apply_policy(policy)
            print((await client.get_policy("readers"))["rules"])
            ```
        """
        return await self._transport.send(operations.get_policy(name))

    @awaited
    async def apply_policy(self, policy: Mapping[str, Any] | str, name: str | None = None) -> Policy:
        """Put a policy in force, in place of the one of its name. Operation `apply_policy`.

        Args:
            policy: The policy as a mapping, or as YAML text.
            name: The policy's name; read from the policy when left out. YAML text needs it unless `name:`
                starts a line of its own.

        Returns:
            The policy as it is in force now.

        Raises:
            InvalidRequestError: The policy has faults; `details` has each with its path. The one in force
                stays.
            ConflictError: The name is not the policy's, or the policy belongs to a file of the gateway.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            await client.apply_policy(policy)
            ```
        """
        return await self._transport.send(operations.apply_policy(policy, name))

    @awaited
    async def validate_policy(self, policy: Mapping[str, Any] | str) -> PolicyValidation:
        """Find the faults of a policy without applying it. Operation `validate_policy`.

        Args:
            policy: What is meant as a policy, as a mapping or as YAML text.

        Returns:
            `valid`, `errors` and `warnings`; each fault has a `path` and a `message`.

        Raises:
            InvalidRequestError: It can't be read at all.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "alow", "actions": ["read:*"]}]}
            faults = await client.validate_policy(policy)
            print(faults["errors"])
            ```
        """
        return await self._transport.send(operations.validate_policy(policy))

    @awaited
    async def delete_policy(self, name: str) -> None:
        """Take a policy out of force. Operation `delete_policy`.

        Args:
            name: The policy's name.

        Raises:
            NotFoundError: There is no such policy.
            ConflictError: The policy belongs to a file of the gateway.
            InvalidRequestError: The name is empty, a dot segment, or holds control characters.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            await client.apply_policy(policy)
            await client.delete_policy("readers")
            ```
        """
        await self._transport.send(operations.delete_policy(name))

    @awaited
    async def get_audit_log(
        self,
        limit: int = 50,
        decision: str | None = None,
        *,
        agent: str | None = None,
        action: str | None = None,
        trace_id: str | None = None,
        policy: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[AuditEntry]:
        """Fetch the newest audit entries that fit. Operation `list_audit_entries`.

        Args:
            limit: How many entries at most, 1 to 1,000.
            decision: Only entries with this decision, `allow` or `deny`.
            agent: Only entries of the agent with this id or name.
            action: Only entries whose action fits this pattern; `*` stands for any run of characters.
            trace_id: Only entries with this trace id.
            policy: Only entries that this policy decided.
            kind: Only decisions on agents' actions (`decision`), or only changes by administrators (`admin`).
            since: Only entries of this moment or later; with a time zone.
            until: Only entries before this moment; with a time zone.

        Returns:
            The entries, newest first, with their names on the wire.

        Raises:
            InvalidRequestError: A filter has a value that the gateway does not know, or a time has no zone.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            for entry in await client.get_audit_log(limit=10, decision="deny"):
                print(f"{entry['timestamp']}: {entry['action']} -> {entry['decision']}")
            ```
        """
        operation = operations.audit_log(
            limit,
            decision,
            agent=agent,
            action=action,
            trace_id=trace_id,
            policy=policy,
            kind=kind,
            since=since,
            until=until,
        )
        return (await self._transport.send(operation)).items

    def iter_audit_log(
        self,
        decision: str | None = None,
        *,
        agent: str | None = None,
        action: str | None = None,
        trace_id: str | None = None,
        policy: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 1000,
    ) -> AsyncIterator[AuditEntry]:
        """Go through all audit entries that fit, page by page. Operation `list_audit_entries`.

        Args:
            decision: Only entries with this decision, `allow` or `deny`.
            agent: Only entries of the agent with this id or name.
            action: Only entries whose action fits this pattern; `*` stands for any run of characters.
            trace_id: Only entries with this trace id.
            policy: Only entries that this policy decided.
            kind: Only decisions on agents' actions (`decision`), or only changes by administrators (`admin`).
            since: Only entries of this moment or later; with a time zone.
            until: Only entries before this moment; with a time zone.
            page_size: How many entries are fetched at a time, 1 to 1,000.

        Returns:
            The entries, newest first; a page is fetched when it is needed.

        Raises:
            InvalidRequestError: A filter has a value that the gateway does not know, or a time has no zone.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            async for entry in client.iter_audit_log(action="write:*", page_size=100):
                print(entry["timestamp"], entry["action"])
            ```
        """
        return self._items(
            operations.audit_log(
                page_size,
                decision,
                agent=agent,
                action=action,
                trace_id=trace_id,
                policy=policy,
                kind=kind,
                since=since,
                until=until,
            )
        )

    @awaited
    async def audit_stats(self, period: str = "24h") -> AuditStats:
        """Count the decisions of a period. Operation `get_audit_stats`.

        Args:
            period: How far back from now: `24h`, `7d` or `30d`.

        Returns:
            `total`, `allowed`, `denied`, `wouldDeny`, `period`, `topDenied` and `topAgents`.

        Raises:
            InvalidRequestError: The gateway does not know the period.
            AuthenticationError: The admin token is missing (nothing is sent then) or wrong.
            RateLimitError: Too many requests; `retry_after` says how long to wait.
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            stats = await client.audit_stats("7d")
            print(f"{stats['denied']} of {stats['total']} denied")
            ```
        """
        return await self._transport.send(operations.audit_stats(period))

    @awaited
    async def health(self) -> Health:
        """Fetch the state of the gateway, also when it is unhealthy. Operation `get_health`.

        Returns:
            `status` (`healthy` or `unhealthy`), `version` and `mode`; with an admin token also `checks`,
            `timestamp` and `uptime`.

        Raises:
            GatewayUnavailableError: The gateway can't be reached or did not answer in time.
            GatewayError: The gateway failed to answer.
            RateLimitError: Too many requests.
            InvalidResponseError: What came back is not a gateway's answer.
            ConfigurationError: The client is closed.
            MeshGuardError: The gateway refused for another reason.

        Example:
            ```python
            health = await client.health()
            print(health["status"], health.get("mode"))
            ```
        """
        as_admin = self._transport.config.admin_token is not None
        return await self._transport.send(operations.health(as_admin=as_admin))

    @decides
    async def is_healthy(self) -> bool:
        """Whether the gateway answers and is healthy; never raises. Operation `get_health`.

        Returns:
            True if it says so itself, False in every other case.

        Example:
            ```python
            if await client.is_healthy():
                print("Gateway is up!")
            ```
        """
        try:
            return (await self._transport.send(operations.health()))["status"] == "healthy"
        except MeshGuardError:
            return False

    @property
    def api(self) -> AuthenticatedClient:
        """The generated client, as the agent, for every operation of the contract as it is on the wire.

        It uses this client's connections, tokens, trace id and timeout, shows no token in its repr, does not
        repeat calls, and raises `httpx`'s errors. Import what it needs from `meshguard_api`.

        Raises:
            MeshGuardError: Never for the agent; see `admin_api`.

        Example:
            ```python
            from meshguard_api.api.decisions import evaluate
            from meshguard_api.models import EvaluateRequest

            answer = await evaluate.asyncio(client=client.api, body=EvaluateRequest(action="read:contacts"))
            print(answer)
            ```
        """
        return self._transport.generated("agent")

    @property
    def admin_api(self) -> AuthenticatedClient:
        """The generated client, as the administrator; see `api`.

        Raises:
            AuthenticationError: There is no admin token.

        Example:
            ```python
            from meshguard_api.api.audit import verify_audit_log

            print(await verify_audit_log.asyncio(client=client.admin_api))
            ```
        """
        return self._transport.generated("admin")

    async def aclose(self) -> None:
        """Close the connections, unless `http_client` brought them; what is called afterwards raises.

        Example:
            ```python
            from meshguard import AsyncMeshGuardClient

            another = AsyncMeshGuardClient(client.gateway_url)
            await another.aclose()
            ```
        """
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _items(self, operation: Operation[Page[T]] | None) -> AsyncIterator[T]:
        while operation:
            page = await self._transport.send(operation)
            for item in page.items:
                yield item
            operation = page.next
