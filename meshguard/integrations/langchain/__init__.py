"""LangChain and LangGraph.

The hook is in this folder: `MeshGuardMiddleware` and `governed_tool_node` govern every tool of an agent or a
graph. `published/` contains the API that MeshGuard has documented since 0.1: `governed_tool`, `GovernedTool`,
`GovernedToolkit` and `create_governed_agent`.
"""

from meshguard.integrations import needs

with needs("langchain", "langchain"):
    from meshguard.integrations.langchain.middleware import MeshGuardMiddleware, governed_tool_node
    from meshguard.integrations.langchain.published import (
        GovernedAgent,
        GovernedTool,
        GovernedToolkit,
        create_governed_agent,
        governed_tool,
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
