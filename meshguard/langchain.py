"""The published import path of the LangChain adapter; see `meshguard.integrations.langchain`."""

from meshguard.integrations.langchain import (
    GovernedAgent,
    GovernedTool,
    GovernedToolkit,
    MeshGuardMiddleware,
    create_governed_agent,
    governed_tool,
    governed_tool_node,
)

__all__ = [
    "GovernedAgent",
    "GovernedTool",
    "GovernedToolkit",
    "MeshGuardMiddleware",
    "create_governed_agent",
    "governed_tool",
    "governed_tool_node",
]
