"""Actions and resources that are filled with arguments of a call."""

import asyncio
import datetime as dt
import json
import posixpath
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshguard import ConfigurationError, InvalidRequestError, exact_json
from meshguard.guard import ToolCall
from meshguard.guard.arguments import UndecidableError
from meshguard.guard.templates import Template
from meshguard.policy import Agent, PolicyEngine, Request, load_policy
from tests.unit.conftest import Gateway

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def sent(gateway: Gateway) -> tuple[str | None, str | None]:
    body = gateway.received[-1].json
    return body.get("action"), body.get("resource")


def filled(text: str, arguments: Mapping[str, Any], *, verbatim: bool = False) -> str:
    return Template("action_map", text, verbatim=verbatim).fill(exact_json.encode_members(arguments))


# What is sent


@pytest.mark.parametrize(
    ("resource", "arguments", "expected"),
    [
        ("path", {"path": "/a/../b"}, "/a/../b"),
        ("{path}", {"path": "https://a.test/?b#c"}, "https://a.test/?b#c"),
        ("orders/{id}", {"id": 7}, "orders/7"),
        ("{bucket}/{key}", {"bucket": "docs", "key": "2026/a.csv"}, "docs/2026/a.csv"),
        ("{{{id}}}", {"id": 7}, "{7}"),
        (lambda call: f"table/{call.arguments['name']}", {"name": "users"}, "table/users"),
        (lambda _: None, {}, None),
        (None, {"path": "/a"}, None),
    ],
)
def test_the_resource_comes_from_the_call(
    gateway: Gateway, guarded: Any, resource: Any, arguments: dict[str, Any], expected: str | None
) -> None:
    for given_arguments in (arguments, json.dumps(arguments)):
        assert guarded(resource=resource).check(ToolCall("tool", given_arguments)).allowed
        assert sent(gateway) == ("execute:tool", expected)


def test_each_tool_can_have_its_own_resource(gateway: Gateway, guarded: Any) -> None:
    guard = guarded(resource={"Read File": "path", "refund": "orders/{order}"})
    for tool, arguments, expected in (
        ("read_file", {"path": "a"}, "a"),
        ("refund", {"order": 7}, "orders/7"),
        ("search", {"path": "a"}, None),
    ):
        assert guard.check(ToolCall(tool, arguments)).allowed
        assert sent(gateway)[1] == expected


def test_actions_are_filled(gateway: Gateway, guarded: Any) -> None:
    guard = guarded(action_map={"read": "read:{path}", "run": "{verb}:{table}", "all": "list:{{x}}"})
    for tool, arguments, expected in (
        ("read", {"path": "docs/a.txt"}, "read:docs/a.txt"),
        ("run", {"verb": "delete", "table": "users"}, "delete:users"),
        ("all", {"x": "y"}, "list:{x}"),
    ):
        assert guard.check(ToolCall(tool, arguments)).allowed
        assert sent(gateway)[0] == expected


def test_an_async_check_fills_too(gateway: Gateway, guarded: Any) -> None:
    guard = guarded(resource="path", action_map={"read": "read:{kind}"})

    async def run() -> list[bool]:
        try:
            calls = ({"path": "a", "kind": "b"}, {"path": "a"}, {"kind": "b"})
            return [(await guard.acheck(ToolCall("read", arguments))).allowed for arguments in calls]
        finally:
            await guard.aclose()

    assert asyncio.run(run()) == [True, False, False]
    assert len(gateway.received) == 1
    assert sent(gateway) == ("read:b", "a")


@pytest.mark.parametrize("context", ["args", None, lambda _: {"fixed": 1}])
def test_no_context_still_has_a_resource(gateway: Gateway, guarded: Any, context: Any) -> None:
    assert guarded(resource="path", context=context).check(ToolCall("read", {"path": "a"})).allowed
    received = gateway.received[-1]
    assert (received.headers.get("x-meshguard-resource") or sent(gateway)[1]) == "a"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"), (7, "7"), (7.0, "7"), (Decimal("7.00"), "7"), (-0.0, "0"), (True, "true"),
        (PurePosixPath("a/b"), "a/b"), (10**30, str(10**30)),
    ],
)  # fmt: skip
def test_scalars_have_one_spelling(value: Any, text: str) -> None:
    assert filled("read:{x}", {"x": value}) == f"read:{text}"


# What is denied


MISSING: Any = object()
NEVER = [MISSING, None, [], ["a"], {"a": "b"}, 0.5, "", "a\nb", "a\x00"]
OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"resource": "x"},
    "template": {"resource": "a/{x}"},
    "action": {"action_map": {"tool": "read:{x}"}},
}
NOT_IN_PARTS = [
    "*", "a:b", "a\\b", "%2e%2e", "a?b", "a#b", " a", "a ", "a\u200bb", "a//b", "a/", "/", ".", "..", "./a",
    "../a", "a/../b", "a/./b", "a/..",
]  # fmt: skip


@pytest.mark.parametrize("setting", ["name", "template", "action"])
@pytest.mark.parametrize("value", NEVER)
def test_an_unusable_argument_is_denied_by_name(
    gateway: Gateway, guarded: Any, setting: str, value: Any
) -> None:
    options = OPTIONS[setting]
    guard = guarded(**options)
    arguments = {"y": 1} if value is MISSING else {"x": value}
    decision = guard.check(ToolCall("tool", arguments))
    assert (decision.allowed, decision.degraded) == (False, True)
    assert "the argument 'x' " in (decision.reason or "")
    assert gateway.received == []
    strict = guarded(**options, on_error="raise")
    with pytest.raises(InvalidRequestError, match=r"the argument 'x' .*The guard's (resource|action_map)"):
        strict.check(ToolCall("tool", arguments))


