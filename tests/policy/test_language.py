"""The sentences of the language page, one by one; test_language_table.py says which test belongs to which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshguard.policy import (
    Agent,
    Decision,
    Fault,
    InvalidRequest,
    PolicyEngine,
    PolicyLoadError,
    Request,
    load_policies,
    load_policy,
    render_explanation,
)
from tests.policy.corpus import first_test

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday
HELPER = Agent("agent_1", "helper", "verified", ["support"], metadata={"team": {"name": "blue"}})


def engine(*rules: dict[str, Any], **policy: Any) -> PolicyEngine:
    return PolicyEngine([load_policy({"name": "p", "rules": list(rules), **policy})])


def decide(
    engine: PolicyEngine,
    action: str = "a",
    resource: str | None = None,
    context: dict[str, Any] | None = None,
    *,
    agent: Agent | None = HELPER,
    now: datetime = NOW,
    explain: bool = False,
) -> Decision:
    return engine.decide(agent, Request(action, resource, context), now=now, explain=explain)


def value_of(
    conditions: dict[str, Any],
    resource: str | None = None,
    context: dict[str, Any] | None = None,
    *,
    agent: Agent | None = HELPER,
    now: datetime = NOW,
) -> bool | str:
    """The value of conditions: an allow rule shows what is true, a deny rule what is true or error."""
    allow = engine({"effect": "allow", "actions": ["*"], "conditions": conditions})
    deny = engine({"effect": "deny", "actions": ["*"], "conditions": conditions}, defaultEffect="allow")
    is_true = decide(allow, "a", resource, context, agent=agent, now=now).allowed
    is_false = decide(deny, "a", resource, context, agent=agent, now=now).allowed
    values: dict[tuple[bool, bool], bool | str] = {
        (True, False): True,
        (False, True): False,
        (False, False): "error",
    }
    return values[is_true, is_false]


def faults(source: str | bytes | Mapping[str, object], **options: str) -> tuple[Fault, ...]:
    with pytest.raises(PolicyLoadError) as refused:
        load_policy(source, **options)
    return refused.value.faults


ALLOW: dict[str, Any] = {"effect": "allow", "actions": ["*"]}
DENY: dict[str, Any] = {"effect": "deny", "actions": ["*"], "name": "no"}
BROKEN: dict[str, Any] = {"context.nowhere": 1}


# never allow what can't be evaluated


def test_a_policy_that_cannot_be_evaluated_never_allows() -> None:
    assert not decide(engine({**ALLOW, "conditions": BROKEN})).allowed
    assert not decide(engine(ALLOW, {**DENY, "conditions": BROKEN})).allowed
    assert not decide(
        engine(ALLOW, {**DENY, "conditions": {"context.nowhere": {"not": {"equals": 1}}}})
    ).allowed


PAGE_EXAMPLE = """
name: support-agents
version: "1.0"
description: What support agents may do
appliesTo:
  trustTiers: [verified, trusted]
  tags: [support]
  agentIds: [agent_abc123]
rules:
  - name: read-anything
    effect: allow
    actions: ["read:*"]
  - name: small-refunds
    effect: allow
    actions: ["write:refund"]
    conditions:
      context.amount: {gt: 0, lte: 100}
      tags: [payments]
  - name: no-secrets
    effect: deny
    actions: ["read:file", "write:file"]
    conditions:
      resource: {matches: ["**/.env", "**/*.pem", "/etc/**"]}
    reason: Credential files are off limits
