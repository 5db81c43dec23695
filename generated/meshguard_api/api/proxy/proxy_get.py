from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.denial import Denial
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.rate_limit_error import RateLimitError
from ...models.upstream_query import UpstreamQuery
from ...types import UNSET, Response, Unset


def _get_kwargs(
    path: str,
    *,
    query: UpstreamQuery | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_mesh_guard_action, Unset):
        headers["X-MeshGuard-Action"] = x_mesh_guard_action

    if not isinstance(x_mesh_guard_resource, Unset):
        headers["X-MeshGuard-Resource"] = x_mesh_guard_resource

    if not isinstance(x_mesh_guard_meta, Unset):
        headers["X-MeshGuard-Meta"] = x_mesh_guard_meta

    if not isinstance(x_mesh_guard_trace_id, Unset):
        headers["X-MeshGuard-Trace-ID"] = x_mesh_guard_trace_id

    if not isinstance(x_request_id, Unset):
        headers["X-Request-ID"] = x_request_id

    params: dict[str, Any] = {}

    json_query: dict[str, Any] | Unset = UNSET
    if not isinstance(query, Unset):
        json_query = query.to_dict()
    if not isinstance(json_query, Unset):
        params.update(json_query)

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/proxy/{path}".format(
            path=quote(str(path), safe="/"),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> bytes | Denial | Error | InvalidRequestError | RateLimitError:
    if response.headers.get("X-MeshGuard-Decision") == "allow":
        return response.content

    if response.status_code == 400:
        response_400 = InvalidRequestError.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Denial.from_dict(response.json())

        return response_403

    if response.status_code == 413:
        response_413 = Error.from_dict(response.json())

        return response_413

    if response.status_code == 429:
        response_429 = RateLimitError.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

    if response.status_code == 502:
        response_502 = Error.from_dict(response.json())

        return response_502

    if response.status_code == 503:
        response_503 = Error.from_dict(response.json())

        return response_503

    if response.status_code == 504:
        response_504 = Error.from_dict(response.json())

        return response_504

    if 200 <= response.status_code <= 299:
        response_2xx = response.content
        return response_2xx

    response_default = response.content
    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[bytes | Denial | Error | InvalidRequestError | RateLimitError]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    path: str,
    *,
    client: AuthenticatedClient,
    query: UpstreamQuery | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[bytes | Denial | Error | InvalidRequestError | RateLimitError]:
    """Read from the upstream

     The decision comes first, then its audit entry, and only then is the request forwarded below the
    configured
    upstream's base URL. Redirects are passed back, not followed. Never forwarded: the agent's
    `Authorization`,
    `X-Admin-Token`, every `X-MeshGuard-*` of the request, hop-by-hop headers and those that
    `Connection` names,
    and headers that claim an identity (`X-Real-IP`, `Remote-User`, …), a method (`X-HTTP-Method-
    Override`, …) or
    a target (`X-Original-URL`, …). Names are compared with every character except letters and digits
    read as
    `-`, and never passed back is the upstream's own `X-MeshGuard-*`.
    Added: `X-MeshGuard-Agent-Id`, `X-MeshGuard-Trace-ID`, `X-Forwarded-For`, `X-Forwarded-Proto`,
    `X-Forwarded-Host`, `traceparent`, and the upstream's own credential where the gateway has one.
    Bodies
    stream both ways. The query is forwarded as it is. Without an upstream the gateway answers 502.

    The declared resource is `X-MeshGuard-Resource` when sent, otherwise the path with a leading slash.
    A gateway
    that derives the action from method and path derives the resource from the path too.

    When the agent is revoked, or its token is replaced or expires, the exchange is cut within a second:
    401 if no
    response has begun, otherwise the connection ends before the body does.

    Args:
        path (str):
        query (UpstreamQuery | Unset): Names and values of a query.
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[bytes | Denial | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        path=path,
        query=query,
        x_mesh_guard_action=x_mesh_guard_action,
        x_mesh_guard_resource=x_mesh_guard_resource,
        x_mesh_guard_meta=x_mesh_guard_meta,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    path: str,
    *,
    client: AuthenticatedClient,
    query: UpstreamQuery | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> bytes | Denial | Error | InvalidRequestError | RateLimitError | None:
    """Read from the upstream

     The decision comes first, then its audit entry, and only then is the request forwarded below the
    configured
    upstream's base URL. Redirects are passed back, not followed. Never forwarded: the agent's
    `Authorization`,
    `X-Admin-Token`, every `X-MeshGuard-*` of the request, hop-by-hop headers and those that
    `Connection` names,
    and headers that claim an identity (`X-Real-IP`, `Remote-User`, …), a method (`X-HTTP-Method-
    Override`, …) or
    a target (`X-Original-URL`, …). Names are compared with every character except letters and digits
    read as
    `-`, and never passed back is the upstream's own `X-MeshGuard-*`.
    Added: `X-MeshGuard-Agent-Id`, `X-MeshGuard-Trace-ID`, `X-Forwarded-For`, `X-Forwarded-Proto`,
    `X-Forwarded-Host`, `traceparent`, and the upstream's own credential where the gateway has one.
    Bodies
    stream both ways. The query is forwarded as it is. Without an upstream the gateway answers 502.

    The declared resource is `X-MeshGuard-Resource` when sent, otherwise the path with a leading slash.
    A gateway
    that derives the action from method and path derives the resource from the path too.

    When the agent is revoked, or its token is replaced or expires, the exchange is cut within a second:
    401 if no
    response has begun, otherwise the connection ends before the body does.

    Args:
        path (str):
        query (UpstreamQuery | Unset): Names and values of a query.
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        bytes | Denial | Error | InvalidRequestError | RateLimitError
    """

    return sync_detailed(
        path=path,
        client=client,
        query=query,
        x_mesh_guard_action=x_mesh_guard_action,
        x_mesh_guard_resource=x_mesh_guard_resource,
        x_mesh_guard_meta=x_mesh_guard_meta,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    path: str,
    *,
    client: AuthenticatedClient,
    query: UpstreamQuery | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[bytes | Denial | Error | InvalidRequestError | RateLimitError]:
    """Read from the upstream

     The decision comes first, then its audit entry, and only then is the request forwarded below the
    configured
    upstream's base URL. Redirects are passed back, not followed. Never forwarded: the agent's
    `Authorization`,
    `X-Admin-Token`, every `X-MeshGuard-*` of the request, hop-by-hop headers and those that
    `Connection` names,
    and headers that claim an identity (`X-Real-IP`, `Remote-User`, …), a method (`X-HTTP-Method-
    Override`, …) or
    a target (`X-Original-URL`, …). Names are compared with every character except letters and digits
    read as
    `-`, and never passed back is the upstream's own `X-MeshGuard-*`.
    Added: `X-MeshGuard-Agent-Id`, `X-MeshGuard-Trace-ID`, `X-Forwarded-For`, `X-Forwarded-Proto`,
    `X-Forwarded-Host`, `traceparent`, and the upstream's own credential where the gateway has one.
    Bodies
    stream both ways. The query is forwarded as it is. Without an upstream the gateway answers 502.

    The declared resource is `X-MeshGuard-Resource` when sent, otherwise the path with a leading slash.
    A gateway
    that derives the action from method and path derives the resource from the path too.

    When the agent is revoked, or its token is replaced or expires, the exchange is cut within a second:
    401 if no
    response has begun, otherwise the connection ends before the body does.

    Args:
        path (str):
        query (UpstreamQuery | Unset): Names and values of a query.
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[bytes | Denial | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        path=path,
        query=query,
        x_mesh_guard_action=x_mesh_guard_action,
        x_mesh_guard_resource=x_mesh_guard_resource,
        x_mesh_guard_meta=x_mesh_guard_meta,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    path: str,
    *,
    client: AuthenticatedClient,
    query: UpstreamQuery | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> bytes | Denial | Error | InvalidRequestError | RateLimitError | None:
    """Read from the upstream

     The decision comes first, then its audit entry, and only then is the request forwarded below the
    configured
    upstream's base URL. Redirects are passed back, not followed. Never forwarded: the agent's
    `Authorization`,
    `X-Admin-Token`, every `X-MeshGuard-*` of the request, hop-by-hop headers and those that
    `Connection` names,
    and headers that claim an identity (`X-Real-IP`, `Remote-User`, …), a method (`X-HTTP-Method-
    Override`, …) or
    a target (`X-Original-URL`, …). Names are compared with every character except letters and digits
    read as
    `-`, and never passed back is the upstream's own `X-MeshGuard-*`.
    Added: `X-MeshGuard-Agent-Id`, `X-MeshGuard-Trace-ID`, `X-Forwarded-For`, `X-Forwarded-Proto`,
    `X-Forwarded-Host`, `traceparent`, and the upstream's own credential where the gateway has one.
    Bodies
    stream both ways. The query is forwarded as it is. Without an upstream the gateway answers 502.

    The declared resource is `X-MeshGuard-Resource` when sent, otherwise the path with a leading slash.
    A gateway
    that derives the action from method and path derives the resource from the path too.

    When the agent is revoked, or its token is replaced or expires, the exchange is cut within a second:
    401 if no
    response has begun, otherwise the connection ends before the body does.

    Args:
        path (str):
        query (UpstreamQuery | Unset): Names and values of a query.
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        bytes | Denial | Error | InvalidRequestError | RateLimitError
    """

    return (
        await asyncio_detailed(
            path=path,
            client=client,
            query=query,
            x_mesh_guard_action=x_mesh_guard_action,
            x_mesh_guard_resource=x_mesh_guard_resource,
            x_mesh_guard_meta=x_mesh_guard_meta,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
