"""Google's ADK under the conformance kit, its late hooks, sub-agents and agents as tools."""

import asyncio
import itertools
import sys
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode  # type: ignore[attr-defined]
from google.adk.apps import App
from google.adk.events import Event
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.plugins import BasePlugin
from google.adk.runners import InMemoryRunner
from google.adk.tools.agent_tool import AgentTool
from google.adk.tools.function_tool import FunctionTool
from google.adk.tools.long_running_tool import LongRunningFunctionTool
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from google.adk.workflow import START, Workflow
from google.genai import types
from mcp import StdioServerParameters

from meshguard import MeshGuardClient
from meshguard.guard import Guard, ToolCall
from meshguard.integrations import google_adk
from meshguard.integrations.google_adk import MeshGuardPlugin
from meshguard.testing.conformance import (
    DELETE,
    LARGE,
    LOOKUP,
    SMALL,
    AdapterConformance,
    Call,
    Script,
)
from tests.adapters import mcp_child
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned

_numbers = itertools.count()


class ScriptedLlm(BaseLlm):
    """A model that makes these calls, turn by turn, and ends the conversation."""

    turns: list[list[Any]]  # of Call

    async def generate_content_async(
        self,
        llm_request: LlmRequest,  # noqa: ARG002
        stream: bool = False,  # noqa: ARG002
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [_part(call) for call in (self.turns.pop(0) if self.turns else [])]
        yield LlmResponse(content=types.Content(role="model", parts=parts or [types.Part(text="done")]))


def _part(call: Call) -> types.Part:
    assert not isinstance(call.arguments, str)
    number = f"call-{next(_numbers)}"
    return types.Part(function_call=types.FunctionCall(id=number, name=call.tool, args=dict(call.arguments)))


def scripted(*turns: Sequence[Call]) -> ScriptedLlm:
    return ScriptedLlm(model="scripted", turns=[list(turn) for turn in turns])


def told(events: Sequence[Event]) -> list[str]:
    answers = [answer for event in events for answer in event.get_function_responses()]
    return [str(answer.response) for answer in answers]


GO = types.Content(role="user", parts=[types.Part(text="go")])


async def _events(app: App, mode: str = "run_async") -> list[Event]:
    runner = InMemoryRunner(app=app)
    session = await runner.session_service.create_session(app_name=app.name, user_id="ada")
    streaming = RunConfig(streaming_mode=StreamingMode.SSE if mode == "stream" else StreamingMode.NONE)
    running = runner.run_async(user_id="ada", session_id=session.id, new_message=GO, run_config=streaming)
    return [event async for event in running]


def _events_in_a_thread(app: App) -> list[Event]:
    runner = InMemoryRunner(app=app)
    session = asyncio.run(runner.session_service.create_session(app_name=app.name, user_id="ada"))
    return list(runner.run(user_id="ada", session_id=session.id, new_message=GO))


class Rewriting(BasePlugin):
    """A user's plugin that puts other arguments in place."""

    def __init__(self, arguments: Any) -> None:
        super().__init__("rewriting")
        self.arguments = arguments

    async def before_tool_callback(self, *, tool_args: dict[str, Any], **_: Any) -> None:
        tool_args.update(self.arguments)


class Closing(BasePlugin):
    """`Runner.run` makes an event loop for each run: close what the guard opened in it before it ends."""

    def __init__(self, guard: Guard) -> None:
        super().__init__("closing")
        self.guard = guard

    async def after_run_callback(self, **_: Any) -> None:
        await self.guard.aclose()

    async def on_run_error_callback(self, **_: Any) -> None:
        await self.guard.aclose()


class TestGoogleADK(AdapterConformance):
    """One agent with three tools; a model of our own."""

    modes = ("run_async", "run", "stream")
    texts = False  # the framework's calls hold their arguments as an object, parsed by the model's client
    agents = True
    rewrites = True

    def govern(self, guard: Guard) -> list[BasePlugin]:
        return [MeshGuardPlugin(guard)]

    def plugins(self, script: Script) -> list[BasePlugin]:
        return [Rewriting(script.rewrite or {}), *self.govern(script.guard)]

    def run(self, script: Script) -> list[str]:
        tools = script.functions() if script.mode == "run" else script.coroutines()
        agent = LlmAgent(name=script.agent or "assistant", model=scripted(*script.turns), tools=[*tools])
        app = App(name="conformance", root_agent=agent, plugins=self.plugins(script))
        if script.mode == "run":
            app.plugins.append(Closing(script.guard))
            return told(_events_in_a_thread(app))
        return told(self.finish(script.guard, _events(app, script.mode)))


class WithoutTheHook(TestGoogleADK):
    def govern(self, guard: Guard) -> list[BasePlugin]:  # noqa: ARG002
        return []


class WithErrorsLetOut(TestGoogleADK):
    def govern(self, guard: Guard) -> list[BasePlugin]:
        guard._on_error = "raise"
        return super().govern(guard)


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def _transfer(call: ToolCall) -> str | None:
    """Transfers to the archivist are what the policy allows."""
    assert isinstance(call.arguments, Mapping)
    return "execute:lookup" if call.arguments["agent_name"] == "archivist" else None


class Desk:
    """An app with a guard, the tools of the kit, and the audit log."""

    def __init__(self, world: Any, clerk: MeshGuardClient, archivist: MeshGuardClient) -> None:
        self._world = world
        self.clerk = clerk
        self.guard = Guard(
            clerk,
            agents={"clerk": str(clerk.agent_token), "archivist": str(archivist.agent_token)},
            action_map={"transfer_to_agent": _transfer, "archivist": "execute:lookup"},
        )
        self.script = Script(self.guard, [], "run_async")

    def agent(self, *turns: Sequence[Call], name: str = "clerk", **options: Any) -> LlmAgent:
        options.setdefault("tools", self.script.coroutines())
        return LlmAgent(name=name, description="An agent.", model=scripted(*turns), **options)

    def run(self, agent: Any, *later: BasePlugin) -> list[Event]:
        app = App(name="desk", root_agent=agent, plugins=[MeshGuardPlugin(self.guard), *later])
        return self.finish(_events(app))

    def finish(self, work: Awaitable[list[Event]]) -> list[Event]:
        return TestGoogleADK().finish(self.guard, work)

    def decisions(self, run_id: str) -> list[tuple[str, str, str]]:
        entries = self._world.admin.iter_audit_log(trace_id=run_id)
        found = [entry for entry in entries if entry["kind"] == "decision"]
        return [(entry["agentName"], entry["action"], entry["decision"]) for entry in reversed(found)]


@pytest.fixture
def desk(world: Any) -> Iterator[Desk]:
    with world.agent("clerk") as (clerk, _), world.agent("archivist", ["archivist"]) as (archivist, _):
        made = Desk(world, clerk, archivist)
        yield made
        made.guard.close()


def test_the_trace_id_is_the_invocation_id(desk: Desk) -> None:
    events = desk.run(desk.agent([LOOKUP]))
    assert desk.decisions(events[0].invocation_id) == [("clerk", "execute:lookup", "allow")]


def enlarge(tool: Any, args: dict[str, Any], tool_context: Any) -> None:  # noqa: ARG001
    """An agent's callback, which comes after all plugins."""
    args.update(LARGE.arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("callbacks", [enlarge, [enlarge], [google_adk._final_check, enlarge]])
def test_arguments_that_an_agents_callback_changes_are_decided_on_again(desk: Desk, callbacks: Any) -> None:
    events = desk.run(desk.agent([SMALL], before_tool_callback=callbacks))
    assert "denied" in told(events)[0]
    assert desk.script.ran == []
    assert [decision for _, _, decision in desk.decisions(events[0].invocation_id)] == ["allow", "deny"]


def enlarge_within(tool: Any, args: dict[str, Any], tool_context: Any) -> None:  # noqa: ARG001
    """Changes what the arguments hold, and leaves the arguments themselves."""
    args["order"]["amount"] = 1000


def test_arguments_that_are_changed_within_are_decided_on_again(desk: Desk) -> None:
    paid: list[Any] = []

    def lookup(order: dict[str, Any]) -> str:
        paid.append(order)
        return "paid"

    ask = Call("lookup", {"order": {"amount": 10}})
    agent = desk.agent([ask], tools=[lookup], before_tool_callback=[enlarge_within])
    events = desk.run(agent)
    decided = desk.decisions(events[0].invocation_id)
    assert decided == [("clerk", "execute:lookup", "allow")] * 2


@pytest.mark.parametrize("changed", [10.0, True, "10"])
def test_arguments_that_are_equal_but_not_the_same_are_decided_on_again(desk: Desk, changed: Any) -> None:
    amount = 1 if changed is True else 10

    def retype(tool: Any, args: dict[str, Any], tool_context: Any) -> None:  # noqa: ARG001
        args["amount"] = changed

    call = Call("transfer", {"amount": amount, "to": "Ada"})
    events = desk.run(desk.agent([call], before_tool_callback=retype))
    assert len(desk.decisions(events[0].invocation_id)) == 2


def test_arguments_that_a_later_plugin_changes_are_decided_on_again(desk: Desk) -> None:
    events = desk.run(desk.agent([SMALL]), Rewriting(LARGE.arguments))
    assert "denied" in told(events)[0]
    assert desk.script.ran == []


def test_a_callback_that_changes_nothing_costs_no_second_decision(desk: Desk) -> None:
    events = desk.run(desk.agent([SMALL], before_tool_callback=lambda **_: None))
    assert told(events) == ["{'result': 'sent 10 to Ada'}"]
    assert len(desk.decisions(events[0].invocation_id)) == 1


def test_an_agent_that_was_governed_is_free_again_in_an_app_without_the_plugin(desk: Desk) -> None:
    agent = desk.agent([SMALL], [LARGE])
    desk.run(agent, Rewriting({}))
    agent.model = scripted([DELETE])
    events = desk.finish(_events(App(name="free", root_agent=agent)))
    assert told(events) == ["{'result': 'deleted customers'}"]


def test_a_transfer_is_decided_on_and_the_sub_agent_calls_under_its_own_identity(desk: Desk) -> None:
    archivist = desk.agent([DELETE], name="archivist")
    clerk = desk.agent(
        [DELETE], [Call("transfer_to_agent", {"agent_name": "archivist"})], sub_agents=[archivist]
    )
    events = desk.run(clerk)
    assert desk.decisions(events[0].invocation_id) == [
        ("clerk", "execute:delete_records", "deny"),
        ("clerk", "execute:lookup", "allow"),
        ("archivist", "execute:delete_records", "allow"),
    ]
    assert [tool for tool, _ in desk.script.ran] == ["delete_records"]


def test_a_denied_transfer_leaves_the_agent_in_charge(desk: Desk) -> None:
    stranger = desk.agent([DELETE], name="stranger")
    transfer = Call("transfer_to_agent", {"agent_name": "stranger"})
    events = desk.run(desk.agent([transfer], sub_agents=[stranger]))
    assert "denied" in told(events)[0]
    assert {event.author for event in events} == {"clerk"}
    assert desk.script.ran == []


@pytest.mark.filterwarnings("ignore:The `plugins` argument is deprecated:DeprecationWarning")  # AgentTool's
def test_an_agent_as_a_tool_has_its_own_identity_and_the_first_ones_trace(desk: Desk) -> None:
    ask = Call("archivist", {"request": "all"})
    archivist = desk.agent([DELETE], [], [DELETE], name="archivist")
    events = desk.run(desk.agent([ask], [ask], tools=[AgentTool(archivist)]))
    once = [("clerk", "execute:lookup", "allow"), ("archivist", "execute:delete_records", "allow")]
    assert desk.decisions(events[0].invocation_id) == once * 2


# ADK reads MCP's older names; fastmcp, where a process has imported it, answers them with a warning.
@pytest.mark.filterwarnings("ignore:Accessing .Tool.[a-zA-Z]+. is deprecated")
def test_tools_of_an_mcp_server_are_governed(desk: Desk) -> None:
    server = StdioServerParameters(command=sys.executable, args=[mcp_child.__file__])
    tools = McpToolset(connection_params=StdioConnectionParams(server_params=server))
    app = App(
        name="desk",
        root_agent=desk.agent([LOOKUP, DELETE], tools=[tools]),
        plugins=[MeshGuardPlugin(desk.guard)],
    )

    async def run() -> list[Event]:
        try:
            return await _events(app)
        finally:
            await tools.close()

    found, denied = told(desk.finish(run()))
    assert "found Ada" in found
    assert "MeshGuard denied" in denied


def test_an_agent_in_a_workflow_calls_under_its_own_identity(desk: Desk) -> None:
    archivist = desk.agent([DELETE], name="archivist")
    events = desk.run(Workflow(name="story", edges=[(START, archivist)]))
    assert desk.decisions(events[0].invocation_id) == [("archivist", "execute:delete_records", "allow")]


def question() -> dict[str, str]:
    return {"query": "Ada"}


def test_a_tool_that_is_a_node_of_a_workflow_belongs_to_no_agent(desk: Desk) -> None:
    lookup = FunctionTool(desk.script.functions()[0])
    events = desk.run(Workflow(name="story", edges=[(START, question, lookup)]))
    assert "no decision was possible" in str(events[-1].output)
    assert desk.script.ran == []


def test_each_run_of_a_tool_that_is_a_node_has_its_own_trace(desk: Desk) -> None:
    lookup, guard = FunctionTool(desk.script.functions()[0]), Guard(desk.clerk)
    app = App(
        name="desk",
        root_agent=Workflow(name="story", edges=[(START, question, lookup)]),
        plugins=[MeshGuardPlugin(guard)],
    )

    async def twice() -> list[Event]:
        return [*(await _events(app)), *(await _events(app))]

    runs = {event.invocation_id for event in TestGoogleADK().finish(guard, twice())}
    assert len(runs) == 2
    for run in runs:
        assert desk.decisions(run) == [("clerk", "execute:lookup", "allow")]


def test_a_long_running_tool_is_answered_at_once_when_it_is_denied(desk: Desk) -> None:
    def delete_records(table: str) -> None:
        raise AssertionError(table)

    events = desk.run(desk.agent([DELETE], tools=[LongRunningFunctionTool(delete_records)]))
    assert "denied" in told(events)[0]


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("google_adk", tmp_path)


def test_the_page_runs() -> None:
    assert run_page("google_adk").decisions >= {("transfer:billing", "allow"), ("execute:lookup", "allow")}


def test_the_docstrings_run(world: Any, environ: str) -> None:
    with MeshGuardClient() as client:
        assert run_docstrings(google_adk, client=client, model=scripted([LOOKUP])) == 1
    assert {entry["action"] for entry in world.decisions(environ)} >= {"execute:lookup"}
