"""The suite that every adapter must pass: the body of a denied tool never runs.

Teach it to drive your framework with a scripted model, and let pytest collect it:

```python
from meshguard.testing.conformance import AdapterConformance, Script


class TestMyAdapter(AdapterConformance):
    modes = ("sync",)

    def run(self, script: Script) -> list[str]:
        tools = my_framework.tools(script.functions())
        ...  # the model makes the calls of script.turns; return what it was told of each, in order
```

`failures(TestMyAdapter)` runs the same checks without pytest and names those that fail: take your hook away
and see that the suite notices.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest

from meshguard.client import MeshGuardClient
from meshguard.guard import Guard, ToolCall
from meshguard.testing import RunningGateway, running_gateway
from meshguard.testing.broken_gateway import broken_gateway, nowhere

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from meshguard.types import AuditEntry

__all__ = ["AdapterConformance", "Call", "Script", "World", "failures"]

T = TypeVar("T")

POLICY = """
name: conformance
rules:
  - {name: lookups, effect: allow, actions: ["execute:lookup"]}
  - name: small-transfers
    effect: allow
    actions: ["execute:transfer"]
    conditions: {context.args.amount: {lte: 100}}
  - {name: archivists, effect: allow, actions: ["execute:delete_records"], conditions: {tags: [archivist]}}
"""
_INEXACT: dict[str, Any] = {
    "infinity": float("inf"),
    "set": {"Ada"},
    "bytes": b"Ada",
    "object": object(),
    "surrogate": "\ud800",
}


@dataclass(frozen=True)
class Call:
    """A call that the scripted model makes: a tool's name, and arguments, or the text it wrote as such."""

    tool: str
    arguments: Mapping[str, Any] | str


LOOKUP = Call("lookup", {"query": "Ada"})
SMALL = Call("transfer", {"amount": 10, "to": "Ada"})
LARGE = Call("transfer", {"amount": 1000, "to": "Ada"})
DELETE = Call("delete_records", {"table": "customers"})
_RESULTS = {"lookup": "found Ada", "transfer": "sent 10 to Ada", "delete_records": "deleted customers"}


@dataclass(frozen=True)
class Script:
    """What is to happen in one run.

    Attributes:
        guard: The guard that the adapter is to use.
        turns: The calls that the model makes, turn by turn; those of one turn in parallel where the framework
            can. After the last turn it ends the conversation.
        mode: One of the adapter's `modes`.
        agent: The framework's name of the agent that calls, where the adapter has `agents`.
        rewrite: What another hook of the framework puts in place of the arguments, where the adapter has
            `rewrites`.
        ran: The calls whose body ran, as (tool, arguments), in order. The functions fill it.
    """

    guard: Guard
    turns: Sequence[Sequence[Call]]
    mode: str
    agent: str | None = None
    rewrite: Mapping[str, Any] | None = None
    ran: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def functions(self) -> list[Callable[..., str]]:
        """The tools as plain functions: `lookup`, `transfer` and `delete_records`."""

        def lookup(query: str) -> str:
            """Look a customer up."""
            self.ran.append(("lookup", {"query": query}))
            return f"found {query}"

        def transfer(amount: int, to: str) -> str:
            """Send money to somebody."""
            self.ran.append(("transfer", {"amount": amount, "to": to}))
            return f"sent {amount} to {to}"

        def delete_records(table: str) -> str:
            """Delete all records of a table."""
            self.ran.append(("delete_records", {"table": table}))
            return f"deleted {table}"

        return [lookup, transfer, delete_records]

    def coroutines(self) -> list[Callable[..., Awaitable[str]]]:
        """The same tools as async functions."""
        lookup_now, transfer_now, delete_now = self.functions()

        async def lookup(query: str) -> str:
            """Look a customer up."""
            return lookup_now(query)

        async def transfer(amount: int, to: str) -> str:
            """Send money to somebody."""
            return transfer_now(amount, to)

        async def delete_records(table: str) -> str:
            """Delete all records of a table."""
            return delete_now(table)

        return [lookup, transfer, delete_records]


