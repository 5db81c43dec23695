from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...models.policy_document import PolicyDocument
from ...models.policy_validation import PolicyValidation
from ...models.rate_limit_error import RateLimitError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: PolicyDocument | PolicyDocument | Unset = UNSET,
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
        "url": "/admin/policies/validate",
    }

    if isinstance(body, PolicyDocument):
        _kwargs["json"] = body.to_dict()

        headers["Content-Type"] = "application/yaml"
    if isinstance(body, PolicyDocument):
        _kwargs["json"] = body.to_dict()

        headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | InvalidRequestError | PolicyValidation | RateLimitError | None:
    if response.status_code == 200:
        response_200 = PolicyValidation.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = InvalidRequestError.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

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
) -> Response[Error | InvalidRequestError | PolicyValidation | RateLimitError]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: PolicyDocument | PolicyDocument | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | PolicyValidation | RateLimitError]:
    """Find the faults of a policy without applying it

     Returns 200 whether or not the policy is valid: `errors` prevent it from being applied, `warnings`
    don't. A
    document that is not an object, such as `null` or an empty text, is rejected with 400.
    A policy named `validate` can't be fetched or applied by its path.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (PolicyDocument): A policy, valid or not; an object in any case.
        body (PolicyDocument): A policy, valid or not; an object in any case.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | PolicyValidation | RateLimitError]
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
    body: PolicyDocument | PolicyDocument | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | PolicyValidation | RateLimitError | None:
    """Find the faults of a policy without applying it

     Returns 200 whether or not the policy is valid: `errors` prevent it from being applied, `warnings`
    don't. A
    document that is not an object, such as `null` or an empty text, is rejected with 400.
    A policy named `validate` can't be fetched or applied by its path.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (PolicyDocument): A policy, valid or not; an object in any case.
        body (PolicyDocument): A policy, valid or not; an object in any case.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | PolicyValidation | RateLimitError
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
    body: PolicyDocument | PolicyDocument | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | PolicyValidation | RateLimitError]:
    """Find the faults of a policy without applying it

     Returns 200 whether or not the policy is valid: `errors` prevent it from being applied, `warnings`
    don't. A
    document that is not an object, such as `null` or an empty text, is rejected with 400.
    A policy named `validate` can't be fetched or applied by its path.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (PolicyDocument): A policy, valid or not; an object in any case.
        body (PolicyDocument): A policy, valid or not; an object in any case.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | PolicyValidation | RateLimitError]
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
    body: PolicyDocument | PolicyDocument | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | PolicyValidation | RateLimitError | None:
    """Find the faults of a policy without applying it

     Returns 200 whether or not the policy is valid: `errors` prevent it from being applied, `warnings`
    don't. A
    document that is not an object, such as `null` or an empty text, is rejected with 400.
    A policy named `validate` can't be fetched or applied by its path.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.
        body (PolicyDocument): A policy, valid or not; an object in any case.
        body (PolicyDocument): A policy, valid or not; an object in any case.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | PolicyValidation | RateLimitError
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
