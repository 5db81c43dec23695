"""What a decision is asked with, and how it is read: allowed only on positive evidence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from meshguard._wire.body import as_list, as_object, parse_object, string
from meshguard._wire.errors import DECISION_HEADER, denied, error_for, invalid_response, trace_id_of
from meshguard._wire.explanations import read_explanation
from meshguard._wire.requests import ApiCall, fits_header, mapping, text
from meshguard._wire.responses import read_object
from meshguard.exceptions import (
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    MeshGuardError,
    PolicyDeniedError,
)
from meshguard.types import CheckRequest, OnUnavailable, PolicyDecision

if TYPE_CHECKING:
    import httpx

    from meshguard.exact_json import Encoded

BATCH_SIZE = 1000
_UNAVAILABLE_STATUSES = frozenset({502, 503, 504})

_log = logging.getLogger("meshguard")


class Question(NamedTuple):
    """What a decision is about."""

    action: str
    resource: str | None = None


def check(
    action: str,
    resource: str | None = None,
    *,
    context: Mapping[str, Any] | None = None,
    explain: bool = False,
    on_unavailable: OnUnavailable = "raise",
) -> ApiCall[PolicyDecision]:
    """Operation `check_action`, or `evaluate` for what a header can't carry."""
    method, path = "GET", "/proxy/check"
    if context is None and not explain and fits_header(action) and (not resource or fits_header(resource)):
        question = Question(action, resource or None)
        headers = {"X-MeshGuard-Action": action} | ({"X-MeshGuard-Resource": resource} if resource else {})
        options: dict[str, Any] = {"headers": headers}
    else:
        body = _evaluate_body(
            {"action": action, "resource": resource, "context": context, "explain": explain}
        )
        question = Question(body["action"], body.get("resource"))
        method, path, options = "POST", "/api/v1/pdp/evaluate", _exact_json(body)
    return ApiCall(
        "check",
        method,
        path,
        partial(_read_decision, question),
        options,
        credential="agent",
        recover=partial(_decide_unavailable, on_unavailable, question),
        action=question.action,
        is_small=not explain,
    )


def check_many(
    requests: Iterable[str | CheckRequest], *, on_unavailable: OnUnavailable = "raise"
) -> list[ApiCall[list[PolicyDecision]]]:
    """Operation `evaluate_batch`, one call for each batch."""
    if isinstance(requests, str | Mapping):
        raise InvalidRequestError(
            "Invalid requests of check_many: it takes a list. Use check for one action."
        )
    bodies = [_evaluate_body({"action": item} if isinstance(item, str) else item) for item in requests]
    batches = [bodies[start : start + BATCH_SIZE] for start in range(0, len(bodies), BATCH_SIZE)]
    return [_check_batch(batch, on_unavailable) for batch in batches]


def test_policies(
    action: str,
    resource: str | None,
    *,
    agent: str | Mapping[str, Any],
    context: Mapping[str, Any] | None,
    policy: str | None,
    candidate: Mapping[str, Any] | str | None,
) -> ApiCall[PolicyDecision]:
    """Operation `test_policies`."""
    body = _evaluate_body({"action": action, "resource": resource, "context": context})
    question = Question(body["action"], body.get("resource"))
    if isinstance(agent, str):
        body["agentId"] = text("agent", agent)
    else:
        body["agent"] = mapping("agent", agent)
    if policy is not None:
        body["policy"] = text("policy", policy)
    if candidate is not None:
        body["candidateText" if isinstance(candidate, str) else "candidate"] = candidate
    read = partial(_read_decision, question)
    return ApiCall("test_policies", "POST", "/admin/policies/test", read, _exact_json(body))


def raise_if_denied(decision: PolicyDecision) -> PolicyDecision:
    """Return a decision that allows.

    Raises:
        PolicyDeniedError: It does not.
    """
    if not decision.allowed:
        raise denied(decision)
    return decision


def _check_batch(
    bodies: list[dict[str, Any]], on_unavailable: OnUnavailable
) -> ApiCall[list[PolicyDecision]]:
    questions = [Question(body["action"], body.get("resource")) for body in bodies]
    return ApiCall(
        "check_many",
        "POST",
        "/api/v1/pdp/evaluate/batch",
        partial(_read_batch, questions),
        _exact_json({"requests": bodies}),
        credential="agent",
        recover=lambda error: [_decide_unavailable(on_unavailable, asked, error) for asked in questions],
    )