@dataclass(frozen=True)
class World:
    """The gateway that decides, and its administrator."""

    gateway: RunningGateway
    admin: MeshGuardClient

    @contextmanager
    def agent(self, name: str, tags: Sequence[str] = ()) -> Iterator[tuple[MeshGuardClient, str]]:
        """A new agent: a client that acts as it, and its id."""
        created = self.admin.create_agent(name, tags=list(tags))
        with MeshGuardClient(self.gateway.url, created["token"], trust_env=False) as client:
            yield client, created["id"]

    def decisions(self, agent_id: str) -> list[AuditEntry]:
        """The audit entries of an agent's decisions, the listing of tools left out."""
        entries = self.admin.iter_audit_log(agent=agent_id)
        return [entry for entry in entries if entry.get("kind") == "decision" and not _is_listing(entry)]


@contextmanager
def world() -> Iterator[World]:
    """A gateway with the policy of the suite."""
    with running_gateway(POLICY) as gateway, gateway.admin() as admin:
        yield World(gateway, admin)


class AdapterConformance:
    """The checks. Subclass it, say what the framework has, and write `run`.

    Attributes:
        modes: The ways to run an agent that the framework has, such as `sync`, `async`, `stream`: each is
            checked.
        parallel: Whether a model can make several calls in one turn.
        texts: Whether the model's arguments reach the adapter as the text it wrote.
        values: Whether the arguments may be any Python values, as functions get them.
        maps: Whether the guard names the actions. Else the adapter does, where a tool is made.
        agents: Whether the framework has several agents with names.
        rewrites: Whether a hook that comes later can put other arguments in place.
        raises: Whether `on_deny="raise"` ends the run with the error. Else the model is told, as ever.
        traces: Whether all decisions of one run share a trace id.
        prefix: What the framework puts in front of the name of a tool.
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
            What the model was told of each call, in the order of the calls.
        """
        raise NotImplementedError

    def finish(self, guard: Guard, work: Awaitable[T]) -> T:
        """Run async work in an event loop of its own, and close in it what the guard opened.

        Args:
            guard: The script's guard.
            work: What `run` awaits.

        Returns:
            What the work gave.
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
        """Check in each mode of the framework."""
        if "mode" in metafunc.fixturenames:
            metafunc.parametrize("mode", self.modes)

    def test_an_allowed_call_runs_once_and_the_model_gets_its_result(self, world: World, mode: str) -> None:
        """Allow: one run, one entry, the tool's own result."""
        outcome = self._outcome(world, mode, [[LOOKUP]])
        outcome.ran_exactly(LOOKUP)
        outcome.told(0, "found Ada")
        outcome.audited(("execute:lookup", "allow"))

    def test_a_denied_call_never_runs_and_the_model_sees_the_denial(self, world: World, mode: str) -> None:
        """Deny: no run, one entry, the reason."""
        outcome = self._outcome(world, mode, [[DELETE]])
        outcome.ran_exactly()
        outcome.told(0, "denied", "execute:delete_records")
        outcome.audited(("execute:delete_records", "deny"))

    def test_policies_see_the_arguments(self, world: World, mode: str) -> None:
        """The same tool is allowed for some arguments and denied for others."""
        outcome = self._outcome(world, mode, [[SMALL], [LARGE]])
        outcome.ran_exactly(SMALL)
        outcome.told(0, "sent 10 to Ada")
        outcome.told(1, "denied", "execute:transfer")
        outcome.audited(("execute:transfer", "allow"), ("execute:transfer", "deny"))

    def test_the_model_can_go_on_after_a_denial(self, world: World, mode: str) -> None:
        """A denial is an answer, not a crash; trying again is decided again."""
        outcome = self._outcome(world, mode, [[DELETE], [DELETE], [LOOKUP]])
        outcome.ran_exactly(LOOKUP)
        outcome.told(1, "denied")
        outcome.told(2, "found Ada")
        outcome.audited(
            ("execute:delete_records", "deny"),
            ("execute:delete_records", "deny"),
            ("execute:lookup", "allow"),
        )

    def test_parallel_calls_are_decided_each_for_itself(self, world: World, mode: str) -> None:
        """Denied calls among allowed ones stay undone, and keep none from being done."""
        calls = [LOOKUP, DELETE, SMALL, LARGE, LOOKUP, DELETE]
        outcome = self._outcome(world, mode, [calls] if self.parallel else [[call] for call in calls])
        outcome.ran_exactly(LOOKUP, SMALL, LOOKUP)
        for index, call in enumerate(calls):
            outcome.told(index, "denied" if call in (DELETE, LARGE) else _RESULTS[call.tool])
        outcome.audited(
            *[("execute:delete_records", "deny")] * 2,
            *[("execute:lookup", "allow")] * 2,
            ("execute:transfer", "allow"),
            ("execute:transfer", "deny"),
        )

    def test_nothing_runs_while_the_gateway_is_down(self, mode: str) -> None:
        """No decision is a denial, and the model is told."""
        with MeshGuardClient(nowhere(), "agent.token", max_retries=0, trust_env=False) as client:
            outcome = self._played(Script(Guard(client), [[LOOKUP]], mode))
        outcome.ran_exactly()
        outcome.told(0, "denied")

    @pytest.mark.parametrize("answer", ["500", "html", "allow-in-words", "hangs-up"])
    def test_nothing_runs_when_the_gateway_answers_nonsense(self, mode: str, answer: str) -> None:
        """Only a decision that allows is permission."""
        with (
            broken_gateway(answer) as url,
            MeshGuardClient(url, "agent.token", max_retries=0, trust_env=False) as client,
        ):
            outcome = self._played(Script(Guard(client), [[LOOKUP]], mode))
        outcome.ran_exactly()
        outcome.told(0, "denied")

    def test_nothing_runs_when_context_crashes(self, world: World, mode: str) -> None:
        """A mistake in the user's own `context` does not let a tool run."""
        outcome = self._outcome(world, mode, [[LOOKUP]], context=_crash)
        outcome.ran_exactly()
        outcome.told(0, "denied")

    def test_nothing_runs_when_action_map_crashes(self, world: World, mode: str) -> None:
        """A mistake in the user's own `action_map` does not let a tool run."""
        if not self.maps:
            return
        outcome = self._outcome(world, mode, [[LOOKUP]], action_map={f"{self.prefix}lookup": _crash})
        outcome.ran_exactly()
        outcome.told(0, "denied")

    @pytest.mark.parametrize(
        "text", ["{", "[1]", '{"query": NaN}', '{"query": 1e999}', '{"query": "a", "query": "b"}']
    )
    def test_a_call_with_bad_arguments_does_not_run(self, world: World, mode: str, text: str) -> None:
        """Arguments that can't be read, or can be read in two ways, are refused."""
        arguments: Mapping[str, Any] | str = text if self.texts else {"nonsense": text}
        outcome = self._outcome(world, mode, [[Call("lookup", arguments)]])
        outcome.ran_exactly()

    @pytest.mark.parametrize("value", ["infinity", "set", "bytes", "object", "surrogate"])
    def test_an_argument_that_json_cannot_represent_does_not_run(
        self, world: World, mode: str, value: str
    ) -> None:
        """No argument disappears on its way to the policy; the model is told its name."""
        if not self.values:
            return
        outcome = self._outcome(world, mode, [[Call("lookup", {"query": _INEXACT[value]})]])
        outcome.ran_exactly()
        outcome.told(0, "denied", "'query'")
        outcome.audited()

    def test_the_arguments_that_are_decided_on_are_those_the_tool_gets(self, world: World, mode: str) -> None:
        """A hook that comes later can't slip others in."""
        if not self.rewrites:
            return
        outcome = self._outcome(world, mode, [[SMALL]], script={"rewrite": LARGE.arguments})
        outcome.ran_exactly()
        outcome.told(0, "denied")
        outcome.audited(("execute:transfer", "deny"))

    def test_each_agent_is_decided_on_under_its_own_identity(self, world: World, mode: str) -> None:
        """What one agent may do, another may not; one that nobody knows may do nothing."""
        if not self.agents:
            return
        with (
            world.agent("archivist", ["archivist"]) as (archivist, archivist_id),
            world.agent("clerk") as (clerk, clerk_id),
        ):
            identities = {"archivist": archivist.agent_token or "", "clerk": clerk}
            for agent, ran in (("archivist", [DELETE]), ("clerk", []), ("stranger", [])):
                outcome = self._outcome(world, mode, [[DELETE]], agents=identities, script={"agent": agent})
                outcome.ran_exactly(*ran)
                outcome.audited()
        for agent_id, decision in ((archivist_id, "allow"), (clerk_id, "deny")):
            found = [entry["decision"] for entry in world.decisions(agent_id)]
            _expect(found == [decision], f"its own agent was to be told {decision} once, not {found}")

    def test_a_run_is_one_trace(self, world: World, mode: str) -> None:
        """All decisions of a run have one trace id, and another run has another."""
        if not self.traces:
            return
        outcome = self._outcome(world, mode, [[LOOKUP], [DELETE], [SMALL]])
        traces = {entry.get("traceId") for entry in outcome.entries}
        _expect(len(traces) == 1, f"one run is one trace, not {len(traces)}")
        again = self._outcome(world, mode, [[LOOKUP]])
        _expect(traces != {entry.get("traceId") for entry in again.entries}, "two runs share a trace id")

    def test_the_user_can_word_the_denial(self, world: World, mode: str) -> None:
        """`on_deny` as a function."""

        def word(call: ToolCall, _: object) -> str:
            return f"ask your manager about {call.tool}"

        outcome = self._outcome(world, mode, [[DELETE]], on_deny=word)
        outcome.ran_exactly()
        outcome.told(0, f"ask your manager about {self.prefix}delete_records")

    def test_a_denial_that_is_to_be_raised_does_not_run_the_tool_either(
        self, world: World, mode: str
    ) -> None:
        """`on_deny="raise"`."""
        outcome = self._outcome(world, mode, [[DELETE]], on_deny="raise")
        outcome.ran_exactly()
        if self.raises:
            kinds = _kinds(outcome.error)
            _expect("PolicyDeniedError" in kinds, f"PolicyDeniedError was to come out, not {kinds}")
        else:
            outcome.told(0, "denied")

    def _outcome(
        self,
        world: World,
        mode: str,
        turns: Sequence[Sequence[Call]],
        script: Mapping[str, Any] | None = None,
        **guarding: Any,
    ) -> _Outcome:
        if self.prefix:
            guarding = {
                "action_map": {f"{self.prefix}{tool}": f"execute:{tool}" for tool in _RESULTS},
                **guarding,
            }
        with world.agent("conforming") as (client, agent_id):
            outcome = self._played(Script(Guard(client, **guarding), turns, mode, **(script or {})))
        outcome.entries = world.decisions(agent_id)
        return outcome

    def _played(self, script: Script) -> _Outcome:
        outcome = _Outcome(script)
        try:
            outcome.said = self.run(script)
        except Exception as error:  # noqa: BLE001 - the checks say which errors may come out
            outcome.error = error
        finally:
            script.guard.close()
        return outcome


