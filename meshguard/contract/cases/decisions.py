"""Cases on decisions."""

from __future__ import annotations

from meshguard.contract.cases.case import case
from meshguard.contract.exchange import Exchange, Violation
from meshguard.contract.subject import (
    BAD_REQUEST,
    FORBIDDEN,
    OK,
    Skipped,
    Subject,
    expect,
    expect_allowed,
    expect_denied,
    expect_fields,
    expect_header,
    expect_that,
    is_denied,
)

_MODES = 'description, section "Modes"'
_CREDENTIALS = 'description, section "Credentials"'
_EVALUATE = "/api/v1/pdp/evaluate"
_BATCH = f"{_EVALUATE}/batch"


@case("check_action; schema Decision")
def an_allowed_action_is_answered_with_200_and_the_rule_that_decided(gateway: Subject) -> None:
    """An allowed action answers 200 with `decision: allow`, `allowed: true`, and what decided."""
    answer = gateway.check(gateway.reader.token, gateway.read("x"), X_MeshGuard_Resource="/things/1")
    expect_allowed(answer)
    expect_fields(answer, action=gateway.read("x"), resource="/things/1", policy=gateway.prefix, rule="reads")
    expect_fields(answer, mode=gateway.mode)


@case("check_action, response Denied; schema Denial")
def a_denied_action_is_answered_with_403_and_the_reason(gateway: Subject) -> None:
    """A denied action answers 403 with error, message and reason, action, policy, rule, traceId, auditId."""
    gateway.needs_mode("enforce")
    answer = expect(gateway.check(gateway.reader.token, gateway.read("secret")), FORBIDDEN)
    found = expect_fields(answer, error="forbidden", reason="Secrets are off limits", rule="secrets")
    expect_fields(answer, message=found["reason"], policy=gateway.prefix, action=gateway.read("secret"))
    expect_that(bool(found.get("auditId")), "the denial has no auditId", answer)


@case("check_action, response 200, headers")
def an_allowance_says_so_in_its_headers(gateway: Subject) -> None:
    """An allowance carries X-MeshGuard-Decision: allow, -Policy and -Agent-Id."""
    for answer in _both(gateway, "x"):
        _expect_headers(gateway, answer, "allow", gateway.prefix)


@case("response Denied, headers")
def a_denial_says_so_in_its_headers(gateway: Subject) -> None:
    """A denial carries X-MeshGuard-Decision: deny, -Policy when one matched, and -Agent-Id."""
    gateway.needs_mode("enforce")
    for answer in _both(gateway, "secret"):
        _expect_headers(gateway, answer, "deny", gateway.prefix)


def _expect_headers(gateway: Subject, answer: Exchange, decision: str, policy: str) -> None:
    expect_header(answer, "X-MeshGuard-Decision", decision)
    expect_header(answer, "X-MeshGuard-Policy", policy)
    expect_header(answer, "X-MeshGuard-Agent-Id", gateway.reader.id)


def _both(gateway: Subject, thing: str) -> list[Exchange]:
    ask = (gateway.check, gateway.evaluate)
    return [question(gateway.reader.token, gateway.read(thing)) for question in ask]


@case("evaluate, check_action")
def evaluate_and_check_agree(gateway: Subject) -> None:
    """The same question has the same decision, policy, rule and reason through every door."""
    for thing in ("x", "secret"):
        checked, evaluated = _both(gateway, thing)
        expect_that(is_denied(checked) == is_denied(evaluated), "the decisions differ", evaluated)
        by = {name: checked.object().get(name) for name in ("policy", "rule", "reason", "action")}
        expect_fields(evaluated, **by)


@case("check_action, evaluate, evaluate_batch; parameter Meta")
def a_context_may_come_in_a_header(gateway: Subject) -> None:
    """X-MeshGuard-Meta is the context; one that is not a JSON object, or a second context, is a 400."""
    limit = {"context.amount": {"lte": 100}}
    rule = {"effect": "allow", "actions": [gateway.read("*")], "conditions": limit}
    policy = gateway.new_policy("meta", rule)
    gateway.apply(policy)
    token, action = gateway.new_agent(tags=[policy["name"]]).token, gateway.read("x")
    expect_allowed(gateway.check(token, action, X_MeshGuard_Meta='{"amount": 100}'))
    for meta in ('{"amount": 100.000000000000001}', '{"amount": "100"}', "{}"):
        expect_denied(gateway.check(token, action, X_MeshGuard_Meta=meta))
    for meta in ("100", "[]", "{", '{"amount": 1, "amount": 2}'):
        expect(gateway.check(token, action, X_MeshGuard_Meta=meta), BAD_REQUEST)
    headers = {"X-MeshGuard-Meta": '{"amount": 100}'}
    one = {"action": action, "context": {"amount": 100}}
    for path, body in ((_EVALUATE, one), (_BATCH, {"requests": [one]})):
        expect(gateway.as_agent(token, "POST", path, json=body, headers=headers), BAD_REQUEST)
    del one["context"]
    expect_allowed(gateway.as_agent(token, "POST", _EVALUATE, json=one, headers=headers))


@case("evaluate")
def evaluate_answers_a_denial_with_200_and_deny(gateway: Subject) -> None:
    """Evaluate answers 200 for allow and for deny alike; `allowed` is true exactly when allowed."""
    gateway.needs_mode("enforce")
    answer = expect(gateway.evaluate(gateway.reader.token, gateway.read("secret")), OK)
    expect_fields(answer, decision="deny", allowed=False, reason="Secrets are off limits")


