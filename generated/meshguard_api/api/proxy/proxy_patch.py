from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.denial import Denial
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.rate_limit_error import RateLimitError
from ...types import UNSET, File, Response, Unset


def _get_kwargs(
    path: str,
    *,
    body: File | File | Unset = UNSET,
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

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/proxy/{path}".format(
            path=quote(str(path), safe=""),
        ),
    }

    if isinstance(body, File):
        if not isinstance(body, Unset):
            _kwargs["content"] = body.payload
        headers["Content-Type"] = "*/*"
    if isinstance(body, File):
        if not isinstance(body, Unset):
            _kwargs["content"] = body.payload
        headers["Content-Type"] = "application/octet-stream"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Any | Denial | Error | InvalidRequestError | RateLimitError | None:
    if response.status_code == 200:
        response_200 = cast(Any, response.content)
        return response_200

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

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Any | Denial | Error | InvalidRequestError | RateLimitError]:
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
    body: File | File | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Any | Denial | Error | InvalidRequestError | RateLimitError]:
    """Change at the upstream

     The rules of `proxy_get` hold.

    Args:
        path (str):
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (File | Unset): The body as it is.
        body (File | Unset): The body as it is.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Denial | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        path=path,
        body=body,
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
    body: File | File | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Any | Denial | Error | InvalidRequestError | RateLimitError | None:
    """Change at the upstream

     The rules of `proxy_get` hold.

    Args:
        path (str):
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (File | Unset): The body as it is.
        body (File | Unset): The body as it is.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Denial | Error | InvalidRequestError | RateLimitError
    """

    return sync_detailed(
        path=path,
        client=client,
        body=body,
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
    body: File | File | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Any | Denial | Error | InvalidRequestError | RateLimitError]:
    """Change at the upstream

     The rules of `proxy_get` hold.

    Args:
        path (str):
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (File | Unset): The body as it is.
        body (File | Unset): The body as it is.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Denial | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        path=path,
        body=body,
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
    body: File | File | Unset = UNSET,
    x_mesh_guard_action: str | Unset = UNSET,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Any | Denial | Error | InvalidRequestError | RateLimitError | None:
    """Change at the upstream

     The rules of `proxy_get` hold.

    Args:
        path (str):
        x_mesh_guard_action (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (File | Unset): The body as it is.
        body (File | Unset): The body as it is.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Denial | Error | InvalidRequestError | RateLimitError
    """

    return (
        await asyncio_detailed(
            path=path,
            client=client,
            body=body,
            x_mesh_guard_action=x_mesh_guard_action,
            x_mesh_guard_resource=x_mesh_guard_resource,
            x_mesh_guard_meta=x_mesh_guard_meta,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
