"""Plain functions under the conformance kit, and broken on purpose."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from meshguard import ConfigurationError, GatewayUnavailableError, MeshGuardClient, PolicyDeniedError, guard
from meshguard.guard import Guard
from meshguard.integrations import functions
from meshguard.integrations.functions import govern_function
from meshguard.testing import RunningGateway, running_gateway
from meshguard.testing.broken_gateway import nowhere
from meshguard.testing.conformance import AdapterConformance, Call, Script, failures
from tests.adapters.meanwhile import meanwhile
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned
from tests.python_values import INEXACT, Amount, Level


class TestFunctions(AdapterConformance):
    """A loop that calls functions by name stands for the framework."""

    modes = ("sync", "async", "generator", "async generator")
    traces = False
    maps = False
    raises = False  # the loop tells its model what a function raised
    values = True

    def govern(self, guard: Guard, function: Callable[..., Any]) -> Callable[..., Any]:
        return govern_function(f"execute:{function.__name__}", guard)(function)

    def run(self, script: Script) -> list[str]:
        if script.mode in {"sync", "generator"}:
            tools = self._tools(script, script.functions())
            return [_told(tools[call.tool], call) for turn in script.turns for call in turn]
        tools = self._tools(script, script.coroutines())
        return self.finish(script.guard, _all(tools, script))

    def _tools(self, script: Script, functions: list[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
        shaped = [_SHAPES[script.mode](function) for function in functions]
        return {function.__name__: self.govern(script.guard, function) for function in shaped}


def _same(function: Any) -> Any:
    return function


def _as_generator(function: Any) -> Any:
    def items(*args: Any, **kwargs: Any) -> Iterator[str]:
        yield function(*args, **kwargs)

    return _named(items, function)


def _as_async_generator(function: Any) -> Any:
    async def items(*args: Any, **kwargs: Any) -> AsyncIterator[str]:
        yield await function(*args, **kwargs)

    return _named(items, function)


def _named(items: Any, function: Any) -> Any:
    items.__name__ = function.__name__
    items.__signature__ = inspect.signature(function)
    return items


_SHAPES: dict[str, Callable[..., Any]] = {
    "sync": _same,
    "async": _same,
    "generator": _as_generator,
    "async generator": _as_async_generator,
}


def _told(tool: Callable[..., Any], call: Call) -> str:
    try:
        said = tool(**_arguments(call))
        return said if isinstance(said, str) else "".join(said)
    except PolicyDeniedError as error:
        return f"denied: {error.action}: {error}"


async def _all(tools: dict[str, Callable[..., Any]], script: Script) -> list[str]:
    said: list[str] = []
    for turn in script.turns:
        said += await asyncio.gather(*(_atold(tools[call.tool], call) for call in turn))
    return said


async def _atold(tool: Callable[..., Any], call: Call) -> str:
    try:
        said = tool(**_arguments(call))
        return "".join([str(item) async for item in said]) if inspect.isasyncgen(said) else await said
    except PolicyDeniedError as error:
        return f"denied: {error.action}: {error}"


def _arguments(call: Call) -> dict[str, Any]:
    assert isinstance(call.arguments, Mapping)
    return dict(call.arguments)


class WithoutTheHook(TestFunctions):
    def govern(self, guard: Guard, function: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ARG002
        return function


class WithErrorsLetOut(TestFunctions):
    def govern(self, guard: Guard, function: Callable[..., Any]) -> Callable[..., Any]:
        guard._on_error = "raise"
        return super().govern(guard, function)


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def test_the_kit_finds_nothing_in_an_adapter_that_is_sound() -> None:
    assert failures(TestFunctions) == []


def test_without_a_guard_a_denial_is_raised(monkeypatch: pytest.MonkeyPatch, world: Any) -> None:
    @govern_function("delete:everything")
    def delete() -> str:
        raise AssertionError("it ran")

    monkeypatch.setenv("MESHGUARD_GATEWAY_URL", world.gateway.url)
    with world.agent("bare") as (client, _):
        monkeypatch.setenv("MESHGUARD_AGENT_TOKEN", client.agent_token)
        with pytest.raises(PolicyDeniedError):
            delete()
        functions._default_guard().close()
        functions._default_guard.cache_clear()


def test_methods_are_governed_without_self_and_with_defaults(world: Any) -> None:
    with world.agent("desk") as (client, _):
        guard = Guard(client)

        class Desk:
            @govern_function("execute:transfer", guard)
            def small(self, amount: int = 10) -> str:
                return f"sent {amount}"

            @classmethod
            @govern_function("execute:transfer", guard)
            def large(cls, amount: int = 1000) -> str:  # noqa: ARG003
                raise AssertionError("it ran")

        assert Desk().small() == "sent 10"
        with pytest.raises(PolicyDeniedError):
            Desk.large()
        guard.close()


def paying(guard: Guard, shape: str, paid: list[Any]) -> Callable[..., Any]:
    """A function of a shape that pays, or what it would have returned; called, it is run to its end."""

    def pay(amount: Any) -> bool:
        paid.append(amount)
        return True

    async def apay(amount: Any) -> bool:
        return pay(amount)

    if shape in {"sync", "generator"}:
        tool = govern_function("execute:transfer", guard)(_SHAPES[shape](pay))
        return lambda amount: tool(amount) if shape == "sync" else list(tool(amount))
    atool = govern_function("execute:transfer", guard)(_SHAPES[shape](apay))

    async def run(amount: Any) -> Any:
        try:
            return await atool(amount) if shape == "async" else [item async for item in atool(amount)]
        finally:
            await guard.aclose()

    return lambda amount: asyncio.run(run(amount))


@pytest.mark.parametrize("shape", _SHAPES)
def test_a_denied_function_raises_unless_on_deny_requests_something_else(world: Any, shape: str) -> None:
    with world.agent("payer") as (client, _):
        paid: list[Any] = []
        with pytest.raises(PolicyDeniedError):
            paying(Guard(client), shape, paid)(5000)
        with pytest.raises(PolicyDeniedError):
            paying(Guard(client, on_deny="raise"), shape, paid)(5000)
        assert "denied" in str(paying(Guard(client, on_deny="message"), shape, paid)(5000))
        falsy = paying(Guard(client, on_deny=lambda *_: False), shape, paid)(5000)
        assert falsy in (False, [False])
        assert paid == []
        assert paying(Guard(client), shape, paid)(50) in (True, [True])


@pytest.mark.parametrize("shape", _SHAPES)
def test_no_decision_is_a_denial_that_a_function_raises(shape: str) -> None:
    paid: list[Any] = []
    with MeshGuardClient(nowhere(), "agent.token", max_retries=0, trust_env=False) as client:
        with pytest.raises(PolicyDeniedError, match="no decision was possible"):
            paying(Guard(client), shape, paid)(50)
        with pytest.raises(GatewayUnavailableError):
            paying(Guard(client, on_error="raise"), shape, paid)(50)
    assert paid == []


@pytest.fixture(scope="module")
def lenient_gateway() -> Iterator[RunningGateway]:
    """A gateway whose policy allows what it does not see."""
    with running_gateway(LENIENT) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def lenient(lenient_gateway: RunningGateway) -> Iterator[MeshGuardClient]:
    with lenient_gateway.agent() as client:
        yield client


LENIENT = """
name: lenient
rules:
  - {effect: allow, actions: ["execute:transfer"]}
  - {effect: deny, actions: ["execute:transfer"], conditions: {context.args.amount: {exists: true, gt: 1000}}}
