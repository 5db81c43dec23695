"""Every operation of the gateway without I/O: what is sent, and how the answer is read.

Each function returns an `Operation`, named as the client's method that sends it. No other module uses
the private names of the generated client. It imports an endpoint when that is first asked for: all of
them together take half as long as `httpx` to import.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from types import UnionType
from typing import (
    Any,
    Generic,
    Literal,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from urllib.parse import unquote

import httpx

from meshguard import exact_json
from meshguard.config import Secret
from meshguard.exceptions import (
    AuthenticationError,
    ConflictError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardError,
    NotFoundError,
    PolicyDeniedError,
    RateLimitError,
    UpstreamError,
)
from meshguard.types import (
    Agent,
    AgentFields,
    AuditEntry,
    AuditStats,
    CheckRequest,
    CreatedAgent,
    ErrorDetail,
    Health,
    IssuedToken,
    OnUnavailable,
    Policy,
    PolicyDecision,
    PolicyValidation,
    ProxyOptions,
)

T = TypeVar("T")
Credential = Literal["agent", "admin"]

BATCH_SIZE = 1000
DECISION_HEADER = "X-MeshGuard-Decision"
TRACE_HEADER = "X-MeshGuard-Trace-ID"
REQUEST_ID_HEADER = "X-Request-ID"

_HEADER_TEXT = re.compile(r"[!-~](?:[ -~]{0,2046}[!-~])?")
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ABSOLUTE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_YAML_NAME = re.compile(r"^name:[ \t]+([\"']?)(?P<name>[A-Za-z0-9._-]{1,128})\1[ \t]*(?:#.*)?$", re.MULTILINE)
_METHOD = re.compile(r"[A-Za-z]+")
_READING_METHODS = {"GET", "HEAD", "OPTIONS"}
_OUR_HEADERS = {"authorization", "x-admin-token", "x-request-id"}
_UNAVAILABLE_STATUSES = {502, 503, 504}
_LAST_STATUS = 599
_ERRORS: dict[int, type[MeshGuardError]] = {
    401: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
}

_log = logging.getLogger("meshguard")


def _raise(error: MeshGuardError) -> Any:
    raise error


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """A request, and what its answer means.

    Attributes:
        name: The client's method that sends it.
        request: The arguments of `httpx.Client.build_request`; the URL is a path.
        read: Turns the answer into the result, or raises the error that fits.
        credential: Whose token goes along.
        repeatable: Whether sending it twice does no harm.
        recover: Gives the result in place of an error, or raises the error.
        action: What a decision is asked for, where it is one decision.
        is_small: Whether the response is one object of a few fields.
    """

    name: str
    request: dict[str, Any]
    read: Callable[[httpx.Response], T]
    credential: Credential | None = "admin"
    repeatable: bool = True
    recover: Callable[[MeshGuardError], T] = _raise
    action: str | None = None
    is_small: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of the items, and the operation that fetches more."""

    items: list[T]
    next: Operation[Page[T]] | None


@dataclass(frozen=True, slots=True)
class Question:
    """What a decision is asked for."""

    action: str
    resource: str | None


# Decisions


def check(
    action: str,
    resource: str | None = None,
    *,
    context: Mapping[str, Any] | None = None,
    explain: bool = False,
    on_unavailable: OnUnavailable = "raise",
) -> Operation[PolicyDecision]:
    """`check_action`, or `evaluate` for what a header can't carry."""
    plain = context is None and not explain
    if plain and _fits_header(action) and (not resource or _fits_header(resource)):
        question = Question(action, resource or None)
        request = _check_action_request(question)
    else:
        asked = _evaluate_body(
            {"action": action, "resource": resource, "context": context, "explain": explain}
        )
        question = Question(asked["action"], asked.get("resource"))
        request = _evaluate_request(asked)
    return Operation(
        "check",
        request,
        partial(_read_decision, question),
        credential="agent",
        recover=partial(_decide_unavailable, on_unavailable, question),
        action=question.action,
        is_small=not explain,
    )


