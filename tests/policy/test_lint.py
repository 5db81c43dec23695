from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshguard.policy import Agent, load_policy
from meshguard.policy.lint import lint

DENY = {"effect": "deny", "reason": "because"}
ALLOW = {"effect": "allow"}


def warnings(
    *rules: dict[str, Any],
    name: str = "p",
    agents: Iterable[Agent] | None = None,
    others: Iterable[dict[str, Any]] = (),
    **policy: Any,
) -> list[tuple[str, str]]:
    policies = [load_policy({"name": name, "rules": list(rules), **policy}), *map(load_policy, others)]
    return [
        (warning.path, warning.message) for warning in lint(policies, agents=agents) if warning.policy == name
    ]


def paths(*rules: dict[str, Any], saying: str, **options: Any) -> list[str]:
    return [path for path, message in warnings(*rules, **options) if saying in message]


def test_a_sound_policy_has_no_warnings() -> None:
    assert warnings({**ALLOW, "actions": ["read:*"]}, {**DENY, "actions": ["read:payroll"]}) == []


def test_a_rule_that_can_never_decide() -> None:
    cover = {**DENY, "actions": ["read:*", "write:*"]}
    for rule in (
        {**ALLOW, "actions": ["read:mail"]},
        {**ALLOW, "actions": ["read:*", "write:a*b"]},
        {**ALLOW, "actions": ["read:mail"], "conditions": {"tags": "a"}},
        {**DENY, "actions": ["read:mail"]},
    ):
        assert paths(cover, rule, saying="can never decide") == ["/rules/1"]
    for rule in ({**ALLOW, "actions": ["*:mail"]}, {**ALLOW, "actions": ["read:mail", "delete:mail"]}):
        assert paths(cover, rule, saying="can never decide") == []


def test_a_deny_is_shadowed_by_an_earlier_deny_alone() -> None:
    rules = [{**DENY, "actions": ["read:mail"]}, {**DENY, "actions": ["read:*"]}]
    assert paths(*rules, saying="can never decide") == []
    assert paths(*reversed(rules), saying="can never decide") == ["/rules/1"]


def test_a_deny_with_conditions_shadows_only_the_same_conditions() -> None:
    cover = {**DENY, "actions": ["*"], "conditions": {"tags": "a"}}
    assert paths(cover, {**ALLOW, "actions": ["a"], "conditions": {"tags": "a"}}, saying="can never") == [
        "/rules/1"
    ]
    assert paths(cover, {**ALLOW, "actions": ["a"], "conditions": {"tags": "b"}}, saying="can never") == []
    assert paths(cover, {**ALLOW, "actions": ["a"]}, saying="can never") == []


def test_a_deny_of_another_policy_shadows_when_it_applies_to_all_of_the_agents() -> None:
    cover = {"name": "q", "rules": [{**DENY, "actions": ["*"]}]}
    tagged = {**cover, "appliesTo": {"tags": ["a", "b"]}}
    rule = {**ALLOW, "actions": ["x"]}
    assert paths(rule, saying="can never", others=[cover]) == ["/rules/0"]
    assert paths(rule, saying="can never", others=[tagged]) == []
    assert paths(rule, saying="can never", others=[tagged], appliesTo={"tags": ["a"]}) == ["/rules/0"]
    assert paths(rule, saying="can never", others=[tagged], appliesTo={"tags": ["a", "c"]}) == []


def test_an_allow_and_a_deny_with_the_same_pattern_and_conditions() -> None:
    conditions = {"tags": "a"}
    allow = {**ALLOW, "actions": ["x", "read:*"], "conditions": conditions}
    deny = {**DENY, "actions": ["read:*", "y"], "conditions": conditions}
    assert paths(allow, deny, saying="under the conditions under which") == ["/rules/0"]
    assert paths(allow, {**deny, "conditions": {"tags": "b"}}, saying="under which") == []
    assert paths(allow, {**deny, "actions": ["read:**"]}, saying="under which") == []


def test_an_allow_and_a_deny_for_different_agents_do_not_contradict() -> None:
    deny = {"name": "q", "rules": [{**DENY, "actions": ["a"]}], "appliesTo": {"trustTiers": ["verified"]}}
    rule = {**ALLOW, "actions": ["a"]}
    assert paths(rule, saying="under which", others=[deny], appliesTo={"trustTiers": ["trusted"]}) == []
    assert paths(rule, saying="under which", others=[deny], appliesTo={"tags": ["a"]}) == ["/rules/0"]


AGENTS = [Agent("agent_1", "helper", "verified", ["support"])]


