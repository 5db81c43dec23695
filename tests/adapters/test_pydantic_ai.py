"""Pydantic AI under the conformance kit, its capabilities, agents in tools, approvals and MCP."""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastmcp import FastMCP
from pydantic_ai import (
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    RunContext,
    ToolDefinition,
)
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from meshguard import MeshGuardClient
from meshguard.guard import Guard
from meshguard.integrations import pydantic_ai
from meshguard.integrations.pydantic_ai import MeshGuardCapability
from meshguard.testing.conformance import (
    DELETE,
    LOOKUP,
    SMALL,
    AdapterConformance,
    Call,
    Script,
    failures,
)
from tests.adapters.loops import in_default_loop
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned


def scripted(*turns: Sequence[Call]) -> FunctionModel:
    """A model that makes these calls, turn by turn, and ends the conversation; streamed or not."""
    left = iter(turns)
    numbers = itertools.count()

    def respond(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        calls = next(left, ())
        parts = [ToolCallPart(call.tool, _sent(call), f"call-{next(numbers)}") for call in calls]
        return ModelResponse(parts) if parts else ModelResponse([TextPart("done")])

    async def stream(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        calls = next(left, ())
        for index, call in enumerate(calls):
            number = f"call-{next(numbers)}"
            yield {index: DeltaToolCall(call.tool, json.dumps(_sent(call)), tool_call_id=number)}
        if not calls:
            yield "done"

    return FunctionModel(respond, stream_function=stream)


def _sent(call: Call) -> dict[str, Any]:
    assert not isinstance(call.arguments, str)
    return dict(call.arguments)


def told(messages: Sequence[ModelMessage]) -> list[str]:
    parts = [part for message in messages for part in message.parts]
    return [str(part.content) for part in parts if isinstance(part, ToolReturnPart | RetryPromptPart)]


async def _run(agent: Agent[Any, Any]) -> list[ModelMessage]:
    return (await agent.run("go")).all_messages()


async def _run_stream(agent: Agent[Any, Any]) -> list[ModelMessage]:
    async with agent.run_stream("go") as result:
        await result.get_output()
        return result.all_messages()


async def _iter(agent: Agent[Any, Any]) -> list[ModelMessage]:
    async with agent.iter("go") as run:
        async for _ in run:
            pass
        return run.all_messages()


_RUNS: dict[str, Callable[[Agent[Any, Any]], Awaitable[list[ModelMessage]]]] = {
    "run": _run,
    "run_stream": _run_stream,
    "iter": _iter,
}


class Rewriting(AbstractCapability[Any]):
    """A user's capability that puts other arguments in place."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments

    async def before_tool_execute(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self.arguments


class TestPydanticAI(AdapterConformance):
    """One agent with three tools; the framework's function model."""

    modes = ("run", "run_sync", "run_stream", "iter")
    texts = False  # the capability sees what validation made of the text, which is what the tool gets
    agents = True
    rewrites = True

    def govern(self, guard: Guard) -> list[AbstractCapability[Any]]:
        return [MeshGuardCapability(guard)]

    def run(self, script: Script) -> list[str]:
        capabilities = self.govern(script.guard)
        if script.rewrite:
            capabilities.append(Rewriting(dict(script.rewrite)))
        tools = script.coroutines() if script.mode == "iter" else script.functions()
        agent: Agent[Any, Any] = Agent(
            scripted(*script.turns),
            name=script.agent or "assistant",
            tools=tools,
            capabilities=capabilities,
        )
        if script.mode == "run_sync":
            return told(in_default_loop(script.guard, partial(agent.run_sync, "go")).all_messages())
        return told(self.finish(script.guard, _RUNS[script.mode](agent)))


class WithoutTheHook(TestPydanticAI):
    def govern(self, guard: Guard) -> list[AbstractCapability[Any]]:  # noqa: ARG002
        return []


class WithErrorsLetOut(TestPydanticAI):
    def govern(self, guard: Guard) -> list[AbstractCapability[Any]]:
        guard._on_error = "raise"
        return super().govern(guard)


class Outermost(MeshGuardCapability):
    def get_ordering(self) -> Any:
        return None


class BeforeTheRewriting(TestPydanticAI):
    def govern(self, guard: Guard) -> list[AbstractCapability[Any]]:
        return [Outermost(guard)]


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def test_the_kit_notices_that_another_capability_comes_after_ours() -> None:
    check = "test_the_tool_gets_the_checked_arguments"
    assert failures(BeforeTheRewriting) == [f"{check}[{mode}]" for mode in TestPydanticAI.modes]


class Desk:
    """A clerk with a guard, the tools of the kit, and the audit log."""

    def __init__(self, world: Any, clerk: MeshGuardClient, archivist: MeshGuardClient) -> None:
        self._world = world
        self.guard = Guard(
            clerk, agents={"clerk": str(clerk.agent_token), "archivist": str(archivist.agent_token)}
        )
        self.script = Script(self.guard, [], "run")

    def agent(self, *turns: Sequence[Call], name: str = "clerk", **options: Any) -> Agent[Any, Any]:
        return Agent(scripted(*turns), name=name, capabilities=[MeshGuardCapability(self.guard)], **options)

    def run(self, work: Awaitable[Any]) -> Any:
        return TestPydanticAI().finish(self.guard, work)

    def decisions(self, run_id: str) -> list[tuple[str, str]]:
        entries = self._world.admin.iter_audit_log(trace_id=run_id)
        return [(entry["action"], entry["decision"]) for entry in entries if entry["kind"] == "decision"]


@pytest.fixture
def desk(world: Any) -> Iterator[Desk]:
    with world.agent("clerk") as (clerk, _), world.agent("archivist", ["archivist"]) as (archivist, _):
        made = Desk(world, clerk, archivist)
        yield made
        made.guard.close()


def test_the_trace_id_is_the_run_id(desk: Desk) -> None:
    result = desk.run(desk.agent([LOOKUP], tools=desk.script.functions()).run("go"))
    assert desk.decisions(result.run_id) == [("execute:lookup", "allow")]


@pytest.mark.parametrize(("name", "said"), [("archivist", "deleted customers"), ("stranger", "denied")])
def test_an_agent_that_a_tool_runs_has_its_own_identity_and_the_first_ones_trace(
    desk: Desk, name: str, said: str
) -> None:
    inner = desk.agent([DELETE], name=name, tools=desk.script.functions())
    outer = desk.agent([Call("lookup", {"query": "all"})])

    @outer.tool_plain
    async def lookup(query: str) -> str:
        return told((await inner.run(query)).all_messages())[0]

    result = desk.run(outer.run("go"))
    assert said in told(result.all_messages())[0]
    expected = [("execute:delete_records", "allow")] if name == "archivist" else []
    assert desk.decisions(result.run_id) == [*expected, ("execute:lookup", "allow")]


def test_runs_one_after_the_other_are_two_traces(desk: Desk) -> None:
    async def both() -> list[Any]:
        return [await desk.agent([DELETE], tools=desk.script.functions()).run("go") for _ in range(2)]

    for result in desk.run(both()):
        assert desk.decisions(result.run_id) == [("execute:delete_records", "deny")]


def test_a_tool_that_was_approved_is_still_decided_on(desk: Desk) -> None:
    agent = desk.agent([DELETE], output_type=[str, DeferredToolRequests])
    ran: list[str] = []

    @agent.tool_plain(requires_approval=True)
    def delete_records(table: str) -> str:
        ran.append(table)
        return "deleted"

    async def approve() -> list[str]:
        waiting = await agent.run("go")
        (call,) = waiting.output.approvals
        assert desk.decisions(waiting.run_id) == []
        results = DeferredToolResults(approvals={call.tool_call_id: True})
        done = await agent.run(message_history=waiting.all_messages(), deferred_tool_results=results)
        return told(done.all_messages())

    (said,) = desk.run(approve())
    assert "denied" in said
    assert ran == []


def test_a_tool_that_somebody_else_runs_is_not_decided_on(desk: Desk) -> None:
    outside = ExternalToolset([ToolDefinition(name="lookup")])
    agent = desk.agent([LOOKUP], output_type=[str, DeferredToolRequests], toolsets=[outside])
    result = desk.run(agent.run("go"))
    assert [call.tool_name for call in result.output.calls] == ["lookup"]
    assert desk.decisions(result.run_id) == []


def test_tools_of_an_mcp_server_are_governed(desk: Desk) -> None:
    server = FastMCP("records")
    for function in desk.script.functions():
        server.tool(function)
    agent = desk.agent([LOOKUP, DELETE, SMALL], toolsets=[MCPToolset(server)])
    found, denied, sent = told(desk.run(agent.run("go")).all_messages())
    assert "found Ada" in found
    assert "MeshGuard denied" in denied
    assert "sent 10" in sent
    assert sorted(tool for tool, _ in desk.script.ran) == ["lookup", "transfer"]


def test_the_model_learns_that_the_call_was_denied_not_that_it_failed(desk: Desk) -> None:
    messages = desk.run(desk.agent([DELETE], tools=desk.script.functions()).run("go")).all_messages()
    (part,) = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    assert part.outcome == "denied"


def test_a_tool_with_context_is_governed(desk: Desk) -> None:
    agent = desk.agent([LOOKUP, DELETE])

    @agent.tool
    def lookup(ctx: RunContext[Any], query: str) -> str:
        return f"{ctx.tool_name} {query}"

    @agent.tool
    def delete_records(ctx: RunContext[Any], table: str) -> str:
        raise AssertionError(f"{ctx.tool_name} {table}")

    found, denied = told(desk.run(agent.run("go")).all_messages())
    assert found == "lookup Ada"
    assert "denied" in denied


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("pydantic_ai", tmp_path)


def test_the_page_runs() -> None:
    assert run_page("pydantic_ai").decisions >= {("execute:research", "allow"), ("execute:lookup", "allow")}


def test_the_docstrings_run(world: Any, environ: str) -> None:
    with MeshGuardClient() as client:
        assert run_docstrings(pydantic_ai, client=client, model=scripted([LOOKUP])) == 1
    assert {entry["action"] for entry in world.decisions(environ)} >= {"execute:lookup"}
