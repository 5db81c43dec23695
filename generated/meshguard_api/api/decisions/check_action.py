from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.decision import Decision
from ...models.denial import Denial
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.rate_limit_error import RateLimitError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    x_mesh_guard_action: str,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
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
        "method": "get",
        "url": "/proxy/check",
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Decision | Denial | Error | InvalidRequestError | RateLimitError | None:
    if response.status_code == 200:
        response_200 = Decision.from_dict(response.json())

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

    if response.status_code == 429:
        response_429 = RateLimitError.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = Error.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Decision | Denial | Error | InvalidRequestError | RateLimitError]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    x_mesh_guard_action: str,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Decision | Denial | Error | InvalidRequestError | RateLimitError]:
    """One decision, asked for in headers

     The quickest question. Headers carry visible ASCII text; for other text, or with a context of more
    than 4 KiB,
    use `evaluate`. A path called `check` on the upstream can't be reached through the proxy.

    Args:
        x_mesh_guard_action (str): Text as a header can carry it, printable ASCII that neither
            begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Decision | Denial | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
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
    *,
    client: AuthenticatedClient,
    x_mesh_guard_action: str,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Decision | Denial | Error | InvalidRequestError | RateLimitError | None:
    """One decision, asked for in headers

     The quickest question. Headers carry visible ASCII text; for other text, or with a context of more
    than 4 KiB,
    use `evaluate`. A path called `check` on the upstream can't be reached through the proxy.

    Args:
        x_mesh_guard_action (str): Text as a header can carry it, printable ASCII that neither
            begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Decision | Denial | Error | InvalidRequestError | RateLimitError
    """

    return sync_detailed(
        client=client,
        x_mesh_guard_action=x_mesh_guard_action,
        x_mesh_guard_resource=x_mesh_guard_resource,
        x_mesh_guard_meta=x_mesh_guard_meta,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    x_mesh_guard_action: str,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Decision | Denial | Error | InvalidRequestError | RateLimitError]:
    """One decision, asked for in headers

     The quickest question. Headers carry visible ASCII text; for other text, or with a context of more
    than 4 KiB,
    use `evaluate`. A path called `check` on the upstream can't be reached through the proxy.

    Args:
        x_mesh_guard_action (str): Text as a header can carry it, printable ASCII that neither
            begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Decision | Denial | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        x_mesh_guard_action=x_mesh_guard_action,
        x_mesh_guard_resource=x_mesh_guard_resource,
        x_mesh_guard_meta=x_mesh_guard_meta,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    x_mesh_guard_action: str,
    x_mesh_guard_resource: str | Unset = UNSET,
    x_mesh_guard_meta: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Decision | Denial | Error | InvalidRequestError | RateLimitError | None:
    """One decision, asked for in headers

     The quickest question. Headers carry visible ASCII text; for other text, or with a context of more
    than 4 KiB,
    use `evaluate`. A path called `check` on the upstream can't be reached through the proxy.

    Args:
        x_mesh_guard_action (str): Text as a header can carry it, printable ASCII that neither
            begins nor ends with a space.
        x_mesh_guard_resource (str | Unset): Text as a header can carry it, printable ASCII that
            neither begins nor ends with a space.
        x_mesh_guard_meta (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Decision | Denial | Error | InvalidRequestError | RateLimitError
    """

    return (
        await asyncio_detailed(
            client=client,
            x_mesh_guard_action=x_mesh_guard_action,
            x_mesh_guard_resource=x_mesh_guard_resource,
            x_mesh_guard_meta=x_mesh_guard_meta,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
