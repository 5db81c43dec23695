"""Plain functions under the conformance kit, and broken on purpose."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from meshguard import MeshGuardClient, PolicyDeniedError, guard
from meshguard.guard import Guard
from meshguard.integrations import functions
from meshguard.integrations.functions import governed
from meshguard.testing.conformance import AdapterConformance, Call, Script, failures
from tests.adapters.pages import run_docstrings, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned


class TestFunctions(AdapterConformance):
    """A loop that calls functions by name stands for the framework."""

    modes = ("sync", "async", "generator", "async generator")
    traces = False
    maps = False

    def govern(self, guard: Guard, function: Callable[..., Any]) -> Callable[..., Any]:
        return governed(f"execute:{function.__name__}", guard)(function)

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
    said = tool(**_arguments(call))
    return said if isinstance(said, str) else "".join(said)


async def _all(tools: dict[str, Callable[..., Any]], script: Script) -> list[str]:
    said: list[str] = []
    for turn in script.turns:
        said += await asyncio.gather(*(_atold(tools[call.tool], call) for call in turn))
    return said


async def _atold(tool: Callable[..., Any], call: Call) -> str:
    said = tool(**_arguments(call))
    return "".join([str(item) async for item in said]) if inspect.isasyncgen(said) else await said


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
    @governed("delete:everything")
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
            @governed("execute:transfer", guard)
            def small(self, amount: int = 10) -> str:
                return f"sent {amount}"

            @classmethod
            @governed("execute:transfer", guard)
            def large(cls, amount: int = 1000) -> str:  # noqa: ARG003
                raise AssertionError("it ran")

        assert Desk().small() == "sent 10"
        assert "denied" in Desk.large()
        guard.close()


def test_a_decorator_in_the_wrong_place_says_so() -> None:
    with pytest.raises(TypeError, match="below @classmethod"):
        governed("read:x")(classmethod(print))  # type: ignore[arg-type]


def test_the_page_and_the_docstrings_run(world: Any, environ: str) -> None:
    run_page("functions")
    functions._default_guard().close()
    functions._default_guard.cache_clear()
    with MeshGuardClient() as client:
        assert run_docstrings(functions, client=client) == 1
        assert run_docstrings(guard, client=client) == 4
    assert {entry["action"] for entry in world.decisions(environ)} >= {"execute:lookup", "execute:transfer"}


@pytest.mark.usefixtures("environ")
def test_the_page_about_the_guard_runs() -> None:
    names = run_page("README")
    names["client"].close()
