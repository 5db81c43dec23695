"""LangChain and LangGraph: a middleware for agents, a tool node for graphs, and the documented tools.

`MeshGuardMiddleware` and `governed_tool_node` govern every tool of an agent or a graph. `governed_tool`,
`GovernedTool`, `GovernedToolkit` and `create_governed_agent` keep the names and signatures that MeshGuard has
always documented.
"""

from meshguard.integrations import needs

with needs("langchain", "langchain"):
    from meshguard.integrations.langchain.agents import GovernedAgent, create_governed_agent
    from meshguard.integrations.langchain.middleware import MeshGuardMiddleware, governed_tool_node
    from meshguard.integrations.langchain.tools import GovernedTool, GovernedToolkit, governed_tool

__all__ = [
    "GovernedAgent",
    "GovernedTool",
    "GovernedToolkit",
    "MeshGuardMiddleware",
    "create_governed_agent",
    "governed_tool",
    "governed_tool_node",
]
