"""Requests to the upstream, through the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from meshguard._async.base import ClientBase
from meshguard._wire import proxy
from meshguard._wire.pending import awaited

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import httpx

    from meshguard.types import ProxyOptions


class Proxy(ClientBase):
    """The methods that send requests to the upstream."""

    @awaited  # sync:
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

        Example:
            ```python
            record = {"status": "updated"}
            response = await client.request("PUT", "/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        call = proxy.request(
            method, path, action, resource=resource, raise_for_status=raise_for_status, options=options
        )
        return await self._transport.send(call)

    @awaited  # sync:
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

        Example:
            ```python
            response = await client.get("/api/contacts", action="read:contacts")
            print(response.status_code)
            ```
        """
        return await self.request(
            "GET", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    @awaited  # sync:
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

    @awaited  # sync:
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

    @awaited  # sync:
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

    @awaited  # sync:
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

        Example:
            ```python
            async with client.stream("GET", "/api/contacts", action="read:contacts") as response:
                async for piece in response.aiter_bytes():
                    print(len(piece))
            ```
        """
        call = proxy.request(
            method, path, action, resource=resource, raise_for_status=raise_for_status, options=options
        )
        return self._transport.stream(call)
