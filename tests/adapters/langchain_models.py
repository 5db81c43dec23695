"""A chat model that follows a script, for LangChain."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


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


def _id() -> str:
    return f"call-{uuid.uuid4().hex}"