@pytest.mark.parametrize("template", ["read:{x}", "{x}", "{x}:read", "a/{x}"])
@pytest.mark.parametrize("value", NOT_IN_PARTS)
def test_a_value_outside_its_part_is_denied(template: str, value: str) -> None:
    with pytest.raises(UndecidableError, match="the argument 'x'"):
        filled(template, {"x": value})


def test_a_reason_never_contains_the_value() -> None:
    for value in ("DE02:1", "../DE02", "DE02\n", ["DE02"], "DE02 "):
        with pytest.raises(UndecidableError) as caught:
            filled("read:{x}", {"x": value})
        assert "DE02" not in str(caught.value)


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("{bucket}/{key}", {"bucket": "a/b", "key": "c"}),
        ("{a}-{b}", {"a": "x-y", "b": "z"}),
        ("docs/{path}", {"path": "/etc/passwd"}),
    ],
)
def test_a_value_contains_no_neighboring_separator(template: str, arguments: dict[str, str]) -> None:
    with pytest.raises(UndecidableError):
        filled(template, arguments)


def test_a_lone_argument_is_sent_as_it_is() -> None:
    for value in NOT_IN_PARTS:
        assert filled("{x}", {"x": value}, verbatim=True) == value


def test_a_mistake_in_a_resource_function_denies(gateway: Gateway, guarded: Any) -> None:
    for resource in (lambda _: 1 / 0, lambda _: 7, lambda call: call.arguments["path"]):
        assert not guarded(resource=resource).check(ToolCall("read", {"y": 1})).allowed
    assert gateway.received == []


@pytest.mark.parametrize(
    "options",
    [
        {"resource": ""},
        {"resource": 7},
        {"resource": "{"},
        {"resource": "a}"},
        {"resource": "{}"},
        {"resource": "{a}{b}"},
        {"resource": {"read": ""}},
        {"resource": {7: "path"}},
        {"resource": {"read-file": "a", "read file": "b"}},
        {"action_map": {"read": "read:{path"}},
        {"action_map": {"read": "read:{}"}},
        {"action_map": {"read": "{a}{b}"}},
    ],
)
def test_an_invalid_template_is_rejected_at_once(guarded: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        guarded(**options)


# Properties


VALUES = st.text(st.sampled_from("a./:*-%"), max_size=3) | st.text(
    st.sampled_from("ab./:*-%\\ \u200b\né#?{}"), max_size=6
)


def or_none(template: Template, *values: str) -> str | None:
    try:
        return template.fill(exact_json.encode_members(dict(zip("xyz", values, strict=False))))
    except UndecidableError:
        return None


@pytest.mark.parametrize("text", ["{x}:{y}", "{x}/{y}", "a/{x}-{y}", "{x}.{y}", "read:{x}/b/{y}", "{x}: {y}"])
@settings(max_examples=300, deadline=None)
@given(one=st.tuples(VALUES, VALUES), other=st.tuples(VALUES, VALUES))
def test_different_arguments_fill_to_different_text(
    text: str, one: tuple[str, str], other: tuple[str, str]
) -> None:
    template = Template("action_map", text)
    result = or_none(template, *one)
    if result is not None and one != other:
        assert result != or_none(template, *other)


ENGINE = PolicyEngine(
    [
        load_policy(
            """
name: folders
rules:
  - {name: public, effect: allow, actions: ["read:public/*"]}
  - {name: own, effect: allow, actions: ["*:own"], conditions: {resource: {startsWith: "team/a/"}}}
"""
        )
    ]
)


@settings(max_examples=500, deadline=None)
@given(path=st.lists(st.sampled_from(["public", "..", ".", "", "a", "*", "b:", "%2e"]), max_size=5))
def test_a_filled_action_stays_in_its_folder(path: list[str]) -> None:
    value = "/".join(path)
    action = or_none(Template("action_map", "read:{x}"), value)
    if action is not None and _is_allowed(action):
        assert posixpath.normpath(value).startswith("public/")


@settings(max_examples=500, deadline=None)
@given(
    name=VALUES, team=st.text(st.sampled_from("ab./"), max_size=5), more=st.sampled_from(["", "/../b", "/"])
)
def test_a_filled_resource_stays_in_its_part(name: str, team: str, more: str) -> None:
    resource = or_none(Template("resource", "team/{x}/{y}", verbatim=True), team + more, name)
    if resource is not None and _is_allowed("read:own", resource):
        assert (team + more, posixpath.normpath(resource)) == ("a", resource)


def _is_allowed(action: str, resource: str | None = None) -> bool:
    return ENGINE.decide(Agent("a", "a", "verified"), Request(action, resource), now=NOW).allowed


# Lists of tools


def test_a_tool_with_a_template_is_listed(gateway: Gateway, guarded: Any) -> None:
    guard = guarded(
        action_map={"read": "read:{path}", "say": "say:hello"},
        resource={"say": "text"},
        agents={"clerk": "token.of.clerk"},
    )
    gateway.answers({"decisions": [{"decision": "deny", "allowed": False, "action": "say:hello"}]})

    async def listed(agent: str) -> list[bool]:
        try:
            calls = [ToolCall("read", agent=agent), ToolCall("say", agent=agent)]
            shown: list[bool] = await guard.avisible(calls)
            return shown
        finally:
            await guard.aclose()

    assert asyncio.run(listed("clerk")) == [True, False]
    assert asyncio.run(listed("stranger")) == [False, False]


def test_an_unknown_name_in_resource_is_reported(guarded: Any, caplog: pytest.LogCaptureFixture) -> None:
    guarded(resource={"red_file": "path"}).check_names(tools=["read_file"])
    assert "resource contains 'red_file', but there is no tool with this name" in caplog.text
