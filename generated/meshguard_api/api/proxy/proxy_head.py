from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
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
        "method": "head",
        "url": "/proxy/{path}".format(
            path=quote(str(path), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Any:
    if response.status_code == 400:
        return None

    if response.status_code == 401:
        return None

    if response.status_code == 403:
        return None

    if response.status_code == 413:
        return None

    if response.status_code == 429:
        return None

    if response.status_code == 500:
        return None

    if response.status_code == 502:
        return None

    if response.status_code == 503:
        return None

    if response.status_code == 504:
        return None

    if 200 <= response.status_code <= 299:
        return None

    return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Any]:
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
) -> Response[Any]:
    """Ask the upstream for headers alone

     The rules of `proxy_get` hold.

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
        Response[Any]
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
) -> Response[Any]:
    """Ask the upstream for headers alone

     The rules of `proxy_get` hold.

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
        Response[Any]
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
