"""From a tool call to a decision; the adapters' tests do the same with real gateways and frameworks."""

import asyncio
import datetime as dt
import gc
import json
import logging
import re
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from meshguard import (
    AsyncMeshGuardClient,
    ConfigurationError,
    InvalidRequestError,
    MeshGuardClient,
    PolicyDecision,
    PolicyDeniedError,
)
from meshguard.guard import Guard, ToolCall, denial_message
from tests.unit.conftest import Answer, Gateway

ALLOWED = {"decision": "allow", "allowed": True}
DENIED = {"decision": "deny", "allowed": False, "reason": "no rule allows it"}


@pytest.fixture
def guarded(client: MeshGuardClient) -> Iterator[Callable[..., Guard]]:
    """Make guards of the client; they are closed in the end."""
    made: list[Guard] = []

    def guarded(**options: Any) -> Guard:
        made.append(Guard(client, **options))
        return made[-1]

    yield guarded
    for guard in made:
        guard.close()


def asked(gateway: Gateway) -> Any:
    return gateway.received[-1].json


def action_of(gateway: Gateway, guard: Guard, tool: str, arguments: Any = None) -> str:
    guard.check(ToolCall(tool, arguments))
    return str(asked(gateway)["action"])


def test_a_tool_without_an_entry_gets_the_default_action(gateway: Gateway, guarded: Any) -> None:
    assert action_of(gateway, guarded(), "send_email") == "execute:send_email"
    assert action_of(gateway, guarded(default_action="tool"), "send_email") == "tool"
    assert action_of(gateway, guarded(default_action="{tool}:{x}"), "{y}") == "{y}:{x}"


def test_a_name_is_found_as_it_is_before_it_is_found_by_its_spelling(gateway: Gateway, guarded: Any) -> None:
    guard = guarded(action_map={"Send Email": "write:email", "send-sms": "write:sms"})
    assert action_of(gateway, guard, "Send Email") == "write:email"
    assert action_of(gateway, guard, "send_email") == "write:email"
    assert action_of(gateway, guard, "SEND-SMS") == "write:sms"
    assert action_of(gateway, guard, "sendsms") == "execute:sendsms"


def test_two_actions_for_one_name_are_refused(guarded: Any) -> None:
    with pytest.raises(ConfigurationError, match="differ from 'send-email' only in spelling"):
        guarded(action_map={"Send Email": "write:email", "send-email": "execute:email"})


def test_a_function_makes_the_action_of_the_parsed_call(gateway: Gateway, guarded: Any) -> None:
    def by_verb(call: ToolCall) -> str | None:
        assert isinstance(call.arguments, dict)
        verb = call.arguments.get("verb")
        return f"{verb}:file" if verb else None

    guard = guarded(action_map={"file": by_verb})
    assert action_of(gateway, guard, "file", '{"verb": "read"}') == "read:file"
    assert action_of(gateway, guard, "file", "{}") == "execute:file"


def test_an_action_that_the_adapter_knows_goes_before_all(gateway: Gateway, guarded: Any) -> None:
    guarded(action_map={"send": "write:other"}).check(ToolCall("send", action="write:email"))
    assert asked(gateway)["action"] == "write:email"


def test_policies_see_arguments_tool_framework_and_agent(gateway: Gateway, guarded: Any) -> None:
    guarded().check(ToolCall("send", {"to": "Ada"}, framework="langchain", agent="clerk", call_id="call_1"))
    assert asked(gateway)["context"] == {
        "args": {"to": "Ada"},
        "tool": "send",
        "framework": "langchain",
        "agent": "clerk",
    }


class Order(BaseModel):
    amount: int
    due: dt.date


def test_models_are_seen_by_their_fields_and_what_json_cannot_say_is_left_out(
    gateway: Gateway, guarded: Any
) -> None:
    order = Order(amount=3, due=dt.date(2026, 1, 2))
    arguments = {
        "order": order,
        "session": object(),
        "many": [1, {object()}],
        "not_a_number": float("nan"),
        "model": Order,
        "text": "ok",
    }
    guarded().check(ToolCall("send", arguments))
    assert asked(gateway)["context"]["args"] == {"order": {"amount": 3, "due": "2026-01-02"}, "text": "ok"}


def test_the_context_is_what_the_user_makes_it(gateway: Gateway, guarded: Any) -> None:
    guarded(context=lambda call: {"length": len(call.arguments)}).check(ToolCall("send", {"to": "Ada"}))
    assert asked(gateway)["context"] == {"length": 1}
    guarded(context=None).check(ToolCall("send", {"to": "Ada"}))
    assert gateway.received[-1].headers["x-meshguard-action"] == "execute:send"
    assert b"Ada" not in gateway.received[-1].body


