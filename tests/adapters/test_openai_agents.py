"""The OpenAI Agents SDK under the conformance kit, its handoffs, agents as tools and MCP."""

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from agents import (
    Agent,
    ApplyPatchTool,
    ComputerTool,
    CustomTool,
    FunctionTool,
    Handoff,
    LocalShellTool,
    RunConfig,
    RunHooks,
    Runner,
    RunState,
    ShellTool,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
    WebSearchTool,
    function_tool,
    handoff,
    trace,
)
from agents.mcp import MCPServerStdio
from agents.sandbox import SandboxAgent
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing import set_trace_processors

from meshguard import MeshGuardClient
from meshguard.exceptions import ConfigurationError
from meshguard.guard import Guard
from meshguard.integrations import openai_agents
from meshguard.integrations.openai_agents import govern_agent, guardrail
from meshguard.testing.conformance import (
    DELETE,
    LARGE,
    LOOKUP,
    SMALL,
    AdapterConformance,
    Call,
    Script,
    failures,
)
from tests.adapters import mcp_child
from tests.adapters.loops import in_default_loop
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _nothing_is_exported() -> None:
    """Traces have their ids, and go nowhere."""
    set_trace_processors([])


def scripted(*turns: Sequence[Call]) -> ScriptedModel:
    """A model that makes these calls, turn by turn, and ends the conversation."""
    steps = [
        [function_call(call.tool, call.arguments, call_id=f"call-{next(_NUMBERS)}") for call in calls]
        for calls in turns
    ]
    return ScriptedModel([*steps, [assistant_message("done")]])


def tools_of(script: Script) -> list[FunctionTool]:
    written = script.functions() if script.mode == "run_sync" else script.coroutines()
    return [function_tool(function) for function in written]


def told(items: list[Any]) -> list[str]:
    return [str(item["output"]) for item in items if item.get("type") == "function_call_output"]


