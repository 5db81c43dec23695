"""CrewAI under the conformance kit, broken on purpose, and its own traps."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from crewai import Agent, BaseLLM, Crew, Flow, Task
from crewai.flow.flow import start
from crewai.hooks.dispatch import InterceptionPoint, clear_all, register, scoped_hooks
from crewai.tools import BaseTool, tool
from pydantic import PrivateAttr

from meshguard import MeshGuardClient
from meshguard.exact_json import encode
from meshguard.guard import Guard, ToolCall
from meshguard.integrations import crewai as adapter
from meshguard.integrations.crewai import govern_crew, install
from meshguard.testing.conformance import (
    DELETE,
    LARGE,
    LOOKUP,
    SMALL,
    AdapterConformance,
    Call,
    Script,
    World,
)
from tests.adapters.meanwhile import meanwhile
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned
from tests.environments import ROOT

pytestmark = [
    # Fields of its own that CrewAI reads though it has deprecated them.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai[.]"),
]
BEFORE = InterceptionPoint.PRE_TOOL_CALL


class ScriptedLLM(BaseLLM):
    """A model that makes the calls of a script and remembers what it was told."""

    _turns: list[list[Call]] = PrivateAttr(default_factory=list)
    _native: bool = PrivateAttr(default=True)
    _made: int = PrivateAttr(default=0)
    _told: list[Any] = PrivateAttr(default_factory=list)
    _hear: Callable[[Any], None] = PrivateAttr()

    @classmethod
    def of(cls, turns: Any, *, native: bool = True) -> "ScriptedLLM":
        model = cls(model="scripted")
        model._turns, model._native = [list(turn) for turn in turns], native
        told: list[Any] = []

        def hear(messages: Any) -> None:
            told[:] = messages

        model._told, model._hear = (
            told,
            hear,
        )  # a function is shared by the copies that kickoff_for_each makes
        return model

    def supports_function_calling(self) -> bool:
        return self._native

    def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
        return 0

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        self._hear(messages)
        turn, self._made = self._made, self._made + 1
        if turn >= len(self._turns):
            return "done" if self._native else "Thought: I know\nFinal Answer: done"
        return self._native_calls(turn) if self._native else _in_text(self._turns[turn][0])

    async def acall(self, messages: Any, *_: Any, **__: Any) -> Any:
        return self.call(messages)

    def _native_calls(self, turn: int) -> list[dict[str, Any]]:
        return [
            {
                "id": f"call-{turn}-{index}",
                "type": "function",
                "function": {"name": call.tool, "arguments": json.dumps(call.arguments)},
            }
            for index, call in enumerate(self._turns[turn])
        ]

    def said(self) -> list[str]:
        """What the model was told of each call."""
        if self._native:
            return [str(message["content"]) for message in self._told if message["role"] == "tool"]
        texts = [str(message["content"]) for message in self._told if message["role"] == "assistant"]
        return [text.partition("\nObservation: ")[2] for text in texts]


def _in_text(call: Call) -> str:
    return f"Thought: now\nAction: {call.tool}\nAction Input: {json.dumps(call.arguments)}"


def tools_of(script: Script) -> list[BaseTool]:
    return [cast("BaseTool", tool(function.__name__)(function)) for function in script.functions()]


def agent_of(role: str, model: BaseLLM, tools: Any, **more: Any) -> Agent:
    return Agent(role=role, goal="Help.", backstory="You help.", llm=model, tools=tools, cache=False, **more)


def crew_of(agent: Agent, *others: Agent, **more: Any) -> Crew:
    task = Task(description="Do it.", expected_output="It is done.", agent=agent)
    return Crew(agents=[agent, *others], tasks=[task], cache=False, **more)


class TestCrewAI(AdapterConformance):
    """Calls as the model's provider has them."""

    modes: ClassVar[Sequence[str]] = (
        "kickoff",
        "kickoff_for_each",
        "kickoff_async",
        "akickoff",
        "stream",
        "installed",
        "agent",
        "agent_async",
    )
    texts = False  # CrewAI parses them, and runs the tool with what the hook has seen
    agents = True
    rewrites = True
    raises = False  # CrewAI swallows what a hook raises, and runs the tool
    native = True

    def govern(self, guard: Guard, mode: str) -> AbstractContextManager[None]:
        return installed(guard) if mode == "installed" else govern_crew(guard)

    def run(self, script: Script) -> list[str]:
        model = ScriptedLLM.of(script.turns, native=self.native)
        agent = agent_of(script.agent or "clerk", model, tools_of(script))
        with rewriting(script.rewrite), self.govern(script.guard, script.mode):
            self._work(agent, script)
        return model.said()

    def _work(self, agent: Agent, script: Script) -> None:
        crew = crew_of(agent, stream=script.mode == "stream")
        ways: dict[str, Callable[[], Any]] = {
            "kickoff": crew.kickoff,
            "installed": crew.kickoff,
            "kickoff_for_each": lambda: crew.kickoff_for_each([{}]),
            "kickoff_async": lambda: self._await(script, crew.kickoff_async()),
            "akickoff": lambda: self._await(script, crew.akickoff()),
            "stream": lambda: list(cast("Any", crew.kickoff())),
            "agent": lambda: agent.kickoff("Do it."),
            "agent_async": lambda: self._await(script, cast("Any", agent.kickoff_async("Do it."))),
        }
        ways[script.mode]()

    def _await(self, script: Script, work: Awaitable[Any]) -> None:
        self.finish(script.guard, work)


