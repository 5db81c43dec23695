"""The names and signatures that were always documented, with today's LangChain behind them."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, Tool, ToolException, tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import InjectedState, ToolNode, ToolRuntime
from pydantic import BaseModel, Field

from meshguard import AsyncMeshGuardClient, MeshGuardClient, PolicyDecision, PolicyDeniedError
from meshguard.exceptions import ConfigurationError, GatewayUnavailableError
from meshguard.guard import Guard
from meshguard.integrations import langchain as adapter
from meshguard.integrations.langchain.published import permission
from meshguard.langchain import (
    GovernedTool,
    GovernedToolkit,
    create_governed_agent,
    governed_tool,
    governed_tool_node,
)
from meshguard.testing.conformance import World
from tests.adapters.langchain_models import QUESTION, ScriptedModel, calls, graph, model, results
from tests.adapters.pages import run_docstrings, run_example, run_page

ALLOWED, DENIED = "execute:lookup", "write:email"


DOCUMENTED = """
name: documented
rules:
  - {name: reads, effect: allow, actions: ["read:contacts", "read:web_search"]}
  - {name: mathematics, effect: allow, actions: ["execute:math", "execute:ask_clerk"]}
"""


@pytest.fixture(scope="module", autouse=True)
def policy(world: World) -> None:
    world.admin.apply_policy(DOCUMENTED)


@pytest.fixture
def client(environ: str) -> Iterator[MeshGuardClient]:
    """The agent in the environment."""
    assert environ
    with MeshGuardClient() as made:
        yield made
    permission._from_environment()[0].close()
    permission._from_settings.cache_clear()


def sorry(error: PolicyDeniedError, *args: Any, **kwargs: Any) -> str:
    return f"sorry, {error.action}: {args} {kwargs}"


class Contact(BaseModel):
    name: str = Field(description="whom to find")
    limit: int = 3


@tool(args_schema=Contact, response_format="content_and_artifact")
def find(name: str, limit: int) -> tuple[str, dict[str, int]]:
    """Find somebody."""
    return f"found {name}", {"limit": limit}


@tool
async def find_later(name: str) -> str:
    """Find somebody, in time."""
    return f"found {name}"


class Search:
    """Anything with `run`, as tools once were."""

    name = "web_search"
    description = "Searches the web."

    def run(self, query: str, pages: int = 1) -> str:
        return f"{pages} pages on {query}"

    async def arun(self, query: str, pages: int = 1) -> str:
        return f"{pages} pages on {query}, later"


# The published signatures


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("governed_tool", {"action": None, "client": None, "on_deny": None}),
        ("GovernedTool", {"tool": None, "action": None, "client": None, "on_deny": None}),
        (
            "GovernedToolkit",
            {
                "tools": None,
                "client": None,
                "action_map": None,
                "default_action": "execute:tool",
                "on_deny": None,
            },
        ),
        (
            "create_governed_agent",
            {
                "llm": None,
                "tools": None,
                "client": None,
                "action_map": None,
                "agent_type": "zero-shot-react-description",
                "kwargs": None,
            },
        ),
    ],
)
def test_a_signature_is_the_published_one(name: str, parameters: dict[str, Any]) -> None:
    found = inspect.signature(getattr(adapter, name)).parameters
    required = {"action", "tool", "tools", "llm", "kwargs"} - ({"tool"} if name == "governed_tool" else set())
    assert list(found) == list(parameters)
    for parameter in found.values():
        is_needed = parameter.name in required
        assert parameter.default == (parameter.empty if is_needed else parameters[parameter.name])
        kind = parameter.VAR_KEYWORD if parameter.name == "kwargs" else parameter.POSITIONAL_OR_KEYWORD
        assert parameter.kind == kind


# The decorator


def test_a_decorated_function_runs_if_policy_allows_and_else_raises(client: MeshGuardClient) -> None:
    ran = []

    @governed_tool(ALLOWED, client=client)
    def fetch(query: str, *, limit: int = 3) -> str:
        return f"{limit} of {query}"

    @governed_tool(DENIED, client)
    def send(to: str) -> None:
        ran.append(to)

    assert fetch("Ada", limit=2) == "2 of Ada"
    with pytest.raises(PolicyDeniedError, match=DENIED):
        send("Ada")
    assert ran == []
    assert (fetch._meshguard_action, fetch.__name__) == (ALLOWED, "fetch")


def test_on_deny_gets_the_error_and_the_arguments(client: MeshGuardClient) -> None:
    @governed_tool(DENIED, client=client, on_deny=sorry)
    def send(to: str, body: str) -> None:  # noqa: ARG001
        raise AssertionError("it ran")

    assert send("Ada", body="hi") == "sorry, write:email: ('Ada',) {'body': 'hi'}"


def test_a_parameter_for_the_decision_gets_it_and_no_model_sees_it(client: MeshGuardClient) -> None:
    @tool
    @governed_tool(ALLOWED, client=client)
    def fetch(query: str, meshguard_decision: PolicyDecision) -> str:
        """Fetch."""
        return f"{query} {meshguard_decision.allowed} by {meshguard_decision.policy}"

    assert list(fetch.args) == ["query"]
    forged = {"query": "Ada", "meshguard_decision": "allow"}
    assert fetch.invoke(forged) == "Ada True by conformance"


def test_a_decision_that_a_caller_makes_up_is_replaced(client: MeshGuardClient) -> None:
    @governed_tool(ALLOWED, client=client)
    def fetch(query: str, meshguard_decision: PolicyDecision | None = None) -> str:
        return f"{query} by {meshguard_decision and meshguard_decision.policy}"

    assert fetch("Ada", meshguard_decision=None) == "Ada by conformance"


def test_on_deny_also_answers_for_what_is_denied_inside(client: MeshGuardClient) -> None:
    @governed_tool(ALLOWED, client=client, on_deny=sorry)
    def fetch(query: str) -> str:  # noqa: ARG001
        client.enforce(DENIED)
        raise AssertionError("it went on")

    assert fetch("Ada") == "sorry, write:email: ('Ada',) {}"


def test_without_a_client_the_environment_at_the_call_says_whom_to_ask(
    world: World, monkeypatch: pytest.MonkeyPatch, client: MeshGuardClient
) -> None:
    assert client

    @governed_tool("execute:delete_records")
    def delete() -> str:
        return "deleted"

    with pytest.raises(PolicyDeniedError):
        delete()
    with world.agent("archivist", ["archivist"]) as (archivist, _), monkeypatch.context() as later:
        later.setenv("MESHGUARD_AGENT_TOKEN", str(archivist.agent_token))
        assert delete() == "deleted"
        permission._from_environment()[0].close()


def test_an_unreachable_gateway_raises_and_nothing_runs() -> None:
    with MeshGuardClient("http://127.0.0.1:9", "token", max_retries=0, trust_env=False) as nobody:

        @governed_tool(ALLOWED, client=nobody, on_deny=sorry)
        def fetch() -> None:
            raise AssertionError("it ran")

        with pytest.raises(GatewayUnavailableError):
            fetch()


def test_an_async_function_is_governed_too(client: MeshGuardClient) -> None:
    async def both() -> tuple[str, str]:
        async with AsyncMeshGuardClient() as asking:

            @governed_tool(ALLOWED, asking)
            async def fetch(query: str, meshguard_decision: Any = None) -> str:
                return f"{query} {meshguard_decision.allowed}"

            @governed_tool(DENIED, asking, sorry)
            async def send(to: str) -> None:  # noqa: ARG001
                raise AssertionError("it ran")

            assert inspect.iscoroutinefunction(fetch)
            return await fetch("Ada"), await send("Ada")

    assert client
    assert asyncio.run(both()) == ("Ada True", "sorry, write:email: ('Ada',) {}")


def test_the_decorator_works_above_and_below_that_of_langchain(client: MeshGuardClient) -> None:
    def search(query: str, config: RunnableConfig) -> str:
        """Search."""
        assert config["configurable"] is not None
        return f"found {query}"

    below = tool(governed_tool(ALLOWED, client)(search))
    above = governed_tool(ALLOWED, client)(tool(search))
    for made in (below, above):
        assert isinstance(made, BaseTool)
        assert list(made.args) == ["query"]
        assert made.invoke({"query": "Ada"}) == "found Ada"
    assert (above.action, above._meshguard_action) == (ALLOWED, ALLOWED)
    for denied in (tool(governed_tool(DENIED, client)(search)), governed_tool(DENIED, client)(tool(search))):
        with pytest.raises(PolicyDeniedError):
            denied.invoke({"query": "Ada"})


# The wrapper


def test_the_wrapper_has_the_published_attributes(client: MeshGuardClient) -> None:
    governed = GovernedTool(find, ALLOWED, client, sorry)
    assert (governed.tool, governed.action, governed.client) == (find, ALLOWED, client)
    assert (governed.on_deny, governed.name, governed.description) == (sorry, "find", "Find somebody.")
    assert str(client.agent_token) not in repr(governed)


def test_without_a_client_the_wrapper_asks_as_the_environment_says(client: MeshGuardClient) -> None:
    governed = GovernedTool(find, ALLOWED)
    assert governed.client.agent_token == client.agent_token
    assert governed.run({"name": "Ada"}) == "found Ada"


def test_a_wrapped_tool_is_that_tool_in_every_respect(client: MeshGuardClient) -> None:
    @tool(return_direct=True, extras={"cache": True})
    def full(name: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
        """Find somebody."""
        return f"{name} {state}"

    full.tags, full.metadata = ["t"], {"m": 1}
    for original in (full, find, find_later):
        governed = GovernedTool(original, ALLOWED, client)
        assert isinstance(governed, BaseTool)
        for field in BaseTool.model_fields.keys() - {"args_schema"}:
            assert getattr(governed, field) == getattr(original, field)
        assert governed.args == original.args
        assert convert_to_openai_tool(governed) == convert_to_openai_tool(original)


def test_a_wrapped_tool_of_the_old_kind_shows_models_its_one_argument(client: MeshGuardClient) -> None:
    governed = GovernedTool(Tool("shout", str.upper, "Shouts."), ALLOWED, client)
    shown = convert_to_openai_tool(governed)["function"]
    assert shown["parameters"]["properties"] == {"__arg1": {"type": "string"}}
    agent = create_agent(model([("shout", {"__arg1": "hi"})]), [governed])
    assert results(agent.invoke(QUESTION)["messages"]) == ["HI"]
    assert governed.run("hi") == "HI"


def test_every_way_to_run_a_wrapped_tool_is_governed(client: MeshGuardClient) -> None:
    for action in (ALLOWED, DENIED):
        governed = GovernedTool(find_later if action == DENIED else find, action, client, lambda *_: "no")
        wanted = "found Ada" if action == ALLOWED else "no"
        given = {"name": "Ada"}
        assert governed.run(given) == wanted
        assert governed(given) == wanted
        assert governed.invoke(given) == wanted
        assert governed.batch([given, given]) == [wanted] * 2
        assert list(governed.stream(given)) == [wanted]
        assert governed._run(**given) == wanted

        async def later(governed: GovernedTool = governed, given: dict[str, Any] = given) -> list[Any]:
            return [
                await governed.arun(given),
                await governed.ainvoke(given),
                *await governed.abatch([given, given]),
                *[part async for part in governed.astream(given)],
            ]

        assert closing(later(), governed) == [wanted] * 5


def test_the_function_of_a_wrapped_tool_is_governed(client: MeshGuardClient) -> None:
    plain = GovernedTool(find, DENIED, client).func
    later = GovernedTool(find_later, DENIED, client)
    assert plain is not None
    assert later.coroutine is not None
    assert later.func is None
    with pytest.raises(PolicyDeniedError):
        plain("Ada", 1)
    with pytest.raises(PolicyDeniedError):
        closing(later.coroutine("Ada"), later)


def test_a_tool_call_is_answered_with_a_message_that_has_the_artifact(client: MeshGuardClient) -> None:
    call = {"name": "find", "args": {"name": "Ada"}, "id": "1", "type": "tool_call"}
    answer = GovernedTool(find, ALLOWED, client).invoke(call)
    assert (answer.content, answer.artifact, answer.tool_call_id) == ("found Ada", {"limit": 3}, "1")
    denied = GovernedTool(find, DENIED, client, sorry).invoke(call)
    assert isinstance(denied, ToolMessage)
    assert (denied.status, denied.tool_call_id, denied.name) == ("error", "1", "find")
    assert denied.content == "sorry, write:email: ({'name': 'Ada'},) {}"


def test_callbacks_hear_of_an_allowed_call_once_and_of_a_denied_one_never(client: MeshGuardClient) -> None:
    class Listener(BaseCallbackHandler):
        heard: list[str]

        def on_tool_start(self, serialized: dict[str, Any], input_str: str, **_: Any) -> None:
            heard.append(f"{serialized['name']} {input_str}")

    heard: list[str] = []
    for action in (ALLOWED, DENIED):
        GovernedTool(find, action, client, sorry).invoke({"name": "Ada"}, {"callbacks": [Listener()]})
    assert heard == ["find {'name': 'Ada'}"]


def test_a_copy_of_a_wrapped_tool_is_governed_and_changed(client: MeshGuardClient) -> None:
    governed = GovernedTool(find, ALLOWED, client)
    copy = governed.model_copy(update={"name": "find_2", "action": DENIED, "on_deny": sorry})
    assert copy.invoke({"name": "Ada"}).startswith("sorry, write:email")
    renamed = governed.model_copy(update={"name": "find_2"})
    call = {"name": "find_2", "args": {"name": "Ada"}, "id": "1", "type": "tool_call"}
    assert renamed.invoke(call).name == "find_2"


def test_how_errors_are_handled_can_be_set_on_the_wrapper(client: MeshGuardClient) -> None:
    @tool
    def fails() -> str:
        """Fail."""
        raise ToolException("broken")

    governed = GovernedTool(fails, ALLOWED, client)
    governed.handle_tool_error = True
    assert governed.invoke({}) == "broken"
    with pytest.raises(ToolException):
        fails.invoke({})


def test_anything_with_run_can_be_wrapped(client: MeshGuardClient) -> None:
    governed = GovernedTool(Search(), ALLOWED, client)
    assert (governed.name, governed.description) == ("web_search", "Searches the web.")
    assert governed.run("bees", pages=2) == "2 pages on bees"
    assert governed("bees") == "1 pages on bees"
    assert closing(governed.arun("bees"), governed) == "1 pages on bees, later"
    agent = create_agent(model([("web_search", {"query": "bees"})]), [governed])
    assert results(agent.invoke(QUESTION)["messages"]) == ["1 pages on bees"]
    denied = GovernedTool(Search(), DENIED, client, sorry)
    assert denied.run("bees", pages=2) == "sorry, write:email: ('bees',) {'pages': 2}"
    assert GovernedTool(SimpleNamespace(run=len), ALLOWED, client).name == "SimpleNamespace"


def test_what_has_no_run_can_not_be_wrapped(client: MeshGuardClient) -> None:
    with pytest.raises(TypeError, match="governed_tool"):
        GovernedTool(len, ALLOWED, client)


def test_tools_that_langchain_injects_into_work_in_agents_and_nodes(client: MeshGuardClient) -> None:
    class Query(BaseModel):
        query: str

    @tool(args_schema=Query)
    def by_signature(query: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
        """Look."""
        return f"{query} {len(state['messages'])}"

    @tool
    def by_schema(query: str, runtime: ToolRuntime, call_id: Annotated[str, InjectedToolCallId]) -> str:
        """Look."""
        assert runtime.tool_call_id == call_id
        return f"{query} {len(runtime.state['messages'])}"

    tools = [GovernedTool(original, ALLOWED, client) for original in (by_signature, by_schema)]
    script = model([(governed.name, {"query": "Ada"}) for governed in tools])
    agent = create_agent(script, tools)
    assert results(agent.invoke(QUESTION)["messages"]) == ["Ada 2"] * 2
    node = governed_tool_node(tools, Guard(client, default_action=ALLOWED))
    assert results(graph(script, node).invoke(QUESTION)["messages"]) == ["Ada 2"] * 2

    async def later() -> list[str]:
        return results((await agent.ainvoke(QUESTION))["messages"])

    assert closing(later(), *tools) == ["Ada 2"] * 2


def test_the_gateway_is_told_the_arguments_but_nothing_injected(
    world: World, environ: str, client: MeshGuardClient
) -> None:
    @tool
    @governed_tool(ALLOWED, client)
    def below(query: str, thing: Annotated[str, InjectedState("thing")] = "s") -> str:
        """Look."""
        return query + thing

    @tool("below")
    def plain(query: str, thing: Annotated[str, InjectedState("thing")] = "s") -> str:
        """Look."""
        return query + thing

    context = {"args": {"query": "Ada"}, "tool": "below", "framework": "langchain"}
    client.check(ALLOWED, context=context)
    below.invoke({"query": "Ada", "thing": "secret"})
    GovernedTool(plain, ALLOWED, client).invoke({"query": "Ada", "thing": "secret"})
    GovernedTool(plain, ALLOWED, client).run("Ada")
    contexts = [entry["context"] for entry in world.decisions(environ)]
    assert contexts == [contexts[0]] * 4


def test_in_an_agent_a_denial_ends_the_run_unless_on_deny_answers(client: MeshGuardClient) -> None:
    script = model([("find", {"name": "Ada"})])
    with pytest.raises(PolicyDeniedError):
        create_agent(script, [GovernedTool(find, DENIED, client)]).invoke(QUESTION)
    node = ToolNode([GovernedTool(find, DENIED, client)], handle_tool_errors=True)
    assert "PolicyDeniedError" in results(graph(script, node).invoke(QUESTION)["messages"])[0]
    agent = create_agent(script, [GovernedTool(find, DENIED, client, sorry)])
    assert results(agent.invoke(QUESTION)["messages"]) == ["sorry, write:email: ({'name': 'Ada'},) {}"]


def test_governed_tools_of_one_run_share_its_trace(
    world: World, environ: str, client: MeshGuardClient
) -> None:
    turn = [("find", {"name": "Ada"})]
    agent = create_agent(model(turn, turn), [GovernedTool(find, ALLOWED, client)])
    for _ in range(2):
        agent.invoke(QUESTION)
    traces = [entry["traceId"] for entry in world.decisions(environ)]
    assert sorted(traces.count(trace) for trace in set(traces)) == [2, 2]


# The toolkit


def test_the_toolkit_knows_the_action_of_each_tool(client: MeshGuardClient) -> None:
    tools = [find, Search(), Tool("Calculator", str.upper, "Calculates.")]
    toolkit = GovernedToolkit(tools, client, {"find": ALLOWED, "Calculator": "execute:any"}, on_deny=sorry)
    assert (toolkit.tools, toolkit.client, toolkit.on_deny) == (tools, client, sorry)
    assert (toolkit.action_map["find"], toolkit.default_action) == (ALLOWED, "execute:tool")
    assert [toolkit.get_action(item) for item in tools] == [ALLOWED, "execute:tool", "execute:any"]
    governed = toolkit.get_tools()
    assert [item.action for item in governed] == [ALLOWED, "execute:tool", "execute:any"]
    assert governed[0].run({"name": "Ada"}) == "found Ada"
    assert governed[2].run("1 + 1") == "sorry, execute:any: ('1 + 1',) {}"


# The agent


TYPES = [
    "zero-shot-react-description",
    "conversational-react-description",
    "structured-chat-zero-shot-react-description",
    "anything else",
]
TURNS = ([("find", {"name": "Ada"}), ("web_search", {"query": "bees"})],)


@pytest.mark.parametrize("agent_type", TYPES)
def test_an_agent_of_any_type_answers_and_is_told_of_denials(
    world: World, environ: str, client: MeshGuardClient, agent_type: str
) -> None:
    agent = create_governed_agent(
        model(*TURNS, answer="42"), [find, Search()], client, {"find": ALLOWED}, agent_type
    )
    assert isinstance(agent, CompiledStateGraph)
    assert agent.run("What is 6 * 7?") == "42"
    assert agent.invoke({"input": "What?"}) == {"input": "What?", "output": "42"}
    said = results(agent.invoke(QUESTION)["messages"])
    assert said[0] == "found Ada"
    assert said[1].startswith("MeshGuard denied the tool call web_search (action execute:tool)")
    entries = world.decisions(environ)
    assert sorted(entry["action"] for entry in entries) == [ALLOWED] * 3 + ["execute:tool"] * 3
    assert len({entry["traceId"] for entry in entries}) == 3


def test_an_agent_answers_asynchronously_too(client: MeshGuardClient) -> None:
    async def ask() -> list[Any]:
        async with AsyncMeshGuardClient() as asking:
            agent = create_governed_agent(model(*TURNS, answer="42"), [find, Search()], asking)
            return [
                await agent.arun("What?"),
                await agent.ainvoke({"input": "What?"}),
                results((await agent.ainvoke(QUESTION))["messages"])[1],
            ]

    assert client
    answer, asked, told = asyncio.run(ask())
    assert (answer, asked["output"]) == ("42", "42")
    assert "denied" in told


def test_an_agent_takes_functions_and_what_the_environment_says(client: MeshGuardClient) -> None:
    assert client

    def find(name: str) -> str:
        """Find somebody."""
        return f"found {name}"

    agent = create_governed_agent(model([("find", {"name": "Ada"})]), [find], action_map={"find": ALLOWED})
    assert results(agent.invoke(QUESTION)["messages"]) == ["found Ada"]


def test_what_agents_took_before_has_its_effect(
    client: MeshGuardClient, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = [("find", {"name": "Ada"})]
    seen: list[str] = []

    class Listener(BaseCallbackHandler):
        def on_tool_start(self, serialized: Any, input_str: str, **rest: Any) -> None:  # noqa: ARG002
            seen.append(f"{input_str} {rest['metadata']['desk']}")

    agent = create_governed_agent(
        model(turn, turn, turn),
        [find],
        client,
        {"find": ALLOWED},
        verbose=True,
        max_iterations=2,
        handle_parsing_errors=True,
        early_stopping_method="force",
        memory=None,
        callbacks=[Listener()],
        metadata={"desk": 7},
    )
    assert "limit" in agent.run("Find Ada.")
    assert seen == ["{'name': 'Ada'} 7"] * 2
    assert "find" in capsys.readouterr().out


def test_chat_history_comes_before_the_question(client: MeshGuardClient) -> None:
    script = model([], answer="x")
    script.responses = [AIMessage("one"), AIMessage("two")]
    agent = create_governed_agent(script, [], client)
    history = [HumanMessage("first"), AIMessage("one")]
    assert agent.invoke({"input": "second", "chat_history": history})["output"] == "two"


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("memory", object(), "checkpointer"),
        ("agent_kwargs", {"prefix": "You are…"}, "system_prompt"),
        ("early_stopping_method", "generate", "run ends"),
        ("max_execution_time", 5, "timeout"),
        ("return_intermediate_steps", True, "messages"),
    ],
)
def test_what_an_agent_can_no_longer_do_is_said(
    client: MeshGuardClient, name: str, value: Any, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.*{advice}"):
        create_governed_agent(model(), [find], client, **{name: value})


def test_a_model_that_can_not_call_tools_is_refused(client: MeshGuardClient) -> None:
    with pytest.raises(ConfigurationError, match="chat model"):
        create_governed_agent(object(), [find], client)


# Documentation


class Answering(ScriptedModel):
    """Follows the script of the last question."""

    scripts: dict[str, list[AIMessage]]

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        asked = max(place for place, item in enumerate(messages) if isinstance(item, HumanMessage))
        answered = sum(isinstance(item, AIMessage) for item in messages[asked:])
        message = self.scripts[str(messages[asked].text)][answered]
        return ChatResult(generations=[ChatGeneration(message=message)])


FIND, SEND = ("lookup", {"query": "Ada"}), ("transfer", {"amount": 1000, "to": "Ada"})


def answering() -> Answering:
    scripts = {
        "Find Ada, and send her 1000.": [calls(FIND, SEND), AIMessage("Found, but not sent.")],
        "Find Ada.": [calls(FIND), AIMessage("Found.")],
        "Send Ada 1000.": [calls(SEND), AIMessage("I may not.")],
        "Have Ada found.": [calls(("ask_clerk", {"question": "Find Ada."})), AIMessage("Found.")],
        "What is 25 * 4?": [calls(("Calculator", {"expression": "25 * 4"})), AIMessage("100")],
    }
    return Answering(scripts=scripts, responses=[])


def test_the_docstrings_run(client: MeshGuardClient) -> None:
    names = {"tools": [find], "search": Search(), "client": client}
    scripts = answering().scripts
    scripts["Find Ada."][0] = calls(("find", {"name": "Ada"}))
    asked = Answering(scripts=scripts | {"What is 25 * 4?": [AIMessage("100")]}, responses=[])
    assert run_docstrings(adapter, model=asked, **names) == 6


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("langchain", tmp_path)


def test_the_page_runs() -> None:
    page = run_page("langchain")
    assert page.names["answer"] == "Done."
    assert page.decisions >= {
        ("execute:transfer", "deny"),
        ("execute:ask_clerk", "allow"),
        ("execute:fetch_contacts", "allow"),
        ("execute:web_search", "allow"),
        ("execute:math", "allow"),
        ("write:email", "deny"),
    }


def closing(work: Any, *tools: GovernedTool) -> Any:
    """Run async work, and close in its event loop what the tools opened there."""

    async def closed() -> Any:
        try:
            return await work
        finally:
            for item in tools:
                await item._resolver.guard.aclose()

    return asyncio.run(closed())
