"""From LangChain's tool calls to the guard's, and from denials to tool results."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import msg_content_output
from langgraph.runtime import RunControl, get_runtime
from langgraph.types import Command

from meshguard.guard import ToolCall

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

Result = ToolMessage | Command[Any]
_KNOWN_RUNS = 10_000


class _Runs:
    """Trace IDs of runs.

    LangGraph has no ID for a whole run unless the user sets one, but it has one `RunControl` for a run and
    all runs inside it. It can't be weakly referenced. Keeping some is cheap, since they refer to nothing.
    """

    def __init__(self) -> None:
        self._ids: OrderedDict[RunControl, str] = OrderedDict()
        self._lock = threading.Lock()

    def id(self, control: RunControl, given: str | None) -> str:
        with self._lock:
            run_id = self._ids.setdefault(control, given or uuid.uuid4().hex)
            self._ids.move_to_end(control)
            if len(self._ids) > _KNOWN_RUNS:
                self._ids.popitem(last=False)
            return run_id


_runs = _Runs()


def tool_call(tool: str, arguments: Any, config: RunnableConfig, **known: Any) -> ToolCall:
    """A call as the guard sees it. `known` are other attributes of `ToolCall`."""
    metadata = config.get("metadata") or {}
    known["agent"] = known.get("agent") or metadata.get("lc_agent_name")
    return ToolCall(tool, arguments, framework="langchain", run_id=_run_id(metadata), **known)


def _run_id(metadata: Mapping[str, Any]) -> str | None:
    with suppress(RuntimeError, AttributeError):  # outside of any graph
        runtime = get_runtime()
        info, given = runtime.execution_info, metadata.get("run_id")
        given = info.run_id if info and info.run_id else given and str(given)
        return _runs.id(runtime.control, given) if runtime.control else given
    return None


def tool_result(denial: Any, call: Mapping[str, Any]) -> Result:
    """A denial as the result of the model's tool call."""
    if isinstance(denial, ToolMessage | Command):
        return denial
    content: Any = msg_content_output(denial)
    return ToolMessage(content, name=call["name"], tool_call_id=call["id"], status="error")


def is_tool_call(tool_input: Any) -> bool:
    """Whether the input of a tool is a model's tool call, whose result is a message."""
    return isinstance(tool_input, Mapping) and tool_input.get("type") == "tool_call"
