"""Cases on policies: how they come into force, and how they are combined."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshguard.contract.cases.case import case
from meshguard.contract.subject import (
    BAD_REQUEST,
    CONFLICT,
    CREATED,
    FORBIDDEN,
    NO_CONTENT,
    NOT_FOUND,
    OK,
    Subject,
    expect,
    expect_allowed,
    expect_denied,
    expect_fields,
    expect_that,
)

if TYPE_CHECKING:
    from meshguard.contract.exchange import Exchange


def _allow(gateway: Subject, thing: str, **more: Any) -> dict[str, Any]:
    return {"effect": "allow", "actions": [gateway.read(thing)], **more}


def _deny(gateway: Subject, thing: str, **more: Any) -> dict[str, Any]:
    return {"effect": "deny", "actions": [gateway.read(thing)], **more}


def _agent_under(gateway: Subject, policy: dict[str, Any]) -> str:
    """Apply a policy and return the token of an agent to which it alone applies."""
    gateway.apply(policy)
    return gateway.new_agent(tags=policy["appliesTo"]["tags"]).token


@case("apply_policy, get_policy, delete_policy")
def a_policy_is_in_force_from_put_to_delete(gateway: Subject) -> None:
    """PUT answers 201 for a new policy; it holds at once, until DELETE answers 204; then it is gone, 404."""
    policy = gateway.new_policy("life", _allow(gateway, "*"))
    path = f"/admin/policies/{policy['name']}"
    token = _agent_under(gateway, policy)
    expect_fields(expect(gateway.admin("GET", path), OK), name=policy["name"])
    expect_allowed(gateway.check(token, gateway.read("x")))
    expect(gateway.admin("DELETE", path), NO_CONTENT)
    expect_denied(gateway.check(token, gateway.read("x")))
    expect(gateway.admin("GET", path), NOT_FOUND)
    expect(gateway.admin("DELETE", path), NOT_FOUND)


@case("apply_policy")
def a_policy_replaces_the_one_of_its_name_whole(gateway: Subject) -> None:
    """PUT answers 200 when the policy replaces an earlier one, which is gone whole."""
    token = _agent_under(gateway, gateway.new_policy("replaced", _allow(gateway, "old")))
    gateway.apply(gateway.new_policy("replaced", _allow(gateway, "new")), OK)
    expect_denied(gateway.check(token, gateway.read("old")))
    expect_allowed(gateway.check(token, gateway.read("new")))


@case("list_policies; schema PolicyId")
def every_listed_policy_and_rule_has_an_id(gateway: Subject) -> None:
    """An id is kept; where there is none, the list shows the name."""
    rules = [{"id": "rule-id", **_allow(gateway, "x")}, {"name": "second", **_allow(gateway, "y")}]
    policies = [gateway.new_policy("ids", *rules, id="policy-id"), gateway.new_policy("none", rules[1])]
    for policy in policies:
        gateway.apply(policy)
    answer = expect(gateway.admin("GET", "/admin/policies"), OK)
    found = {policy.get("name"): policy for policy in answer.object().get("policies", [])}
    listed = [found.get(policy["name"], {}) for policy in policies]
    ids = [[policy.get("id"), *(rule.get("id") for rule in policy.get("rules", []))] for policy in listed]
    expected = [["policy-id", "rule-id", "second"], [policies[1]["name"], "second"]]
    expect_that(ids == expected, f"the ids are {ids}, not {expected}", answer)


@case("apply_policy")
def a_policy_may_be_yaml(gateway: Subject) -> None:
    """PUT takes a policy as JSON or as YAML 1.2, in which only true and false are booleans."""
    name = f"{gateway.prefix}-yaml"
    gateway.remember_policy(name)
    rule = f'{{effect: allow, actions: ["{gateway.read("*")}"], conditions: {{resource: no}}}}'
    text = f"name: {name}\nappliesTo: {{tags: [{name}]}}\nrules:\n  - {rule}\n"
    headers = {"Content-Type": "application/yaml"}
    expect(gateway.admin("PUT", f"/admin/policies/{name}", content=text.encode(), headers=headers), CREATED)
    token = gateway.new_agent(tags=[name]).token
    expect_allowed(gateway.evaluate(token, gateway.read("x"), resource="no"))


@case("apply_policy")
def a_refused_policy_leaves_the_old_one_in_force(gateway: Subject) -> None:
    """A refused policy is answered with 400 and every fault, and changes nothing."""
    policy = gateway.new_policy("kept", _allow(gateway, "old"))
    token = _agent_under(gateway, policy)
    path = f"/admin/policies/{policy['name']}"
    before = expect(gateway.admin("GET", path), OK).object()
    broken = gateway.new_policy("kept", _allow(gateway, "new"), {"effect": "alow", "actions": ["*"]})
    answer = expect(gateway.admin("PUT", path, json=broken), BAD_REQUEST)
    details = answer.object().get("details") or []
    paths = [detail.get("path") for detail in details]
    expect_that("/rules/1/effect" in paths, f"the details name {paths}, not /rules/1/effect", answer)
    expect_allowed(gateway.check(token, gateway.read("old")))
    expect_denied(gateway.check(token, gateway.read("new")))
    after = expect(gateway.admin("GET", path), OK)
    expect_that(after.object() == before, "the policy in force is another", after)


@case("apply_policy; schema Policy")
def unknown_keys_in_a_policy_are_refused(gateway: Subject) -> None:
    """A key that no policy has is refused with 400 rather than ignored, in policy, rule and condition."""
    wrong = [
        gateway.new_policy("typo", _allow(gateway, "*"), apliesTo={}),
        gateway.new_policy("typo", _allow(gateway, "*", condition={"tags": ["x"]})),
        gateway.new_policy("typo", _allow(gateway, "*", conditions={"resource": {"startswith": "/"}})),
    ]
    path = f"/admin/policies/{gateway.prefix}-typo"
    gateway.remember_policy(f"{gateway.prefix}-typo")
    for policy in wrong:
        expect(gateway.admin("PUT", path, json=policy), BAD_REQUEST)
    expect(gateway.admin("GET", path), NOT_FOUND)


@case("apply_policy, validate_policy, test_policies")
def a_document_that_is_not_an_object_is_not_a_policy(gateway: Subject) -> None:
    """An empty document, null and a list are rejected with 400 wherever a policy is expected."""
    name = f"{gateway.prefix}-null"
    gateway.remember_policy(name)
    for method, path in (("PUT", f"/admin/policies/{name}"), ("POST", "/admin/policies/validate")):
        for kind, text in (("yaml", "null"), ("yaml", "# empty"), ("yaml", "[]"), ("json", "null")):
            headers = {"Content-Type": f"application/{kind}"}
            expect(gateway.admin(method, path, headers=headers, content=text), BAD_REQUEST)
    test = {"agent": {"trustTier": "verified"}, "action": gateway.read("x"), "candidate": None}
    expect(gateway.admin("POST", "/admin/policies/test", json=test), BAD_REQUEST)


@case("apply_policy, response Conflict")
def the_name_in_the_body_is_the_name_in_the_path(gateway: Subject) -> None:
    """The name in the body must be the name in the path, else 409."""
    policy = gateway.new_policy("one", _allow(gateway, "*"))
    path = f"/admin/policies/{gateway.prefix}-two"
    gateway.remember_policy(f"{gateway.prefix}-two")
    expect_fields(expect(gateway.admin("PUT", path, json=policy), CONFLICT), error="conflict")


@case("validate_policy")
def to_validate_a_policy_applies_nothing(gateway: Subject) -> None:
    """Validation answers 200 with the faults, whether or not the policy is sound, and applies nothing."""
    sound = gateway.new_policy("tried", _allow(gateway, "*"))
    broken = gateway.new_policy("tried", {"effect": "alow", "actions": ["*"]})
    for policy, valid in ((sound, True), (broken, False)):
        answer = expect(gateway.admin("POST", "/admin/policies/validate", json=policy), OK)
        found = expect_fields(answer, valid=valid)
        expect_that(bool(found.get("errors")) is not valid, "valid and errors contradict", answer)
    expect(gateway.admin("GET", f"/admin/policies/{sound['name']}"), NOT_FOUND)


@case("test_policies")
def to_test_a_candidate_neither_applies_nor_records_it(gateway: Subject) -> None:
    """A test decides as if the candidate were in force, explains it, and nothing is recorded as an act."""
    candidate = gateway.new_policy("candidate", _allow(gateway, "*"))
    agent = gateway.new_agent(tags=[candidate["name"]])
    for form in ({"candidate": candidate}, {"candidateText": json.dumps(candidate)}):
        body = {"agentId": agent.id, "action": gateway.read("x"), **form}
        answer = expect(gateway.admin("POST", "/admin/policies/test", json=body), OK)
        found = expect_fields(answer, decision="allow", policy=candidate["name"], auditId=None)
        expect_that(isinstance(found.get("explanation"), dict), "the decision has no explanation", answer)
    acts = gateway.entries(agent=agent.id, kind="decision")
    expect_that(not acts, "the test is recorded as an act of the agent", answer)
    expect_denied(gateway.check(agent.token, gateway.read("x")))


@case("schema Policy: combining")
def a_denial_overrides_every_allowance(gateway: Subject) -> None:
    """If any rule of any policy denies, the action is denied, whatever allows it and in whatever order."""
    tag = f"{gateway.prefix}-both"
    applies = {"tags": [tag]}
    gateway.apply(gateway.new_policy("both-a", _allow(gateway, "*"), appliesTo=applies))
    gateway.apply(gateway.new_policy("both-b", _deny(gateway, "x", name="no-x"), appliesTo=applies))
    gateway.apply(gateway.new_policy("both-c", _allow(gateway, "*"), appliesTo=applies))
    token = gateway.new_agent(tags=[tag]).token
    expect_allowed(gateway.check(token, gateway.read("y")))
    answer = gateway.check(token, gateway.read("x"))
    expect_denied(answer)
    expect_fields(answer, policy=f"{gateway.prefix}-both-b", rule="no-x")


@case("schema Rule: conditions")
def a_condition_that_cannot_be_evaluated_never_allows(gateway: Subject) -> None:
    """An allow rule matches only when its condition is true; a deny rule also when it is an error."""
    within = {"context.amount": {"lte": 100}}
    policy = gateway.new_policy(
        "amount",
        _allow(gateway, "refund", conditions=within),
        _allow(gateway, "gift"),
        _deny(gateway, "gift", conditions=within),
    )
    token = _agent_under(gateway, policy)
    for context, refund, gift in (({"amount": 40}, True, False), ({"amount": 101}, False, True)):
        _expect_decided(gateway.evaluate(token, gateway.read("refund"), context=context), allowed=refund)
        _expect_decided(gateway.evaluate(token, gateway.read("gift"), context=context), allowed=gift)
    unsound: list[dict[str, Any]] = [{}, {"amount": "40"}, {"amount": None}, {"amount": True}]
    for context in unsound:
        for thing in ("refund", "gift"):
            _expect_decided(gateway.evaluate(token, gateway.read(thing), context=context), allowed=False)


def _expect_decided(answer: Exchange, *, allowed: bool) -> None:
    if allowed:
        expect_allowed(answer)
    else:
        expect_denied(answer)


@case("schema Policy: defaultEffect")
def a_default_of_allow_holds_where_every_policy_that_applies_says_so(gateway: Subject) -> None:
    """Where no rule matches, allow only if every policy that applies says `defaultEffect: allow`."""
    open_, closed = (f"{gateway.prefix}-{name}" for name in ("open", "closed"))
    gateway.apply(gateway.new_policy("open", _deny(gateway, "x"), defaultEffect="allow"))
    gateway.apply(gateway.new_policy("closed", _allow(gateway, "y")))
    only, both = (gateway.new_agent(tags=tags).token for tags in ([open_], [open_, closed]))
    expect_denied(gateway.check(only, gateway.read("x")))
    if gateway.check(only, gateway.read("z")).status != FORBIDDEN:
        expect_allowed(gateway.check(only, gateway.read("z")))
    expect_denied(gateway.check(both, gateway.read("z")))
