"""A value that JSON can't represent runs no tool of any framework, even if policy allows its absence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agents import Agent, Runner, function_tool
from agents.tracing import set_trace_processors
from google.adk.agents import LlmAgent
from google.adk.apps import App
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from mcp.server import MCPServer
from pydantic_ai import Agent as PydanticAgent

from meshguard import InvalidRequestError
from meshguard.guard import Guard
from meshguard.integrations.google_adk import MeshGuardPlugin
from meshguard.integrations.langchain import GovernedTool, MeshGuardMiddleware, governed_tool
from meshguard.integrations.mcp import GovernedClient
from meshguard.integrations.openai_agents import govern_agent
from meshguard.integrations.pydantic_ai import MeshGuardCapability
from meshguard.testing import RunningGateway, running_gateway
from meshguard.testing.conformance import AdapterConformance, Call
from tests.adapters import test_google_adk, test_openai_agents, test_pydantic_ai
from tests.adapters.langchain_models import QUESTION, ScriptedModel, calls, results
from tests.adapters.mcp_traffic import told
from tests.python_values import INEXACT

POLICY = """
name: lenient
rules:
  - {effect: allow, actions: ["execute:pay"]}
  - {effect: deny, actions: ["execute:pay"], conditions: {context.args.amount: {exists: true, gt: 1000}}}
"""
NAMES = (
    "infinite", "nan", "nan decimal", "decimal beyond floats", "third", "complex", "set", "bytes", "object",
    "range", "liar", "number as a key", "half a surrogate pair", "set in a list", "nan in a mapping",
)  # fmt: skip
WORDS = "the argument 'amount' contains"


class Desk:
    """A guard and a tool that takes anything."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.paid: list[Any] = []

    def pay(self) -> Any:
        paid = self.paid

        def pay(amount: Any) -> str:
            """Pay."""
            paid.append(amount)
            return "paid"

        return pay

    def run(self, work: Any) -> Any:
        return AdapterConformance().finish(self.guard, work)


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(POLICY) as running:
        yield running


@pytest.fixture
def desk(gateway: RunningGateway) -> Iterator[Desk]:
    with gateway.agent() as client:
        made = Desk(Guard(client))
        yield made
        made.guard.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_langchain_runs_nothing(desk: Desk, name: str, asynchronous: bool) -> None:
    model = ScriptedModel(responses=[calls(("pay", {"amount": INEXACT[name]})), AIMessage("done")])
    agent = create_agent(model, [desk.pay()], middleware=[MeshGuardMiddleware(desk.guard)])
    state = desk.run(agent.ainvoke(QUESTION)) if asynchronous else agent.invoke(QUESTION)
    assert desk.paid == []
    assert WORDS in results(state["messages"])[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_wrappers_of_langchain_raise(desk: Desk, name: str) -> None:
    client = desk.guard._default_client.sync()
    function = governed_tool("execute:pay", client=client)(desk.pay())
    wrapped = GovernedTool(tool(desk.pay()), "execute:pay", client)
    arguments = {"amount": INEXACT[name]}
    runs: list[Callable[[], Any]] = [
        lambda: function(**arguments),
        lambda: wrapped.invoke(arguments),
        lambda: wrapped.run(arguments),
    ]
    for run in runs:
        with pytest.raises(InvalidRequestError, match=WORDS):
            run()
    assert desk.paid == []


@pytest.mark.parametrize("name", NAMES)
def test_pydantic_ai_runs_nothing(desk: Desk, name: str) -> None:
    rewriting = test_pydantic_ai.Rewriting({"amount": INEXACT[name]})
    agent: Any = PydanticAgent(
        test_pydantic_ai.scripted([Call("pay", {"amount": 1})]),
        tools=[desk.pay()],
        capabilities=[MeshGuardCapability(desk.guard), rewriting],
    )
    messages = desk.run(agent.run("go")).all_messages()
    assert desk.paid == []
    assert WORDS in test_pydantic_ai.told(messages)[0]


@pytest.mark.parametrize("name", NAMES)
def test_adk_runs_nothing(desk: Desk, name: str) -> None:
    agent = LlmAgent(
        name="clerk", model=test_google_adk.scripted([Call("pay", {"amount": 1})]), tools=[desk.pay()]
    )
    plugins = [test_google_adk.Rewriting({"amount": INEXACT[name]}), MeshGuardPlugin(desk.guard)]
    events = desk.run(test_google_adk._events(App(name="desk", root_agent=agent, plugins=plugins)))
    assert desk.paid == []
    assert WORDS in str(test_google_adk.told(events)[0]).replace('\\"', '"').replace("\\'", "'")


@pytest.mark.parametrize("text", ["1e999", "NaN", "[1e999]", '{"a": 1, "a": 2}', "1e-999"])
def test_openai_agents_run_nothing(desk: Desk, text: str) -> None:
    set_trace_processors([])
    call = Call("pay", f'{{"amount": {text}}}')
    pay = function_tool(desk.pay(), strict_mode=False)
    agent = Agent(name="clerk", model=test_openai_agents.scripted([call]), tools=[pay])
    run = desk.run(Runner.run(govern_agent(agent, desk.guard), "go"))
    assert desk.paid == []
    assert WORDS in test_openai_agents.told(run.to_input_list())[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_mcp_client_sends_nothing(desk: Desk, name: str) -> None:
    server: MCPServer[Any] = MCPServer("desk")
    server.add_tool(desk.pay())

    async def call() -> str:
        async with GovernedClient(server, guard=desk.guard) as client:
            return told(await client.call_tool("pay", {"amount": INEXACT[name]}))

    assert WORDS in desk.run(call())
    assert desk.paid == []
