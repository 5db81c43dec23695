"""The lines that put each agent framework under governance; the pages of docs/integrations have all of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Framework:
    """How to govern the tools of one framework.

    Attributes:
        extra: The extra of the package to install; None if the base package is enough.
        code: Lines of Python.
    """

    extra: str | None
    code: str

    @property
    def install(self) -> str:
        """The command that installs what the lines need."""
        return f"pip install 'meshguard[{self.extra}]'" if self.extra else "pip install meshguard"


FRAMEWORKS = {
    "functions": Framework(
        None,
        """\
from meshguard.integrations.functions import govern_function

@govern_function("execute:search_contacts")
def search_contacts(query: str) -> str: ...""",
    ),
    "langchain": Framework(
        "langchain",
        """\
from meshguard.langchain import MeshGuardMiddleware

agent = create_agent(model, tools, middleware=[MeshGuardMiddleware()])""",
    ),
    "crewai": Framework(
        "crewai",
        """\
from meshguard.integrations.crewai import install

install()  # governs every tool call of this process""",
    ),
    "openai-agents": Framework(
        "openai-agents",
        """\
from meshguard.guard import Guard
from meshguard.integrations.openai_agents import govern_agent

agent = govern_agent(agent, Guard())""",
    ),
    "mcp": Framework(
        "mcp",
        """\
from meshguard.guard import Guard
from meshguard.integrations.mcp import MeshGuardExtension

server = MCPServer("tools", extensions=[MeshGuardExtension(Guard())])""",
    ),
    "fastmcp": Framework(
        "fastmcp",
        """\
from meshguard.guard import Guard
from meshguard.integrations.fastmcp import MeshGuardMiddleware

server = FastMCP("tools", middleware=[MeshGuardMiddleware(Guard())])""",
    ),
    "pydantic-ai": Framework(
        "pydantic-ai",
        """\
from meshguard.guard import Guard
from meshguard.integrations.pydantic_ai import MeshGuardCapability

agent = Agent(model, capabilities=[MeshGuardCapability(Guard())])""",
    ),
    "claude-agent": Framework(
        "claude-agent",
        """\
from meshguard.guard import Guard
from meshguard.integrations.claude_agent import governed_options

options = governed_options(Guard(), options)""",
    ),
    "google-adk": Framework(
        "google-adk",
        """\
from meshguard.guard import Guard
from meshguard.integrations.google_adk import MeshGuardPlugin

app = App(name="app", root_agent=agent, plugins=[MeshGuardPlugin(Guard())])""",
    ),
}
