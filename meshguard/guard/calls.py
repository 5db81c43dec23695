"""Tool calls, and the message for a denied one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from meshguard.async_client import AsyncMeshGuardClient
from meshguard.client import MeshGuardClient
from meshguard.types import PolicyDecision

if TYPE_CHECKING:
    from meshguard.guard.templates import Template


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the framework is about to make.

    Attributes:
        tool: The tool's name in the framework.
        arguments: The arguments by name, or the JSON text of an object as the model wrote it. They may be
            personal data, so that a repr omits them.
        call_id: The framework's ID of the call.
        framework: The framework, such as `langchain`.
        agent: The framework's name of the calling agent. Selects the identity (`Guard(agents=…)`).
        run_id: The framework's ID of the run. Becomes the trace ID of the decision.
        action: The action, if the adapter knows it: text, or a `Template` that the guard fills. By default,
            the guard determines it.

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
    action: str | Template | None = None


Client = MeshGuardClient | AsyncMeshGuardClient
Action = str | Callable[[ToolCall], str | None]
Resource = str | Callable[[ToolCall], str | None]
Context = Literal["args"] | Callable[[ToolCall], Mapping[str, Any] | None]
OnDeny = Literal["message", "raise"] | Callable[[ToolCall, PolicyDecision], Any]


def denial_message(call: ToolCall, decision: PolicyDecision) -> str:
    """Return the message that tells a model about a denial.

    Args:
        call: The denied call.
        decision: Its decision.

    Returns:
        One line.

    Example:
        ```python
        from meshguard import PolicyDecision
        from meshguard.guard import ToolCall, denial_message

        denied = PolicyDecision(False, "delete:records", "deny", reason="Records are never deleted.")
        print(denial_message(ToolCall("delete_records"), denied))
        ```
    """
    reason = " ".join((decision.reason or "policy does not allow it").split())
    end = "" if reason.endswith((".", "!", "?")) else "."
    return f"MeshGuard denied the tool call {call.tool} (action {decision.action}): {reason}{end}"
