from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.agent_list import AgentList
from ...models.agent_status_filter import AgentStatusFilter
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.rate_limit_error import RateLimitError
from ...models.trust_tier import TrustTier
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    status: AgentStatusFilter | Unset = UNSET,
    trust_tier: TrustTier | Unset = UNSET,
    tag: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_mesh_guard_trace_id, Unset):
        headers["X-MeshGuard-Trace-ID"] = x_mesh_guard_trace_id

    if not isinstance(x_request_id, Unset):
        headers["X-Request-ID"] = x_request_id

    params: dict[str, Any] = {}

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status

    params["status"] = json_status

    json_trust_tier: str | Unset = UNSET
    if not isinstance(trust_tier, Unset):
        json_trust_tier = trust_tier

    params["trustTier"] = json_trust_tier

    params["tag"] = tag

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/admin/agents",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> AgentList | Error | InvalidRequestError | RateLimitError | None:
    if response.status_code == 200:
        response_200 = AgentList.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = InvalidRequestError.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

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
) -> Response[AgentList | Error | InvalidRequestError | RateLimitError]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    status: AgentStatusFilter | Unset = UNSET,
    trust_tier: TrustTier | Unset = UNSET,
    tag: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[AgentList | Error | InvalidRequestError | RateLimitError]:
    """Agents, oldest first

     Without `limit` every agent that fits the filters is listed. With it, `nextCursor` in the answer
    leads to
    the next page and is absent on the last.

    Args:
        status (AgentStatusFilter | Unset): The state of an agent.
        trust_tier (TrustTier | Unset): How far an agent is trusted, low to high: `unverified`,
            `verified`, `trusted`, `privileged`. `untrusted` is
            read as `unverified`.
        tag (str | Unset): A label that policies can apply to.
        limit (int | Unset):
        cursor (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AgentList | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        status=status,
        trust_tier=trust_tier,
        tag=tag,
        limit=limit,
        cursor=cursor,
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
    status: AgentStatusFilter | Unset = UNSET,
    trust_tier: TrustTier | Unset = UNSET,
    tag: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> AgentList | Error | InvalidRequestError | RateLimitError | None:
    """Agents, oldest first

     Without `limit` every agent that fits the filters is listed. With it, `nextCursor` in the answer
    leads to
    the next page and is absent on the last.

    Args:
        status (AgentStatusFilter | Unset): The state of an agent.
        trust_tier (TrustTier | Unset): How far an agent is trusted, low to high: `unverified`,
            `verified`, `trusted`, `privileged`. `untrusted` is
            read as `unverified`.
        tag (str | Unset): A label that policies can apply to.
        limit (int | Unset):
        cursor (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AgentList | Error | InvalidRequestError | RateLimitError
    """

    return sync_detailed(
        client=client,
        status=status,
        trust_tier=trust_tier,
        tag=tag,
        limit=limit,
        cursor=cursor,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    status: AgentStatusFilter | Unset = UNSET,
    trust_tier: TrustTier | Unset = UNSET,
    tag: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[AgentList | Error | InvalidRequestError | RateLimitError]:
    """Agents, oldest first

     Without `limit` every agent that fits the filters is listed. With it, `nextCursor` in the answer
    leads to
    the next page and is absent on the last.

    Args:
        status (AgentStatusFilter | Unset): The state of an agent.
        trust_tier (TrustTier | Unset): How far an agent is trusted, low to high: `unverified`,
            `verified`, `trusted`, `privileged`. `untrusted` is
            read as `unverified`.
        tag (str | Unset): A label that policies can apply to.
        limit (int | Unset):
        cursor (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AgentList | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        status=status,
        trust_tier=trust_tier,
        tag=tag,
        limit=limit,
        cursor=cursor,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    status: AgentStatusFilter | Unset = UNSET,
    trust_tier: TrustTier | Unset = UNSET,
    tag: str | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> AgentList | Error | InvalidRequestError | RateLimitError | None:
    """Agents, oldest first

     Without `limit` every agent that fits the filters is listed. With it, `nextCursor` in the answer
    leads to
    the next page and is absent on the last.

    Args:
        status (AgentStatusFilter | Unset): The state of an agent.
        trust_tier (TrustTier | Unset): How far an agent is trusted, low to high: `unverified`,
            `verified`, `trusted`, `privileged`. `untrusted` is
            read as `unverified`.
        tag (str | Unset): A label that policies can apply to.
        limit (int | Unset):
        cursor (str | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AgentList | Error | InvalidRequestError | RateLimitError
    """

    return (
        await asyncio_detailed(
            client=client,
            status=status,
            trust_tier=trust_tier,
            tag=tag,
            limit=limit,
            cursor=cursor,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
