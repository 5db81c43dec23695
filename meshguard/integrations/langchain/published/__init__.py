"""The API that MeshGuard has documented since 0.1, on top of current LangChain."""

from meshguard.integrations.langchain.published.agents import GovernedAgent, create_governed_agent
from meshguard.integrations.langchain.published.decorator import governed_tool
from meshguard.integrations.langchain.published.toolkit import GovernedToolkit
from meshguard.integrations.langchain.published.tools import GovernedTool

__all__ = ["GovernedAgent", "GovernedTool", "GovernedToolkit", "create_governed_agent", "governed_tool"]