class TestCrewAIInText(TestCrewAI):
    """Calls as text of the model, which CrewAI reads."""

    native = False
    parallel = False  # one action a turn


@contextmanager
def installed(guard: Guard) -> Iterator[None]:
    uninstall = install(guard)
    try:
        yield
    finally:
        uninstall()


@contextmanager
def rewriting(arguments: Mapping[str, Any] | None) -> Iterator[None]:
    """A hook of somebody else that changes the arguments."""

    def rewrite(context: Any) -> None:
        context.tool_input.update(arguments or {})

    register(BEFORE, rewrite)
    try:
        yield
    finally:
        clear_all()


class WithoutTheHook(TestCrewAI):
    modes = ("kickoff",)

    def govern(self, guard: Guard, mode: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class WithErrorsLetOut(TestCrewAI):
    """The guard raises, and the hook lets it out."""

    modes = ("kickoff",)

    def govern(self, guard: Guard, mode: str) -> AbstractContextManager[None]:  # noqa: ARG002
        guard._on_error = "raise"

        def careless(context: Any) -> bool | None:
            return None if guard.check(adapter._call(context)).allowed else False

        return cast("AbstractContextManager[None]", scoped_hooks({BEFORE: [careless]}))


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def test_a_guard_that_raises_denies(world: World) -> None:
    with MeshGuardClient(world.gateway.url, "not-a-token", trust_env=False) as client:
        script = Script(Guard(client, on_error="raise"), [[LOOKUP]], "kickoff")
        [said] = TestCrewAI().run(script)
    assert script.ran == []
    assert "no decision was possible (AuthenticationError)" in said


def test_a_denial_that_cannot_be_worded_is_a_denial_all_the_same(world: World) -> None:
    """An object that holds itself is no JSON."""
    endless: list[Any] = []
    endless.append(endless)
    with world.agent("speechless") as (client, _):
        script = Script(Guard(client, on_deny=lambda *_: endless), [[DELETE]], "kickoff")
        [said] = TestCrewAI().run(script)
        script.guard.close()
    assert script.ran == []
    assert "denied" in said


def test_delegation_is_decided_on_and_the_coworker_acts_under_its_own_identity(world: World) -> None:
    delegate = Call(
        "delegate_work_to_coworker", {"task": "Delete it.", "context": "All of it.", "coworker": "archivist"}
    )
    with (
        world.agent("clerk") as (clerk, clerk_id),
        world.agent("archivist", ["archivist"]) as (archivist, archivist_id),
    ):
        world.admin.apply_policy(
            {"name": "delegation", "rules": [{"effect": "allow", "actions": ["execute:delegate_work_to_*"]}]}
        )
        guard = Guard(clerk, agents={"clerk": clerk, "archivist": archivist})
        script = Script(guard, [], "kickoff")
        deputy = agent_of("archivist", ScriptedLLM.of([[DELETE]]), tools_of(script))
        model = ScriptedLLM.of([[delegate], [DELETE]])
        with govern_crew(guard):
            crew_of(agent_of("clerk", model, tools_of(script), allow_delegation=True), deputy).kickoff()
        guard.close()
    assert script.ran == [("delete_records", DELETE.arguments)]
    assert model.said()[0] == "done"
    assert "denied" in model.said()[1]
    assert [e["decision"] for e in world.decisions(archivist_id)] == ["allow"]
    entries = {e["action"]: e for e in world.decisions(clerk_id)}
    assert {a: e["decision"] for a, e in entries.items()} == {
        "execute:delegate_work_to_coworker": "allow",
        "execute:delete_records": "deny",
    }
    traces = {e.get("traceId") for e in [*entries.values(), *world.decisions(archivist_id)]}
    assert len(traces) == 1


def test_a_result_from_the_cache_is_decided_on_too(world: World) -> None:
    with world.agent("cached") as (client, agent_id):
        guard = Guard(client)
        script = Script(guard, [[LOOKUP], [SMALL], [LOOKUP]], "kickoff")
        model = ScriptedLLM.of(script.turns)
        agent = agent_of("clerk", model, tools_of(script))
        agent.cache = True
        crew = crew_of(agent)
        crew.cache = True
        with govern_crew(guard):
            crew.kickoff()
        guard.close()
    assert [call for call, _ in script.ran] == ["lookup", "transfer"]
    assert len(world.decisions(agent_id)) == 3


def test_a_scope_of_somebody_else_inside_does_not_lift_ours(world: World) -> None:
    with world.agent("nested") as (client, agent_id):
        guard = Guard(client)
        script = Script(guard, [[DELETE], [LOOKUP]], "kickoff")
        model = ScriptedLLM.of(script.turns)
        with govern_crew(guard), scoped_hooks({BEFORE: [lambda _: None]}):
            crew_of(agent_of("clerk", model, tools_of(script))).kickoff()
        guard.close()
    assert [call for call, _ in script.ran] == ["lookup"]
    assert "execute:delete_records" in model.said()[0]
    assert len(world.decisions(agent_id)) == 2


def test_a_scope_keeps_the_hooks_of_the_one_around_it(world: World) -> None:
    seen: list[str] = []
    with world.agent("around") as (client, _):
        script = Script(Guard(client), [[LOOKUP]], "kickoff")
        with scoped_hooks({BEFORE: [lambda context: seen.append(context.tool_name)]}):
            TestCrewAI().run(script)
        script.guard.close()
    assert seen == ["lookup"]
    assert script.ran


def test_after_uninstalling_nothing_is_decided(world: World) -> None:
    with world.agent("uninstalled") as (client, agent_id):
        guard = Guard(client)
        install(guard)()
        script = Script(guard, [[LOOKUP]], "kickoff")
        crew_of(agent_of("clerk", ScriptedLLM.of(script.turns), tools_of(script))).kickoff()
        guard.close()
    assert script.ran
    assert world.decisions(agent_id) == []


def test_agents_in_a_flow_are_governed(world: World) -> None:
    with world.agent("flow") as (client, _):
        guard = Guard(client)
        script = Script(guard, [[DELETE]], "kickoff")
        model = ScriptedLLM.of(script.turns)

        class Desk(Flow):  # type: ignore[type-arg]
            @start()
            def work(self) -> str:
                return str(agent_of("clerk", model, tools_of(script)).kickoff("Do it."))

        with govern_crew(guard):
            Desk().kickoff()
        guard.close()
    assert script.ran == []
    assert "denied" in model.said()[0]


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("crewai", tmp_path)


def test_the_page_runs() -> None:
    assert run_page("crewai").decisions == {("execute:lookup", "allow")}


def test_the_docstrings_run(world: World, environ: str) -> None:
    def model() -> ScriptedLLM:
        return ScriptedLLM.of([[LOOKUP], [LARGE], [DELETE]])

    with MeshGuardClient() as client:
        crew = crew_of(agent_of("clerk", model(), tools_of(Script(Guard(client), [], "kickoff"))))
        assert run_docstrings(adapter, client=client, crew=crew) == 2
    decided = {(entry["action"], entry["decision"]) for entry in world.decisions(environ)}
    assert decided >= {("execute:lookup", "allow"), ("execute:delete_records", "deny")}


def test_the_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "agents" / "crewai_agent.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "denied" in done.stdout


def test_names_that_no_tool_or_agent_has_are_warned_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with world.agent("clerk") as (client, _):
        guard = Guard(client, action_map={"lokup": "a:b"}, agents={"clerk": client, "clark": client})
        script = Script(guard, [[LOOKUP]], "kickoff")
        model = ScriptedLLM.of(script.turns)
        with govern_crew(guard):
            crew_of(agent_of("clerk", model, tools_of(script))).kickoff()
        guard.close()
    said = [message for message in caplog.messages if "with this name" in message]
    assert ["Did you mean 'lookup'?" in said[0], "Did you mean 'clerk'?" in said[1]] == [True, True]
    assert script.ran == [("lookup", LOOKUP.arguments)]


def test_arguments_that_change_during_the_check_do_not_run(world: World) -> None:
    kept: list[dict[str, Any]] = []

    def keep(context: Any) -> None:
        kept.append(context.tool_input)

    def change() -> None:
        for arguments in kept:
            arguments["amount"] = 1000

    with (
        world.agent("interrupted") as (client, _),
        meanwhile(world.gateway.url, change) as url,
        MeshGuardClient(url, client.agent_token, trust_env=False) as through,
    ):
        guard = Guard(through)
        script = Script(guard, [[SMALL]], "kickoff")
        model = ScriptedLLM.of(script.turns)
        with scoped_hooks({BEFORE: [keep]}), govern_crew(guard):
            crew_of(agent_of("clerk", model, tools_of(script))).kickoff()
        guard.close()
    assert kept
    assert script.ran == []
    assert "changed while the call was checked" in model.said()[0]


NUMBERS: list[tuple[Any, str]] = [
    (np.int64(2**53 + 1), "9007199254740993"),
    (np.uint8(200), "200"),
    (np.float64(0.1), "0.1"),
    (np.float32(0.5), "0.5"),
    (np.bool_(True), "true"),
    (np.str_("pay"), '"pay"'),
]
NO_NUMBERS = [
    np.float64("inf"), np.float32("nan"), np.longdouble("0.1"), np.complex128(1),
    np.datetime64("2026-01-02"), np.timedelta64(1, "s"), np.bytes_(b"5000"), np.array([5000]),
    np.array(5000), np.void(b"5000"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), NUMBERS, ids=repr)
def test_a_scalar_of_numpy_is_exact(value: Any, text: str) -> None:
    assert encode({"amount": [value]}) == f'{{"amount":[{text}]}}'


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_value_of_numpy_that_is_no_number_is_denied_by_name(world: World, value: Any) -> None:
    with world.agent("counting") as (client, agent_id):
        guard = Guard(client)
        decision = guard.check(ToolCall("lookup", {"amount": value}))
        guard.close()
        assert not decision.allowed
        assert "the argument 'amount' contains" in (decision.reason or "")
        assert world.decisions(agent_id) == []