@case("evaluate; schema Explanation")
def a_decision_is_explained_when_asked(gateway: Subject) -> None:
    """With `explain: true` a decision has `explanation`, or `conditional` where agents get no more."""
    asked = expect(gateway.evaluate(gateway.reader.token, gateway.read("x"), explain=True), OK)
    decision = asked.object()
    explained = isinstance(decision.get("explanation"), dict) or isinstance(decision.get("conditional"), bool)
    expect_that(explained, "the decision has neither explanation nor conditional", asked)
    plain = expect(gateway.evaluate(gateway.reader.token, gateway.read("x")), OK)
    expect_fields(plain, explanation=None, conditional=None)


@case("evaluate_batch")
def a_batch_is_decided_in_order(gateway: Subject) -> None:
    """The decisions come in the order of the requests, each as it would be alone."""
    things = ["x", "secret", "y", "secrets/2", "z"]
    questions = [{"action": gateway.read(thing)} for thing in things]
    answer = gateway.as_agent(gateway.reader.token, "POST", _BATCH, json={"requests": questions})
    decisions = expect(answer, OK).object().get("decisions", [])
    actions = [decision.get("action") for decision in decisions]
    expect_that(actions == [gateway.read(thing) for thing in things], f"the actions are {actions}", answer)
    denied = [decision.get("decision") == "deny" or bool(decision.get("wouldDeny")) for decision in decisions]
    expect_that(denied == [False, True, False, True, False], f"denied are {denied}", answer)


@case("evaluate_batch; schema EvaluateBatchRequest")
def a_batch_holds_1_to_1000_requests(gateway: Subject) -> None:
    """A batch of none, or of more than 1,000, is refused with 400."""
    for number in (0, 1001):
        questions = [{"action": gateway.read("x")}] * number
        answer = gateway.as_agent(gateway.reader.token, "POST", _BATCH, json={"requests": questions})
        expect(answer, BAD_REQUEST)


@case("check_action, parameter RequiredAction")
def a_check_without_an_action_is_refused(gateway: Subject) -> None:
    """X-MeshGuard-Action is required: 400 without."""
    expect(gateway.as_agent(gateway.reader.token, "GET", "/proxy/check"), BAD_REQUEST)


@case("evaluate; schema ActionName")
def an_action_with_control_characters_is_refused(gateway: Subject) -> None:
    """Actions and resources have no control characters."""
    expect(gateway.evaluate(gateway.reader.token, f"{gateway.read('x')}\n"), BAD_REQUEST)
    expect(gateway.evaluate(gateway.reader.token, gateway.read("x"), resource="a\0b"), BAD_REQUEST)


@case("tag decisions: no rule allows it")
def what_no_rule_allows_is_denied(gateway: Subject) -> None:
    """Nothing is allowed by default: an action that no rule names is denied."""
    _unless_ruled_by_another(gateway, gateway.reader.token)
    expect_denied(gateway.check(gateway.reader.token, f"delete:{gateway.prefix}/x"))


@case("tag decisions: no policy applies")
def an_agent_to_which_no_policy_applies_is_denied(gateway: Subject) -> None:
    """An agent to which no policy applies may do nothing."""
    token = gateway.new_agent(tags=[]).token
    _unless_ruled_by_another(gateway, token)
    expect_denied(gateway.check(token, gateway.read("x")))


def _unless_ruled_by_another(gateway: Subject, token: str) -> None:
    answer = gateway.evaluate(token, f"probe:{gateway.prefix}")
    policy = answer.object().get("policy") if answer.status == OK else None
    if policy and not str(policy).startswith(gateway.prefix):
        raise Skipped(f'the gateway\'s own policy "{policy}" decides on every action of every agent')


@case(_CREDENTIALS)
def a_forged_token_is_refused(gateway: Subject) -> None:
    """The signature is checked and the algorithm is pinned: `alg: none` and altered claims are refused."""
    head, claims, signature = [*gateway.reader.token.split("."), "", ""][:3]
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for token in (f"{none}.{claims}.", f"{none}.{claims}.{signature}", f"{head}.{claims}."):
        answer = gateway.check(token, gateway.read("x"))
        expect_that(answer.status not in {OK, FORBIDDEN}, "a forged token is taken", answer)


@case(_MODES)
def in_mode_audit_nothing_is_denied_but_told(gateway: Subject) -> None:
    """In mode audit what would have been denied answers allow with `wouldDeny: true`."""
    gateway.needs_mode("audit")
    for answer in _both(gateway, "secret"):
        expect_fields(expect(answer, OK), decision="allow", allowed=True, wouldDeny=True, mode="audit")
        expect_header(answer, "X-MeshGuard-Decision", "allow")


@case(_MODES)
def in_mode_audit_the_entry_says_what_would_have_been(gateway: Subject) -> None:
    """In mode audit what would have been denied is recorded with `wouldDeny: true`."""
    gateway.needs_mode("audit")
    trace = gateway.trace()
    answer = gateway.check(gateway.reader.token, gateway.read("secret"), X_MeshGuard_Trace_ID=trace)
    told = [entry.get("wouldDeny") for entry in gateway.entries(traceId=trace)]
    if told != [True]:
        raise Violation(f"wouldDeny of the audit entries of the trace is {told}", answer)
