"""LangChain and LangGraph under the conformance kit, broken on purpose, and in their own traps."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolCallRequest, ToolRetryMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode
from langgraph.types import Command

from meshguard import PolicyDeniedError
from meshguard.guard import Guard
from meshguard.integrations.langchain import MeshGuardMiddleware, governed_tool_node
from meshguard.testing.conformance import AdapterConformance, Script, World, failures
from tests.adapters.langchain_models import QUESTION, ScriptedModel, calls, graph, model, results
from tests.adapters.sabotage import DENIED, assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned


class TestLangChain(AdapterConformance):
    """`create_agent`. Models give LangChain parsed arguments, never text: `texts` stays off."""

    modes: ClassVar[Sequence[str]] = ("sync", "async", "stream", "async stream", "batch", "async batch")
    agents = True
    rewrites = True

    def hooks(self, script: Script) -> list[AgentMiddleware[Any, Any, Any]]:
        return [MeshGuardMiddleware(script.guard)]

    def agent(self, script: Script) -> Any:
        rewriting = [Rewriting(script.rewrite)] if script.rewrite else []
        is_async = script.mode in {"async", "async stream"}  # "async batch" is for sync tools in async runs
        functions = script.coroutines() if is_async else script.functions()
        return create_agent(
            scripted(script), functions, middleware=[*rewriting, *self.hooks(script)], name=script.agent
        )

    def run(self, script: Script) -> list[str]:
        return told(self, script, self.agent(script))


class TestToolNode(AdapterConformance):
    """`ToolNode` in a graph. It has one hook, so that nothing can come between: `rewrites` stays off."""

    modes = ("sync", "async", "stream", "async stream")
    agents = True

    def node(self, script: Script, functions: list[Callable[..., Any]]) -> ToolNode:
        return governed_tool_node(functions, script.guard, agent=script.agent)

    def run(self, script: Script) -> list[str]:
        functions = script.coroutines() if script.mode == "async" else script.functions()
        return told(self, script, graph(scripted(script), self.node(script, functions)))


class Rewriting(AgentMiddleware[Any, Any, Any]):
    """Puts other arguments in place."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self._arguments = dict(arguments)

    def _rewritten(self, request: ToolCallRequest) -> ToolCallRequest:
        return request.override(tool_call={**request.tool_call, "args": self._arguments})

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[..., Any]) -> Any:
        return handler(self._rewritten(request))

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Callable[..., Awaitable[Any]]) -> Any:
        return await handler(self._rewritten(request))


def scripted(script: Script) -> ScriptedModel:
    return model(*([(call.tool, call.arguments) for call in turn] for turn in script.turns))


def told(adapter: AdapterConformance, script: Script, agent: Any) -> list[str]:
    """What the model was told, by the ways there are to run a graph."""
    sync: dict[str, Callable[[], list[Any]]] = {
        "sync": lambda: agent.invoke(QUESTION)["messages"],
        "stream": lambda: list(agent.stream(QUESTION, stream_mode="values"))[-1]["messages"],
        "batch": lambda: agent.batch([QUESTION])[0]["messages"],
    }
    if script.mode in sync:
        return results(sync[script.mode]())
    return results(adapter.finish(script.guard, _later(script.mode, agent)))


async def _later(mode: str, agent: Any) -> list[Any]:
    if mode == "async":
        return list((await agent.ainvoke(QUESTION))["messages"])
    if mode == "async batch":
        return list((await agent.abatch([QUESTION]))[0]["messages"])
    return list([state async for state in agent.astream(QUESTION, stream_mode="values")][-1]["messages"])


# Broken on purpose


class WithoutTheHook(TestLangChain):
    def hooks(self, script: Script) -> list[AgentMiddleware[Any, Any, Any]]:  # noqa: ARG002
        return []


class NodeWithoutTheHook(TestToolNode):
    def node(self, script: Script, functions: list[Callable[..., Any]]) -> ToolNode:  # noqa: ARG002
        return ToolNode(functions)


