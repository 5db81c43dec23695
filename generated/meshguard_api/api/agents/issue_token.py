from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.issued_token import IssuedToken
from ...models.rate_limit_error import RateLimitError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    agent_id: str,
    *,
    idempotency_key: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    if not isinstance(x_mesh_guard_trace_id, Unset):
        headers["X-MeshGuard-Trace-ID"] = x_mesh_guard_trace_id

    if not isinstance(x_request_id, Unset):
        headers["X-Request-ID"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/admin/agents/{agent_id}/token".format(
            agent_id=quote(str(agent_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | InvalidRequestError | IssuedToken | RateLimitError | None:
    if response.status_code == 200:
        response_200 = IssuedToken.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = InvalidRequestError.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 404:
        response_404 = Error.from_dict(response.json())

        return response_404

    if response.status_code == 409:
        response_409 = Error.from_dict(response.json())

        return response_409

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
) -> Response[Error | InvalidRequestError | IssuedToken | RateLimitError]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    agent_id: str,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | IssuedToken | RateLimitError]:
    """Replace an agent's token

     The agent's earlier tokens stop working at once. A revoked agent gets none, 409. With an
    `Idempotency-Key`, a
    repeated request issues nothing and gets the first one's response. If another token was issued
    since, or the
    agent was revoked, the token in that response no longer works.

    Args:
        agent_id (str):
        idempotency_key (str | Unset): 1 to 255 visible ASCII characters.
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | IssuedToken | RateLimitError]
    """

    kwargs = _get_kwargs(
        agent_id=agent_id,
        idempotency_key=idempotency_key,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    agent_id: str,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | IssuedToken | RateLimitError | None:
    """Replace an agent's token

     The agent's earlier tokens stop working at once. A revoked agent gets none, 409. With an
    `Idempotency-Key`, a
    repeated request issues nothing and gets the first one's response. If another token was issued
    since, or the
    agent was revoked, the token in that response no longer works.

    Args:
        agent_id (str):
        idempotency_key (str | Unset): 1 to 255 visible ASCII characters.
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | IssuedToken | RateLimitError
    """

    return sync_detailed(
        agent_id=agent_id,
        client=client,
        idempotency_key=idempotency_key,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    agent_id: str,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | IssuedToken | RateLimitError]:
    """Replace an agent's token

     The agent's earlier tokens stop working at once. A revoked agent gets none, 409. With an
    `Idempotency-Key`, a
    repeated request issues nothing and gets the first one's response. If another token was issued
    since, or the
    agent was revoked, the token in that response no longer works.

    Args:
        agent_id (str):
        idempotency_key (str | Unset): 1 to 255 visible ASCII characters.
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | IssuedToken | RateLimitError]
    """

    kwargs = _get_kwargs(
        agent_id=agent_id,
        idempotency_key=idempotency_key,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    agent_id: str,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | IssuedToken | RateLimitError | None:
    """Replace an agent's token

     The agent's earlier tokens stop working at once. A revoked agent gets none, 409. With an
    `Idempotency-Key`, a
    repeated request issues nothing and gets the first one's response. If another token was issued
    since, or the
    agent was revoked, the token in that response no longer works.

    Args:
        agent_id (str):
        idempotency_key (str | Unset): 1 to 255 visible ASCII characters.
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | IssuedToken | RateLimitError
    """

    return (
        await asyncio_detailed(
            agent_id=agent_id,
            client=client,
            idempotency_key=idempotency_key,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
