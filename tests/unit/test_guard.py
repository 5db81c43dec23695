"""From a tool call to a decision; the adapters' tests do the same with real gateways and frameworks."""

import asyncio
import gc
import logging
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

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


def test_the_context_is_what_the_user_makes_it(gateway: Gateway, guarded: Any) -> None:
    guarded(context=lambda call: {"length": len(call.arguments)}).check(ToolCall("send", {"to": "Ada"}))
    assert asked(gateway)["context"] == {"length": 1}
    guarded(context=None).check(ToolCall("send", {"to": "Ada"}))
    assert gateway.received[-1].headers["x-meshguard-action"] == "execute:send"
    assert b"Ada" not in gateway.received[-1].body


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
    assert guard.denial_result(call, decision) == guard.safe_denial_text(call, decision) == said


def test_a_denial_stays_one_line_whatever_the_reason() -> None:
    decision = PolicyDecision(False, "a", "deny", reason=" Not\n\nnow! ")
    assert denial_message(ToolCall("t"), decision).endswith("(action a): Not now!")


def test_without_on_deny_a_function_raises_and_a_model_is_told(guarded: Any) -> None:
    call, decision = ToolCall("send"), PolicyDecision(False, "a", "deny")
    with pytest.raises(PolicyDeniedError):
        guarded().denial_result(call, decision, default="raise")
    assert "denied" in guarded(on_deny="message").denial_result(call, decision, default="raise")
    assert "denied" in guarded().denial_result(call, decision)
    assert "denied" in guarded().denial_text(call, decision)


def test_a_denial_can_be_raised(gateway: Gateway, guarded: Any) -> None:
    gateway.answers(DENIED)
    call = ToolCall("send")
    guard = guarded(on_deny="raise")
    decision = guard.check(call)
    with pytest.raises(PolicyDeniedError) as caught:
        guard.denial_result(call, decision)
    assert caught.value.decision is decision
    assert "denied" in guard.safe_denial_text(call, decision)


def test_a_denial_can_be_what_the_user_likes(guarded: Any) -> None:
    call, decision = ToolCall("send"), PolicyDecision(False, "a", "deny")
    guard = guarded(on_deny=lambda call, decision: {"tool": call.tool, "action": decision.action})
    assert guard.denial_result(call, decision) == {"tool": "send", "action": "a"}
    assert guard.safe_denial_text(call, decision) == '{"tool": "send", "action": "a"}'


@pytest.mark.parametrize("on_error", ["deny", "raise"])
def test_an_error_is_a_refusal_sync_and_async(gateway: Gateway, guarded: Any, on_error: str) -> None:
    gateway.answers(Answer("<h1>It works!</h1>"))
    guard = guarded(on_error=on_error)
    call = ToolCall("send", {"to": "Ada"})
    assert "no decision was possible" in (guard.denial_for(call) or "")

    async def run() -> str | None:
        said: str | None = await guard.adenial_for(call)
        return said

    assert "no decision was possible" in (asyncio.run(run()) or "")
    gateway.answers({"decision": "allow", "allowed": True})
    assert guard.denial_for(call) is None
    assert asyncio.run(run()) is None


def test_a_mistake_in_on_deny_reaches_no_framework_that_would_swallow_it(guarded: Any) -> None:
    guard = guarded(on_deny=lambda *_: 1 / 0)
    assert "denied" in guard.safe_denial_text(ToolCall("send"), PolicyDecision(False, "a", "deny"))
    with pytest.raises(ZeroDivisionError):
        guard.denial_result(ToolCall("send"), PolicyDecision(False, "a", "deny"))


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
        ({"agents": {"a": 7}}, "Invalid token: it must be a string"),
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


def test_the_other_client_has_the_very_settings(gateway: Gateway) -> None:
    settings: dict[str, Any] = {
        "timeout": 7.5, "trace_id": "trace-9", "max_retries": 0, "on_unavailable": "deny", "trust_env": False
    }  # fmt: skip

    async def run() -> None:
        async with AsyncMeshGuardClient(gateway.url, "agent.token", **settings) as given:
            with MeshGuardClient(gateway.url, "agent.token", **settings) as other:
                made = await Guard(other)._default_client.asynchronous()
                assert made._transport.config == other._transport.config
                assert made._transport.trusts_env is False
                await made.aclose()
            waiting = Guard(given)._default_client.sync()
            assert waiting._transport.config == given._transport.config
            assert waiting._transport.trusts_env is False
            waiting.close()

    asyncio.run(run())


@pytest.mark.parametrize("trusts", [True, False])
def test_the_other_client_goes_through_a_proxy_of_the_environment_only_if_the_first_does(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, trusts: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", gateway.url)
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with MeshGuardClient("http://gateway.invalid", "agent.token", trust_env=trusts, max_retries=0) as client:
        guard = Guard(client)

        async def run() -> PolicyDecision:
            try:
                return await guard.acheck(ToolCall("a"))
            finally:
                await guard.aclose()

        assert asyncio.run(run()).allowed is trusts
    assert bool(gateway.received) is trusts


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
    assert "Pass an AsyncMeshGuardClient" in caplog.text


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
    with pytest.raises(ConfigurationError, match="agent_token: it is empty"):
        client.with_options(agent_token="")
    with pytest.raises(ConfigurationError, match="trace_id: it must be"):
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
