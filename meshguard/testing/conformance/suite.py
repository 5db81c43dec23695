"""The checks."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest

from meshguard.client import MeshGuardClient
from meshguard.guard import Guard, ToolCall
from meshguard.testing.broken_gateway import broken_gateway, nowhere
from meshguard.testing.conformance.outcomes import Outcome, error_kinds, expect
from meshguard.testing.conformance.script import DELETE, LARGE, LOOKUP, RESULTS, SMALL, Call, Script
from meshguard.testing.conformance.worlds import World, world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping, Sequence

T = TypeVar("T")

_INEXACT: dict[str, Any] = {
    "infinity": float("inf"),
    "set": {"Ada"},
    "bytes": b"Ada",
    "object": object(),
    "surrogate": "\ud800",
}


class AdapterConformance:
    """The checks. Subclass it, describe the framework in the attributes, and implement `run`.

    Attributes:
        modes: The framework's ways to run an agent, such as `sync`, `async`, `stream`. Each is checked.
        parallel: Whether a model can make several calls in one turn.
        texts: Whether the adapter receives the model's arguments as text.
        values: Whether arguments may be any Python values, as in function calls.
        maps: Whether the guard determines the actions. Otherwise the adapter does, when a tool is defined.
        agents: Whether the framework has several named agents.
        rewrites: Whether a later hook can substitute other arguments.
        raises: Whether `on_deny="raise"` ends the run with the error. Otherwise the model sees the denial.
        traces: Whether all decisions of one run share a trace ID.
        prefix: The framework's prefix of tool names.
    """

    modes: ClassVar[Sequence[str]] = ("sync",)
    parallel: ClassVar[bool] = True
    texts: ClassVar[bool] = False
    values: ClassVar[bool] = False
    maps: ClassVar[bool] = True
    agents: ClassVar[bool] = False
    rewrites: ClassVar[bool] = False
    raises: ClassVar[bool] = True
    traces: ClassVar[bool] = True
    prefix: ClassVar[str] = ""

    def run(self, script: Script) -> list[str]:
        """Run an agent of the framework with a model that makes the calls of the script.

        Args:
            script: Tools, calls, guard and mode.

        Returns:
            The result of each call as the model saw it, in the order of the calls.
        """
        raise NotImplementedError

    def finish(self, guard: Guard, work: Awaitable[T]) -> T:
        """Run async work in a new event loop, and close there the connections that the guard opened.

        Args:
            guard: The script's guard.
            work: The awaitable.

        Returns:
            Its result.
        """

        async def finished() -> T:
            try:
                return await work
            finally:
                await guard.aclose()

        return asyncio.run(finished())

    @pytest.fixture(scope="class", name="world")
    @classmethod
    def _world(cls) -> Iterator[World]:
        with world() as made:
            yield made

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each check in each mode of the framework."""
        if "mode" in metafunc.fixturenames:
            metafunc.parametrize("mode", self.modes)

    def test_an_allowed_call_runs_once(self, world: World, mode: str) -> None:
        """One run, one audit entry, and the tool's own result."""
        outcome = self._outcome(world, mode, [[LOOKUP]])
        outcome.ran_exactly(LOOKUP)
        outcome.model_saw(0, "found Ada")
        outcome.audited(("execute:lookup", "allow"))

    def test_a_denied_call_never_runs(self, world: World, mode: str) -> None:
        """No run, one audit entry, and the reason."""
        outcome = self._outcome(world, mode, [[DELETE]])
        outcome.ran_exactly()
        outcome.model_saw(0, "denied", "execute:delete_records")
        outcome.audited(("execute:delete_records", "deny"))

    def test_policies_see_the_arguments(self, world: World, mode: str) -> None:
        """The same tool is allowed for some arguments and denied for others."""
        outcome = self._outcome(world, mode, [[SMALL], [LARGE]])
        outcome.ran_exactly(SMALL)
        outcome.model_saw(0, "sent 10 to Ada")
        outcome.model_saw(1, "denied", "execute:transfer")
        outcome.audited(("execute:transfer", "allow"), ("execute:transfer", "deny"))

    def test_the_model_continues_after_a_denial(self, world: World, mode: str) -> None:
        """A denial is a result, not a crash. Another attempt is checked again."""
        outcome = self._outcome(world, mode, [[DELETE], [DELETE], [LOOKUP]])
        outcome.ran_exactly(LOOKUP)
        outcome.model_saw(1, "denied")
        outcome.model_saw(2, "found Ada")
        outcome.audited(
            ("execute:delete_records", "deny"),
            ("execute:delete_records", "deny"),
            ("execute:lookup", "allow"),
        )

    def test_parallel_calls_are_checked_separately(self, world: World, mode: str) -> None:
        """Denied calls don't run, and don't affect the allowed ones beside them."""
        calls = [LOOKUP, DELETE, SMALL, LARGE, LOOKUP, DELETE]
        outcome = self._outcome(world, mode, [calls] if self.parallel else [[call] for call in calls])
        outcome.ran_exactly(LOOKUP, SMALL, LOOKUP)
        for index, call in enumerate(calls):
            outcome.model_saw(index, "denied" if call in (DELETE, LARGE) else RESULTS[call.tool])
        outcome.audited(
            *[("execute:delete_records", "deny")] * 2,
            *[("execute:lookup", "allow")] * 2,
            ("execute:transfer", "allow"),
            ("execute:transfer", "deny"),
        )

    def test_nothing_runs_while_the_gateway_is_down(self, mode: str) -> None:
        """Without a decision the call is denied, and the model sees it."""
        with MeshGuardClient(nowhere(), "agent.token", max_retries=0, trust_env=False) as client:
            outcome = self._play(Script(Guard(client), [[LOOKUP]], mode))
        outcome.ran_exactly()
        outcome.model_saw(0, "denied")

    @pytest.mark.parametrize("response", ["500", "html", "allow-in-words", "hangs-up"])
    def test_nothing_runs_on_invalid_responses(self, mode: str, response: str) -> None:
        """Only an explicit allow is permission."""
        with (
            broken_gateway(response) as url,
            MeshGuardClient(url, "agent.token", max_retries=0, trust_env=False) as client,
        ):
            outcome = self._play(Script(Guard(client), [[LOOKUP]], mode))
        outcome.ran_exactly()
        outcome.model_saw(0, "denied")

    def test_nothing_runs_when_context_crashes(self, world: World, mode: str) -> None:
        """An error in the user's `context` function denies the call."""
        outcome = self._outcome(world, mode, [[LOOKUP]], context=_crash)
        outcome.ran_exactly()
        outcome.model_saw(0, "denied")

    def test_nothing_runs_when_action_map_crashes(self, world: World, mode: str) -> None:
        """An error in the user's `action_map` denies the call."""
        if not self.maps:
            return
        outcome = self._outcome(world, mode, [[LOOKUP]], action_map={f"{self.prefix}lookup": _crash})
        outcome.ran_exactly()
        outcome.model_saw(0, "denied")

    @pytest.mark.parametrize(
        "text", ["{", "[1]", '{"query": NaN}', '{"query": 1e999}', '{"query": "a", "query": "b"}']
    )
    def test_malformed_arguments_do_not_run(self, world: World, mode: str, text: str) -> None:
        """Arguments that can't be parsed, or have two readings, deny the call."""
        arguments: Mapping[str, Any] | str = text if self.texts else {"nonsense": text}
        outcome = self._outcome(world, mode, [[Call("lookup", arguments)]])
        outcome.ran_exactly()

    @pytest.mark.parametrize("value", ["infinity", "set", "bytes", "object", "surrogate"])
    def test_inexact_arguments_do_not_run(self, world: World, mode: str, value: str) -> None:
        """No argument is dropped on its way to the policy; the denial names it."""
        if not self.values:
            return
        outcome = self._outcome(world, mode, [[Call("lookup", {"query": _INEXACT[value]})]])
        outcome.ran_exactly()
        outcome.model_saw(0, "denied", "'query'")
        outcome.audited()

    def test_the_tool_gets_the_checked_arguments(self, world: World, mode: str) -> None:
        """A later hook can't substitute others."""
        if not self.rewrites:
            return
        outcome = self._outcome(world, mode, [[SMALL]], script={"rewrite": LARGE.arguments})
        outcome.ran_exactly()
        outcome.model_saw(0, "denied")
        outcome.audited(("execute:transfer", "deny"))

    def test_each_agent_has_its_own_identity(self, world: World, mode: str) -> None:
        """Each agent has its own permissions; an unknown agent has none."""
        if not self.agents:
            return
        with (
            world.agent("archivist", ["archivist"]) as (archivist, archivist_id),
            world.agent("clerk") as (clerk, clerk_id),
        ):
            identities = {"archivist": str(archivist.agent_token), "clerk": clerk}
            for agent, ran in (("archivist", [DELETE]), ("clerk", []), ("stranger", [])):
                outcome = self._outcome(world, mode, [[DELETE]], agents=identities, script={"agent": agent})
                outcome.ran_exactly(*ran)
                outcome.audited()
        for agent_id, decision in ((archivist_id, "allow"), (clerk_id, "deny")):
            found = [entry["decision"] for entry in world.decisions(agent_id)]
            expect(found == [decision], f"this agent's decisions are {found}, not one {decision}")

    def test_a_run_is_one_trace(self, world: World, mode: str) -> None:
        """All decisions of a run have one trace ID; another run has another."""
        if not self.traces:
            return
        outcome = self._outcome(world, mode, [[LOOKUP], [DELETE], [SMALL]])
        traces = {entry.get("traceId") for entry in outcome.entries}
        expect(len(traces) == 1, f"one run has {len(traces)} traces")
        again = self._outcome(world, mode, [[LOOKUP]])
        expect(traces != {entry.get("traceId") for entry in again.entries}, "two runs share a trace ID")

    def test_on_deny_can_word_the_denial(self, world: World, mode: str) -> None:
        """`on_deny` may be a function."""

        def word(call: ToolCall, _: object) -> str:
            return f"ask your manager about {call.tool}"

        outcome = self._outcome(world, mode, [[DELETE]], on_deny=word)
        outcome.ran_exactly()
        outcome.model_saw(0, f"ask your manager about {self.prefix}delete_records")

    def test_a_raised_denial_does_not_run_the_tool(self, world: World, mode: str) -> None:
        """Even with `on_deny="raise"` the body does not run."""
        outcome = self._outcome(world, mode, [[DELETE]], on_deny="raise")
        outcome.ran_exactly()
        if self.raises:
            kinds = error_kinds(outcome.error)
            expect("PolicyDeniedError" in kinds, f"the run ended with {kinds}, not with PolicyDeniedError")
        else:
            outcome.model_saw(0, "denied")

    def _outcome(
        self,
        world: World,
        mode: str,
        turns: Sequence[Sequence[Call]],
        script: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Outcome:
        if self.prefix:
            options = {
                "action_map": {f"{self.prefix}{tool}": f"execute:{tool}" for tool in RESULTS},
                **options,
            }
        with world.agent("conforming") as (client, agent_id):
            outcome = self._play(Script(Guard(client, **options), turns, mode, **(script or {})))
        outcome.entries = world.decisions(agent_id)
        return outcome

    def _play(self, script: Script) -> Outcome:
        outcome = Outcome(script)
        try:
            outcome.results = self.run(script)
        except Exception as error:  # noqa: BLE001 - the checks know which errors are expected
            outcome.error = error
        finally:
            script.guard.close()
        return outcome


def failures(adapter: type[AdapterConformance]) -> list[str]:
    """Run all checks of an adapter without pytest.

    Args:
        adapter: A subclass of `AdapterConformance`.

    Returns:
        The names of the checks that failed, each with its mode, in order.
    """
    failed = []
    with world() as made:
        for name, arguments in _checks(adapter, made):
            try:
                getattr(adapter(), name)(**arguments)
            except AssertionError:
                failed.append(f"{name}[{arguments['mode']}]")
    return failed


def _checks(adapter: type[AdapterConformance], made: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each check with its arguments, as pytest would collect them."""
    for name, check in inspect.getmembers(adapter, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        given = {"world": made} if "world" in inspect.signature(check).parameters else {}
        marks = [mark.args for mark in getattr(check, "pytestmark", ()) if mark.name == "parametrize"]
        for mode in adapter.modes:
            for values in [{marks[0][0]: value} for value in marks[0][1]] if marks else [{}]:
                yield name, {**given, "mode": mode, **values}


def _crash(_: ToolCall) -> Any:
    raise KeyError("an error")