"""


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("name", INEXACT)
def test_a_value_that_json_cannot_represent_pays_nothing(
    lenient: MeshGuardClient, shape: str, name: str
) -> None:
    paid: list[Any] = []
    with pytest.raises(PolicyDeniedError, match="the argument 'amount' contains"):
        paying(Guard(lenient), shape, paid)(INEXACT[name])
    assert paid == []


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("amount", [Decimal(5000), Fraction(10000, 2), Level.HIGH, Amount(5000), 1e4, "5000"])
def test_an_exact_value_is_compared_as_what_it_is(lenient: MeshGuardClient, shape: str, amount: Any) -> None:
    paid: list[Any] = []
    with pytest.raises(PolicyDeniedError):
        paying(Guard(lenient), shape, paid)(amount)
    assert paid == []
    assert paying(Guard(lenient), shape, paid)(Decimal("0.5")) in (True, [True])


@pytest.mark.parametrize("shape", _SHAPES)
def test_an_argument_that_changes_during_the_check_pays_nothing(
    lenient_gateway: RunningGateway, lenient: MeshGuardClient, shape: str
) -> None:
    paid: list[Any] = []
    orders = [{"amount": 10}]
    with (
        meanwhile(lenient_gateway.url, lambda: orders[0].update(amount=5000)) as url,
        MeshGuardClient(url, lenient.agent_token, trust_env=False) as client,
        pytest.raises(PolicyDeniedError, match="changed while the call was checked"),
    ):
        paying(Guard(client, context=lambda _: {}), shape, paid)(orders)
    assert paid == []


def test_a_context_function_makes_room_for_other_arguments(world: Any) -> None:
    with world.agent("payer") as (client, _):
        guard = Guard(client, context=lambda call: {"args": {"amount": call.arguments["amount"]}})

        @govern_function("execute:transfer", guard)
        def pay(session: object, amount: int) -> bool:  # noqa: ARG001
            return amount > 0

        assert pay(object(), 50)
        with pytest.raises(PolicyDeniedError):
            pay(object(), 5000)
        guard.close()


def test_an_action_is_filled_with_arguments(world: Any) -> None:
    with world.agent("desk") as (client, agent_id):
        guard = Guard(client)

        @govern_function("execute:{tool}", guard)
        def run(tool: str) -> str:
            return f"ran {tool}"

        assert run("lookup") == "ran lookup"
        for denied in ("delete_records", "lookup:x", "../lookup"):
            with pytest.raises(PolicyDeniedError):
                run(denied)
        guard.close()
    actions = [entry["action"] for entry in world.decisions(agent_id)]
    assert sorted(actions) == ["execute:delete_records", "execute:lookup"]
    with pytest.raises(ConfigurationError, match="action has an invalid template"):
        govern_function("read:{path")


def test_a_decorator_in_the_wrong_place_says_so() -> None:
    with pytest.raises(TypeError, match="below @classmethod"):
        govern_function("read:x")(classmethod(print))  # type: ignore[arg-type]


@pytest.mark.parametrize("page", ["functions", "README"])
def test_the_example_of_the_page_runs(page: str, tmp_path: Path) -> None:
    run_example(page, tmp_path)


def test_the_page_runs() -> None:
    try:
        assert run_page("functions").decisions >= {("execute:lookup", "allow")}
    finally:
        functions._default_guard().close()
        functions._default_guard.cache_clear()


@pytest.mark.usefixtures("environ")
def test_the_docstrings_run() -> None:
    with MeshGuardClient() as client:
        assert run_docstrings(functions, client=client) == 1
        assert run_docstrings(guard, client=client) == 4


def test_the_page_about_the_guard_runs() -> None:
    assert run_page("README").decisions >= {("write:email/internal", "allow"), ("execute:read_file", "deny")}