def check_many(
    requests: Iterable[str | CheckRequest], *, on_unavailable: OnUnavailable = "raise"
) -> list[Operation[list[PolicyDecision]]]:
    """`evaluate_batch`, as often as its limit makes it necessary."""
    if isinstance(requests, str | Mapping):
        raise InvalidRequestError("check_many takes a list of actions; for one action use check.")
    bodies = [
        _evaluate_body(CheckRequest(action=item) if isinstance(item, str) else item) for item in requests
    ]
    chunks = [bodies[start : start + BATCH_SIZE] for start in range(0, len(bodies), BATCH_SIZE)]
    return [_check_chunk(chunk, on_unavailable) for chunk in chunks]


def enforced(decision: PolicyDecision) -> PolicyDecision:
    """Pass on a decision that allows.

    Raises:
        PolicyDeniedError: It does not.
    """
    if not decision.allowed:
        raise _denied(decision)
    return decision


def _check_action_request(question: Question) -> dict[str, Any]:
    from meshguard_api.api.decisions.check_action import _get_kwargs
    from meshguard_api.types import UNSET

    return _get_kwargs(
        x_mesh_guard_action=question.action,
        x_mesh_guard_resource=UNSET if question.resource is None else question.resource,
    )


def _evaluate_request(body: dict[str, Any]) -> dict[str, Any]:
    from meshguard_api.api.decisions.evaluate import _get_kwargs
    from meshguard_api.models import EvaluateRequest

    return _exactly(_get_kwargs(body=EvaluateRequest.from_dict(body)))


def _exactly(request: dict[str, Any]) -> dict[str, Any]:
    """The request with its JSON as text, in which numbers are exact; `httpx` knows no `Decimal`."""
    try:
        content = exact_json.encode(request["json"]).encode()
    except exact_json.InexactError as error:
        raise InvalidRequestError(f"The request can't be sent: it holds {error.cause}. Send less.") from None
    return {**{name: value for name, value in request.items() if name != "json"}, "content": content}


def _check_chunk(
    bodies: list[dict[str, Any]], on_unavailable: OnUnavailable
) -> Operation[list[PolicyDecision]]:
    from meshguard_api.api.decisions.evaluate_batch import _get_kwargs
    from meshguard_api.models import EvaluateBatchRequest

    questions = [Question(body["action"], body.get("resource")) for body in bodies]
    return Operation(
        "check_many",
        _exactly(_get_kwargs(body=EvaluateBatchRequest.from_dict({"requests": bodies}))),
        partial(_read_batch, questions),
        credential="agent",
        recover=lambda error: [_decide_unavailable(on_unavailable, asked, error) for asked in questions],
    )


def _evaluate_body(asked: CheckRequest) -> dict[str, Any]:
    if not isinstance(asked, Mapping) or "action" not in asked:
        raise InvalidRequestError('Each request of check_many is an action, or {"action": ...}.')
    unknown = asked.keys() - CheckRequest.__annotations__.keys()
    if unknown:
        raise InvalidRequestError(f"A request of check_many has no field {min(map(str, unknown))!r}.")
    body: dict[str, Any] = {"action": _text("action", asked["action"])}
    if resource := asked.get("resource"):
        body["resource"] = _text("resource", resource)
    if (context := asked.get("context")) is not None:
        body["context"] = _exact_context(_mapping("context", context))
    if asked.get("explain"):
        body["explain"] = True
    return body


def _exact_context(context: Mapping[Any, Any]) -> Mapping[str, exact_json.Encoded]:
    try:
        return exact_json.encode_members(context)
    except exact_json.InexactError as error:
        raise InvalidRequestError(
            f"The context can't be sent: its member {error.name} has no exact JSON value, "
            f"since it holds {error.cause}. Convert it to one, or omit the member."
        ) from None


def _read_decision(question: Question, response: httpx.Response) -> PolicyDecision:
    if response.is_success:
        return _decision(
            question, _json_object(response, default={}), response, response.headers.get(DECISION_HEADER)
        )
    error = _refusal(response, question)
    if isinstance(error, PolicyDeniedError) and error.decision is not None:
        return error.decision
    raise error


def _read_batch(questions: Sequence[Question], response: httpx.Response) -> list[PolicyDecision]:
    body = _result(response)
    decisions = body.get("decisions")
    if not isinstance(decisions, list) or len(decisions) != len(questions):
        raise _invalid(response, "it does not have one decision for each request")
    if not all(isinstance(item, dict) for item in decisions):
        raise _invalid(response, "a decision is not an object")
    return [_decision(*pair, response, None) for pair in zip(questions, decisions, strict=True)]


