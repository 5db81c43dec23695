"""Which tools the guard shows to a model, and the names in its settings that nothing has."""

import asyncio
import re
from typing import Any

import pytest

from meshguard import ConfigurationError, InvalidRequestError, MeshGuardError
from meshguard.guard import Guard, ToolCall
from tests.unit.conftest import Answer, Gateway

ALLOWED = {"decision": "allow", "allowed": True}
DENIED = {"decision": "deny", "allowed": False, "reason": "no rule allows it"}


def asked(gateway: Gateway) -> Any:
    return gateway.received[-1].json


def explained(*rules: dict[str, Any], default: str = "deny", applies: bool = True) -> dict[str, Any]:
    policy = {"policy": "p", "applies": applies, "defaultEffect": default, "rules": list(rules)}
    return {**DENIED, "action": "execute:a", "explanation": {"summary": "", "policies": [policy]}}


CONDITIONS = {"conditions": {"test": "context.args.x", "value": "error"}}
MAY = {"rule": "may", "effect": "allow", "matched": False, **CONDITIONS}
NEVER = {"rule": "never", "effect": "deny", "matched": True}
SOMETIMES = {"rule": "sometimes", "effect": "deny", "matched": True, **CONDITIONS}


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({**ALLOWED, "action": "execute:a"}, True),
        ({**DENIED, "action": "execute:a"}, False),
        (explained(), False),
        (explained(MAY), True),
        (explained(MAY, NEVER), False),
        (explained(SOMETIMES), False),
        (explained(MAY, SOMETIMES), True),
        (explained(SOMETIMES, default="allow"), True),
        (explained(NEVER, default="allow"), False),
        (explained(MAY, default="allow", applies=False), False),
    ],
)
def test_a_tool_is_listed_when_some_arguments_could_make_it_allowed(
    gateway: Gateway, guarded: Any, answer: dict[str, Any], shown: bool
) -> None:
    gateway.answers({"decisions": [answer]})
    guard = guarded()
    assert visible(guard, ToolCall("a")) == [shown]
    sent = asked(gateway)["requests"][0]
    assert sent == {"action": "execute:a", "context": {"listing": True, "tool": "a"}, "explain": True}


def visible(guard: Guard, *calls: ToolCall) -> list[bool]:
    async def run() -> list[bool]:
        try:
            return await guard.avisible(calls)
        finally:
            await guard.aclose()

    return asyncio.run(run())


def test_nothing_is_listed_while_nobody_can_be_asked(gateway: Gateway, guarded: Any) -> None:
    gateway.answers(Answer(None))
    assert visible(guarded(), ToolCall("a"), ToolCall("b")) == [False, False]
    assert visible(guarded(), ToolCall("a", agent="x"), ToolCall("b", agent="y")) == [False, False]


@pytest.mark.parametrize(
    "made", [lambda call: call.arguments["verb"], lambda _: 7, lambda _: "", lambda _: "\n"]
)
def test_a_tool_without_an_action_is_hidden_and_no_other(
    gateway: Gateway, guarded: Any, made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.answers({"decisions": [{**ALLOWED, "action": "execute:a"}, {**DENIED, "action": "execute:c"}]})
    calls = [ToolCall("file"), ToolCall("a"), ToolCall("file"), ToolCall("c")]
    assert visible(guarded(action_map={"file": made}), *calls) == [False, True, False, False]
    assert [request["action"] for request in asked(gateway)["requests"]] == ["execute:a", "execute:c"]
    assert re.search("'file' is not listed.*(KeyError|InvalidRequestError)", caplog.text)
    with pytest.raises((KeyError, InvalidRequestError)):
        visible(guarded(action_map={"file": made}, on_error="raise"), *calls)


@pytest.mark.parametrize("on_error", ["deny", "raise"])
def test_the_tools_of_several_agents_are_not_listed_as_those_of_one(
    gateway: Gateway, guarded: Any, on_error: str
) -> None:
    calls = [ToolCall("a", agent="one"), ToolCall("b", agent="two")]
    guard = guarded(agents={"one": "token.of.one", "two": "token.of.two"}, on_error=on_error)
    gateway.answers({"decisions": [{**ALLOWED, "action": "execute:a"}, {**ALLOWED, "action": "execute:b"}]})
    if on_error == "raise":
        with pytest.raises(ConfigurationError, match="several agents"):
            visible(guard, *calls)
    else:
        assert visible(guard, *calls) == [False, False]
    assert gateway.received == []


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({**DENIED, "conditional": True}, True),
        ({**DENIED, "conditional": False}, False),
        ({**DENIED, "conditional": "yes"}, False),
        ({**DENIED, "conditional": None}, False),
        ({**ALLOWED, "conditional": False}, True),
        ({**explained(MAY), "conditional": False}, False),
        ({**explained(), "conditional": True}, True),
        ({**explained(MAY), "conditional": 1}, True),
    ],
)
def test_a_gateway_that_says_what_is_conditional_is_believed(
    gateway: Gateway, guarded: Any, answer: dict[str, Any], shown: bool
) -> None:
    gateway.answers({"decisions": [{**answer, "action": "execute:a"}]})
    assert visible(guarded(), ToolCall("a")) == [shown]


def test_an_error_of_the_gateway_lists_nothing_even_with_on_error_raise(
    gateway: Gateway, guarded: Any
) -> None:
    gateway.answers(Answer("<h1>It works!</h1>"))
    assert visible(guarded(), ToolCall("a")) == [False]
    with pytest.raises(MeshGuardError):
        visible(guarded(on_error="raise"), ToolCall("a"))


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "with this name" in record.getMessage()]


def test_a_name_that_no_tool_has_is_warned_of_once_with_the_nearest(
    guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    actions = {"Find": "write:email", "serch": "read:web", "zz": "x:y"}
    guard = guarded(action_map=actions, agents={"clark": "token.of.clerk"})
    for _ in range(2):
        guard.check_names(tools=["search", "find"], agents=["clerk", "buyer"])
    assert warned(caplog) == [
        "action_map contains 'serch', but there is no tool with this name. Did you mean 'search'?",
        "action_map contains 'zz', but there is no tool with this name. Known names: 'find', 'search'.",
        "agents contains 'clark', but there is no agent with this name. Did you mean 'clerk'?",
    ]


def test_names_are_not_warned_of_where_tools_are_unknown(
    guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    guarded(action_map={"a": "b:c"}, agents={"d": "token.of.d"}).check_names()
    assert warned(caplog) == []


def test_no_tools_are_no_question(gateway: Gateway, guarded: Any) -> None:
    assert visible(guarded()) == []
    assert gateway.received == []
