"""The arguments of a call: exact, or the call is denied by the argument's name."""

import asyncio
import datetime as dt
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from meshguard import InvalidRequestError, MeshGuardClient, PolicyDecision
from meshguard.guard import ToolCall
from meshguard.types import CheckRequest
from tests.python_values import EXACT, INEXACT
from tests.unit.conftest import Answer, Gateway

ALLOWED = {"decision": "allow", "allowed": True}


def asked(gateway: Gateway) -> Any:
    return gateway.received[-1].json


class Order(BaseModel):
    amount: int
    due: dt.date


def test_models_are_seen_by_their_fields(gateway: Gateway, guarded: Any) -> None:
    guarded().check(ToolCall("send", {"order": Order(amount=3, due=dt.date(2026, 1, 2)), "text": "ok"}))
    assert asked(gateway)["context"]["args"] == {"order": {"amount": 3, "due": "2026-01-02"}, "text": "ok"}


@pytest.mark.parametrize("name", EXACT)
def test_an_argument_arrives_exactly(gateway: Gateway, guarded: Any, name: str) -> None:
    value, text = EXACT[name]
    assert guarded().check(ToolCall("send", {"x": value})).allowed
    assert f'"args":{{"x":{text}}}'.encode() in gateway.received[-1].body


@pytest.mark.parametrize("name", INEXACT)
def test_an_argument_without_a_json_value_is_denied_by_name(
    gateway: Gateway, guarded: Any, name: str
) -> None:
    call = ToolCall("send", {"to": "Ada", "amount": INEXACT[name]})
    decision = guarded().check(call)
    assert (decision.allowed, decision.degraded) == (False, True)
    assert "the argument 'amount' contains" in (decision.reason or "")
    assert "5000" not in (decision.reason or "")
    assert gateway.received == []
    with pytest.raises(InvalidRequestError, match="the argument 'amount' contains"):
        guarded(on_error="raise").check(call)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"to": "Ada", "amount": 1e999}', "'amount' contains a number that is not finite"),
        ('{"amount": [NaN]}', "'amount' contains a number that is not finite"),
        ('{"amount": -Infinity}', "'amount' contains a number that is not finite"),
        ('{"amount": 1e-999}', "'amount' contains a number beyond the range"),
        ('{"amount": "\\ud800"}', "'amount' contains half a surrogate pair"),
        ('{"amount": 1, "amount": 2}', "contain 'amount' twice"),
        ('{"amount": {"a": {"b": 1, "b": 2}}}', "'amount' contains a key that comes twice"),
        (f'{{"amount": {"1" * 5000}}}', "'amount' contains a number with too many digits"),
    ],
)
@pytest.mark.parametrize("context", ["args", None, lambda _: {"fixed": 1}])
def test_a_text_with_two_meanings_is_denied_by_name(
    gateway: Gateway, guarded: Any, text: str, says: str, context: Any
) -> None:
    decision = guarded(context=context).check(ToolCall("send", text))
    assert not decision.allowed
    assert says in (decision.reason or "")
    assert gateway.received == []


def test_a_number_that_a_model_wrote_arrives_as_written(gateway: Gateway, guarded: Any) -> None:
    text = '{"a": 100.000000000000001, "b": 9007199254740993, "c": 0.1}'
    guarded().check(ToolCall("send", text))
    assert b'{"a":100.000000000000001,"b":9007199254740993,"c":0.1}' in gateway.received[-1].body


def test_a_context_of_the_user_must_be_json_too(gateway: Gateway, guarded: Any) -> None:
    decision = guarded(context=lambda _: {"ok": 1, "limit": {1}}).check(ToolCall("send"))
    assert not decision.allowed
    assert "the member of the context 'limit' contains a value of type set" in (decision.reason or "")
    assert gateway.received == []


def test_a_context_of_the_user_may_omit_what_json_cannot_say(gateway: Gateway, guarded: Any) -> None:
    guard = guarded(context=lambda call: {"amount": call.arguments["amount"]})
    assert guard.check(ToolCall("send", {"session": object(), "amount": 5})).allowed
    assert asked(gateway)["context"] == {"amount": 5}


