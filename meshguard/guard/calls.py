"""Tool calls, and the sentence about a denied one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meshguard.async_client import AsyncMeshGuardClient
from meshguard.client import MeshGuardClient
from meshguard.types import PolicyDecision


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as the framework is about to make it.

    Attributes:
        tool: The tool's name, as the framework knows it.
        arguments: The arguments by name, or the JSON text of an object as a model wrote it. They don't show
            in a repr, since they hold personal data.
        call_id: The framework's id of the call.
        framework: The framework, such as `langchain`.
        agent: The framework's name of the agent that calls; chooses the identity (`Guard(agents=…)`).
        run_id: The framework's id of the run; becomes the trace id of the decision.
        action: The action, where it is known already; else the guard finds it.

    Example:
        ```python
        from meshguard.guard import ToolCall

        call = ToolCall("send_email", {"to": "ada@example.com"}, framework="mine")
        print(call.tool)
        ```
    """

    tool: str
    arguments: Mapping[str, Any] | str | bytes | None = field(default=None, repr=False)
    call_id: str | None = None
    framework: str | None = None
    agent: str | None = None
    run_id: str | None = None
    action: str | None = None


Client = MeshGuardClient | AsyncMeshGuardClient
Action = str | Callable[[ToolCall], str | None]
Context = Literal["args"] | Callable[[ToolCall], Mapping[str, Any] | None]
OnDeny = Literal["message", "raise"] | Callable[[ToolCall, PolicyDecision], Any]


def denial_message(call: ToolCall, decision: PolicyDecision) -> str:
    """The sentence that tells a model of a denial.

    Args:
        call: The call that was denied.
        decision: The decision that denied it.

    Returns:
        One line.

    Example:
        ```python
        from meshguard import PolicyDecision
        from meshguard.guard import ToolCall, denial_message

        denied = PolicyDecision(False, "delete:records", "deny", reason="Nobody deletes records.")
        print(denial_message(ToolCall("delete_records"), denied))
        ```
    """
    reason = " ".join((decision.reason or "policy does not allow it").split())
    end = "" if reason.endswith((".", "!", "?")) else "."
    return f"MeshGuard denied the tool call {call.tool} (action {decision.action}): {reason}{end}"
