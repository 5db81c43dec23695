"""LangChain and LangGraph under policy; see `meshguard.integrations.langchain`."""

try:
    from meshguard.integrations.langchain import (
        GovernedAgent,
        GovernedTool,
        GovernedToolkit,
        MeshGuardMiddleware,
        create_governed_agent,
        governed_tool,
        governed_tool_node,
    )
except ModuleNotFoundError as error:
    raise ImportError("LangChain is missing: pip install 'meshguard[langchain]'") from error

__all__ = [
    "GovernedAgent",
    "GovernedTool",
    "GovernedToolkit",
    "MeshGuardMiddleware",
    "create_governed_agent",
    "governed_tool",
    "governed_tool_node",
]
