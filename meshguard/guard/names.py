"""Names of tools and agents in settings."""

from __future__ import annotations

import difflib
import logging
import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from meshguard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

_log = logging.getLogger("meshguard")
_MAX_SHOWN = 10


class ToolMap(Generic[T]):
    """A setting for each tool, found by the exact name first, then by its letters and digits.

    Attributes:
        names: The names in the setting.
    """

    def __init__(self, setting: str, values: Mapping[str, Any], read: Callable[[Any], T]) -> None:
        self._exact: dict[str, T] = {}
        self._normalized: dict[str, T] = {}
        first: dict[str, Any] = {}
        for tool, value in values.items():
            if not isinstance(tool, str):
                raise ConfigurationError(f"{setting} has the key {tool!r}. Its keys must be names of tools.")
            spelling = _normalized(tool)
            if first.setdefault(spelling, value) != value:
                raise ConfigurationError(
                    f"{setting} has two values for names that differ from {tool!r} only in spelling."
                )
            self._exact[tool] = read(value)
            self._normalized.setdefault(spelling, self._exact[tool])
        self.names = KnownNames(setting, "tool", self._exact, _normalized)

    def get(self, tool: str) -> T | None:
        """The value for a tool, if there is one."""
        if not self._exact:
            return None
        return self._exact.get(tool) or self._normalized.get(_normalized(tool))


class KnownNames:
    """Warns once about each name in a setting that no tool or agent has. Adapters add the existing names."""

    def __init__(
        self, setting: str, kind: str, names: Iterable[str], spelling: Callable[[str], str] = str
    ) -> None:
        self._setting = setting
        self._kind = kind
        self._unmatched = {spelling(name): name for name in names}
        self._spelling = spelling
        self._known: dict[str, str] = {}

    def add(self, known: Iterable[str]) -> None:
        """Warn about names that match neither these nor any that were added before."""
        self._known |= {self._spelling(name): name for name in known}
        for spelled, name in self._unmatched.items():
            if spelled not in self._known:
                _log.warning(
                    "%s contains %r, but there is no %s with this name. %s",
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
        return f"Known names: {shown}{more}." if shown else f"No {self._kind} is known."


def _normalized(tool: str) -> str:
    return re.sub(r"[\W_]+", "_", tool.casefold()).strip("_")
