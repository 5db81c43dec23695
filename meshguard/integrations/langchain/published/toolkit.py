"""`GovernedToolkit`, for many tools at once."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from typing import TYPE_CHECKING, Any

from meshguard.guard.names import KnownNames
from meshguard.integrations.langchain.published.permission import GuardResolver, OnDeny
from meshguard.integrations.langchain.published.tools import GovernedTool, tool_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshguard.guard import Client


class GovernedToolkit:
    """Governs many tools at once.

    Args:
        tools: The tools.
        client: The client of the agent. By default, each call uses one made from `MESHGUARD_*`.
        action_map: Maps tool names to actions.
        default_action: The action of every other tool.
        on_deny: As in `GovernedTool`.

    Attributes:
        tools: The tools.
        client: The client of the agent.
        action_map: Maps tool names to actions.
        default_action: The action of every other tool.
        on_deny: The function that handles denied calls.

    Raises:
        ConfigurationError: The client is not valid.

    Example:
        ```python
        from meshguard.langchain import GovernedToolkit

        toolkit = GovernedToolkit(tools=[search], client=client, action_map={"web_search": "read:web_search"})
        print([tool.action for tool in toolkit.get_tools()])
        ```
    """

    def __init__(
        self,
        tools: Sequence[Any],
        client: Client | None = None,
        action_map: Mapping[str, str] | None = None,
        default_action: str = "execute:tool",
        on_deny: OnDeny | None = None,
    ) -> None:
        self.tools = tools
        self.action_map: Mapping[str, str] = action_map or {}
        self.default_action = default_action
        self.on_deny = on_deny
        self._resolver = GuardResolver(client)
        KnownNames("action_map", "tool", self.action_map).add(map(tool_name, tools))

    @property
    def client(self) -> Client:
        """The client of the agent."""
        return self._resolver.client

    def get_action(self, tool: Any) -> str:
        """Return the action of a tool.

        Args:
            tool: The tool.

        Returns:
            Its action.
        """
        return self.action_map.get(tool_name(tool), self.default_action)

    def get_tools(self) -> list[GovernedTool]:
        """Return the governed tools.

        Returns:
            One for each tool, in the same order.

        Raises:
            TypeError: A tool has no `run`.
        """
        return [self._governed(tool) for tool in self.tools]

    def _governed(self, tool: Any) -> GovernedTool:
        governed = GovernedTool(tool, self.get_action(tool), on_deny=self.on_deny)
        governed._resolver = self._resolver  # noqa: SLF001 - all share the connections of one guard
        return governed
