"""From a status, or from a failure to send, to the error that is raised."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from meshguard._wire.body import as_list, find_mismatch, parse_object, string
from meshguard.exceptions import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardError,
    NotFoundError,
    PolicyDeniedError,
    RateLimitError,
)
from meshguard.types import ErrorDetail, PolicyDecision

if TYPE_CHECKING:
    from collections.abc import Mapping

DECISION_HEADER = "X-MeshGuard-Decision"
REQUEST_ID_HEADER = "X-Request-ID"
TRACE_HEADER = "X-MeshGuard-Trace-ID"

Failed = TypeVar("Failed", bound=MeshGuardError)
Failure = TypeVar("Failure", bound=BaseException)

_LAST_STATUS = 599
_MAX_NAMED = 5
_ERRORS: dict[int, type[MeshGuardError]] = {
    401: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
}


def error_for(
    response: httpx.Response, action: str | None = None, resource: str | None = None
) -> MeshGuardError:
    """Return the error for a response that is not a success, or that the gateway marked as denied.

    Args:
        response: The response, read to its end.
        action: The action that the call was about, if it was about one.
        resource: The resource, if one was sent.
    """
    return with_response(_error_for(response, action, resource), response)


def with_response(error: Failed, response: httpx.Response) -> Failed:
    """Return an error that carries its response and the ID of its request."""
    error.response = response
    error.request_id = response.request.headers.get(REQUEST_ID_HEADER)
    return error


def _error_for(response: httpx.Response, action: str | None, resource: str | None) -> MeshGuardError:
    body = parse_object(response) or {}
    status = response.status_code
    if _is_denial(response, body):
        return denied(_denial(response, body, action, resource))
    if status < httpx.codes.BAD_REQUEST or status > _LAST_STATUS:
        return invalid_response(response, "that status does not answer this request")
    details = _details(body)
    message = _message(body, details) or f"{origin(response)} rejected the request with status {status}."
    if status == int(httpx.codes.UNAUTHORIZED):
        message = _rejected_token(response)
    about: dict[str, Any] = {
        "status_code": status,
        "trace_id": trace_id_of(response, body),
        "code": string(body.get("error")),
    }
    match status:
        case httpx.codes.BAD_REQUEST | httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return InvalidRequestError(message, details=details, **about)
        case httpx.codes.TOO_MANY_REQUESTS:
            return RateLimitError(message, retry_after=retry_after(response, body), **about)
        case _ if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return GatewayError(message, **about)
        case _:
            return _ERRORS.get(status, MeshGuardError)(message, **about)


def invalid_response(response: httpx.Response, cause: str) -> InvalidResponseError:
    """Return the error for a response that no gateway sends."""
    error = InvalidResponseError(
        f"The response of {origin(response)} (status {response.status_code}) is not a gateway's: {cause}. "
        "Check MESHGUARD_GATEWAY_URL and any proxy in between.",
        status_code=response.status_code,
        trace_id=trace_id_of(response),
    )
    return with_response(error, response)


def denied(decision: PolicyDecision) -> PolicyDeniedError:
    """Return the error for a decision that denies."""
    return PolicyDeniedError(
        decision.action,
        decision.policy,
        decision.rule,
        decision.reason,
        resource=decision.resource,
        decision=decision,
        status_code=decision.status_code,
        trace_id=decision.trace_id,
        code=decision.code,
    )


def trace_id_of(response: httpx.Response, body: Mapping[str, Any] | None = None) -> str | None:
    """Return the trace ID of a response, or of its request."""
    return (
        string((body or {}).get("traceId"))
        or response.headers.get(TRACE_HEADER)
        or response.request.headers.get(TRACE_HEADER)
    )


def retry_after(
    response: httpx.Response, body: Mapping[str, Any] | None = None, now: datetime | None = None
) -> float | None:
    """Return the seconds that a response asks to wait, in `Retry-After` (a number or a date) or its body."""
    requested = response.headers.get("Retry-After") or (body or {}).get("retryAfter")
    if isinstance(requested, bool) or not isinstance(requested, str | int | float):
        return None
    try:
        seconds = float(requested)
    except ValueError:
        seconds = _seconds_until(str(requested), now or datetime.now(UTC))
    except OverflowError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def map_exception(error: Exception, gateway_url: str) -> MeshGuardError:
    """Return the error for a failure to send or receive, detached from its request."""
    detach_error(error)
    if isinstance(error, MeshGuardError):
        return error
    if is_interruption(error):
        return GatewayUnavailableError(
            f"Cannot reach the gateway at {gateway_url}: {type(error).__name__}: {str(error).rstrip('.')}. "
            "Check MESHGUARD_GATEWAY_URL; `meshguard serve --dev` runs a gateway."
        )
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return InvalidRequestError(
            "Cannot send the request: it is not valid HTTP. Check its method and headers."
        )
    if type(error) is RuntimeError:
        return ConfigurationError(f"Cannot use the HTTP client: {error}")
    return InvalidResponseError(
        f"The response of {gateway_url} is not a gateway's: {type(error).__name__}. "
        "Check MESHGUARD_GATEWAY_URL and any proxy in between."
    )


def detach_error(error: Failure) -> Failure:
    """Return an error without its request, and without the frames in which `h11` held the headers."""
    error.__cause__ = error.__context__ = None
    if isinstance(error, httpx.RequestError):
        error.request = cast("Any", None)
    return error.with_traceback(None)


def is_interruption(error: Exception) -> bool:
    """Whether a failure says that the gateway is unreachable, slow or gone."""
    if isinstance(error, httpx.RemoteProtocolError):
        return str(error).startswith(("Server disconnected", "peer closed connection"))
    return isinstance(error, httpx.TimeoutException | httpx.NetworkError | httpx.ProxyError | OSError)


def origin(response: httpx.Response) -> str:
    """Return the scheme, host and port that a response came from."""
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode()}"


def _rejected_token(response: httpx.Response) -> str:
    before, proxied, _ = response.request.url.path.partition("/proxy/")
    as_admin = not proxied and ("/admin/" in f"{before}/" or before.endswith("/health"))
    identity = "admin" if as_admin else "agent"
    return (
        f"{origin(response)} rejected the {identity} token (missing, expired, replaced or revoked); "
        f"check MESHGUARD_{identity.upper()}_TOKEN."
    )


def _is_denial(response: httpx.Response, body: Mapping[str, Any]) -> bool:
    stated = response.headers.get(DECISION_HEADER)
    if stated is not None or response.status_code != httpx.codes.FORBIDDEN.value:
        return stated not in {None, "allow"}
    explained = isinstance(body.get("message", body.get("reason")), str)
    named = any(isinstance(body.get(name), str) for name in ("action", "policy", "rule"))
    return explained and (body.get("error") == "forbidden" or named)


def _denial(
    response: httpx.Response, body: Mapping[str, Any], action: str | None, resource: str | None
) -> PolicyDecision:
    return PolicyDecision(
        allowed=False,
        action=action or string(body.get("action")) or "unknown",
        decision="deny",
        policy=string(body.get("policy")) or response.headers.get("X-MeshGuard-Policy"),
        rule=string(body.get("rule")),
        reason=string(body.get("message")) or string(body.get("reason")),
        trace_id=trace_id_of(response, body),
        resource=resource or string(body.get("resource")),
        audit_id=string(body.get("auditId")),
        status_code=response.status_code,
        code=string(body.get("error")),
    )


def _message(body: Mapping[str, Any], details: list[ErrorDetail]) -> str | None:
    """Return the gateway's message, or the errors themselves where it only points to them."""
    if not details:
        return string(body.get("message"))
    named = [f"{detail['path'] or 'the request'}: {detail['message']}" for detail in details[:_MAX_NAMED]]
    more = [f"and {len(details) - _MAX_NAMED} more"] if len(details) > _MAX_NAMED else []
    return f"The gateway rejected the request: {'; '.join([*named, *more])}."


def _details(body: Mapping[str, Any]) -> list[ErrorDetail]:
    details = as_list(body.get("details")) or []
    return [item for item in details if not find_mismatch(ErrorDetail, item)]


def _seconds_until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return float("nan")
