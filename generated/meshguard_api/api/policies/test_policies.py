from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.rate_limit_error import RateLimitError
from ...models.test_policies_request import TestPoliciesRequest
from ...models.tested_decision import TestedDecision
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: TestPoliciesRequest,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_mesh_guard_trace_id, Unset):
        headers["X-MeshGuard-Trace-ID"] = x_mesh_guard_trace_id

    if not isinstance(x_request_id, Unset):
        headers["X-Request-ID"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/admin/policies/test",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | InvalidRequestError | RateLimitError | TestedDecision | None:
    if response.status_code == 200:
        response_200 = TestedDecision.from_dict(response.json())

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

    if response.status_code == 413:
        response_413 = Error.from_dict(response.json())

        return response_413

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
) -> Response[Error | InvalidRequestError | RateLimitError | TestedDecision]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: TestPoliciesRequest,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | RateLimitError | TestedDecision]:
    """What would be decided, and why

     Decides as the gateway would, for a stored agent (`agentId`) or an imagined one (`agent`), with the
    policies in force, or with `candidate` (or `candidateText`) in place of the policy of its name, or
    with the
    policy named in `policy` alone. The decision has an explanation. It is no act of an agent: nothing
    is recorded as one,
    and `auditId` is absent. The mode plays no part: a denial is shown as one.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (TestPoliciesRequest): The question, and who is to be asking. Exactly one of
            `agentId` and `agent` is given.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | RateLimitError | TestedDecision]
    """

    kwargs = _get_kwargs(
        body=body,
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
    body: TestPoliciesRequest,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | RateLimitError | TestedDecision | None:
    """What would be decided, and why

     Decides as the gateway would, for a stored agent (`agentId`) or an imagined one (`agent`), with the
    policies in force, or with `candidate` (or `candidateText`) in place of the policy of its name, or
    with the
    policy named in `policy` alone. The decision has an explanation. It is no act of an agent: nothing
    is recorded as one,
    and `auditId` is absent. The mode plays no part: a denial is shown as one.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (TestPoliciesRequest): The question, and who is to be asking. Exactly one of
            `agentId` and `agent` is given.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | RateLimitError | TestedDecision
    """

    return sync_detailed(
        client=client,
        body=body,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: TestPoliciesRequest,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | RateLimitError | TestedDecision]:
    """What would be decided, and why

     Decides as the gateway would, for a stored agent (`agentId`) or an imagined one (`agent`), with the
    policies in force, or with `candidate` (or `candidateText`) in place of the policy of its name, or
    with the
    policy named in `policy` alone. The decision has an explanation. It is no act of an agent: nothing
    is recorded as one,
    and `auditId` is absent. The mode plays no part: a denial is shown as one.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (TestPoliciesRequest): The question, and who is to be asking. Exactly one of
            `agentId` and `agent` is given.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | RateLimitError | TestedDecision]
    """

    kwargs = _get_kwargs(
        body=body,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: TestPoliciesRequest,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | RateLimitError | TestedDecision | None:
    """What would be decided, and why

     Decides as the gateway would, for a stored agent (`agentId`) or an imagined one (`agent`), with the
    policies in force, or with `candidate` (or `candidateText`) in place of the policy of its name, or
    with the
    policy named in `policy` alone. The decision has an explanation. It is no act of an agent: nothing
    is recorded as one,
    and `auditId` is absent. The mode plays no part: a denial is shown as one.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (TestPoliciesRequest): The question, and who is to be asking. Exactly one of
            `agentId` and `agent` is given.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | RateLimitError | TestedDecision
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