def test_an_async_check_denies_by_name_too(gateway: Gateway, guarded: Any) -> None:
    guard = guarded()

    async def run() -> PolicyDecision:
        decision: PolicyDecision = await guard.acheck(ToolCall("send", {"amount": {5000}}))
        return decision

    assert "'amount'" in (asyncio.run(run()).reason or "")
    assert gateway.received == []


class Meanwhile(Answer):
    """An answer during which something changes."""

    def __init__(self, change: Callable[[], object]) -> None:
        super().__init__(ALLOWED)
        self._changes = [change]

    @property
    def content(self) -> bytes:
        while self._changes:
            self._changes.pop()()
        return super().content


@pytest.mark.parametrize("context", ["args", None, lambda call: {"amount": call.arguments["amount"]}])
def test_arguments_that_change_during_the_check_are_denied(
    gateway: Gateway, guarded: Any, context: Any
) -> None:
    for change in (
        lambda arguments: arguments.update(amount=5000),
        lambda arguments: arguments["items"].append(1),
        lambda arguments: arguments.update(amount=True),
        lambda arguments: arguments.update(session=object()),
        lambda arguments: arguments.pop("items"),
    ):
        arguments: dict[str, Any] = {"amount": 1, "items": [{"a": 1}]}
        gateway.answers(Meanwhile(partial(change, arguments)))
        decision = guarded(context=context).check(ToolCall("pay", arguments))
        assert not decision.allowed
        assert "changed while the call was checked" in (decision.reason or "")
    gateway.answers(ALLOWED)
    assert guarded(context=context).check(ToolCall("pay", {"amount": 1})).allowed


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
    assert re.search("arguments of the tool call|the argument 'a' contains", caplog.text)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.binary())
def test_what_is_no_json_object_is_never_allowed(guarded: Any, text: str | bytes) -> None:
    try:
        sound = text in ("", b"") or isinstance(json.loads(text), dict)
    except ValueError:
        sound = False
    assert guarded().check(ToolCall("send", text)).allowed is sound


@pytest.mark.parametrize("name", INEXACT)
def test_a_context_without_json_is_an_error_that_names_the_member(
    gateway: Gateway, client: MeshGuardClient, name: str
) -> None:
    context = {"to": "Ada", "amount": INEXACT[name]}
    request: CheckRequest = {"action": "write:payment", "context": context}
    for call in (
        lambda: client.check("write:payment", context=context),
        lambda: client.enforce("write:payment", context=context),
        lambda: client.check_many([request]),
    ):
        with pytest.raises(InvalidRequestError, match="its member 'amount' has no exact JSON value"):
            call()
    assert gateway.received == []


@pytest.mark.parametrize("name", EXACT)
def test_a_context_arrives_exactly(gateway: Gateway, client: MeshGuardClient, name: str) -> None:
    value, text = EXACT[name]
    client.check("write:payment", context={"amount": value})
    gateway.answers({"decisions": [{**ALLOWED, "action": "write:payment"}]})
    client.check_many([{"action": "write:payment", "context": {"amount": value}}])
    for received in gateway.received:
        assert f'"context":{{"amount":{text}}}'.encode() in received.body


def test_a_batch_that_is_too_large_is_an_error(gateway: Gateway, client: MeshGuardClient) -> None:
    with pytest.raises(InvalidRequestError, match="it contains too much"):
        client.check_many([{"action": "a", "resource": "x" * 11_000_000}])
    assert gateway.received == []


@pytest.mark.parametrize(("said", "read"), [(True, True), (False, False), ("yes", None), (None, None)])
def test_what_is_conditional_is_read(
    gateway: Gateway, client: MeshGuardClient, said: Any, read: bool | None
) -> None:
    gateway.answers({"decision": "deny", "allowed": False, "conditional": said})
    assert client.check("a", explain=True).conditional is read