@dataclass
class _Outcome:
    """What came of a run."""

    script: Script
    said: list[str] = field(default_factory=list)
    error: BaseException | None = None
    entries: list[AuditEntry] = field(default_factory=list)

    def ran_exactly(self, *calls: Call) -> None:
        """The bodies of these calls ran, in any order, and no other."""
        ran = sorted(map(repr, self.script.ran))
        wanted = sorted(repr((call.tool, call.arguments)) for call in calls)
        _expect(ran == wanted, f"the tools that ran are {ran}, not {wanted}")

    def told(self, index: int, *words: str) -> None:
        """The model was told these words of the call, in any case."""
        if self.error is not None:
            raise AssertionError("the run ended with an error") from self.error
        _expect(len(self.said) > index, f"the model was told of {len(self.said)} calls only: {self.said}")
        text = self.said[index].casefold()
        missing = [word for word in words if word.casefold() not in text]
        _expect(not missing, f"the model was told {self.said[index]!r}, which lacks {missing}")

    def audited(self, *entries: tuple[str, str]) -> None:
        """The audit log has these entries, as (action, decision) in any order, and no other."""
        found = sorted((entry["action"], entry["decision"]) for entry in self.entries)
        _expect(found == sorted(entries), f"the audit log has {found}, not {sorted(entries)}")


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
    """Each check with its arguments, as pytest would find them."""
    for name, check in inspect.getmembers(adapter, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        given = {"world": made} if "world" in inspect.signature(check).parameters else {}
        marks = [mark.args for mark in getattr(check, "pytestmark", ()) if mark.name == "parametrize"]
        for mode in adapter.modes:
            for values in [{marks[0][0]: value} for value in marks[0][1]] if marks else [{}]:
                yield name, {**given, "mode": mode, **values}


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


def _kinds(error: BaseException | None) -> list[str]:
    """The classes of an error, of its causes, and of the members of groups."""
    if error is None:
        return []
    inner = [*getattr(error, "exceptions", ()), error.__cause__, error.__context__]
    return [type(error).__name__, *(kind for one in inner for kind in _kinds(one))]


def _crash(_: ToolCall) -> Any:
    raise KeyError("a mistake")


def _is_listing(entry: AuditEntry) -> bool:
    """Its context is kept as values, or as fingerprints, by key."""
    kept: Mapping[str, Any] = entry.get("context") or {}
    return any("listing" in part for part in kept.values())