def rewriting(arguments: str) -> ToolInputGuardrail[Any]:
    """A user's guardrail that puts other arguments in place."""

    def rewrite(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        assert data.context.tool_call is not None
        data.context.tool_call.arguments = arguments
        return ToolGuardrailFunctionOutput.allow()

    return ToolInputGuardrail(rewrite)


class TestOpenAIAgents(AdapterConformance):
    """One agent with three function tools; the SDK's scripted model."""

    modes = ("run", "run_sync", "run_streamed")
    texts = True
    agents = True
    rewrites = True

    def govern(self, agent: Agent[Any], guard: Guard) -> Agent[Any]:
        return govern_agent(agent, guard)

    def run(self, script: Script) -> list[str]:
        tools = tools_of(script)
        if script.rewrite:
            for tool in tools:
                tool.tool_input_guardrails = [rewriting(json.dumps(script.rewrite))]
        agent = Agent(name=script.agent or "assistant", model=scripted(*script.turns), tools=[*tools])
        agent = self.govern(agent, script.guard)
        if script.mode == "run_sync":
            work = partial(Runner.run_sync, agent, "go")
            return told(in_default_loop(script.guard, work).to_input_list())
        return told(self.finish(script.guard, _run(agent, script.mode)))


async def _run(agent: Agent[Any], mode: str) -> list[Any]:
    if mode == "run":
        return (await Runner.run(agent, "go")).to_input_list()
    streamed = Runner.run_streamed(agent, "go")
    async for _ in streamed.stream_events():
        pass
    return streamed.to_input_list()


class WithoutTheHook(TestOpenAIAgents):
    def govern(self, agent: Agent[Any], guard: Guard) -> Agent[Any]:  # noqa: ARG002
        return agent


class WithErrorsLetOut(TestOpenAIAgents):
    def govern(self, agent: Agent[Any], guard: Guard) -> Agent[Any]:
        guard._on_error = "raise"
        return super().govern(agent, guard)


class WithTheModelsOwnArguments(TestOpenAIAgents):
    """The guardrail comes first, and the user's rewrite after it."""

    def govern(self, agent: Agent[Any], guard: Guard) -> Agent[Any]:
        for tool in govern_agent(agent, guard).tools:
            assert isinstance(tool, FunctionTool)
            assert tool.tool_input_guardrails
            tool.tool_input_guardrails.reverse()
        return agent


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def test_the_kit_notices_that_another_guardrail_comes_after_ours() -> None:
    check = "test_the_tool_gets_the_checked_arguments"
    assert failures(WithTheModelsOwnArguments) == [f"{check}[{mode}]" for mode in TestOpenAIAgents.modes]


class Team:
    """A gateway, a clerk and an archivist with identities of their own, and what was deleted."""

    def __init__(self, clerk: MeshGuardClient, archivist: MeshGuardClient) -> None:
        self.guard = Guard(
            clerk, agents={"clerk": str(clerk.agent_token), "archivist": str(archivist.agent_token)}
        )
        self.deleted: list[str] = []

    def delete_records(self) -> FunctionTool:
        def delete_records(table: str) -> str:
            """Delete all records of a table."""
            self.deleted.append(table)
            return f"deleted {table}"

        return function_tool(delete_records)

    def run(self, agent: Agent[Any], **options: Any) -> list[str]:
        async def run() -> list[str]:
            try:
                return told((await Runner.run(agent, "go", **options)).to_input_list())
            finally:
                await self.guard.aclose()

        return asyncio.run(run())


@pytest.fixture
def team(world: Any) -> Iterator[Team]:
    with (
        world.agent("clerk") as (clerk, _),
        world.agent("archivist", ["archivist"]) as (archivist, _),
    ):
        made = Team(clerk, archivist)
        yield made
        made.guard.close()


def test_after_a_handoff_the_next_agent_is_decided_on_under_its_own_identity(team: Team) -> None:
    archivist = Agent(name="archivist", model=scripted([DELETE]), tools=[team.delete_records()])
    clerk = Agent(
        name="clerk",
        model=scripted([DELETE], [Call("transfer_to_archivist", {})]),
        tools=[team.delete_records()],
        handoffs=[archivist],
    )
    archivist.handoffs = [clerk]  # a cycle
    said = team.run(govern_agent(clerk, team.guard))
    assert "denied" in said[0]
    assert said[-1] == "deleted customers"
    assert team.deleted == ["customers"]


def test_a_handoff_object_leads_to_a_governed_agent(team: Team) -> None:
    stranger = Agent(name="stranger", model=scripted([DELETE]), tools=[team.delete_records()])
    clerk = Agent(
        name="clerk",
        model=scripted([Call("escalate", {})]),
        handoffs=[handoff(stranger, tool_name_override="escalate")],
    )
    assert "no decision" in team.run(govern_agent(clerk, team.guard))[-1]
    assert team.deleted == []


def test_an_agent_as_a_tool_is_a_call_of_its_caller_and_calls_under_its_own_name(team: Team) -> None:
    clerk = Agent(name="clerk", model=scripted([DELETE]), tools=[team.delete_records()])
    archivist = Agent(name="archivist", model=scripted([Call("lookup", {"input": "all"}), DELETE]))
    archivist.tools = [team.delete_records(), clerk.as_tool("lookup", "Ask the clerk.")]
    said = team.run(govern_agent(archivist, team.guard))
    assert sorted(said) == ["deleted customers", "done"]
    assert team.deleted == ["customers"]


def test_a_sub_agent_shares_the_trace_of_the_run(team: Team, world: Any) -> None:
    clerk = Agent(name="clerk", model=scripted([DELETE]), tools=[team.delete_records()])
    archivist = Agent(name="archivist", model=scripted([Call("lookup", {"input": "all"})]))
    archivist.tools = [clerk.as_tool("lookup", "Ask the clerk.")]
    with trace("a story") as story:
        team.run(govern_agent(archivist, team.guard))
    entries = list(world.admin.iter_audit_log(trace_id=story.trace_id))
    assert [entry["action"] for entry in entries if entry["kind"] == "decision"] == [
        "execute:delete_records",
        "execute:lookup",
    ]


def test_without_tracing_a_run_has_the_trace_id_that_it_was_given(team: Team, world: Any) -> None:
    agent = govern_agent(
        Agent(name="clerk", model=scripted([DELETE]), tools=[team.delete_records()]), team.guard
    )
    team.run(agent, run_config=RunConfig(tracing_disabled=True, trace_id="trace_mine"))
    entries = list(world.admin.iter_audit_log(trace_id="trace_mine"))
    assert [entry["action"] for entry in entries if entry["kind"] == "decision"] == ["execute:delete_records"]


class Late(RunHooks[Any]):
    """A user's hooks, of which one puts other arguments in place after the decision."""

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:  # noqa: ARG002
        context.tool_call.arguments = json.dumps(LARGE.arguments)


def test_a_hook_that_runs_after_the_decision_does_not_change_the_arguments(team: Team) -> None:
    sent: list[int] = []

    @function_tool
    def transfer(amount: int, to: str) -> str:
        sent.append(amount)
        return f"sent {amount} to {to}"

    agent = govern_agent(Agent(name="clerk", model=scripted([SMALL]), tools=[transfer]), team.guard)
    assert team.run(agent, hooks=Late()) == ["sent 10 to Ada"]
    assert sent == [10]


@pytest.mark.parametrize("through_storage", [False, True])
def test_a_call_that_waits_for_a_person_is_decided_on_once_it_is_approved(
    team: Team, world: Any, *, through_storage: bool
) -> None:
    delete = team.delete_records()
    delete.needs_approval = True
    archivist = Agent(name="archivist", model=scripted([DELETE]), tools=[delete])
    clerk = Agent(name="clerk", model=scripted([Call("lookup", {"input": "all"})]))
    clerk.tools = [archivist.as_tool("lookup", "Ask the archivist.")]
    govern_agent(clerk, team.guard)

    async def run() -> list[str]:
        state = (await Runner.run(clerk, "go")).to_state()
        assert team.deleted == []
        if through_storage:
            state = await RunState.from_string(clerk, state.to_string())
        state.approve(state.get_interruptions()[0])
        said = told((await Runner.run(clerk, state)).to_input_list())
        await team.guard.aclose()
        return said

    with trace("approval") as story:
        assert asyncio.run(run()) == ["done"]
    assert team.deleted == ["customers"]
    entries = list(world.admin.iter_audit_log(trace_id=story.trace_id))
    assert [entry["action"] for entry in entries] == ["execute:delete_records", "execute:lookup"]


def test_tools_of_an_mcp_server_are_governed(team: Team) -> None:
    async def run() -> list[str]:
        async with MCPServerStdio({"command": sys.executable, "args": [mcp_child.__file__]}) as server:
            agent = Agent(name="clerk", model=scripted([LOOKUP, DELETE]), mcp_servers=[server])
            govern_agent(govern_agent(agent, team.guard), team.guard)
            said = told((await Runner.run(agent, "go")).to_input_list())
        await team.guard.aclose()
        return said

    found, denied = asyncio.run(run())
    assert "found Ada" in found
    assert "MeshGuard denied" in denied


def test_governed_twice_is_decided_once(team: Team, world: Any) -> None:
    agent = Agent(name="clerk", model=scripted([DELETE]), tools=[team.delete_records()])
    with trace("twice") as story:
        team.run(govern_agent(govern_agent(agent, team.guard), team.guard))
    entries = list(world.admin.iter_audit_log(trace_id=story.trace_id))
    assert [entry["kind"] for entry in entries] == ["decision"]


def test_the_same_tool_of_another_agent_stays_as_it_is(team: Team) -> None:
    tool = team.delete_records()
    govern_agent(Agent(name="clerk", tools=[tool]), team.guard)
    assert not tool.tool_input_guardrails


def test_a_guardrail_can_be_attached_by_hand(team: Team) -> None:
    tool = team.delete_records()
    tool.tool_input_guardrails = [guardrail(team.guard)]
    said = team.run(Agent(name="clerk", model=scripted([DELETE]), tools=[tool]))
    assert "denied" in said[0]
    assert team.deleted == []


async def _ran(*_: object) -> str:
    return "ran"


@pytest.mark.parametrize(
    "agent",
    [
        Agent(name="local", tools=[LocalShellTool(executor=lambda _: "ran")]),
        Agent(name="local", tools=[ApplyPatchTool(editor=object())]),  # type: ignore[arg-type]
        Agent(name="local", tools=[ShellTool(executor=lambda _: "ran")]),
        Agent(name="local", tools=[ShellTool(executor=lambda _: "ran", environment={"type": "local"})]),
        Agent(name="local", tools=[ComputerTool(computer=object())]),
        Agent(name="local", tools=[CustomTool(name="any", description="", on_invoke_tool=_ran)]),
        SandboxAgent(name="local"),
        Agent(name="first", handoffs=[Agent(name="local", tools=[LocalShellTool(executor=lambda _: "ran")])]),
    ],
)
def test_what_runs_here_and_can_not_be_governed_is_refused(team: Team, agent: Agent[Any]) -> None:
    with pytest.raises(ConfigurationError, match="'local'"):
        govern_agent(agent, team.guard)


def test_a_handoff_to_an_unknown_agent_is_refused(team: Team) -> None:
    async def invoke(*_: object) -> Agent[Any]:
        raise AssertionError("it ran")

    by_hand: Handoff[Any, Any] = Handoff("escalate", "Escalate.", {}, invoke, "somebody")
    with pytest.raises(ConfigurationError, match="'escalate' has no target agent"):
        govern_agent(Agent(name="clerk", handoffs=[by_hand]), team.guard)


@pytest.mark.parametrize(
    "tool", [WebSearchTool(), ShellTool(environment={"type": "container_auto"})], ids=["search", "shell"]
)
def test_tools_of_the_provider_stay_as_they_are(team: Team, tool: Any) -> None:
    assert govern_agent(Agent(name="clerk", tools=[tool]), team.guard).tools == [tool]


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("openai_agents", tmp_path)


def test_the_page_runs() -> None:
    assert run_page("openai_agents").decisions >= {("execute:lookup", "allow")}


def test_the_docstrings_run(world: Any, environ: str) -> None:
    with MeshGuardClient() as client:
        assert run_docstrings(openai_agents, client=client, model=scripted([LOOKUP])) == 2
    assert {entry["action"] for entry in world.decisions(environ)} >= {"execute:lookup"}