@pytest.mark.parametrize("empty", [None, "", b"", {}, "{}", b" {} "])
def test_no_arguments_are_arguments_too(gateway: Gateway, guarded: Any, empty: Any) -> None:
    assert guarded().check(ToolCall("now", empty)).allowed
    assert asked(gateway)["context"]["args"] == {}


@pytest.mark.parametrize(
    "bad",
    [
        "{", "[]", "1", "null", '"x"', '{"a": NaN}', '{"a": Infinity}', '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 2}}', b"\xff", "[" * 100_000, "{} {}", ["to", "Ada"], 7,
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_read_are_denied_and_nobody_is_asked(
    gateway: Gateway, guarded: Any, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    decision = guarded().check(ToolCall("send", bad))
    assert not decision.allowed
    assert decision.degraded
    assert gateway.received == []
    assert "arguments of the tool call" in caplog.text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.binary())
def test_what_is_no_json_object_is_never_allowed(guarded: Any, text: str | bytes) -> None:
    try:
        sound = text in ("", b"") or isinstance(json.loads(text), dict)
    except ValueError:
        sound = False
    assert guarded().check(ToolCall("send", text)).allowed is sound


@pytest.mark.parametrize(
    "answer",
    [
        Answer(None),
        Answer({"error": "internal_error", "message": "x", "traceId": "t"}, 500),
        Answer("<h1>It works!</h1>"),
        Answer({"error": "unauthorized", "message": "x", "traceId": "t"}, 401),
        Answer({"error": "rate_limited", "message": "x", "traceId": "t"}, 429),
        Answer({"decision": "maybe"}),
    ],
)
def test_no_decision_is_a_denial(
    gateway: Gateway, guarded: Any, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.answers(answer)
    call = ToolCall("send", {"iban": "DE02"}, run_id="run-1")
    decision = guarded().check(call)
    assert (decision.allowed, decision.decision, decision.degraded) == (False, "deny", True) or (
        decision.decision == "maybe" and not decision.allowed
    )
    assert "DE02" not in caplog.text


def test_no_decision_can_be_an_error_when_that_is_asked_for(gateway: Gateway, guarded: Any) -> None:
    gateway.answers(Answer("<h1>It works!</h1>"))
    with pytest.raises(InvalidRequestError):
        guarded(on_error="raise").check(ToolCall("send", "{"))
    with pytest.raises(ZeroDivisionError):
        guarded(on_error="raise", context=lambda _: 1 / 0).check(ToolCall("send"))


def test_a_mistake_in_the_users_functions_is_a_denial_and_is_found_in_the_log(
    gateway: Gateway, guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(_: ToolCall) -> str:
        raise KeyError("where")

    assert not guarded(action_map={"send": mistake}).check(ToolCall("send")).allowed
    assert not guarded(context=mistake).check(ToolCall("send")).allowed
    assert not guarded(action_map={"send": lambda _: 7}).check(ToolCall("send")).allowed
    assert gateway.received == []
    assert "test_guard.py" in caplog.text
    assert "where" in caplog.text


def test_a_cancelled_check_is_cancelled() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def run() -> None:
        async with AsyncMeshGuardClient("http://127.0.0.1:1", "t", http_client=_failing(cancelled)) as twin:
            with pytest.raises(asyncio.CancelledError):
                await Guard(twin).acheck(ToolCall("send"))

    asyncio.run(run())


def _failing(action: Callable[[], Any]) -> httpx.AsyncClient:
    async def handle(_: httpx.Request) -> httpx.Response:
        await action()
        raise AssertionError

    return httpx.AsyncClient(transport=httpx.MockTransport(handle))


def test_a_denial_is_a_sentence_for_the_model(gateway: Gateway, guarded: Any) -> None:
    gateway.answers(DENIED)
    call = ToolCall("send", {"to": "Ada"})
    guard = guarded()
    decision = guard.check(call)
    said = "MeshGuard denied the tool call send (action execute:send): no rule allows it."
    assert guard.refuse(call, decision) == guard.refusal(call, decision) == said


def test_a_denial_stays_one_line_whatever_the_reason() -> None:
    decision = PolicyDecision(False, "a", "deny", reason=" Not\n\nnow! ")
    assert denial_message(ToolCall("t"), decision).endswith("(action a): Not now!")


def test_a_denial_can_be_raised(gateway: Gateway, guarded: Any) -> None:
    gateway.answers(DENIED)
    call = ToolCall("send")
    guard = guarded(on_deny="raise")
    decision = guard.check(call)
    with pytest.raises(PolicyDeniedError) as caught:
        guard.refuse(call, decision)
    assert caught.value.decision is decision
    assert "denied" in guard.refusal(call, decision)


def test_a_denial_can_be_what_the_user_likes(guarded: Any) -> None:
    call, decision = ToolCall("send"), PolicyDecision(False, "a", "deny")
    guard = guarded(on_deny=lambda call, decision: {"tool": call.tool, "action": decision.action})
    assert guard.refuse(call, decision) == {"tool": "send", "action": "a"}
    assert guard.refusal(call, decision) == '{"tool": "send", "action": "a"}'


def test_a_mistake_in_on_deny_reaches_no_framework_that_would_swallow_it(guarded: Any) -> None:
    guard = guarded(on_deny=lambda *_: 1 / 0)
    assert "denied" in guard.refusal(ToolCall("send"), PolicyDecision(False, "a", "deny"))
    with pytest.raises(ZeroDivisionError):
        guard.refuse(ToolCall("send"), PolicyDecision(False, "a", "deny"))


def test_a_named_agent_is_decided_on_under_its_own_token(gateway: Gateway, guarded: Any) -> None:
    with MeshGuardClient(gateway.url, "token.of.two") as second:
        guard = guarded(agents={"one": "token.of.one", "two": second})
        for agent, token in (
            ("one", "token.of.one"),
            ("two", "token.of.two"),
            (None, "agent.token.signature"),
        ):
            assert guard.check(ToolCall("send", agent=agent)).allowed
            assert gateway.received[-1].headers["authorization"] == f"Bearer {token}"


def test_a_stranger_is_denied_where_agents_have_identities(gateway: Gateway, guarded: Any) -> None:
    assert not guarded(agents={"one": "token.of.one"}).check(ToolCall("send", agent="three")).allowed
    assert not guarded(agents={}).check(ToolCall("send", agent="one")).allowed
    assert gateway.received == []


def test_without_identities_every_agent_is_the_client(gateway: Gateway, guarded: Any) -> None:
    assert guarded().check(ToolCall("send", agent="any")).allowed
    assert gateway.received[-1].headers["authorization"] == "Bearer agent.token.signature"


@pytest.mark.parametrize("run_id", ["run-1", "x" * 128])
def test_the_run_is_the_trace(gateway: Gateway, guarded: Any, run_id: str) -> None:
    guarded().check(ToolCall("send", run_id=run_id))
    assert gateway.received[-1].headers["x-meshguard-trace-id"] == run_id


@pytest.mark.parametrize("run_id", ["a run", "läuft", "x" * 129, "\ud800", "a\r\nX-Admin-Token: b", ""])
def test_a_run_that_cannot_be_a_trace_id_is_hashed_to_one(
    gateway: Gateway, guarded: Any, run_id: str
) -> None:
    guarded().check(ToolCall("send", run_id=run_id))
    trace = gateway.received[-1].headers["x-meshguard-trace-id"]
    assert len(trace) == 64
    assert set(trace) <= set("0123456789abcdef")


def test_the_repr_of_a_call_keeps_the_arguments_to_itself() -> None:
    assert "DE02" not in repr(ToolCall("send", {"iban": "DE02"}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"context": "arguments"}, "context must be a function or one of"),
        ({"on_deny": "return"}, "on_deny must be a function or one of"),
        ({"on_error": "allow"}, 'on_error must be "deny" or "raise"'),
        ({"default_action": ""}, "default_action must be text"),
        ({"action_map": {"a": ""}}, "action_map must map"),
        ({"action_map": {"a": 7}}, "action_map must map"),
        ({"agents": {"a": ""}}, "agents must map"),
        ({"agents": {"a": 7}}, "A token must be a string"),
    ],
)
def test_settings_that_mean_nothing_are_refused(guarded: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        guarded(**options)


def test_a_client_must_be_a_client() -> None:
    with pytest.raises(ConfigurationError, match="MeshGuardClient or an AsyncMeshGuardClient"):
        Guard("http://gateway")  # type: ignore[arg-type]


def test_one_client_serves_waiting_and_awaiting_in_every_loop(guarded: Any) -> None:
    guard = guarded()

    async def twice() -> list[bool]:
        first = await guard.acheck(ToolCall("a"))
        second = guard.check(ToolCall("b"))
        await guard.aclose()
        return [first.allowed, second.allowed]

    for _ in range(3):
        assert asyncio.run(twice()) == [True, True]
    assert guard.check(ToolCall("c")).allowed


def unclosed(work: Callable[[Guard], object], client: MeshGuardClient) -> list[str]:
    """What is found open when a guard is collected that did some work and was not closed."""
    gc.collect()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        work(Guard(client))
        gc.collect()
    return [str(warning.message) for warning in found]


@pytest.mark.parametrize("run", [asyncio.run, lambda work: anyio.run(lambda: work)])
def test_what_was_opened_in_an_event_loop_is_closed_with_it(
    client: MeshGuardClient, run: Callable[[Any], PolicyDecision]
) -> None:
    def work(guard: Guard) -> None:
        for _ in range(2):
            assert run(guard.acheck(ToolCall("a"))).allowed

    assert unclosed(work, client) == []


def test_event_loops_that_were_merely_closed_are_let_go_when_another_comes(client: MeshGuardClient) -> None:
    def work(guard: Guard) -> None:
        loops = [asyncio.new_event_loop() for _ in range(3)]
        kept = [weakref.ref(loop) for loop in loops]
        while loops:
            loop = loops.pop(0)
            assert loop.run_until_complete(guard.acheck(ToolCall("a"))).allowed
            loop.close()
        del loop
        gc.collect()
        assert [ref() is None for ref in kept] == [True, True, False]

    assert all("unclosed" in said for said in unclosed(work, client))


def test_an_async_client_serves_those_who_wait_too(gateway: Gateway) -> None:
    async def run() -> None:
        async with AsyncMeshGuardClient(gateway.url, "agent.token", trace_id="trace-7") as client:
            guard = Guard(client)
            assert (await guard.acheck(ToolCall("a"))).allowed
            assert guard.check(ToolCall("b")).allowed
            assert gateway.received[-1].headers["x-meshguard-trace-id"] == "trace-7"
            guard.close()
            assert (await guard.acheck(ToolCall("c"))).allowed

    asyncio.run(run())


def test_no_twin_is_made_of_a_client_with_its_own_connections(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        httpx.Client() as http_client,
        MeshGuardClient(gateway.url, "agent.token", http_client=http_client) as client,
    ):
        guard = Guard(client)
        assert guard.check(ToolCall("a")).allowed
        assert not asyncio.run(guard.acheck(ToolCall("a"))).allowed
    assert "give the guard an AsyncMeshGuardClient" in caplog.text


def test_what_the_user_gave_is_not_closed(client: MeshGuardClient) -> None:
    Guard(client).close()
    assert client.check("read:x").allowed


def test_without_a_client_the_environment_says_whom_to_ask(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHGUARD_GATEWAY_URL", gateway.url)
    monkeypatch.setenv("MESHGUARD_AGENT_TOKEN", "from.the.environment")
    guard = Guard()
    assert guard.check(ToolCall("a")).allowed
    assert gateway.received[-1].headers["authorization"] == "Bearer from.the.environment"
    guard.close()
    assert not guard.check(ToolCall("a")).allowed


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


def test_no_tools_are_no_question(gateway: Gateway, guarded: Any) -> None:
    assert visible(guarded()) == []
    assert gateway.received == []


def test_a_client_with_other_options_shares_the_connections(
    client: MeshGuardClient, gateway: Gateway
) -> None:
    other = client.with_options(agent_token="other.token", trace_id="run-17")
    assert other.check("read:x").allowed
    sent = gateway.received[-1].headers
    assert (sent["authorization"], sent["x-meshguard-trace-id"]) == ("Bearer other.token", "run-17")
    assert client.check("read:x").allowed
    sent = gateway.received[-1].headers
    assert (sent["authorization"], sent["x-meshguard-trace-id"]) == (
        "Bearer agent.token.signature",
        "trace-1",
    )
    other.close()
    assert client.check("read:x").allowed
    assert "other.token" not in repr(other)


def test_an_empty_token_does_not_make_one_agent_another(client: MeshGuardClient) -> None:
    with pytest.raises(ConfigurationError, match="agent_token is empty"):
        client.with_options(agent_token="")
    with pytest.raises(ConfigurationError, match="trace_id must be"):
        client.with_options(trace_id="a b")


def test_plain_http_is_warned_about_once_for_all_clients_of_one_origin(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=ALLOWED))
    with httpx.Client(transport=transport) as http_client:
        client = MeshGuardClient("http://gateway.test", "agent.token", http_client=http_client)
        with caplog.at_level(logging.WARNING):
            for number in range(3):
                client.with_options(trace_id=f"run-{number}").check("read:x")
    assert caplog.text.count("unencrypted") == 1
