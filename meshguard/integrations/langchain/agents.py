"""Agents as they were documented, made of today's."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langgraph.graph.state import CompiledStateGraph

from meshguard.exceptions import ConfigurationError
from meshguard.guard import Client, Guard
from meshguard.integrations.langchain.middleware import MeshGuardMiddleware
from meshguard.integrations.langchain.permission import Asked
from meshguard.integrations.langchain.tools import as_tool

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


class GovernedAgent(CompiledStateGraph[Any, Any, Any, Any]):
    """An agent of today's LangChain that can also be asked as agents were before: with `run`, by `input`."""

    def run(self, input: str, config: RunnableConfig | None = None) -> str:  # noqa: A002
        """Ask the agent.

        Args:
            input: The question.
            config: As LangChain takes it.

        Returns:
            The answer.
        """
        return cast("str", self.invoke({"input": input}, config)["output"])

    async def arun(self, input: str, config: RunnableConfig | None = None) -> str:  # noqa: A002
        """Ask the agent without blocking the event loop; as `run`.

        Args:
            input: The question.
            config: As LangChain takes it.

        Returns:
            The answer.
        """
        return cast("str", (await self.ainvoke({"input": input}, config))["output"])

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the agent.

        Args:
            input: `{"input": question}`, if you like with `chat_history`, or `{"messages": […]}`.
            config: As LangChain takes it.
            kwargs: What else the graph takes.

        Returns:
            The input and the answer as `output`; or, for messages, the state with its messages.
        """
        if not _is_question(input):
            return super().invoke(input, config, **kwargs)
        return {**input, "output": _answer(super().invoke(_messages(input), config, **kwargs))}

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the agent without blocking the event loop; as `invoke`.

        Args:
            input: `{"input": question}`, if you like with `chat_history`, or `{"messages": […]}`.
            config: As LangChain takes it.
            kwargs: What else the graph takes.

        Returns:
            The input and the answer as `output`; or, for messages, the state with its messages.
        """
        if not _is_question(input):
            return await super().ainvoke(input, config, **kwargs)
        return {**input, "output": _answer(await super().ainvoke(_messages(input), config, **kwargs))}


def create_governed_agent(
    llm: Any,
    tools: Sequence[Any],
    client: Client | None = None,
    action_map: Mapping[str, str] | None = None,
    agent_type: str = "zero-shot-react-description",  # noqa: ARG001 - all of them are one today
    **kwargs: Any,
) -> GovernedAgent:
    """Make an agent of which every tool call is decided on; of a denied one the model is told, and goes on.

    It is LangChain's `create_agent` with `MeshGuardMiddleware`.

    Args:
        llm: A chat model that calls tools, or its name.
        tools: LangChain tools, functions, or objects with `run`.
        client: Whom to ask, and as which agent; made of `MESHGUARD_*` when left out.
        action_map: Tool name to action; every other tool is `execute:tool`.
        agent_type: Taken for compatibility. Every type is an agent that calls tools today.
        kwargs: What `create_agent` takes. Of what agents took before: `verbose` prints each step,
            `max_iterations` limits the calls of the model in a run, `callbacks`, `tags` and `metadata` go
            into the configuration, `handle_parsing_errors` is always so.

    Returns:
        A compiled graph which also has `run` and `arun`.

    Raises:
        ConfigurationError: The client or one of `kwargs` can't be used; the message says what to do.
        TypeError: `create_agent` knows nothing of one of `kwargs`, or a tool has no `run`.

    Example:
        ```python
        from meshguard.langchain import create_governed_agent

        agent = create_governed_agent(model, tools, client, action_map={"Calculator": "execute:math"})
        print(agent.run("What is 25 * 4?"))
        ```
    """
    if not isinstance(llm, str | BaseChatModel):
        raise ConfigurationError("llm must be a chat model that calls tools; completion models can't.")
    options, config = _todays(kwargs)
    guard = Guard(Asked(client).client, action_map=action_map, default_action="execute:tool")
    options["middleware"] = [*options.get("middleware", ()), MeshGuardMiddleware(guard)]
    todays_tools = [_todays_tool(tool) for tool in tools]
    agent = create_agent(llm, todays_tools, **options)
    others = [tool for middleware in options["middleware"] for tool in getattr(middleware, "tools", ())]
    guard.check_names(tools=map(_name, [*todays_tools, *others]))
    return GovernedAgent(**vars(agent)).with_config(config)


_GONE = {
    "agent_kwargs": "give system_prompt=…",
    "agent_path": "give the model and the tools",
    "callback_manager": "give callbacks=[…]",
    "early_stopping_method": "when max_iterations is reached, the run ends",
    "max_execution_time": "set a timeout of the model, and step_timeout of the agent",
    "memory": "give checkpointer=InMemorySaver(), and a thread_id at each call",
    "return_intermediate_steps": 'invoke it with {"messages": […]} and read the messages',
    "trim_intermediate_steps": "give middleware=[SummarizationMiddleware(…)]",
}
_HARMLESS = (None, False, -1, "force")  # what the old defaults of these were


def _todays_tool(tool: Any) -> Any:
    return tool if isinstance(tool, dict) or inspect.isroutine(tool) else as_tool(tool)


def _name(tool: Any) -> str:
    if isinstance(tool, dict):  # one that the model's provider runs
        return str(tool.get("name"))
    return str(getattr(tool, "name", None) or getattr(tool, "__name__", None))


def _todays(options: Mapping[str, Any]) -> tuple[dict[str, Any], RunnableConfig]:
    """What `create_agent` takes, and what goes into the configuration, of what agents took before."""
    for name, advice in _GONE.items():
        if options.get(name) not in _HARMLESS:
            raise ConfigurationError(f"Agents of today's LangChain take no {name}: {advice}.")
    todays = {name: value for name, value in options.items() if name not in _GONE}
    todays.pop("handle_parsing_errors", None)
    if todays.pop("verbose", False):
        todays["debug"] = True
    if limit := todays.pop("max_iterations", None):
        limiting = ModelCallLimitMiddleware(run_limit=limit, exit_behavior="end")
        todays["middleware"] = [limiting, *todays.get("middleware", ())]
    config = {name: todays.pop(name) for name in ("callbacks", "tags", "metadata") if name in todays}
    return todays, cast("RunnableConfig", config)


def _is_question(given: Any) -> bool:
    return isinstance(given, Mapping) and "input" in given and "messages" not in given


def _messages(question: Mapping[str, Any]) -> dict[str, Any]:
    return {"messages": [*question.get("chat_history", ()), HumanMessage(question["input"])]}


def _answer(state: Mapping[str, Any]) -> str:
    return str(state["messages"][-1].text)