def _evaluate_body(request: CheckRequest) -> dict[str, Any]:
    if not isinstance(request, Mapping) or "action" not in request:
        raise InvalidRequestError('Invalid request of check_many: it must be an action, or {"action": ...}.')
    if unknown := request.keys() - CheckRequest.__annotations__.keys():
        raise InvalidRequestError(
            f"Invalid request of check_many: there is no field {min(map(str, unknown))!r}. Remove it."
        )
    body: dict[str, Any] = {"action": text("action", request["action"])}
    if resource := request.get("resource"):
        body["resource"] = text("resource", resource)
    if (context := request.get("context")) is not None:
        body["context"] = _exact_context(mapping("context", context))
    if request.get("explain"):
        body["explain"] = True
    return body


def _exact_context(context: Mapping[Any, Any]) -> Mapping[str, Encoded]:
    from meshguard import exact_json  # noqa: PLC0415 - many programs send no context

    try:
        return exact_json.encode_members(context)
    except exact_json.InexactError as error:
        raise InvalidRequestError(
            f"Cannot send the context: its member {error.name} has no exact JSON value, "
            f"because it contains {error.cause}. Convert or omit it."
        ) from None


def _exact_json(body: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a call with a JSON body whose numbers are exact, unlike those of `httpx`."""
    from meshguard import exact_json  # noqa: PLC0415 - as above

    try:
        content = exact_json.encode(body).encode()
    except exact_json.InexactError as error:
        raise InvalidRequestError(f"Cannot send the request: it contains {error.cause}. Send less.") from None
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def _read_decision(question: Question, response: httpx.Response) -> PolicyDecision:
    if response.is_success:
        header = response.headers.get(DECISION_HEADER)
        return _decision(question, parse_object(response) or {}, response, header)
    error = error_for(response, question.action, question.resource)
    if isinstance(error, PolicyDeniedError) and error.decision is not None:
        return error.decision
    raise error


def _read_batch(questions: Sequence[Question], response: httpx.Response) -> list[PolicyDecision]:
    decisions = as_list(read_object(response).get("decisions"))
    if decisions is None or len(decisions) != len(questions):
        raise invalid_response(response, "it does not have one decision for each request")
    bodies = [body for item in decisions if (body := as_object(item)) is not None]
    if len(bodies) != len(decisions):
        raise invalid_response(response, "a decision is not an object")
    return [_decision(*pair, response, None) for pair in zip(questions, bodies, strict=True)]


def _decision(
    question: Question, body: Mapping[str, Any], response: httpx.Response, header: str | None
) -> PolicyDecision:
    stated = body.get("decision", header)
    allowed = stated == "allow"
    if not isinstance(stated, str):
        raise invalid_response(response, "it has no decision")
    if (
        header not in {None, stated}
        or body.get("allowed", allowed) is not allowed
        or body.get("action", question.action) != question.action
    ):
        raise invalid_response(response, "it contradicts itself or the request")
    return PolicyDecision(
        allowed,
        question.action,
        stated,
        string(body.get("policy")) or response.headers.get("X-MeshGuard-Policy"),
        string(body.get("rule")),
        string(body.get("reason")),
        trace_id_of(response, body),
        question.resource,
        string(body.get("auditId")),
        body.get("wouldDeny") is True,
        explanation=read_explanation(body.get("explanation")),
        conditional=conditional if isinstance(conditional := body.get("conditional"), bool) else None,
        status_code=response.status_code,
    )


def _decide_unavailable(
    on_unavailable: OnUnavailable, question: Question, error: MeshGuardError
) -> PolicyDecision:
    gateway_down = isinstance(error, GatewayError) and error.status_code in _UNAVAILABLE_STATUSES
    if on_unavailable == "raise" or not (gateway_down or isinstance(error, GatewayUnavailableError)):
        raise error
    allowed = on_unavailable == "allow"
    if allowed:
        _log.warning("%r is allowed without a decision, as on_unavailable says: %s", question.action, error)
    return PolicyDecision(
        allowed=allowed,
        action=question.action,
        decision=on_unavailable,
        reason=f"The gateway is not available, and on_unavailable is {on_unavailable!r}: {error}",
        trace_id=error.trace_id,
        resource=question.resource,
        degraded=True,
    )