def _decision(
    question: Question, body: Mapping[str, Any], response: httpx.Response, header: str | None
) -> PolicyDecision:
    said = body.get("decision", header)
    allowed = said == "allow"
    if not isinstance(said, str):
        raise _invalid(response, "it holds no decision")
    if (
        header not in {None, said}
        or body.get("allowed", allowed) is not allowed
        or body.get("action", question.action) != question.action
    ):
        raise _invalid(response, "it contradicts itself or the question")
    return PolicyDecision(
        allowed,
        question.action,
        said,
        _string(body.get("policy")) or response.headers.get("X-MeshGuard-Policy"),
        _string(body.get("rule")),
        _string(body.get("reason")),
        _trace_id(response, body),
        question.resource,
        _string(body.get("auditId")),
        body.get("wouldDeny") is True,
        explanation=explanation if isinstance(explanation := body.get("explanation"), dict) else None,
        conditional=conditional if isinstance(conditional := body.get("conditional"), bool) else None,
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


# The proxy


def request(
    method: str,
    path: str,
    action: str,
    *,
    resource: str | None = None,
    raise_for_status: bool = True,
    options: ProxyOptions,
) -> Operation[httpx.Response]:
    """`proxy_get` and its siblings; the generated ones take no path of several segments, and no body."""
    if not (isinstance(method, str) and _METHOD.fullmatch(method)):
        raise InvalidRequestError("method must be an HTTP method, such as GET.")
    request = {
        "method": method.upper(),
        "url": f"/proxy/{_upstream_path(path)}",
        **_httpx_options(options),
        "headers": [*_callers_headers(options), *_question_headers(action, resource)],
    }
    return Operation(
        "request",
        request,
        partial(_read_upstream, raise_for_status),
        credential="agent",
        repeatable=request["method"] in _READING_METHODS,
        action=action,
    )


def made_by_gateway(response: httpx.Response) -> bool:
    """Whether the gateway itself refused a proxied request, rather than passing on what the upstream said."""
    said = response.headers.get(DECISION_HEADER)
    return response.status_code >= httpx.codes.BAD_REQUEST if said is None else said != "allow"


def _upstream_path(path: str) -> str:
    path = _text("path", path).lstrip("/")
    plain = path.partition("?")[0]
    while plain != (plain := unquote(plain)):
        pass
    if _ABSOLUTE_URL.match(plain) or "#" in path:
        raise InvalidRequestError("path must be a path below the upstream's base URL, without a fragment.")
    if _UNSENDABLE.search(plain) or not {".", ".."}.isdisjoint(re.split(r"[/\\]", plain)):
        raise InvalidRequestError("path must not hold dot segments or control characters, in any encoding.")
    return path


def _httpx_options(options: ProxyOptions) -> dict[str, Any]:
    unknown = options.keys() - ProxyOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    if options.get("auth") is not None:
        raise InvalidRequestError("auth can't be given: the gateway adds the upstream's own credential.")
    if options.get("follow_redirects"):
        raise InvalidRequestError("Redirects are passed back; follow one with a request of its own.")
    return {
        name: value for name, value in options.items() if name not in {"auth", "follow_redirects", "headers"}
    }


def _callers_headers(options: ProxyOptions) -> Iterator[tuple[bytes, bytes]]:
    try:
        headers = httpx.Headers(options.get("headers"))
    except (TypeError, ValueError, AttributeError):
        raise InvalidRequestError("headers must be a mapping or pairs of ASCII text.") from None
    for name, value in headers.raw:
        lower = name.lower().decode("ascii", "replace")
        if lower not in _OUR_HEADERS and not lower.startswith("x-meshguard-"):
            yield name, value


def _question_headers(action: str, resource: str | None) -> Iterator[tuple[bytes, bytes]]:
    for name, value in (("action", action), ("resource", resource or None)):
        if value is None:
            continue
        if not _fits_header(_text(name, value)):
            raise InvalidRequestError(
                f"{name} of a proxied request must be at most 2,048 printable ASCII characters."
            )
        yield f"X-MeshGuard-{name.title()}".encode(), value.encode()


def _read_upstream(raise_for_status: bool, response: httpx.Response) -> httpx.Response:
    if made_by_gateway(response):
        raise _refusal(response, Question(response.request.headers["X-MeshGuard-Action"], None))
    if raise_for_status and response.status_code >= httpx.codes.BAD_REQUEST:
        raise UpstreamError(
            f"The upstream answered {response.status_code} to {response.request.method} "
            f"{response.request.url.path.partition('/proxy')[2]}.",
            response=response,
            status_code=response.status_code,
            trace_id=_trace_id(response),
        )
    return response


# Agents


def list_agents(
    *,
    status: str | None = None,
    trust_tier: str | None = None,
    tag: str | None = None,
    cursor: str | None = None,
) -> Operation[Page[Agent]]:
    """`list_agents`: one page, which leads to the next."""
    from meshguard_api.api.agents.list_agents import _get_kwargs

    return Operation(
        "list_agents",
        _get_kwargs(
            status=_given("status", status),
            trust_tier=_given("trust_tier", trust_tier),
            tag=_given("tag", tag),
            cursor=_given("cursor", cursor),
        ),
        lambda response: _page(
            response,
            "agents",
            _agent,
            cursor,
            partial(list_agents, status=status, trust_tier=trust_tier, tag=tag),
        ),
    )


def get_agent(agent_id: str) -> Operation[Agent]:
    """`get_agent`."""
    from meshguard_api.api.agents.get_agent import _get_kwargs

    return Operation("get_agent", _get_kwargs(_segment("agent_id", agent_id)), _read_agent)


def create_agent(
    name: str,
    trust_tier: str = "verified",
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Operation[CreatedAgent]:
    """`create_agent`."""
    from meshguard_api.api.agents.create_agent import _get_kwargs
    from meshguard_api.models import CreateAgentRequest

    fields = _agent_fields(name, trust_tier, tags or [], metadata)
    return Operation(
        "create_agent",
        _get_kwargs(body=CreateAgentRequest(**fields)),
        partial(_read_typed, CreatedAgent),
        repeatable=False,
    )


def update_agent(
    agent_id: str,
    name: str | None = None,
    trust_tier: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Operation[Agent]:
    """`update_agent`."""
    from meshguard_api.api.agents.update_agent import _get_kwargs
    from meshguard_api.models import UpdateAgentRequest

    fields = _agent_fields(name, trust_tier, tags, metadata)
    if not fields:
        raise InvalidRequestError("Give what is to change: name, trust_tier, tags or metadata.")
    body = UpdateAgentRequest(**fields)
    return Operation("update_agent", _get_kwargs(_segment("agent_id", agent_id), body=body), _read_agent)


def issue_token(agent_id: str) -> Operation[IssuedToken]:
    """`issue_token`."""
    from meshguard_api.api.agents.issue_token import _get_kwargs

    request = _get_kwargs(_segment("agent_id", agent_id))
    return Operation("issue_token", request, partial(_read_typed, IssuedToken), repeatable=False)


def revoke_agent(agent_id: str) -> Operation[None]:
    """`revoke_agent`."""
    from meshguard_api.api.agents.revoke_agent import _get_kwargs

    return Operation("revoke_agent", _get_kwargs(_segment("agent_id", agent_id)), _read_nothing)


def _agent_fields(
    name: str | None,
    trust_tier: str | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    from meshguard_api.models import Metadata

    fields: dict[str, Any] = {}
    if name is not None:
        fields["name"] = _text("name", name)
    if trust_tier is not None:
        fields["trust_tier"] = _text("trust_tier", trust_tier)
    if tags is not None:
        fields["tags"] = _texts("tags", tags)
    if metadata is not None:
        fields["metadata"] = Metadata.from_dict(_mapping("metadata", metadata))
    return fields


def _read_agent(response: httpx.Response) -> Agent:
    return _agent(response, _result(response))


def _agent(response: httpx.Response, value: Any) -> Agent:
    body = _typed(AgentFields, response, value)
    return Agent(
        body["id"],
        body["name"],
        body["trustTier"],
        body.get("tags") or [],
        body.get("orgId"),
        body.get("metadata") or {},
        body.get("status"),
        body.get("createdAt"),
        body.get("updatedAt"),
    )


# Policies


def list_policies() -> Operation[list[Policy]]:
    """`list_policies`."""
    from meshguard_api.api.policies.list_policies import _get_kwargs

    return Operation(
        "list_policies", _get_kwargs(), lambda response: _items(response, "policies", partial(_typed, Policy))
    )


def get_policy(name: str) -> Operation[Policy]:
    """`get_policy`."""
    from meshguard_api.api.policies.get_policy import _get_kwargs

    return Operation("get_policy", _get_kwargs(_segment("name", name)), partial(_read_typed, Policy))


def apply_policy(policy: Mapping[str, Any] | str, name: str | None = None) -> Operation[Policy]:
    """`apply_policy`; the policy goes out as it is, for the generated model would drop a misspelt key."""
    from meshguard_api.api.policies.apply_policy import _get_kwargs

    named = name or (
        policy.get("name") if isinstance(policy, Mapping) else _yaml_name(_text_block("policy", policy))
    )
    if not named:
        raise InvalidRequestError("The policy has no name that can be read from it; give name as well.")
    return Operation(
        "apply_policy",
        _policy_request(_get_kwargs(_segment("name", named)), policy),
        partial(_read_typed, Policy),
    )


def validate_policy(policy: Mapping[str, Any] | str) -> Operation[PolicyValidation]:
    """`validate_policy`."""
    from meshguard_api.api.policies.validate_policy import _get_kwargs

    return Operation(
        "validate_policy", _policy_request(_get_kwargs(), policy), partial(_read_typed, PolicyValidation)
    )


def delete_policy(name: str) -> Operation[None]:
    """`delete_policy`."""
    from meshguard_api.api.policies.delete_policy import _get_kwargs

    return Operation("delete_policy", _get_kwargs(_segment("name", name)), _read_nothing, repeatable=False)


def _policy_request(request: dict[str, Any], policy: Mapping[str, Any] | str) -> dict[str, Any]:
    if isinstance(policy, str):
        yaml = _text_block("policy", policy)
        return {**request, "content": yaml.encode(), "headers": {"Content-Type": "application/yaml"}}
    return {**request, "json": _mapping("policy", policy)}


def _yaml_name(yaml: str) -> str | None:
    found = _YAML_NAME.search(yaml)
    return found["name"] if found else None


# The audit log


def audit_log(
    limit: int = 50,
    decision: str | None = None,
    *,
    agent: str | None = None,
    action: str | None = None,
    trace_id: str | None = None,
    policy: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
) -> Operation[Page[AuditEntry]]:
    """`list_audit_entries`: one page, which leads to the next."""
    from meshguard_api.api.audit.list_audit_entries import _get_kwargs

    filters: dict[str, Any] = {
        "decision": decision,
        "agent": agent,
        "action": action,
        "trace_id": trace_id,
        "policy": policy,
        "kind": kind,
    }
    moments = {"from_": _moment("since", since), "to": _moment("until", until)}
    given = {name: _given(name, value) for name, value in {**filters, "cursor": cursor}.items()}
    return Operation(
        "audit_log",
        _get_kwargs(limit=_whole_number("limit", limit), **given, **moments),
        lambda response: _page(
            response,
            "entries",
            partial(_typed, AuditEntry),
            cursor,
            partial(audit_log, limit, since=since, until=until, **filters),
        ),
    )


def audit_stats(period: str = "24h") -> Operation[AuditStats]:
    """`get_audit_stats`."""
    from meshguard_api.api.audit.get_audit_stats import _get_kwargs

    return Operation(
        "audit_stats", _get_kwargs(period=_given("period", period)), partial(_read_typed, AuditStats)
    )


# The gateway about itself


def health(*, as_admin: bool = False) -> Operation[Health]:
    """`get_health`; an unhealthy gateway answers 503 and the same fields, and more to an administrator."""
    from meshguard_api.api.system.get_health import _get_kwargs

    credential: Credential | None = "admin" if as_admin else None
    return Operation(
        "health", _get_kwargs(), _read_health, credential=credential, repeatable=False, is_small=True
    )


def _read_health(response: httpx.Response) -> Health:
    body = _json_object(response, default={})
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "status" in body:
        return _typed(Health, response, body)
    return _read_typed(Health, response)


# Arguments


def _fits_header(value: str) -> bool:
    return isinstance(value, str) and _HEADER_TEXT.fullmatch(value) is not None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"{name} must be a string that is not empty.")
    if _UNSENDABLE.search(value):
        raise InvalidRequestError(
            f"{name} must not hold line breaks, other control characters or lone surrogates."
        )
    return value


def _text_block(name: str, value: Any) -> str:
    _text(name, re.sub(r"[\t\r\n]", " ", value) if isinstance(value, str) else value)
    return cast("str", value)


def _texts(name: str, values: Any) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{name} must be a list of strings.")
    return [_text(name, value) for value in values]


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{name} must be a mapping.")
    return dict(value)


def _segment(name: str, value: Any) -> str:
    if _text(name, value) in {".", ".."}:
        raise InvalidRequestError(f"{name} can't be a dot segment.")
    return cast("str", value)


def _given(name: str, value: Any) -> Any:
    from meshguard_api.types import UNSET

    return _text(name, value) if value else UNSET


def _whole_number(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequestError(f"{name} must be a whole number.")
    return value


def _moment(name: str, value: Any) -> Any:
    from meshguard_api.types import UNSET

    if value is None:
        return UNSET
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidRequestError(f"{name} must be a datetime with a time zone, such as datetime.now(UTC).")
    return value


# Answers


def _read_nothing(response: httpx.Response) -> None:
    if not response.is_success:
        raise _refusal(response)


def _read_typed(expected: type[T], response: httpx.Response) -> T:
    return _typed(expected, response, _result(response))


def _result(response: httpx.Response) -> dict[str, Any]:
    _read_nothing(response)
    return _json_object(response)


def _items(response: httpx.Response, name: str, read_item: Callable[[httpx.Response, Any], T]) -> list[T]:
    items = _result(response).get(name)
    if not isinstance(items, list):
        raise _invalid(response, f"/{name} is not a list")
    return [read_item(response, item) for item in items]


def _page(
    response: httpx.Response,
    name: str,
    read_item: Callable[[httpx.Response, Any], T],
    cursor: str | None,
    again: Callable[..., Operation[Page[T]]],
) -> Page[T]:
    items = _items(response, name, read_item)
    following = _result(response).get("nextCursor")
    if following is None:
        return Page(items, None)
    if (
        not isinstance(following, str)
        or not following
        or following == cursor
        or _UNSENDABLE.search(following)
    ):
        raise _invalid(response, "/nextCursor leads nowhere")
    return Page(items, again(cursor=following))


def _json_object(response: httpx.Response, default: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return body | {"token": Secret(token)} if isinstance(token := body.get("token"), str) else body
    if default is None:
        raise _invalid(response, "it is no JSON object") from None
    return default


def _typed(expected: type[T], response: httpx.Response, value: Any) -> T:
    if fault := _fault(expected, value, ""):
        raise _invalid(response, fault)
    return cast("T", value)


def _fault(expected: Any, value: Any, path: str) -> str | None:
    """Say where a JSON value is not of a type, which is a `TypedDict` or made of what those are made of."""
    if expected is Any:
        return None
    if get_origin(expected) is UnionType:
        faults = [_fault(choice, value, path) for choice in get_args(expected)]
        return faults[0] if all(faults) else None
    if get_origin(expected) is list and isinstance(value, list):
        return _first(
            _fault(get_args(expected)[0], item, f"{path}/{place}") for place, item in enumerate(value)
        )
    if is_typeddict(expected) and isinstance(value, dict):
        missing = expected.__required_keys__ - value.keys()
        fields = _fields(expected).items()
        return (
            f"{path}/{min(missing)} is missing"
            if missing
            else _first(
                _fault(field, value[name], f"{path}/{name}") for name, field in fields if name in value
            )
        )
    plain = (int, float) if expected is float else get_origin(expected) or expected
    fits = (
        not is_typeddict(expected) and isinstance(value, plain) and isinstance(value, bool) == (plain is bool)
    )
    return None if fits else f"{path or '/'} is not of type {getattr(expected, '__name__', expected)}"


def _first(faults: Iterable[str | None]) -> str | None:
    return next(filter(None, faults), None)


_fields = cache(get_type_hints)


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _trace_id(response: httpx.Response, body: Mapping[str, Any] | None = None) -> str | None:
    sent = response.request.headers.get(TRACE_HEADER)
    return _string((body or {}).get("traceId")) or response.headers.get(TRACE_HEADER) or sent


# Errors


def _invalid(response: httpx.Response, fault: str) -> InvalidResponseError:
    return InvalidResponseError(
        f"The answer (status {response.status_code}) is not a gateway's: {fault}. "
        "Look at gateway_url, and at what stands between here and the gateway.",
        status_code=response.status_code,
        trace_id=_trace_id(response),
    )


def _denied(
    decision: PolicyDecision, status_code: int | None = None, code: str | None = None
) -> PolicyDeniedError:
    return PolicyDeniedError(
        decision.action,
        decision.policy,
        decision.rule,
        decision.reason,
        resource=decision.resource,
        decision=decision,
        status_code=status_code,
        trace_id=decision.trace_id,
        code=code,
    )


def _refusal(response: httpx.Response, question: Question | None = None) -> MeshGuardError:
    """The error for an answer that is no success, or for a proxied one that the gateway marked as denied."""
    body = _json_object(response, default={})
    status = response.status_code
    if _is_denial(response, body):
        return _denied(_denial(response, body, question), status, _string(body.get("error")))
    if status < httpx.codes.BAD_REQUEST or status > _LAST_STATUS:
        return _invalid(response, "that status is no answer to this request")
    message = _string(body.get("message")) or f"The gateway refused the request with status {status}."
    about: dict[str, Any] = {
        "status_code": status,
        "trace_id": _trace_id(response, body),
        "code": _string(body.get("error")),
    }
    match status:
        case httpx.codes.BAD_REQUEST | httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return InvalidRequestError(message, details=_details(body), **about)
        case httpx.codes.TOO_MANY_REQUESTS:
            return RateLimitError(message, retry_after=retry_after(response, body), **about)
        case _ if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return GatewayError(message, **about)
    return _ERRORS.get(status, MeshGuardError)(message, **about)


def _is_denial(response: httpx.Response, body: Mapping[str, Any]) -> bool:
    said = response.headers.get(DECISION_HEADER)
    if said is not None or response.status_code != httpx.codes.FORBIDDEN:
        return said not in {None, "allow"}
    explained = isinstance(body.get("message", body.get("reason")), str)
    named = any(isinstance(body.get(name), str) for name in ("action", "policy", "rule"))
    return explained and (body.get("error") == "forbidden" or named)


def _denial(response: httpx.Response, body: Mapping[str, Any], question: Question | None) -> PolicyDecision:
    asked = question or Question(_string(body.get("action")) or "unknown", None)
    return PolicyDecision(
        allowed=False,
        action=asked.action,
        decision="deny",
        policy=_string(body.get("policy")) or response.headers.get("X-MeshGuard-Policy"),
        rule=_string(body.get("rule")),
        reason=_string(body.get("message")) or _string(body.get("reason")),
        trace_id=_trace_id(response, body),
        resource=asked.resource or _string(body.get("resource")),
        audit_id=_string(body.get("auditId")),
    )


def _details(body: Mapping[str, Any]) -> list[ErrorDetail]:
    details = body.get("details")
    return (
        [item for item in details if not _fault(ErrorDetail, item, "")] if isinstance(details, list) else []
    )


def retry_after(
    response: httpx.Response, body: Mapping[str, Any] | None = None, now: datetime | None = None
) -> float | None:
    """Seconds to wait that an answer asks for, in `Retry-After` (a number or a date) or in its body."""
    asked = response.headers.get("Retry-After") or (body or {}).get("retryAfter")
    if isinstance(asked, bool) or not isinstance(asked, str | int | float):
        return None
    try:
        seconds = float(asked)
    except ValueError:
        seconds = _seconds_until(str(asked), now or datetime.now(UTC))
    except OverflowError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return float("nan")