class WithErrorsLetOut(TestLangChain):
    def hooks(self, script: Script) -> list[AgentMiddleware[Any, Any, Any]]:
        script.guard._on_error = "raise"
        return super().hooks(script)


class First(TestLangChain):
    modes = ("sync",)

    def agent(self, script: Script) -> Any:
        rewriting = [Rewriting(script.rewrite)] if script.rewrite else []
        return create_agent(
            scripted(script),
            script.functions(),
            middleware=[*self.hooks(script), *rewriting],
            name=script.agent,
        )


class ForSyncAlone(MeshGuardMiddleware):
    async def awrap_tool_call(self, request: ToolCallRequest, handler: Callable[..., Any]) -> Any:
        return await handler(request)


class WithTheAsyncHookForgotten(TestLangChain):
    def hooks(self, script: Script) -> list[AgentMiddleware[Any, Any, Any]]:
        return [ForSyncAlone(script.guard)]


@pytest.mark.parametrize("broken", [WithoutTheHook, NodeWithoutTheHook])
def test_the_kit_notices_that_nothing_is_governed(broken: type[AdapterConformance]) -> None:
    assert_noticed_as_ungoverned(broken)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def test_the_kit_notices_that_the_middleware_is_not_the_last() -> None:
    assert failures(First) == ["test_the_tool_gets_the_checked_arguments[sync]"]


def test_the_kit_notices_that_the_async_hook_is_missing() -> None:
    failed = failures(WithTheAsyncHookForgotten)
    assert f"{DENIED}[async]" in failed
    assert f"{DENIED}[sync]" not in failed


# What LangChain has of its own


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def lookup(ran: list[str]) -> Any:
    @tool
    def lookup(query: str) -> str:
        """Look a customer up."""
        ran.append(query)
        return f"found {query}"

    return lookup


@pytest.fixture
def delete_records(ran: list[str]) -> Any:
    @tool
    def delete_records(table: str) -> str:
        """Delete all records of a table."""
        ran.append(table)
        return f"deleted {table}"

    return delete_records


@pytest.fixture
def desk(world: World) -> Iterator[tuple[Guard, str]]:
    """The guard of a new agent, and its id."""
    with world.agent("desk") as (client, agent_id):
        guard = Guard(client)
        yield guard, agent_id
        guard.close()


LOOKUP = ("lookup", {"query": "Ada"})
DELETE = ("delete_records", {"table": "customers"})


def test_each_try_is_decided_on_and_recorded(world: World, desk: tuple[Guard, str]) -> None:
    tries = []

    @tool
    def lookup(query: str) -> str:
        """Look a customer up."""
        tries.append(query)
        if len(tries) == 1:
            raise TimeoutError
        return f"found {query}"

    retrying = ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    guard, agent_id = desk
    agent = create_agent(model([LOOKUP]), [lookup], middleware=[retrying, MeshGuardMiddleware(guard)])
    assert results(agent.invoke(QUESTION)["messages"]) == ["found Ada"]
    assert [entry["decision"] for entry in world.decisions(agent_id)] == ["allow", "allow"]


def test_a_denial_is_not_tried_again(
    world: World, desk: tuple[Guard, str], delete_records: Any, ran: list[str]
) -> None:
    retrying = ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    guard, agent_id = desk
    agent = create_agent(model([DELETE]), [delete_records], middleware=[retrying, MeshGuardMiddleware(guard)])
    [said] = results(agent.invoke(QUESTION)["messages"])
    assert "denied" in said
    assert ran == []
    assert [entry["decision"] for entry in world.decisions(agent_id)] == ["deny"]


def test_a_denial_is_an_error_message_that_answers_the_call(
    desk: tuple[Guard, str], delete_records: Any
) -> None:
    agent = create_agent(model([DELETE]), [delete_records], middleware=[MeshGuardMiddleware(desk[0])])
    _, asked, answer, _ = agent.invoke(QUESTION)["messages"]
    assert (answer.status, answer.tool_call_id) == ("error", asked.tool_calls[0]["id"])


