"""Which tools are worth showing to a model, as real policies have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meshguard.guard import Guard, ToolCall
from meshguard.testing import RunningGateway, running_gateway
from meshguard.testing.conformance import world

EVERYTHING: dict[str, Any] = {"effect": "allow", "actions": ["*"]}
NEVER: dict[str, Any] = {"effect": "deny", "actions": ["execute:tool"]}
MINE: dict[str, Any] = {"tags": ["mine"]}
OTHERS: dict[str, Any] = {"tags": ["others"]}
SMALL: dict[str, Any] = {"context.args.amount": {"lte": 100}}


Listed = Callable[..., bool]


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway() as running:
        yield running


@pytest.fixture
def listed(gateway: RunningGateway) -> Listed:
    """Whether an agent with the tag `mine` is shown `tool` under a policy with these rules."""

    def listed(*rules: dict[str, Any], default: str = "deny") -> bool:
        with gateway.admin() as admin, gateway.agent(tags=["mine"]) as client:
            admin.apply_policy({"name": "p", "rules": list(rules), "defaultEffect": default})
            [shown] = visible(Guard(client), "tool")
            return shown

    return listed


def visible(guard: Guard, *tools: str) -> list[bool]:
    async def run() -> list[bool]:
        try:
            return await guard.avisible([ToolCall(tool) for tool in tools])
        finally:
            await guard.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "conditions",
    [
        SMALL,
        {**SMALL, **MINE},
        {"context.args.path": {"not": {"exists": True}}},
        {"any": [OTHERS, SMALL]},
        {"all": [MINE, SMALL]},
        {"tags": {"not": {"in": ["others"]}}},
        {"time": {"after": "2999-01-01T00:00:00Z"}},
        {"resource": {"startsWith": "/"}},
    ],
)
def test_a_tool_that_some_arguments_or_times_allow_is_listed(
    listed: Listed, conditions: dict[str, Any]
) -> None:
    assert listed({**EVERYTHING, "conditions": conditions})


@pytest.mark.parametrize(
    "conditions",
    [
        OTHERS,
        {**SMALL, **OTHERS},
        {"any": [OTHERS, {"trustTier": "privileged"}]},
        {"all": [OTHERS, SMALL]},
        {"tags": {"not": {"in": ["mine"]}}},
    ],
)
def test_a_tool_that_only_other_agents_may_use_is_not_listed(
    listed: Listed, conditions: dict[str, Any]
) -> None:
    assert not listed({**EVERYTHING, "conditions": conditions})


def test_a_tool_that_no_rule_allows_is_not_listed(listed: Listed) -> None:
    assert not listed({**EVERYTHING, "actions": ["read:*"]})
    assert listed({**NEVER, "actions": ["read:*"]}, default="allow")


@pytest.mark.parametrize("conditions", [None, MINE, {"any": [MINE, SMALL]}])
def test_a_tool_that_a_rule_always_denies_is_not_listed(
    listed: Listed, conditions: dict[str, Any] | None
) -> None:
    deny = {**NEVER, "conditions": conditions} if conditions else NEVER
    assert not listed(EVERYTHING, deny)
    assert not listed(deny, default="allow")


@pytest.mark.parametrize("conditions", [OTHERS, SMALL, {"all": [MINE, SMALL]}, {"any": [OTHERS, SMALL]}])
def test_a_tool_that_a_rule_denies_for_some_arguments_only_is_listed(
    listed: Listed, conditions: dict[str, Any]
) -> None:
    deny = {**NEVER, "conditions": conditions}
    assert listed(EVERYTHING, deny)
    assert listed(deny, default="allow")


def test_every_policy_must_allow_by_default() -> None:
    policies = [
        {"name": name, "rules": [{**NEVER, "conditions": SMALL}], "defaultEffect": default}
        for name, default in (("open", "allow"), ("closed", "deny"))
    ]
    with running_gateway(*policies) as gateway, gateway.agent() as client:
        assert visible(Guard(client), "tool") == [False]


def test_an_action_that_depends_on_arguments_is_made_without_any(gateway: RunningGateway) -> None:
    with gateway.admin() as admin, gateway.agent() as client:
        admin.apply_policy({"name": "p", "rules": [{"effect": "allow", "actions": ["read:*"]}]})
        made = {"tool": lambda call: f"{call.arguments.get('verb', 'read')}:files"}
        assert visible(Guard(client, action_map=made), "tool") == [True]
        crashing = {"tool": lambda call: str(call.arguments["verb"])}
        assert visible(Guard(client, action_map=crashing), "tool") == [False]


def test_what_is_asked_for_a_list_is_no_decision_about_a_call() -> None:
    with world() as made, made.agent("lister") as (client, agent_id):
        assert visible(Guard(client), "lookup", "unknown") == [True, False]
        assert made.decisions(agent_id) == []
        assert len(list(made.admin.iter_audit_log(agent=agent_id, kind="decision"))) == 2
