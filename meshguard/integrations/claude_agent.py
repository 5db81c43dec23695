"""Claude Agent SDK: checks the tool calls of a session and of its sub-agents.

Claude Code runs all hooks of a call at once, each with the model's arguments, and then uses the arguments
that one of them returned. Our own hook checks the model's arguments, and wrappers around the user's hooks
check their replacements: a tool runs only if every version of its arguments is allowed.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from meshguard.guard import Guard, ToolCall
from meshguard.guard.arguments import same
from meshguard.integrations import needs

with needs("claude_agent_sdk", "claude-agent"):
    from claude_agent_sdk import ClaudeAgentOptions, HookMatcher, PermissionResultAllow, PermissionResultDeny

if TYPE_CHECKING:
    from claude_agent_sdk import (
        CanUseTool,
        HookCallback,
        HookContext,
        HookInput,
        HookJSONOutput,
        PermissionResult,
        ToolPermissionContext,
    )
    from claude_agent_sdk.types import HookEvent

__all__ = ["governed_options"]

# The events whose hooks may change arguments.
_REWRITING: tuple[HookEvent, ...] = ("PreToolUse", "PermissionRequest")


def governed_options(
    guard: Guard | None = None, options: ClaudeAgentOptions | None = None
) -> ClaudeAgentOptions:
    """Check each tool call of a session, including built-in tools and those of MCP servers.

    An allowed call still needs the permission of Claude Code's own rules. Concurrent sessions need separate
    options, because `can_use_tool` does not learn which session a call belongs to.

    Args:
        guard: The guard that decides. By default, one made from `MESHGUARD_*`. The names in `agents` are
            types of sub-agents; the main agent has none and uses the guard's client. With `on_deny="raise"`
            and `on_error="raise"` the model sees a denial, because Claude Code accepts no error from a hook.
        options: The options of the session. They are not changed.

    Returns:
        New options with an additional hook, and with the user's own hooks and `can_use_tool` wrapped.

    Raises:
        ConfigurationError: The settings in `MESHGUARD_*` are not valid.

    Example:
        ```python
        from claude_agent_sdk import ClaudeAgentOptions, query
        from meshguard.guard import Guard
        from meshguard.integrations.claude_agent import governed_options

        guard = Guard(client, action_map={"Bash": "execute:shell"})
        async for message in query(prompt="Tidy up.", options=governed_options(guard, options)):
            print(message)
        ```
    """
    options = ClaudeAgentOptions() if options is None else options
    session = _Session(Guard() if guard is None else guard)
    hooks = {**(options.hooks or {})}
    for event in _REWRITING:
        hooks[event] = [
            replace(matcher, hooks=[session.hook(hook) for hook in matcher.hooks])
            for matcher in hooks.get(event, [])
        ]
    hooks["PreToolUse"].append(HookMatcher(hooks=[session.decide], on_failure="block"))
    permission = options.can_use_tool and session.permission(options.can_use_tool)
    return replace(options, hooks=hooks, can_use_tool=permission)


class _Session:
    """Checks calls, and remembers the agents of the session."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._agents: dict[str | None, tuple[str | None, str | None]] = {}

    async def decide(self, given: HookInput, _: str | None, __: HookContext) -> HookJSONOutput:
        """Our own hook. `{}` leaves the call to Claude Code's rules."""
        call = self._call(cast("dict[str, Any]", given))
        denial = await self._guard.adenial_for(call)
        return {} if denial is None else _denied("PreToolUse", denial)

    def hook(self, inner: HookCallback) -> HookCallback:
        """Wrap a hook of the user: if it changes the arguments, check these too."""

        async def wrapped(given: HookInput, use_id: str | None, context: HookContext) -> HookJSONOutput:
            call = self._call(cast("dict[str, Any]", given))
            output = deepcopy(await inner(deepcopy(given), use_id, context))
            updated = _updated(output)
            if updated is None:
                return output
            denial = await self._guard.adenial_for(replace(call, arguments=updated))
            return output if denial is None else _denied(given["hook_event_name"], denial)

        return wrapped

    def permission(self, inner: CanUseTool) -> CanUseTool:
        """Wrap the user's `can_use_tool`: if it changes the arguments, check these too."""

        async def wrapped(
            tool: str, arguments: dict[str, Any], context: ToolPermissionContext
        ) -> PermissionResult:
            result = deepcopy(await inner(tool, deepcopy(arguments), context))
            if not isinstance(result, PermissionResultAllow) or result.updated_input is None:
                return result
            if same(result.updated_input, arguments):
                return result
            agent, session_id = self._agents.get(context.agent_id, (context.agent_id, None))
            call = ToolCall(
                tool, result.updated_input, context.tool_use_id, "claude_agent", agent, session_id
            )
            denial = await self._guard.adenial_for(call)
            return result if denial is None else PermissionResultDeny(message=denial)

        return wrapped

    def _call(self, given: dict[str, Any]) -> ToolCall:
        agent, session_id = given.get("agent_type"), given.get("session_id")
        self._agents[given.get("agent_id")] = agent, session_id
        return ToolCall(
            given["tool_name"],
            given["tool_input"],
            call_id=given.get("tool_use_id"),
            framework="claude_agent",
            agent=agent,
            run_id=session_id,
        )


def _updated(output: HookJSONOutput) -> dict[str, Any] | None:
    """The arguments that a hook substitutes for the model's."""
    specific = cast("dict[str, Any]", output or {}).get("hookSpecificOutput") or {}
    updated: dict[str, Any] | None = specific.get(
        "updatedInput", (specific.get("decision") or {}).get("updatedInput")
    )
    return updated


def _denied(event: str, message: str) -> HookJSONOutput:
    if event == "PermissionRequest":
        return {
            "hookSpecificOutput": {
                "hookEventName": "PermissionRequest",
                "decision": {"behavior": "deny", "message": message},
            }
        }
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": message,
        }
    }
