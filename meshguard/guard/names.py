"""Names of tools: the action of each, and those in settings that no tool has."""

from __future__ import annotations

import difflib
import logging
import re
from typing import TYPE_CHECKING

from meshguard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshguard.guard.calls import Action, ToolCall

_log = logging.getLogger("meshguard")
_MAX_SHOWN = 10


class Actions:
    """Finds the action of a call."""

    def __init__(self, action_map: Mapping[str, Action], default_action: str) -> None:
        if not isinstance(default_action, str) or not default_action:
            raise ConfigurationError('default_action must be text, such as "execute:{tool}".')
        self._exact: dict[str, Action] = dict(action_map)
        self._default = default_action
        self._normalized: dict[str, Action] = {}
        for tool, action in self._exact.items():
            if not isinstance(tool, str) or not (callable(action) or (isinstance(action, str) and action)):
                raise ConfigurationError("action_map must map tool names to actions, or to functions.")
            known = self._normalized.setdefault(_normalized(tool), action)
            if known != action:
                raise ConfigurationError(
                    f"action_map has two actions for names that differ from {tool!r} only in spelling."
                )
        self.names = KnownNames("action_map", "tool", self._exact, _normalized)

    def of(self, call: ToolCall) -> str:
        """The action of a call."""
        if call.action is not None:
            return call.action
        action = self._exact.get(call.tool) or self._normalized.get(_normalized(call.tool))
        made = action(call) if callable(action) else action
        return self._default.replace("{tool}", call.tool) if made is None else made


class KnownNames:
    """Warns of names in a setting that nothing has, once each; adapters say what there is."""

    def __init__(
        self, setting: str, kind: str, names: Iterable[str], spelling: Callable[[str], str] = str
    ) -> None:
        self._setting = setting
        self._kind = kind
        self._unmatched = {spelling(name): name for name in names}
        self._spelling = spelling
        self._known: dict[str, str] = {}

    def add(self, known: Iterable[str]) -> None:
        """Warn of names that match neither these nor any that were added before."""
        self._known |= {self._spelling(name): name for name in known}
        for spelled, name in self._unmatched.items():
            if spelled not in self._known:
                _log.warning(
                    "%s has the name %r, but no %s known so far is called that. %s",
                    self._setting,
                    name,
                    self._kind,
                    self._advice(spelled),
                )
        self._unmatched = {}

    def _advice(self, spelled: str) -> str:
        nearest = difflib.get_close_matches(spelled, self._known, n=1)
        if nearest:
            return f"Did you mean {self._known[nearest[0]]!r}?"
        shown = ", ".join(map(repr, sorted(self._known.values())[:_MAX_SHOWN]))
        more = ", …" if len(self._known) > _MAX_SHOWN else ""
        return f"There is {shown}{more}." if shown else "There is none."


def _normalized(tool: str) -> str:
    return re.sub(r"[\W_]+", "_", tool.casefold()).strip("_")