def test_a_tool_that_a_middleware_puts_in_place_of_another_is_decided_on_as_what_runs(
    world: World, desk: tuple[Guard, str], lookup: Any, delete_records: Any, ran: list[str]
) -> None:
    class Swapping(AgentMiddleware[Any, Any, Any]):
        def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[..., Any]) -> Any:
            call: Any = {**request.tool_call, "args": DELETE[1]}
            return handler(request.override(tool=delete_records, tool_call=call))

    guard, agent_id = desk
    agent = create_agent(model([LOOKUP]), [lookup], middleware=[Swapping(), MeshGuardMiddleware(guard)])
    agent.invoke(QUESTION)
    assert ran == []
    assert [entry["action"] for entry in world.decisions(agent_id)] == ["execute:delete_records"]


def test_on_deny_may_answer_with_a_command(desk: tuple[Guard, str], delete_records: Any) -> None:
    guard = Guard(
        desk[0]._default_client.sync(),
        on_deny=lambda call, _: Command(
            update={"messages": [ToolMessage("ask Bea", name=call.tool, tool_call_id=call.call_id)]}
        ),
    )
    agent = create_agent(model([DELETE]), [delete_records], middleware=[MeshGuardMiddleware(guard)])
    assert results(agent.invoke(QUESTION)["messages"]) == ["ask Bea"]


def test_handle_tool_errors_makes_a_message_of_a_denial_that_is_raised(
    world: World, delete_records: Any, ran: list[str]
) -> None:
    with world.agent("node") as (client, _):
        node = governed_tool_node([delete_records], Guard(client, on_deny="raise"), handle_tool_errors=True)
        [said] = results(graph(model([DELETE]), node).invoke(QUESTION)["messages"])
    assert "PolicyDeniedError" in said
    assert ran == []


