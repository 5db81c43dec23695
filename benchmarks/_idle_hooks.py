"""Harnesses whose hooks do nothing: what a framework takes to call a hook is its own, not the adapter's."""
# ruff: noqa: PLC0415, ARG002 - each framework is imported where it is measured

from __future__ import annotations

from typing import Any

from meshguard.testing.conformance import AdapterConformance


def langchain() -> type[AdapterConformance]:
    """`create_agent` with a middleware that lets every call pass."""
    from langchain.agents.middleware import AgentMiddleware

    from tests.adapters.test_langchain import TestLangChain

    class Idle(AgentMiddleware[Any, Any, Any]):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return handler(request)

        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            return await handler(request)

    class Harness(TestLangChain):
        def hooks(self, script: Any) -> Any:
            return [Idle()]

    return Harness


def langgraph() -> type[AdapterConformance]:
    """A `ToolNode` with a hook that lets every call pass."""
    from langgraph.prebuilt import ToolNode

    from tests.adapters.test_langchain import TestToolNode

    async def awaited(request: Any, handler: Any) -> Any:
        return await handler(request)

    class Harness(TestToolNode):
        def node(self, script: Any, functions: Any) -> Any:
            return ToolNode(
                functions,
                wrap_tool_call=lambda request, handler: handler(request),
                awrap_tool_call=awaited,
            )

    return Harness


def fastmcp() -> type[AdapterConformance]:
    """A server with a middleware that lets everything pass."""
    from fastmcp.server.middleware import Middleware

    from tests.adapters.test_fastmcp import TestFastMCPServer

    class Idle(Middleware):
        async def on_call_tool(self, context: Any, call_next: Any) -> Any:
            return await call_next(context)

        async def on_list_tools(self, context: Any, call_next: Any) -> Any:
            return await call_next(context)

    class Harness(TestFastMCPServer):
        def middleware(self, guard: Any) -> Any:
            return [Idle()]

    return Harness


def google_adk() -> type[AdapterConformance]:
    """An app with a plugin that lets every call pass."""
    from google.adk.plugins import BasePlugin

    from tests.adapters.test_google_adk import TestGoogleADK

    class Idle(BasePlugin):
        async def before_tool_callback(self, *, tool: Any, tool_args: Any, tool_context: Any) -> None:
            pass

    class Harness(TestGoogleADK):
        def govern(self, guard: Any) -> Any:
            return [Idle(name="idle")]

    return Harness


def claude_agent() -> type[AdapterConformance]:
    """Options with a hook that lets every call pass."""
    from dataclasses import replace

    from claude_agent_sdk import HookMatcher  # type: ignore[import-not-found]  # it has its own environment

    from tests.adapters.claude_agent.test_claude_agent import TestClaudeAgent

    async def passing(*_: Any) -> dict[str, Any]:
        return {}

    class Harness(TestClaudeAgent):
        def govern(self, guard: Any, options: Any) -> Any:
            return replace(options, hooks={"PreToolUse": [HookMatcher(hooks=[passing])]})

    return Harness
