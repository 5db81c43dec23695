"""`create_governed_agent`, an agent with the interface of earlier LangChain versions."""

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
from meshguard.integrations.langchain.published.permission import GuardResolver
from meshguard.integrations.langchain.published.tools import as_tool

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


class GovernedAgent(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled graph that also has `run` and `arun`, and accepts `{"input": …}`."""

    def run(self, input: str, config: RunnableConfig | None = None) -> str:  # noqa: A002
        """Run the agent on a question.

        Args:
            input: The question.
            config: LangChain's configuration.

        Returns:
            The text of the last message.
        """
        return cast("str", self.invoke({"input": input}, config)["output"])

    async def arun(self, input: str, config: RunnableConfig | None = None) -> str:  # noqa: A002
        """As `run`, without blocking the event loop.

        Args:
            input: The question.
            config: LangChain's configuration.

        Returns:
            The text of the last message.
        """
        return cast("str", (await self.ainvoke({"input": input}, config))["output"])

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the agent.

        Args:
            input: `{"input": question}`, optionally with `chat_history`, or `{"messages": […]}`.
            config: LangChain's configuration.
            kwargs: Further arguments of the graph's method.

        Returns:
            For a question, the input with the text of the last message as `output`. For messages, the state
            of the graph.
        """
        if not _is_question(input):
            return super().invoke(input, config, **kwargs)
        return {**input, "output": _answer(super().invoke(_messages(input), config, **kwargs))}

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """As `invoke`, without blocking the event loop.

        Args:
            input: `{"input": question}`, optionally with `chat_history`, or `{"messages": […]}`.
            config: LangChain's configuration.
            kwargs: Further arguments of the graph's method.

        Returns:
            For a question, the input with the text of the last message as `output`. For messages, the state
            of the graph.
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
    """Make an agent whose tool calls are checked. The model sees a denial and continues.

    This is LangChain's `create_agent` with `MeshGuardMiddleware`.

    Args:
        llm: A chat model that calls tools, or its name.
        tools: LangChain tools, functions, or objects with `run`.
        client: The client of the agent. By default, one made from `MESHGUARD_*`.
        action_map: Maps tool names to actions. The action of every other tool is `execute:tool`.
        agent_type: Accepted for compatibility and ignored: every agent calls tools.
        kwargs: Arguments of `create_agent`. These options of earlier agents work too: `verbose` prints each
            step, `max_iterations` limits the model calls of a run, `callbacks`, `tags` and `metadata` go
            into the configuration. `handle_parsing_errors` is accepted and always on.

    Returns:
        A compiled graph that also has `run` and `arun`.

    Raises:
        ConfigurationError: The client, the model or an option is not valid.
        TypeError: `create_agent` has no such option, or a tool has no `run`.

    Example:
        ```python
        from meshguard.langchain import create_governed_agent

        agent = create_governed_agent(model, tools, client, action_map={"Calculator": "execute:math"})
        print(agent.run("What is 25 * 4?"))
        ```
    """
    if not isinstance(llm, str | BaseChatModel):
        raise ConfigurationError(
            "llm must be a chat model that calls tools, or its name. Completion models can't call tools."
        )
    options, config = _current_options(kwargs)
    guard = Guard(GuardResolver(client).client, action_map=action_map, default_action="execute:tool")
    options["middleware"] = [*options.get("middleware", ()), MeshGuardMiddleware(guard)]
    made = [_as_tool(tool) for tool in tools]
    agent = create_agent(llm, made, **options)
    others = [tool for middleware in options["middleware"] for tool in getattr(middleware, "tools", ())]
    guard.check_names(tools=map(_name, [*made, *others]))
    return GovernedAgent(**vars(agent)).with_config(config)


_REMOVED_OPTIONS = {
    "agent_kwargs": "Pass system_prompt=….",
    "agent_path": "Pass the model and the tools.",
    "callback_manager": "Pass callbacks=[…].",
    "early_stopping_method": "The run ends when max_iterations is reached.",
    "max_execution_time": "Set a timeout on the model and step_timeout on the agent.",
    "memory": "Pass checkpointer=InMemorySaver(), and a thread_id with each call.",
    "return_intermediate_steps": 'Invoke it with {"messages": […]} and read the messages.',
    "trim_intermediate_steps": "Pass middleware=[SummarizationMiddleware(…)].",
}
_OLD_DEFAULTS = (None, False, -1, "force")  # of the removed options


def _as_tool(tool: Any) -> Any:
    return tool if isinstance(tool, dict) or inspect.isroutine(tool) else as_tool(tool)


def _name(tool: Any) -> str:
    if isinstance(tool, dict):  # run by the model's provider
        return str(tool.get("name"))
    return str(getattr(tool, "name", None) or getattr(tool, "__name__", None))


def _current_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], RunnableConfig]:
    """Translate options of earlier agents into those of `create_agent` and a configuration."""
    for name, advice in _REMOVED_OPTIONS.items():
        if options.get(name) not in _OLD_DEFAULTS:
            raise ConfigurationError(f"LangChain agents no longer accept {name}. {advice}")
    current = {name: value for name, value in options.items() if name not in _REMOVED_OPTIONS}
    current.pop("handle_parsing_errors", None)
    if current.pop("verbose", False):
        current["debug"] = True
    if limit := current.pop("max_iterations", None):
        limiting = ModelCallLimitMiddleware(run_limit=limit, exit_behavior="end")
        current["middleware"] = [limiting, *current.get("middleware", ())]
    config = {name: current.pop(name) for name in ("callbacks", "tags", "metadata") if name in current}
    return current, cast("RunnableConfig", config)


def _is_question(given: Any) -> bool:
    return isinstance(given, Mapping) and "input" in given and "messages" not in given


def _messages(question: Mapping[str, Any]) -> dict[str, Any]:
    return {"messages": [*question.get("chat_history", ()), HumanMessage(question["input"])]}


def _answer(state: Mapping[str, Any]) -> str:
    return str(state["messages"][-1].text)
