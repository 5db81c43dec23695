"""The action and the resource of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshguard.exceptions import ConfigurationError
from meshguard.guard.names import KnownNames, ToolMap
from meshguard.guard.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.guard.calls import Action, Resource, ToolCall

    Source = Template | Callable[[ToolCall], str | None]


class Actions:
    """Finds the action of a call.

    Attributes:
        names: The tool names of the setting.
    """

    def __init__(self, action_map: Mapping[str, Action], default_action: str) -> None:
        if not isinstance(default_action, str) or not default_action:
            raise ConfigurationError('default_action must be text, such as "execute:{tool}".')
        self._default = default_action
        self._sources = ToolMap("action_map", action_map, _action_source)
        self.names = self._sources.names

    def of(self, call: ToolCall, arguments: Mapping[str, object]) -> str:
        """The action of a call.

        Raises:
            UndecidableError: A template can't be filled with these arguments.
        """
        if isinstance(call.action, str):
            return call.action
        action = _value(call.action or self._sources.get(call.tool), call, arguments)
        return self._default.replace("{tool}", call.tool) if action is None else action

    def depends_on_arguments(self, call: ToolCall) -> bool:
        """Whether the action comes from a template with arguments."""
        source = call.action or self._sources.get(call.tool)
        return isinstance(source, Template) and not source.is_constant


class Resources:
    """Finds the resource of a call.

    Attributes:
        names: The tool names of the setting.
    """

    def __init__(self, resource: Resource | Mapping[str, Resource] | None) -> None:
        by_tool: Mapping[str, Resource] = {}
        self._default: Source | None = None
        if isinstance(resource, Mapping):
            by_tool = resource  # pyright: ignore[reportUnknownVariableType] - `isinstance` forgets the parameters
        elif resource is not None:
            self._default = _resource_source(resource)
        self._by_tool = ToolMap("resource", by_tool, _resource_source)
        self.names: KnownNames = self._by_tool.names

    def of(self, call: ToolCall, arguments: Mapping[str, object]) -> str | None:
        """The resource of a call, if it has one.

        Raises:
            UndecidableError: A template can't be filled with these arguments.
        """
        return _value(self._by_tool.get(call.tool) or self._default, call, arguments)


def _value(source: Source | None, call: ToolCall, arguments: Mapping[str, object]) -> str | None:
    return source.fill(arguments) if isinstance(source, Template) else source and source(call)


def _action_source(action: Any) -> Source:
    if callable(action):
        return action  # type: ignore[no-any-return]
    if not isinstance(action, str) or not action:
        raise ConfigurationError("action_map must map tool names to actions, templates or functions.")
    return Template("action_map", action)


def _resource_source(resource: Any) -> Source:
    if callable(resource):
        return resource  # type: ignore[no-any-return]
    if not isinstance(resource, str) or not resource:
        raise ConfigurationError(
            "resource must be the name of an argument, a template, a function, "
            "or a mapping of tool names to these."
        )
    is_template = "{" in resource or "}" in resource
    return Template("resource", resource if is_template else f"{{{resource}}}", verbatim=True)
