"""The cookbook through real adapters: its cases are what guards send, and come out as they say."""

from __future__ import annotations

import functools
import itertools
import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from agents import Agent, Runner, function_tool
from agents.tracing import set_trace_processors
from langchain.agents import create_agent
from mcp import Client
from mcp.server import MCPServer

from meshguard import PolicyDeniedError
from meshguard.guard import Guard, ToolCall
from meshguard.integrations.functions import govern_function
from meshguard.integrations.langchain import MeshGuardMiddleware
from meshguard.integrations.mcp import MeshGuardExtension
from meshguard.integrations.openai_agents import govern_agent
from meshguard.policy.testing import Case, load_cases
from meshguard.testing import RunningGateway, running_gateway
from meshguard.testing.conformance import AdapterConformance, Call
from tests.adapters import test_openai_agents
from tests.adapters.langchain_models import QUESTION, model
from tests.environments import ROOT

FOLDER = ROOT / "examples" / "policies"
FOLDERS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
Tools = list[Callable[..., str]]


@dataclass(frozen=True)
class Recipe:
    """A folder of the cookbook with its guard, its tools and the cases that are tool calls."""

    gateway: RunningGateway
    guard: Callable[[Any], Guard]
    tools: Tools
    cases: Sequence[Case]

    def of_each_agent(self) -> Iterator[list[Case]]:
        ordered = sorted(self.cases, key=lambda case: repr(case.agent))
        for _, cases in itertools.groupby(ordered, key=lambda case: repr(case.agent)):
            yield list(cases)


@pytest.fixture(scope="module", params=FOLDERS)
def recipe(request: pytest.FixtureRequest) -> Iterator[Recipe]:
    file = FOLDER / f"{request.param}.tests.yaml"
    cases = load_cases(file.read_bytes(), str(file)).cases
    made = runpy.run_path(str(FOLDER / f"{request.param.replace('-', '_')}.py"))
    policies = [path.read_text() for path in sorted((FOLDER / request.param).glob("*.yaml"))]
    with running_gateway(*policies) as gateway:
        calls = [case for case in cases if case.at is None and call_of(case)]
        yield Recipe(gateway, made["guard"], made["TOOLS"], calls)


def call_of(case: Case) -> Call | None:
    """The tool call of a case, if it is one."""
    context: Mapping[str, Any] = case.request.context or {}
    return Call(context["tool"], context["args"]) if case.agent and "tool" in context else None


def functions(guard: Guard, tools: Tools, cases: Sequence[Case]) -> None:
    by_name = {tool.__name__: tool for tool in tools}
    for case in cases:
        call = call_of(case)
        assert call is not None
        assert isinstance(call.arguments, Mapping)
        try:
            govern_function(case.request.action, guard)(by_name[call.tool])(**call.arguments)
        except PolicyDeniedError:
            assert case.expect == "deny"


def langchain(guard: Guard, tools: Tools, cases: Sequence[Case]) -> None:
    turns = [[(call.tool, call.arguments)] for call in map(call_of, cases) if call]
    create_agent(model(*turns), tools, middleware=[MeshGuardMiddleware(guard)]).invoke(QUESTION)


def openai_agents(guard: Guard, tools: Tools, cases: Sequence[Case]) -> None:
    set_trace_processors([])
    scripted = test_openai_agents.scripted(*[[call] for call in map(call_of, cases) if call])
    agent = Agent(name="agent", model=scripted, tools=[function_tool(tool) for tool in tools])
    finish(guard, Runner.run(govern_agent(agent, guard), "go", max_turns=100))


def mcp(guard: Guard, tools: Tools, cases: Sequence[Case]) -> None:
    server: MCPServer[Any] = MCPServer("desk", extensions=[MeshGuardExtension(guard)])
    for tool in tools:
        server.add_tool(tool)

    async def play() -> None:
        async with Client(server) as client:
            for call in map(call_of, cases):
                assert call is not None
                await client.call_tool(call.tool, dict(call.arguments))  # type: ignore[arg-type]

    finish(guard, play())


def finish(guard: Guard, work: Any) -> None:
    AdapterConformance().finish(guard, work)


def recording(tools: Tools, ran: list[str]) -> Tools:
    """The tools, which note their calls."""

    def recorded(tool: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(tool)
        def run(*args: Any, **kwargs: Any) -> str:
            ran.append(tool.__name__)
            return tool(*args, **kwargs)

        return run

    return [recorded(tool) for tool in tools]


@pytest.mark.parametrize("adapter", [functions, langchain, openai_agents, mcp])
def test_a_recipe_comes_out_as_its_cases_say(recipe: Recipe, adapter: Callable[..., None]) -> None:
    outcomes = set()
    for cases in recipe.of_each_agent():
        agent = cases[0].agent
        assert agent is not None
        options = {"tags": list(agent.tags), "metadata": dict(agent.metadata or {})}
        with recipe.gateway.admin() as admin:
            created = admin.create_agent("agent", trust_tier=agent.trust_tier, **options)  # type: ignore[arg-type]
        ran: list[str] = []
        with recipe.gateway.admin() as admin, admin.with_options(agent_token=created["token"]) as client:
            guard = recipe.guard(client)
            adapter(guard, recording(recipe.tools, ran), cases)
            guard.close()
            entries = list(admin.iter_audit_log(agent=created["id"]))[::-1]
        decided = [
            (entry["action"], entry.get("resource"), entry["decision"])
            for entry in entries
            if entry.get("kind") == "decision"
        ]
        assert decided == [(case.request.action, case.request.resource, case.expect) for case in cases]
        allowed = [call_of(case) for case in cases if case.expect == "allow"]
        assert ran == [call.tool for call in allowed if call]
        outcomes |= {decision for *_, decision in decided}
    assert outcomes == {"allow", "deny"}


def test_a_missing_recipient_is_denied_by_name() -> None:
    payments = runpy.run_path(str(FOLDER / "payments.py"))
    with running_gateway() as gateway, gateway.agent() as client:
        decision = payments["guard"](client).check(ToolCall("pay", {"amount": 10, "currency": "EUR"}))
    assert (decision.allowed, decision.reason) == (False, "the argument 'recipient' is missing")