defaultEffect: deny
delegation: {maxDepth: 2, permissionCeiling: ["read:*"]}
"""


def test_the_example_of_the_page_loads_and_decides() -> None:
    page = PolicyEngine([load_policy(PAGE_EXAMPLE)])
    agent = Agent("agent_abc123", "helper", "trusted", ["support", "payments"])
    assert decide(page, "read:file", "/srv/notes.txt", agent=agent).rule == "read-anything"
    assert decide(page, "write:refund", context={"amount": 100}, agent=agent).rule == "small-refunds"
    assert not decide(page, "write:refund", context={"amount": 101}, agent=agent).allowed
    assert decide(page, "read:file", "/srv/.env", agent=agent).reason == "Credential files are off limits"


def test_every_key_of_applies_to_must_match_and_any_value_within_a_key() -> None:
    applies = {"trustTiers": ["verified", "trusted"], "tags": ["support", "sales"], "agentIds": ["agent_1"]}
    scoped = engine(ALLOW, appliesTo=applies)
    assert decide(scoped).allowed
    for other in (
        Agent("agent_2", "helper", "verified", ["support"]),
        Agent("agent_1", "helper", "privileged", ["support"]),
        Agent("agent_1", "helper", "verified", ["press"]),
    ):
        assert not decide(scoped, agent=other).allowed


def test_a_policy_without_applies_to_applies_to_every_agent() -> None:
    assert decide(engine(ALLOW), agent=Agent("x", "x", "unverified")).allowed


def test_a_rule_without_a_name_is_known_by_its_place() -> None:
    rules = [{"effect": "deny", "actions": ["other"]}, ALLOW]
    assert decide(engine(*rules)).rule == "rule 2"


def test_the_default_effect_is_deny_when_left_out() -> None:
    assert not decide(engine({**ALLOW, "actions": ["other"]})).allowed


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 128])
def test_a_name_is_made_of_letters_digits_dots_and_dashes(name: str) -> None:
    assert load_policy({"name": name, "rules": [ALLOW]}).name == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "x" * 129, "a\n", 1])
def test_any_other_name_is_refused(name: Any) -> None:
    assert faults({"name": name, "rules": [ALLOW]})[0].path == "/name"


# action patterns


@pytest.mark.parametrize(
    ("pattern", "action"),
    [
        ("read:*", "read:mail"),
        ("read:*", "read:"),
        ("read:*", "read:a/b:c"),
        ("*:email", "send:email"),
        ("*:email", "a:b/c:email"),
        ("*", "anything"),
        ("w*:d*t", "write:mail:draft"),
    ],
)
def test_an_asterisk_in_an_action_matches_any_run_of_characters(pattern: str, action: str) -> None:
    assert decide(engine({**ALLOW, "actions": [pattern]}), action).allowed


@pytest.mark.parametrize(
    ("pattern", "action"),
    [
        ("read:*", "Read:mail"),
        ("read:.", "read:x"),
        ("read:?", "read:x"),
        ("read:[a]", "read:a"),
        ("a", "ab"),
    ],
)
def test_everything_else_in_an_action_pattern_is_literal_and_case_matters(pattern: str, action: str) -> None:
    assert not decide(engine({**ALLOW, "actions": [pattern]}), action).allowed


# conditions


def test_all_subjects_of_conditions_must_hold() -> None:
    assert value_of({"tags": ["support"], "trustTier": "verified"}) is True
    assert value_of({"tags": ["support"], "trustTier": "trusted"}) is False


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("resource", "file/1"),
        ("action", "a"),
        ("tags", "support"),
        ("trustTier", "verified"),
        ("agentId", "agent_1"),
        ("agentName", "helper"),
        ("context.order.id", 7),
        ("metadata.team.name", "blue"),
    ],
)
def test_each_subject_sees_what_it_names(subject: str, value: Any) -> None:
    context = {"order": {"id": 7}}
    assert value_of({subject: value}, "file/1", context) is True
    other = "trusted" if subject == "trustTier" else 8 if value == 7 else "other"
    assert value_of({subject: other}, "file/1", context) is False


@pytest.mark.parametrize(
    ("tests", "value"),
    [
        ({"after": "12:00"}, True),
        ({"after": "12:00:01"}, False),
        ({"before": "12:00"}, False),
        ({"before": "12:00:01"}, True),
        ({"after": "2026-01-05T12:00:00Z"}, True),
        ({"before": "2026-01-05T12:00:00Z"}, False),
        ({"before": "2026-01-05T13:30:00+02:00"}, False),
        ({"weekdays": ["mon"]}, True),
        ({"weekdays": ["sat", "sun"]}, False),
        ({"after": "09:00", "before": "17:00", "weekdays": ["mon", "tue"]}, True),
    ],
)
def test_time_is_compared_in_utc(tests: dict[str, Any], value: bool) -> None:
    assert value_of({"time": tests}) is value
    elsewhere = datetime.fromisoformat("2026-01-06T00:00:00+12:00")
    assert value_of({"time": tests}, now=elsewhere) is value


@pytest.mark.parametrize(
    ("tests", "value", "outcome"),
    [
        ({"equals": "a"}, "a", True),
        ({"equals": "a"}, "b", False),
        ({"in": ["a", "b"]}, "b", True),
        ({"in": ["a", "b"]}, "c", False),
        ({"startsWith": "ab"}, "abc", True),
        ({"startsWith": "ab"}, "ba", False),
        ({"endsWith": "bc"}, "abc", True),
        ({"endsWith": "bc"}, "cb", False),
        ({"contains": "b"}, "abc", True),
        ({"contains": "x"}, "abc", False),
        ({"contains": "b"}, ["a", "b"], True),
        ({"contains": "x"}, ["a", "b"], False),
        ({"contains": 1}, [], False),
        ({"matches": "a*c"}, "abc", True),
        ({"matches": "a*c"}, "abd", False),
        ({"gt": 1}, 2, True),
        ({"gt": 1}, 1, False),
        ({"gte": 1}, 1, True),
        ({"lt": 1}, 0, True),
        ({"lt": 1}, 1, False),
        ({"lte": 1}, 1, True),
        ({"gt": "a"}, "b", True),
        ({"exists": True}, None, True),
        ({"exists": False}, 1, False),
        ({"within": "/srv"}, "/srv/x", True),
        ({"within": "/srv"}, "/etc", False),
        ({"not": {"equals": "a"}}, "b", True),
        ({"not": {"equals": "a"}}, "a", False),
        ({"gt": 0, "lte": 100}, 100, True),
        ({"gt": 0, "lte": 100}, 101, False),
    ],
)
def test_each_test_does_what_its_name_says(tests: dict[str, Any], value: Any, outcome: bool) -> None:
    assert value_of({"context.x": tests}, context={"x": value}) is outcome


@pytest.mark.parametrize("name", ["startsWith", "endsWith", "contains", "matches", "within"])
def test_each_string_test_takes_one_value_or_a_list_of_which_any_may_match(name: str) -> None:
    for operand in ("/a", ["/b", "/a"]):
        assert value_of({"resource": {name: operand}}, "/a") is True
        assert value_of({"resource": {name: operand}}, "x") is False


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/**", "/a/b/c", True),
        ("**/.env", "/srv/app/.env", True),
        ("**/.env", ".env", False),
        ("*.pem", "key.pem", True),
        ("*.pem", "keys/key.key", False),
        ("/a/?", "/a/b", False),
        ("/a/[b]", "/a/b", False),
    ],
)
def test_one_asterisk_stops_at_a_slash_and_two_do_not(pattern: str, path: str, matches: bool) -> None:
    assert value_of({"resource": {"matches": pattern}}, path) is matches


def test_a_bare_scalar_is_equals_and_a_bare_list_is_in() -> None:
    assert value_of({"context.x": 1}, context={"x": 1.0}) is True
    assert value_of({"context.x": ["a", "b"]}, context={"x": "b"}) is True
    loaded = load_policy(
        {"name": "p", "rules": [{**ALLOW, "conditions": {"context.x": 1, "context.y": [1]}}]}
    )
    assert loaded.to_dict()["rules"][0]["conditions"] == {
        "context.x": {"equals": 1},
        "context.y": {"in": [1]},
    }


@pytest.mark.parametrize("tests", ["support", ["x", "support"], {"in": ["support"]}, {"contains": "support"}])
def test_for_tags_a_bare_list_means_has_any_of(tests: Any) -> None:
    assert value_of({"tags": tests}) is True
    assert value_of({"tags": tests}, agent=Agent("a", "a", "verified", ["press", "sales"])) is False
    assert value_of({"tags": tests}, agent=Agent("a", "a", "verified")) is False


def test_any_and_all_nest_conditions() -> None:
    either = {"any": [{"tags": "none"}, {"all": [{"trustTier": "verified"}, {"tags": "support"}]}]}
    assert value_of(either) is True
    assert value_of({"any": [{"tags": "none"}, {"trustTier": "trusted"}]}) is False


@pytest.mark.parametrize("test", ["regex", "match", "eval", "expression", "script", "$where"])
def test_there_are_no_regular_expressions_and_no_code(test: str) -> None:
    conditions = {"resource": {test: "(a+)+$"}}
    assert "is not a test" in faults({"name": "p", "rules": [{**ALLOW, "conditions": conditions}]})[0].message


# three values

WRONG_TYPES = [
    ({"equals": "1"}, 1),
    ({"equals": 1}, "1"),
    ({"equals": 1}, True),
    ({"equals": True}, 1),
    ({"gt": 0}, True),
    ({"gt": 0}, "1"),
    ({"gt": "0"}, 1),
    ({"equals": "a"}, None),
    ({"gt": 0}, None),
    ({"in": ["a"]}, ["a"]),
    ({"in": ["a"]}, {}),
    ({"in": [1, 2]}, "1"),
    ({"startsWith": "1"}, 1),
    ({"contains": "a"}, 1),
    ({"contains": "a"}, [1]),
    ({"contains": "a"}, [None]),
    ({"contains": "a"}, {"a": 1}),
    ({"contains": 1}, "1"),
    ({"matches": "*"}, 1),
    ({"within": "/"}, ["/"]),
    ({"equals": 1}, float("nan")),
]


def test_a_missing_field_is_an_error() -> None:
    assert value_of({"context.x": 1}) == "error"
    assert value_of({"context.x": 1}, context={"y": 1}) == "error"
    assert value_of({"context.x.y": 1}, context={"x": 1}) == "error"
    assert value_of({"metadata.x": 1}) == "error"
    assert value_of({"resource": "x"}) == "error"


@pytest.mark.parametrize(("tests", "value"), WRONG_TYPES)
def test_values_of_different_types_are_an_error(tests: dict[str, Any], value: Any) -> None:
    assert value_of({"context.x": tests}, context={"x": value}) == "error"


def nested(depth: int) -> dict[str, Any]:
    return {"x": 1, "deeper": nested(depth - 1)} if depth else {}


def test_a_context_too_deep_or_too_large_is_an_error() -> None:
    assert value_of({"context.x": 1}, context=nested(31)) is True
    assert value_of({"context.x": 1}, context=nested(33)) == "error"
    assert value_of({"context.x": 1}, context={"x": 1, "y": [0] * 9_990}) is True
    assert value_of({"context.x": 1}, context={"x": 1, "y": [0] * 10_000}) == "error"
    assert value_of({"context.x": 1}, context={"x": 1, "y": "a" * 1_048_000}) is True
    assert value_of({"context.x": 1}, context={"x": 1, "y": "a" * 1_048_576}) == "error"


def test_a_path_that_means_two_things_is_an_error() -> None:
    assert value_of({"context.a.b": 1}, context={"a": {"b": 1}}) is True
    assert value_of({"context.a.b": 1}, context={"a.b": 1}) is True
    assert value_of({"context.a.b": 1}, context={"a": {"b": 1}, "a.b": 1}) == "error"
    assert value_of({"context.a.b.c": 1}, context={"a": {"b.c": 1}, "a.b": {"c": 1}}) == "error"
    assert value_of({"context.a.b": 1}, context={"a": 1, "a.b": 1}) is True


def test_exists_is_never_an_error() -> None:
    for wanted in (True, False):
        there = {"exists": wanted}
        assert value_of({"context.x": there}) is not wanted
        assert value_of({"resource": there}) is not wanted
        assert value_of({"context.x": there}, context={"x": None}) is wanted
        assert value_of({"context.x": there}, context=nested(40)) is wanted
        assert value_of({"context.a.b": there}, context={"a": {"b": 1}, "a.b": 1}) is wanted
        assert value_of({"tags": there}) is wanted
        assert value_of({"trustTier": there}) is wanted


ERROR, TRUE, FALSE = BROKEN, {"tags": "support"}, {"tags": "none"}


def test_not_of_an_error_is_an_error() -> None:
    assert value_of({"context.x": {"not": {"equals": 1}}}) == "error"
    assert value_of({"context.x": {"not": {"not": {"equals": 1}}}}) == "error"


def test_all_is_false_before_error_before_true() -> None:
    assert value_of({"all": [ERROR, FALSE]}) is False
    assert value_of({"all": [FALSE, ERROR]}) is False
    assert value_of({"all": [TRUE, ERROR]}) == "error"
    assert value_of({"all": [TRUE, TRUE]}) is True
    assert value_of({**ERROR, **FALSE}) is False
    assert value_of({"context.x": {"exists": True, "gt": 1}}) is False


def test_any_is_true_before_error_before_false() -> None:
    assert value_of({"any": [ERROR, TRUE]}) is True
    assert value_of({"any": [FALSE, ERROR]}) == "error"
    assert value_of({"any": [FALSE, FALSE]}) is False


def test_a_deny_rule_matches_on_true_and_on_error() -> None:
    for conditions, allowed in ((TRUE, False), (ERROR, False), (FALSE, True)):
        assert decide(engine(ALLOW, {**DENY, "conditions": conditions})).allowed is allowed


def test_an_allow_rule_matches_only_on_true() -> None:
    for conditions, allowed in ((TRUE, True), (ERROR, False), (FALSE, False)):
        assert decide(engine({**ALLOW, "conditions": conditions})).allowed is allowed


def test_each_error_is_counted_and_in_the_explanation() -> None:
    conditions = {"any": [BROKEN, {"resource": {"within": "/a"}}, {"context.x": {"gt": 1}}]}
    decision = decide(engine({**DENY, "conditions": conditions}), context={"x": "1"}, explain=True)
    assert decision.errors == 3
    assert decision.explanation is not None
    text = render_explanation(decision.explanation)
    assert text.count("⚠") == 4
    for message in ("context.nowhere is missing", "the request has no resource", "a text against a number"):
        assert message in text
    assert message_in_reason(decision)


def message_in_reason(decision: Decision) -> bool:
    return "could not be evaluated" in decision.reason


# paths


@pytest.mark.parametrize(
    ("path", "folder", "within"),
    [
        ("/srv/data/x", "/srv/data", True),
        ("/srv/data", "/srv/data", True),
        ("/srv/data/", "/srv/data", True),
        ("/srv/database", "/srv/data", False),
        ("/srv//data/./x", "/srv/data", True),
        ("/srv/x/../data/y", "/srv/data", True),
        ("/srv/data/../x", "/srv/data", False),
        ("/srv/data/x", "/srv/./x/../data//", True),
        ("data/x", "data", True),
        ("/data/x", "data", False),
        ("data/x", "/data", False),
        ("/anything", "/", True),
        ("anything", "/", False),
        ("anything", ".", True),
        ("/srv/..hidden/x", "/srv", True),
    ],
)
def test_within_resolves_both_sides_and_is_true_inside_the_folder(
    path: str, folder: str, within: bool
) -> None:
    assert value_of({"resource": {"within": folder}}, path) is within
    assert value_of({"resource": {"within": ["/elsewhere", folder]}}, path) is within


@pytest.mark.parametrize("path", ["..", "../x", "/..", "/../etc", "a/../../b", "/srv/../../etc/passwd"])
def test_a_path_that_climbs_above_its_start_is_an_error(path: str) -> None:
    assert value_of({"resource": {"within": "/srv"}}, path) == "error"
    assert value_of({"resource": {"matches": "/srv/**"}}, path) == "error"


def test_a_pattern_with_a_slash_must_match_the_path_as_sent_and_as_resolved_alike() -> None:
    matches = {"resource": {"matches": "/etc/**"}}
    assert value_of(matches, "/etc/passwd") is True
    assert value_of(matches, "/etc//passwd") is True
    assert value_of(matches, "/var/../etc/passwd") == "error"
    assert value_of(matches, "/etc/../var/x") == "error"
    assert value_of(matches, "/var//x") is False


def test_a_pattern_is_resolved_as_values_are() -> None:
    for pattern in ("./src/**", "src//**", "src/./**", "x/../src/**", ".//src/**"):
        assert value_of({"resource": {"matches": pattern}}, "src/a/b.py") is True
        assert value_of({"resource": {"matches": pattern}}, "lib/a.py") is False


def test_a_pattern_that_can_match_nothing_is_rejected() -> None:
    for pattern, advice in {
        "../src/**": "write `src/**`",
        "/..": "write `**`",
        ".": "write `**`",
        "a/..": "write `**`",
        "*/../x": "without `..`",
        "**/./../x": "without `..`",
        "a\x00*": "leave them out",
    }.items():
        found = faults(
            {"name": "p", "rules": [{**ALLOW, "conditions": {"resource": {"matches": [pattern]}}}]}
        )
        assert [fault.path for fault in found] == ["/rules/0/conditions/resource/matches/0"]
        assert advice in found[0].message


@pytest.mark.parametrize("pattern", ["*.pem", "*", "keys*", "*a.p*", "./*.pem"])
def test_a_pattern_without_a_slash_can_mean_two_things(pattern: str) -> None:
    assert value_of({"resource": {"matches": pattern}}, "keys/a.pem") == "error"


def test_a_pattern_without_a_slash_that_matches_nowhere_is_false() -> None:
    assert value_of({"resource": {"matches": "*.key"}}, "keys/a.pem") is False
    assert value_of({"resource": {"matches": "a.pem"}}, "keys/a.pem") is False
    assert value_of({"resource": {"matches": "*.pem"}}, "a.pem") is True


@pytest.mark.parametrize("pattern", ["public**", "**.txt", "*c**"])
def test_two_asterisks_without_a_slash_see_the_resolved_path_too(pattern: str) -> None:
    assert value_of({"resource": {"matches": pattern}}, "public/a.txt") is True
    assert value_of({"resource": {"matches": pattern}}, "public/../a.pem") in {"error", False}
    assert value_of({"resource": {"matches": "public**"}}, "public/../../etc/passwd") == "error"


ONION = {"resource": {"matches": ["*.onion", "*.darkweb.*"]}}


@pytest.mark.parametrize(
    "url",
    [
        "http://abc.onion/market",
        "http://abc.onion:8080/market",
        "http://user@ABC.onion./",
        "http://abc.onion",
        "abc.onion/market",
        "abc.onion",
        "https://x.darkweb.example/a/b",
        "http://a@b@abc.onion/",
        "http://a@b@abc.onion:80/",
        "http:\\\\abc.onion/",
    ],
)
def test_a_deny_on_hosts_written_as_a_pattern_denies_urls(url: str) -> None:
    guard = engine({"effect": "deny", "actions": ["*"], "conditions": ONION}, defaultEffect="allow")
    assert not decide(guard, resource=url).allowed
    assert decide(guard, resource="http://example.org/onion").allowed


def test_a_detour_slips_neither_past_a_deny_nor_into_an_allow() -> None:
    deny = engine(ALLOW, {**DENY, "conditions": {"resource": {"matches": "/etc/**"}}})
    allow = engine({**ALLOW, "conditions": {"resource": {"matches": "/var/**"}}})
    for guard in (deny, allow):
        assert not decide(guard, resource="/var/../etc/passwd").allowed


def test_urls_are_text() -> None:
    url = "https://api.example.org/v1/x"
    assert value_of({"resource": {"startsWith": "https://api.example.org/"}}, url) is True
    assert value_of({"resource": {"matches": "https:**"}}, url) is True
    assert value_of({"resource": {"matches": "https://**"}}, url) is True
    assert value_of({"resource": {"matches": "https://api.example.org/**"}}, url) == "error"


# values


@pytest.mark.parametrize("word", ["no", "on", "1:20", "yes", "off"])
def test_only_true_and_false_are_booleans(word: str) -> None:
    for text, value in ((word, word), ("true", True), ("false", False)):
        policy = load_policy(
            f"name: p\nrules: [{{effect: deny, actions: [a], conditions: {{context.x: {text}}}}}]"
        )
        operand = first_test(policy).operand
        assert operand == value
        assert type(operand) is type(value)


@pytest.mark.parametrize(
    ("tests", "value", "outcome"),
    [
        ({"equals": 2**53}, 2**53 + 1, False),
        ({"lte": 2**53}, 2**53 + 1, False),
        ({"lte": float(2**53)}, 2**53 + 1, False),
        ({"equals": 100}, 100.0, True),
        ({"equals": 0.1}, 0.1, True),
        ({"lte": 0.3}, 0.1 + 0.2, False),
        ({"lt": 10**400}, 1e308, True),
        ({"gte": 10**23}, 1e23, True),
    ],
)
def test_numbers_are_compared_exactly(tests: dict[str, Any], value: Any, outcome: bool) -> None:
    assert value_of({"context.x": tests}, context={"x": value}) is outcome


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinities_are_refused(number: str) -> None:
    value = float(number)
    assert faults({"name": "p", "rules": [{**ALLOW, "conditions": {"context.x": value}}]})
    assert faults(json.dumps({"name": "p", "rules": [{**ALLOW, "conditions": {"context.x": value}}]}))
    assert value_of({"context.x": {"gt": 0}}, context={"x": value}) == "error"


def test_text_is_compared_by_code_point() -> None:
    assert value_of({"context.x": "\u00e9"}, context={"x": "e\u0301"}) is False
    assert value_of({"context.x": "K"}, context={"x": "\u212a"}) is False
    assert value_of({"context.x": {"lt": "\U0001f600"}}, context={"x": "\uffff"}) is True
    assert value_of({"context.x": {"lt": "a"}}, context={"x": "B"}) is True


@pytest.mark.parametrize("text", ["a\x00", "a\n", "a\x7f", "a\x9f", "a\ud800"])
def test_control_characters_and_broken_unicode_are_refused_before_evaluation(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Request(text)
    with pytest.raises(InvalidRequest):
        Request("a", text)


# combining


def policies(**rules_by_name: list[dict[str, Any]]) -> PolicyEngine:
    return PolicyEngine(
        [load_policy({"name": name, "rules": rules}) for name, rules in rules_by_name.items()]
    )


def test_any_deny_wins_and_the_first_by_policy_name_then_rule_order_is_reported() -> None:
    first, second = {**DENY, "name": "first"}, {**DENY, "name": "second"}
    both = policies(z=[first], b=[ALLOW, second, first], a=[ALLOW])
    assert (decide(both).policy, decide(both).rule) == ("b", "second")


def test_else_the_first_allow_is_reported() -> None:
    first, second = {**ALLOW, "name": "first"}, {**ALLOW, "name": "second"}
    both = policies(z=[first], b=[second, first])
    assert (decide(both).allowed, decide(both).policy, decide(both).rule) == (True, "b", "second")


def test_names_are_ordered_by_code_point() -> None:
    assert decide(policies(a=[DENY], Z=[DENY])).policy == "Z"


def test_the_default_allows_only_when_every_applying_policy_says_so() -> None:
    other = {"effect": "deny", "actions": ["other"]}
    allow: dict[str, Any] = {"name": "a", "rules": [other], "defaultEffect": "allow"}
    deny: dict[str, Any] = {"name": "b", "rules": [other]}
    elsewhere = {**deny, "name": "c", "appliesTo": {"tags": ["none"]}}
    for names, allowed in (
        ([allow], True),
        ([allow, deny], False),
        ([allow, elsewhere], True),
        ([deny], False),
    ):
        decision = decide(PolicyEngine(load_policy(name) for name in names))
        assert (decision.allowed, decision.policy, decision.rule) == (allowed, None, None)


def test_no_policy_that_applies_is_a_denial_that_says_so() -> None:
    for nobody in (PolicyEngine([]), engine(ALLOW, appliesTo={"tags": ["none"]}, defaultEffect="allow")):
        assert not decide(nobody).allowed
        assert decide(nobody).reason == "no policy applies to this agent"


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (None, "the agent is unknown"),
        (Agent("a", "a", "verified", status="revoked"), "the agent is revoked"),
        (Agent("a", "a", "root"), "the agent has an unknown trust tier"),
        (Agent("a", "a", ""), "the agent has an unknown trust tier"),
    ],
)
def test_an_unknown_or_revoked_agent_is_denied_before_any_policy_is_read(
    agent: Agent | None, reason: str
) -> None:
    decision = decide(engine(ALLOW, defaultEffect="allow"), agent=agent, explain=True)
    assert (decision.allowed, decision.reason) == (False, reason)
    assert decision.explanation is not None
    assert decision.explanation["policies"] == []


def test_untrusted_is_read_as_unverified() -> None:
    agent = Agent("a", "a", "untrusted")
    assert agent.trust_tier == "unverified"
    for tier in ("untrusted", "unverified"):
        assert value_of({"trustTier": tier}, agent=agent) is True
        assert decide(engine(ALLOW, appliesTo={"trustTiers": [tier]}), agent=agent).allowed


# loading


@pytest.mark.parametrize(
    ("text", "path", "line", "column", "hint"),
    [
        ("name: p\nrulse: []\n", "/rulse", 2, 1, "did you mean `rules`?"),
        ("name: p\nrules:\n- efect: allow\n", "/rules/0/efect", 3, 3, "did you mean `effect`?"),
        (
            "name: p\nrules:\n- {effect: alow, actions: [a]}\n",
            "/rules/0/effect",
            3,
            12,
            "did you mean `allow`?",
        ),
        (
            "name: p\nrules:\n- {effect: deny, actions: [a], conditions: {resorce: x}}\n",
            "/rules/0/conditions/resorce",
            3,
            54,
            "did you mean `resource`?",
        ),
        (
            "name: p\nrules:\n- {effect: deny, actions: [a], conditions: {resource: {startswith: x}}}\n",
            "/rules/0/conditions/resource/startswith",
            3,
            68,
            "did you mean `startsWith`?",
        ),
        (
            "name: p\nrules:\n- {effect: deny, actions: [a]}\nappliesTo: {trustTiers: [truested]}\n",
            "/appliesTo/trustTiers/0",
            4,
            26,
            "did you mean `trusted`?",
        ),
        ("name: p\nrules: []\n", "/rules", 2, 8, "empty"),
        ("name: p\nrules:\n- {effect: deny, actions: []}\n", "/rules/0/actions", 3, 27, "empty"),
        ("name: p\nrules: x\n", "/rules", 2, 8, "a list is wanted"),
        ("name: p\nname: q\nrules:\n- {effect: deny, actions: [a]}\n", "/name", 2, 1, "twice"),
        (
            "name: p\nrules:\n" + "- {effect: deny, actions: [a], name: x}\n" * 2,
            "/rules/1",
            4,
            3,
            "is the name of rule 1 too",
        ),
        ("a: &x 1\nname: *x\n", "", 1, 4, "anchors"),
        (
            '{"name": "p",\n "rules": [{"effect": "alow", "actions": ["a"]}]}',
            "/rules/0/effect",
            2,
            23,
            "`allow`",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_file_line_path_and_the_nearest_name(
    text: str, path: str, line: int, column: int, hint: str
) -> None:
    fault = next(fault for fault in faults(text, file="p.yaml") if fault.path == path)
    assert (fault.file, fault.line, fault.column) == ("p.yaml", line, column)
    assert hint in fault.message


def test_every_fault_is_told_at_once() -> None:
    text = (
        "name: a b\nrules:\n- {effect: x, actions: []}\n- {effect: deny, actions: [1], conditions: {x: 1}}\n"
    )
    assert [fault.path for fault in faults(text)] == [
        "/name",
        "/rules/0/effect",
        "/rules/0/actions",
        "/rules/1/actions/0",
        "/rules/1/conditions/x",
    ]


def test_a_file_over_1_mib_is_refused(tmp_path: Path) -> None:
    text = 'name: p\nrules: [{effect: deny, actions: ["a"]}]\n'
    padding = "# " + "x" * 97 + "\n"
    (tmp_path / "p.yaml").write_text(text + padding * 10_000)
    assert load_policies(tmp_path)[0].name == "p"
    (tmp_path / "p.yaml").write_text(text + padding * 11_000)
    with pytest.raises(PolicyLoadError, match="over 1 MiB"):
        load_policies(tmp_path)


GOOD = "name: {name}\nrules: [{{effect: deny, actions: [a]}}]\n"


def test_a_directory_is_loaded_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(GOOD.format(name="b"))
    (tmp_path / "a.yml").write_text(GOOD.format(name="a"))
    (tmp_path / "c.json").write_text('{"name": "c", "rules": [{"effect": "deny", "actions": ["a"]}]}')
    (tmp_path / "notes.txt").write_text("not a policy")
    (tmp_path / ".hidden.yaml").write_text("not a policy")
    assert [policy.name for policy in load_policies(tmp_path)] == ["a", "b", "c"]
    (tmp_path / "d.yaml").write_text("name: d\n")
    (tmp_path / "e.yaml").write_text("name: e\nrules: []\n")
    with pytest.raises(PolicyLoadError) as refused:
        load_policies(tmp_path)
    assert [(fault.file, fault.path) for fault in refused.value.faults] == [
        (str(tmp_path / "d.yaml"), "/rules"),
        (str(tmp_path / "e.yaml"), "/rules"),
    ]


def test_two_files_with_one_policy_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(name="p"))
    (tmp_path / "b.yaml").write_text(GOOD.format(name="p"))
    with pytest.raises(PolicyLoadError, match="is the name of the policy in"):
        load_policies(tmp_path)


def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="can't be read"):
        load_policies(tmp_path / "nowhere")


def test_two_policies_of_one_name_make_no_engine() -> None:
    one = load_policy({"name": "p", "rules": [ALLOW]})
    with pytest.raises(ValueError, match="two policies have the name 'p'"):
        PolicyEngine([one, one])


def test_a_time_without_a_time_zone_makes_no_decision() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        decide(engine(ALLOW), now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("id_", ["x", "p" * 128])
def test_an_id_is_kept_and_decides_nothing(id_: str) -> None:
    rule: dict[str, object] = {"effect": "allow", "actions": ["a"]}
    plain = load_policy({"name": "n", "rules": [rule]})
    policy = load_policy({"name": "n", "id": id_, "rules": [{**rule, "id": id_}]})
    assert policy.to_dict() == {**plain.to_dict(), "id": id_, "rules": [{**rule, "id": id_}]}
    with pytest.raises(PolicyLoadError):
        load_policy({"name": "n", "id": id_ + "p" * 128, "rules": [rule]})


def test_the_list_shows_the_name_where_there_is_no_id() -> None:
    rule: dict[str, object] = {"name": "reads", "effect": "allow", "actions": ["a"]}
    listed = load_policy({"name": "n", "rules": [rule]}).to_listed()
    assert (listed["id"], listed["rules"][0]["id"]) == ("n", "reads")
