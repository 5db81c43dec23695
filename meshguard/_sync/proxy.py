# Made from meshguard/_async/proxy.py by scripts/unasync; edit that file.
"""Requests to the upstream, through the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from meshguard._sync.base import ClientBase
from meshguard._wire import proxy

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import httpx

    from meshguard.types import ProxyOptions


class Proxy(ClientBase):
    """The methods that send requests to the upstream service, once the gateway allows them.

    All of them may also raise:

    - `PolicyDeniedError`: the gateway denies the action.
    - `UpstreamError`: the upstream returned an error status; `response` is its response.
    - `NotFoundError` or `ConflictError`: the gateway has no such proxy, or rejects the request with 409.
    - `TypeError`: an option has a name that `httpx` does not know.
    """

    def request(
        self,
        method: str,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Send a request to the upstream through the gateway. Operations `proxy_get` and its siblings.

        The gateway marks responses of the upstream with `X-MeshGuard-Decision: allow`. An error status
        without that mark is the gateway's own, and raises the matching error. Older gateways mark nothing, so
        an unmarked response below 400 is returned.

        Args:
            method: The HTTP method.
            path: The path below the upstream's base URL, which may contain a query. Dot segments, absolute
                URLs and fragments are rejected.
            action: The action to check; at most 2,048 printable ASCII characters.
            resource: What the action applies to, with the same limit; defaults to the path.
            raise_for_status: Whether an error status of the upstream raises `UpstreamError`.
            **options: `params`, `headers`, `cookies`, `content`, `data`, `files`, `json`, `timeout` and
                `extensions`, as in `httpx`. Headers that carry identity (`Authorization`, `X-Admin-Token`,
                `X-MeshGuard-*`) are omitted. `timeout` applies to each attempt and each network wait.

        Returns:
            The upstream's response. Redirects are returned, not followed.

        Example:
            ```python
            record = {"status": "updated"}
            response = client.request("PUT", "/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        call = proxy.request(
            method, path, action, resource=resource, raise_for_status=raise_for_status, options=options
        )
        return self._transport.send(call)

    def get(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Read from the upstream through the gateway. Operation `proxy_get`; see `request`.

        Example:
            ```python
            response = client.get("/api/contacts", action="read:contacts")
            print(response.status_code)
            ```
        """
        return self.request(
            "GET", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    def post(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Create something at the upstream through the gateway. Operation `proxy_post`; see `request`.

        Example:
            ```python
            email = {"to": "user@example.com", "body": "Hello!"}
            response = client.post("/api/emails", action="write:email", json=email)
            print(response.status_code)
            ```
        """
        return self.request(
            "POST", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    def put(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Replace something at the upstream through the gateway. Operation `proxy_put`; see `request`.

        Example:
            ```python
            record = {"status": "updated"}
            response = client.put("/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        return self.request(
            "PUT", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    def patch(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Change something at the upstream through the gateway. Operation `proxy_patch`; see `request`.

        Example:
            ```python
            record = {"status": "updated"}
            response = client.patch("/api/records/123", action="write:records", json=record)
            print(response.status_code)
            ```
        """
        return self.request(
            "PATCH", path, action, resource=resource, raise_for_status=raise_for_status, **options
        )

    def delete(
        self,
        path: str,
        action: str,
        *,
        resource: str | None = None,
        raise_for_status: bool = True,
        **options: Unpack[ProxyOptions],
    ) -> httpx.Response:
        """Delete something at the upstream through the gateway. Operation `proxy_delete`; see `request`.

        Example:
            ```python
            response = client.delete("/api/records/123", action="delete:records")
            print(response.status_code)
            ```
        """
        return self.request(
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
    ) -> AbstractContextManager[httpx.Response]:
        """Send a request through the gateway, and read the upstream's response piece by piece; see `request`.

        `timeout` (seconds, or None for no limit) applies to each wait for the next piece. An `httpx` error
        while the block reads this response becomes an error of this package.

        Returns:
            A context manager that returns the upstream's response and closes it.

        Example:
            ```python
            with client.stream("GET", "/api/contacts", action="read:contacts") as response:
                for piece in response.iter_bytes():
                    print(len(piece))
            ```
        """
        call = proxy.request(
            method, path, action, resource=resource, raise_for_status=raise_for_status, options=options
        )
        return self._transport.stream(call)
