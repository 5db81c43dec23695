"""Operations on policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshguard_api import models

from meshguard.gateway import store
from meshguard.gateway.agents import admin_row, no_agent
from meshguard.gateway.clock import milliseconds
from meshguard.gateway.decisions import question_of
from meshguard.gateway.http import Request, Response, json_response, json_value
from meshguard.gateway.problems import Detail, Problem, invalid, listed
from meshguard.gateway.store import to_json
from meshguard.gateway.writer import Change
from meshguard.policy import Agent as Subject
from meshguard.policy import Fault, Policy, PolicyEngine, PolicyLoadError, load_policy
from meshguard.policy.lint import lint
from meshguard.policy.loader import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from meshguard.gateway.gateway import Gateway
    from meshguard.gateway.snapshot import Snapshot

_MEDIA_TYPES = frozenset({"application/json", "application/yaml"})


async def list_policies(gateway: Gateway, _request: Request) -> Response:
    """Operation `list_policies`."""
    policies = gateway.current.snapshot.policies
    return await gateway.compile(
        lambda: json_response({"policies": [policy.to_listed() for policy in policies]})
    )


async def get_policy(gateway: Gateway, request: Request) -> Response:
    """Operation `get_policy`."""
    policy = gateway.current.snapshot.policy(request.path["name"])
    if policy is None:
        raise _no_policy()
    return json_response(policy.to_dict())


async def apply_policy(gateway: Gateway, request: Request) -> Response:
    """Operation `apply_policy`."""
    text, is_json = await _policy_text(request)
    name = request.path["name"]
    policy = await gateway.compile(lambda: _loaded(_checked(text, is_json=is_json)))
    if policy.name != name:
        raise Problem(409, "The name in the path must be the name in the policy; change one of them.")
    _refuse_file(gateway, name)
    document = policy.to_dict()

    def perform(connection: Connection) -> Change[bool]:
        number = store.begin_change(connection)
        old, new = store.read_policy(connection, name), to_json(document)
        if old == new:
            return Change(result=False, is_undone=True)
        store.put_policy(connection, name, new, milliseconds(gateway.clock()), number)
        row = _row(gateway, request, "apply", old, document)
        return Change(old is None, [row], gateway.sync.refresh)

    is_new = await gateway.writer.change(perform)
    return json_response(document, 201 if is_new else 200)


async def delete_policy(gateway: Gateway, request: Request) -> Response:
    """Operation `delete_policy`."""
    name = request.path["name"]
    _refuse_file(gateway, name)

    def perform(connection: Connection) -> Change[None]:
        store.begin_change(connection)
        old = store.read_policy(connection, name)
        if old is None:
            raise _no_policy()
        store.remove_policy(connection, name)
        return Change(None, [_row(gateway, request, "delete", old, None)], gateway.sync.refresh)

    await gateway.writer.change(perform)
    return Response(204)


async def validate_policy(gateway: Gateway, request: Request) -> Response:
    """Operation `validate_policy`."""
    text, is_json = await _policy_text(request)
    snapshot = gateway.current.snapshot
    return await gateway.compile(lambda: _validated(snapshot, text, is_json=is_json))


def _validated(snapshot: Snapshot, text: bytes, *, is_json: bool) -> Response:
    if is_json and not isinstance(json_value(text), dict):
        raise invalid(Detail("", "send the policy as an object"))
    try:
        policy = load_policy(text)
    except PolicyLoadError as error:
        errors = [_detail(fault) for fault in error.faults]
        if not _may_be_object(text):
            raise invalid(*errors) from None
        return _validation(listed(errors), [])
    return _validation([], _warnings(snapshot, policy))


def _may_be_object(text: bytes) -> bool:
    """Whether a text is an object, or cannot be parsed."""
    try:
        return read_text(text, None).entries is not None
    except PolicyLoadError:
        return True


def _warnings(snapshot: Snapshot, policy: Policy) -> list[Detail]:
    """Return what is probably not meant, were the policy in force beside the others."""
    others = [other for other in snapshot.policies if other.name != policy.name]
    agents = [agent.subject for agent in snapshot.agents.values()]
    found = lint([*others, policy], agents=agents)
    return [Detail(warning.path, warning.message) for warning in found if warning.policy == policy.name]


def _validation(errors: Sequence[Detail], warnings: list[Detail]) -> Response:
    body = models.PolicyValidation(
        valid=not errors,
        errors=[models.ErrorDetail(fault.path, fault.message) for fault in errors],
        warnings=[models.ErrorDetail(warning.path, warning.message) for warning in warnings],
    )
    return json_response(body.to_dict())


async def test_policies(gateway: Gateway, request: Request) -> Response:
    """Operation `test_policies`."""
    body = await request.json()
    subject = _subject(gateway, body)
    question = question_of(body["action"], body.get("resource"), body.get("context"))
    now = gateway.now()
    decision = await gateway.compile(
        lambda: _engine(gateway, body).decide(subject, question, now=now, explain=True)
    )
    outcome = {
        "decision": decision.decision,
        "allowed": decision.allowed,
        "action": question.action,
        "resource": question.resource,
        "policy": decision.policy,
        "rule": decision.rule,
        "reason": decision.reason,
        "traceId": request.trace_id,
        "mode": gateway.settings.mode,
        "explanation": decision.explanation,
    }
    present = {name: value for name, value in outcome.items() if value is not None}
    return json_response(models.TestedDecision.from_dict(present).to_dict())


def _subject(gateway: Gateway, body: dict[str, Any]) -> Subject:
    if "agentId" in body:
        stored = gateway.current.snapshot.agents.get(body["agentId"])
        if stored is None:
            raise no_agent()
        return stored.subject
    agent = body["agent"]
    return Subject(
        agent.get("id", "agent_imagined"),
        agent.get("name", "imagined"),
        agent["trustTier"],
        agent.get("tags", ()),
        metadata=agent.get("metadata"),
    )


def _engine(gateway: Gateway, body: dict[str, Any]) -> PolicyEngine:
    snapshot = gateway.current.snapshot
    given = body.keys() & {"candidate", "candidateText", "policy"}
    if not given:
        return snapshot.engine
    policies = {policy.name: policy for policy in snapshot.policies}
    for name in given - {"policy"}:
        candidate = _loaded(body[name], f"/{name}")
        policies[candidate.name] = candidate
    if "policy" in body:
        if body["policy"] not in policies:
            raise _no_policy()
        policies = {body["policy"]: policies[body["policy"]]}
    return PolicyEngine(policies.values())


async def _policy_text(request: Request) -> tuple[bytes, bool]:
    """Return the body and whether it is JSON."""
    media_type = request.media_type(_MEDIA_TYPES)
    text = await request.body()
    if not text:
        raise invalid(Detail("", "a body is needed"))
    return text, media_type == "application/json"


def _checked(text: bytes, *, is_json: bool) -> bytes:
    """Return the text of a policy, which is JSON of one meaning if it is JSON."""
    if is_json:
        json_value(text)
    return text


def _loaded(source: bytes | str | dict[str, object], below: str = "") -> Policy:
    try:
        return load_policy(source)
    except PolicyLoadError as error:
        raise invalid(*(_detail(fault, below) for fault in error.faults)) from None


def _detail(fault: Fault, below: str = "") -> Detail:
    place = f" (line {fault.line}, column {fault.column})" if fault.line is not None else ""
    return Detail(f"{below}{fault.path}", f"{fault.message}{place}")


def _refuse_file(gateway: Gateway, name: str) -> None:
    if name in gateway.current.snapshot.files:
        raise Problem(409, "The gateway reads this policy from a file in POLICIES_DIR; change it there.")


def _row(gateway: Gateway, request: Request, verb: str, old: str | None, new: dict[str, Any] | None) -> Any:
    changes = {"policy": {"old": json_value(old.encode()) if old else None, "new": new}}
    return admin_row(gateway, request, f"admin:policy.{verb}", request.path["name"], changes)


def _no_policy() -> Problem:
    return Problem(404, "There is no policy with this name; list them with GET /admin/policies.")