def test_a_tag_or_id_that_nobody_has() -> None:
    rule = {
        **ALLOW,
        "actions": ["a"],
        "conditions": {
            "tags": {"not": {"in": ["support", "press"]}},
            "any": [{"agentId": ["agent_1", "agent_9"]}],
        },
    }
    applies = {"tags": ["support", "sales"], "agentIds": ["agent_2"]}
    assert warnings(rule, agents=AGENTS, appliesTo=applies) == [
        ("/appliesTo/tags/1", "no agent has the tag `sales`"),
        ("/appliesTo/agentIds/0", "no agent has the id `agent_2`"),
        ("/rules/0/conditions/tags/1", "no agent has the tag `press`"),
        ("/rules/0/conditions/any/0/agentId/1", "no agent has the id `agent_9`"),
    ]
    assert warnings(rule, appliesTo=applies) == []


def test_a_deny_without_a_reason() -> None:
    assert paths({"effect": "deny", "actions": ["a"]}, saying="without a `reason`") == ["/rules/0"]


def test_an_allow_of_everything_without_conditions() -> None:
    for pattern in ("*", "**"):
        assert paths({**ALLOW, "actions": ["a", pattern]}, saying="without conditions") == ["/rules/0"]
    limited = {**ALLOW, "actions": ["*"], "conditions": {"tags": "a"}}
    assert paths(limited, saying="without conditions") == []


def test_an_allow_of_everything_beside_denies_by_name() -> None:
    allow = {**ALLOW, "actions": ["*"], "conditions": {"tags": "a"}}
    saying = "another spelling of the name would pass"
    assert paths(allow, {**DENY, "actions": ["delete:all"]}, saying=saying) == ["/rules/0"]
    assert paths(allow, {**DENY, "actions": ["delete:*"]}, saying=saying) == []


def test_delegation_has_no_effect_yet() -> None:
    assert warnings({**ALLOW, "actions": ["a"]}, delegation={"maxDepth": 1}) == [
        ("/delegation", "is checked and kept, but has no effect until there are delegation calls")
    ]


def test_a_pattern_of_paths_on_urls() -> None:
    for pattern in ("https://**", "https://api.example.com/*", "http:/x/**", "*://x/**", "//x/**"):
        rule = {**ALLOW, "actions": ["a"], "conditions": {"resource": {"matches": pattern}}}
        assert paths(rule, saying="use `host` and `scheme`") == ["/rules/0/conditions/resource"]
    rule = {**ALLOW, "actions": ["a"], "conditions": {"resource": {"matches": ["/srv/**", "c:**"]}}}
    assert warnings(rule) == []


def test_a_pattern_without_a_slash_on_what_looks_like_a_url() -> None:
    for subject, pattern in (
        ("resource", "*.onion"),
        ("resource", "*.darkweb.*"),
        ("resource", "*.example.com"),
        ("resource", "localhost"),
        ("context.args.url", "*evil*"),
        ("context.target_host", "*"),
    ):
        rule = {**DENY, "actions": ["a"], "conditions": {"any": [{subject: {"not": {"matches": pattern}}}]}}
        assert paths(rule, saying="use `host`, as in") == [f"/rules/0/conditions/any/0/{subject}"]
    for subject, pattern in (("resource", "*.pem"), ("context.file", "*.tar.gz"), ("context.curl", "*")):
        assert warnings({**DENY, "actions": ["a"], "conditions": {subject: {"matches": pattern}}}) == []


def test_presence_beside_an_allow_by_default() -> None:
    rule = {**DENY, "actions": ["pay"], "conditions": {"context.amount": {"exists": True, "gt": 1_000}}}
    saying = "may be omitted or renamed"
    here = ["/rules/0/conditions/context.amount"]
    other = {"name": "q", "defaultEffect": "allow", "rules": [{**DENY, "actions": ["b"]}]}
    assert paths(rule, saying=saying, defaultEffect="allow") == here
    assert paths(rule, saying=saying, others=[other]) == here
    assert paths(rule, saying=saying) == []
    assert paths({**rule, **ALLOW}, saying=saying, defaultEffect="allow") == []
    apart = {**other, "appliesTo": {"trustTiers": ["trusted"]}}
    assert paths(rule, saying=saying, others=[apart], appliesTo={"trustTiers": ["verified"]}) == []
    absent = {**rule, "conditions": {"context.amount": {"exists": False}}}
    assert paths(absent, saying=saying, defaultEffect="allow") == []


def test_a_deny_that_misses_the_file_at_the_top() -> None:
    rule = {**DENY, "actions": ["a"], "conditions": {"resource": {"matches": ["**/.env", "**/*.pem"]}}}
    assert paths(rule, saying="does not match `.env` itself") == ["/rules/0/conditions/resource"]
    rule = {**DENY, "actions": ["a"], "conditions": {"resource": {"matches": ["**/.env", ".env"]}}}
    assert warnings(rule) == []


def test_warnings_come_in_the_order_of_policies_and_rules() -> None:
    rule = {"effect": "deny", "actions": ["a"]}
    policies = [load_policy({"name": name, "rules": [rule, {**rule, "actions": ["b"]}]}) for name in "ba"]
    found = [(warning.policy, warning.rule) for warning in lint(policies)]
    assert list(dict.fromkeys(found)) == [("a", "rule 1"), ("a", "rule 2"), ("b", "rule 1"), ("b", "rule 2")]