def test_what_the_graph_injects_is_not_told_to_the_gateway(world: World) -> None:
    @tool
    def lookup(query: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
        """Look a customer up."""
        return f"found {query} after {len(state['messages'])}"

    seen = []
    with world.agent("desk") as (client, _):
        guard = Guard(client, context=lambda call: seen.append(call.arguments))
        agent = create_agent(model([LOOKUP]), [lookup], middleware=[MeshGuardMiddleware(guard)])
        assert results(agent.invoke(QUESTION)["messages"]) == ["found Ada after 2"]
    assert seen == [{"query": "Ada"}]


# Agents of agents


def agents_of_agents(guard: Guard, delete_records: Any) -> Any:
    """A manager that asks a clerk, who calls a tool."""
    hooks = [MeshGuardMiddleware(guard)]
    clerk = create_agent(model([DELETE]), [delete_records], middleware=hooks, name="clerk")

    @tool
    def lookup(query: str) -> str:
        """Ask the clerk."""
        return results(clerk.invoke({"messages": [HumanMessage(query)]})["messages"])[0]

    script = model([LOOKUP], [DELETE])
    return create_agent(script, [lookup, delete_records], middleware=hooks, name="manager")


@pytest.mark.parametrize("allowed", ["manager", "clerk"])
def test_an_agent_that_another_calls_as_a_tool_is_decided_on_as_itself(
    world: World, delete_records: Any, ran: list[str], allowed: str
) -> None:
    with (
        world.agent("manager", ["archivist"] if allowed == "manager" else []) as (manager, manager_id),
        world.agent("clerk", ["archivist"] if allowed == "clerk" else []) as (clerk, clerk_id),
    ):
        guard = Guard(manager, agents={"manager": manager, "clerk": clerk})
        told = results(agents_of_agents(guard, delete_records).invoke(QUESTION)["messages"])
    assert ["denied" in said for said in told] == [allowed != "clerk", allowed != "manager"]
    assert len(ran) == 1
    of_manager, of_clerk = world.decisions(manager_id), world.decisions(clerk_id)
    assert [entry["action"] for entry in of_clerk] == ["execute:delete_records"]
    assert len(of_manager) == 2
    assert len({entry["traceId"] for entry in of_manager + of_clerk}) == 1


@pytest.mark.parametrize("given", [None, "run-17"])
def test_handoffs_inside_a_graph_are_one_trace_with_each_agent_as_itself(
    world: World, lookup: Any, given: str | None
) -> None:
    with world.agent("ann") as (ann, ann_id), world.agent("ben") as (ben, ben_id):
        hooks = [MeshGuardMiddleware(Guard(ann, agents={"ann": ann, "ben": ben}))]
        made = StateGraph(MessagesState)
        made.add_node("ann", create_agent(model([LOOKUP]), [lookup], middleware=hooks, name="ann"))
        later = ScriptedModel(responses=[AIMessage("x"), AIMessage("x"), calls(LOOKUP), AIMessage("done")])
        made.add_node("ben", create_agent(later, [lookup], middleware=hooks, name="ben"))
        made.add_edge(START, "ann")
        made.add_edge("ann", "ben")
        made.compile().invoke(QUESTION, {"metadata": {"run_id": given}})
    entries = [*world.decisions(ann_id), *world.decisions(ben_id)]
    assert len(entries) == 2
    [trace] = {entry["traceId"] for entry in entries}
    assert given in (None, trace)


def test_a_name_that_is_given_can_not_be_overruled_by_who_invokes(
    world: World, delete_records: Any, ran: list[str]
) -> None:
    with world.agent("boss", ["archivist"]) as (boss, _), world.agent("clerk") as (clerk, clerk_id):
        hooks = [MeshGuardMiddleware(Guard(clerk, agents={"boss": boss, "clerk": clerk}), agent="clerk")]
        agent = create_agent(model([DELETE]), [delete_records], middleware=hooks)
        agent.invoke(QUESTION, {"metadata": {"lc_agent_name": "boss"}})
    assert ran == []
    assert len(world.decisions(clerk_id)) == 1


def test_parallel_runs_of_one_agent_are_told_apart(
    world: World, desk: tuple[Guard, str], lookup: Any
) -> None:
    guard, agent_id = desk
    turns = [[LOOKUP, LOOKUP], [LOOKUP]]
    agent = create_agent(model(*turns), [lookup], middleware=[MeshGuardMiddleware(guard)])
    agent.batch([QUESTION] * 4)
    traces = [entry["traceId"] for entry in world.decisions(agent_id)]
    assert sorted(traces.count(trace) for trace in set(traces)) == [3] * 4


def test_the_run_id_that_a_user_gives_is_the_trace_id(
    world: World, desk: tuple[Guard, str], lookup: Any
) -> None:
    guard, agent_id = desk
    agent = create_agent(
        model([LOOKUP]), [lookup], middleware=[MeshGuardMiddleware(guard)], checkpointer=InMemorySaver()
    )
    run_id = uuid.uuid4()
    agent.invoke(QUESTION, {"run_id": run_id, "configurable": {"thread_id": "17"}})
    assert [entry["traceId"] for entry in world.decisions(agent_id)] == [str(run_id)]


def test_a_denial_that_is_raised_ends_an_async_run_of_parallel_calls(
    world: World, lookup: Any, delete_records: Any, ran: list[str]
) -> None:
    async def run(guard: Guard) -> None:
        agent = create_agent(
            model([DELETE, DELETE]), [lookup, delete_records], middleware=[MeshGuardMiddleware(guard)]
        )
        try:
            await agent.ainvoke(QUESTION)
        finally:
            await guard.aclose()

    with world.agent("strict") as (client, _), pytest.raises(PolicyDeniedError):
        asyncio.run(run(Guard(client, on_deny="raise")))
    assert ran == []
