"""A chat model that follows a script, for LangChain, and what is read from its conversations."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

QUESTION: Any = {"messages": [("user", "go on")]}


class ScriptedModel(FakeMessagesListChatModel):
    """Gives the next message of its script; which one, it sees from the conversation."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:  # noqa: ARG002
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        said = sum(isinstance(message, AIMessage) for message in messages)
        return ChatResult(generations=[ChatGeneration(message=self.responses[said])])


def calls(*made: tuple[str, Mapping[str, Any] | str]) -> AIMessage:
    """A turn of a model that calls tools."""
    return AIMessage(
        "",
        tool_calls=[
            {"name": name, "args": json.loads(args) if isinstance(args, str) else dict(args), "id": _id()}
            for name, args in made
        ],
    )


def model(*turns: Sequence[tuple[str, Mapping[str, Any] | str]], answer: str = "done") -> ScriptedModel:
    """A model that makes the calls of each turn, and then answers."""
    return ScriptedModel(responses=[*(calls(*turn) for turn in turns), AIMessage(answer)])


def graph(chat: ScriptedModel, tools: ToolNode) -> Any:
    made = StateGraph(MessagesState)
    made.add_node("model", lambda state: {"messages": chat.invoke(state["messages"])})
    made.add_node("tools", tools)
    made.add_edge(START, "model")
    made.add_conditional_edges(
        "model", lambda state: "tools" if state["messages"][-1].tool_calls else "__end__"
    )
    made.add_edge("tools", "model")
    return made.compile()


def results(messages: list[Any]) -> list[str]:
    """The text that answers each tool call, in the order of the calls."""
    answers: dict[str | None, ToolMessage] = {
        item.tool_call_id: item for item in messages if isinstance(item, ToolMessage)
    }
    asked = [call for item in messages if isinstance(item, AIMessage) for call in item.tool_calls]
    assert all(answers[call["id"]].name == call["name"] for call in asked)
    return [str(answers[call["id"]].text) for call in asked]


def _id() -> str:
    return f"call-{uuid.uuid4().hex}"
