import datetime
from http import HTTPStatus
from typing import Any, cast

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.export_audit_entries_decision import (
    ExportAuditEntriesDecision,
)
from ...models.export_audit_entries_kind import (
    ExportAuditEntriesKind,
)
from ...models.invalid_request_error import InvalidRequestError
from ...models.rate_limit_error import RateLimitError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    decision: ExportAuditEntriesDecision | Unset = UNSET,
    agent: str | Unset = UNSET,
    agent_id: str | Unset = UNSET,
    action: str | Unset = UNSET,
    trace_id: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    kind: ExportAuditEntriesKind | Unset = UNSET,
    from_: datetime.datetime | Unset = UNSET,
    to: datetime.datetime | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_mesh_guard_trace_id, Unset):
        headers["X-MeshGuard-Trace-ID"] = x_mesh_guard_trace_id

    if not isinstance(x_request_id, Unset):
        headers["X-Request-ID"] = x_request_id

    params: dict[str, Any] = {}

    json_decision: str | Unset = UNSET
    if not isinstance(decision, Unset):
        json_decision = decision

    params["decision"] = json_decision

    params["agent"] = agent

    params["agentId"] = agent_id

    params["action"] = action

    params["traceId"] = trace_id

    params["policy"] = policy

    json_kind: str | Unset = UNSET
    if not isinstance(kind, Unset):
        json_kind = kind

    params["kind"] = json_kind

    json_from_: str | Unset = UNSET
    if not isinstance(from_, Unset):
        json_from_ = from_.isoformat()
    params["from"] = json_from_

    json_to: str | Unset = UNSET
    if not isinstance(to, Unset):
        json_to = to.isoformat()
    params["to"] = json_to

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/admin/audit/export",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Any | Error | InvalidRequestError | RateLimitError | None:
    if response.status_code == 200:
        response_200 = cast(Any, response.content)
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
) -> Response[Any | Error | InvalidRequestError | RateLimitError]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    decision: ExportAuditEntriesDecision | Unset = UNSET,
    agent: str | Unset = UNSET,
    agent_id: str | Unset = UNSET,
    action: str | Unset = UNSET,
    trace_id: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    kind: ExportAuditEntriesKind | Unset = UNSET,
    from_: datetime.datetime | Unset = UNSET,
    to: datetime.datetime | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Any | Error | InvalidRequestError | RateLimitError]:
    """Audit entries as newline-delimited JSON, oldest first

     Streamed, so that a log of any size passes through a constant amount of memory.

    Args:
        decision (ExportAuditEntriesDecision | Unset):
        agent (str | Unset):
        agent_id (str | Unset):
        action (str | Unset):
        trace_id (str | Unset): 1 to 128 visible ASCII characters.
        policy (str | Unset): 1 to 128 letters, digits, dots, underscores and hyphens.
        kind (ExportAuditEntriesKind | Unset):
        from_ (datetime.datetime | Unset):
        to (datetime.datetime | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        decision=decision,
        agent=agent,
        agent_id=agent_id,
        action=action,
        trace_id=trace_id,
        policy=policy,
        kind=kind,
        from_=from_,
        to=to,
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
    decision: ExportAuditEntriesDecision | Unset = UNSET,
    agent: str | Unset = UNSET,
    agent_id: str | Unset = UNSET,
    action: str | Unset = UNSET,
    trace_id: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    kind: ExportAuditEntriesKind | Unset = UNSET,
    from_: datetime.datetime | Unset = UNSET,
    to: datetime.datetime | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Any | Error | InvalidRequestError | RateLimitError | None:
    """Audit entries as newline-delimited JSON, oldest first

     Streamed, so that a log of any size passes through a constant amount of memory.

    Args:
        decision (ExportAuditEntriesDecision | Unset):
        agent (str | Unset):
        agent_id (str | Unset):
        action (str | Unset):
        trace_id (str | Unset): 1 to 128 visible ASCII characters.
        policy (str | Unset): 1 to 128 letters, digits, dots, underscores and hyphens.
        kind (ExportAuditEntriesKind | Unset):
        from_ (datetime.datetime | Unset):
        to (datetime.datetime | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Error | InvalidRequestError | RateLimitError
    """

    return sync_detailed(
        client=client,
        decision=decision,
        agent=agent,
        agent_id=agent_id,
        action=action,
        trace_id=trace_id,
        policy=policy,
        kind=kind,
        from_=from_,
        to=to,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    decision: ExportAuditEntriesDecision | Unset = UNSET,
    agent: str | Unset = UNSET,
    agent_id: str | Unset = UNSET,
    action: str | Unset = UNSET,
    trace_id: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    kind: ExportAuditEntriesKind | Unset = UNSET,
    from_: datetime.datetime | Unset = UNSET,
    to: datetime.datetime | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[Any | Error | InvalidRequestError | RateLimitError]:
    """Audit entries as newline-delimited JSON, oldest first

     Streamed, so that a log of any size passes through a constant amount of memory.

    Args:
        decision (ExportAuditEntriesDecision | Unset):
        agent (str | Unset):
        agent_id (str | Unset):
        action (str | Unset):
        trace_id (str | Unset): 1 to 128 visible ASCII characters.
        policy (str | Unset): 1 to 128 letters, digits, dots, underscores and hyphens.
        kind (ExportAuditEntriesKind | Unset):
        from_ (datetime.datetime | Unset):
        to (datetime.datetime | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Error | InvalidRequestError | RateLimitError]
    """

    kwargs = _get_kwargs(
        decision=decision,
        agent=agent,
        agent_id=agent_id,
        action=action,
        trace_id=trace_id,
        policy=policy,
        kind=kind,
        from_=from_,
        to=to,
        x_mesh_guard_trace_id=x_mesh_guard_trace_id,
        x_request_id=x_request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    decision: ExportAuditEntriesDecision | Unset = UNSET,
    agent: str | Unset = UNSET,
    agent_id: str | Unset = UNSET,
    action: str | Unset = UNSET,
    trace_id: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    kind: ExportAuditEntriesKind | Unset = UNSET,
    from_: datetime.datetime | Unset = UNSET,
    to: datetime.datetime | Unset = UNSET,
    x_mesh_guard_trace_id: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Any | Error | InvalidRequestError | RateLimitError | None:
    """Audit entries as newline-delimited JSON, oldest first

     Streamed, so that a log of any size passes through a constant amount of memory.

    Args:
        decision (ExportAuditEntriesDecision | Unset):
        agent (str | Unset):
        agent_id (str | Unset):
        action (str | Unset):
        trace_id (str | Unset): 1 to 128 visible ASCII characters.
        policy (str | Unset): 1 to 128 letters, digits, dots, underscores and hyphens.
        kind (ExportAuditEntriesKind | Unset):
        from_ (datetime.datetime | Unset):
        to (datetime.datetime | Unset):
        x_mesh_guard_trace_id (str | Unset): 1 to 128 visible ASCII characters.
        x_request_id (str | Unset): 1 to 128 visible ASCII characters.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Error | InvalidRequestError | RateLimitError
    """

    return (
        await asyncio_detailed(
            client=client,
            decision=decision,
            agent=agent,
            agent_id=agent_id,
            action=action,
            trace_id=trace_id,
            policy=policy,
            kind=kind,
            from_=from_,
            to=to,
            x_mesh_guard_trace_id=x_mesh_guard_trace_id,
            x_request_id=x_request_id,
        )
    ).parsed
