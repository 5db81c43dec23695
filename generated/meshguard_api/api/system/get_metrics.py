from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.invalid_request_error import InvalidRequestError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_mesh_guard_trace_id, Unset):
        headers["X-MeshGuard-Trace-ID"] = x_mesh_guard_trace_id

    if not isinstance(x_request_id, Unset):
        headers["X-Request-ID"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/metrics",
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | InvalidRequestError | str | None:
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    if response.status_code == 400:
        response_400 = InvalidRequestError.from_dict(response.json())

        return response_400

    if response.status_code == 404:
        response_404 = Error.from_dict(response.json())

        return response_404

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Error | InvalidRequestError | str]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | str]:
    """Metrics in the Prometheus text format

     Off unless the setting `METRICS_ENABLED` is on; 404 then. The metrics are
    `meshguard_policy_checks_total{decision}`, `meshguard_request_duration_seconds`,
    `meshguard_active_agents`, `meshguard_audit_entries_total`, `meshguard_condition_errors_total`,
    `meshguard_background_faults` (parts of the background work that fail at present),
    `meshguard_admin_token_guesses_total{outcome}` (`wrong` or `locked_out`),
    `meshguard_agent_tokens_rejected_total` and `meshguard_exchanges_cut_total`.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | str]
    """

    kwargs = _get_kwargs(
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | str | None:
    """Metrics in the Prometheus text format

     Off unless the setting `METRICS_ENABLED` is on; 404 then. The metrics are
    `meshguard_policy_checks_total{decision}`, `meshguard_request_duration_seconds`,
    `meshguard_active_agents`, `meshguard_audit_entries_total`, `meshguard_condition_errors_total`,
    `meshguard_background_faults` (parts of the background work that fail at present),
    `meshguard_admin_token_guesses_total{outcome}` (`wrong` or `locked_out`),
    `meshguard_agent_tokens_rejected_total` and `meshguard_exchanges_cut_total`.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | str
    """

    return sync_detailed(
        client=client,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Error | InvalidRequestError | str]:
    """Metrics in the Prometheus text format

     Off unless the setting `METRICS_ENABLED` is on; 404 then. The metrics are
    `meshguard_policy_checks_total{decision}`, `meshguard_request_duration_seconds`,
    `meshguard_active_agents`, `meshguard_audit_entries_total`, `meshguard_condition_errors_total`,
    `meshguard_background_faults` (parts of the background work that fail at present),
    `meshguard_admin_token_guesses_total{outcome}` (`wrong` or `locked_out`),
    `meshguard_agent_tokens_rejected_total` and `meshguard_exchanges_cut_total`.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | InvalidRequestError | str]
    """

    kwargs = _get_kwargs(
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Error | InvalidRequestError | str | None:
    """Metrics in the Prometheus text format

     Off unless the setting `METRICS_ENABLED` is on; 404 then. The metrics are
    `meshguard_policy_checks_total{decision}`, `meshguard_request_duration_seconds`,
    `meshguard_active_agents`, `meshguard_audit_entries_total`, `meshguard_condition_errors_total`,
    `meshguard_background_faults` (parts of the background work that fail at present),
    `meshguard_admin_token_guesses_total{outcome}` (`wrong` or `locked_out`),
    `meshguard_agent_tokens_rejected_total` and `meshguard_exchanges_cut_total`.

    Args:
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | InvalidRequestError | str
    """

    return (
        await asyncio_detailed(
            client=client,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
