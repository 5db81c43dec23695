"""Names in the environment, in `.env` and among arguments that are not settings."""

from __future__ import annotations

import os
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

PREFIX = "MESHGUARD_"
DB_PATH = "DB_PATH"  # the published documentation's name for a SQLite file
# Read by the SDK and by `meshguard mcp-proxy`.
CLIENT_NAMES = ("GATEWAY_URL", "AGENT_TOKEN", "ADMIN_TOKEN", "MCP_AUTHORIZATION", "LOG", "PROFILE")
_NEAR = 0.85  # of 1; at this likeness a name is a misspelled one


def names_of_environment() -> dict[str, str]:
    """Return what is set in the process's environment, by upper-case name; empty values count as unset."""
    return _upper(os.environ)


def names_of_file(env_file: Any) -> dict[str, str]:
    """Return what is set in an env file, by upper-case name; nothing if there is none.

    Args:
        env_file: A path, several, or None.
    """
    files: Iterable[Any] = env_file if isinstance(env_file, list | tuple) else [env_file]
    found: dict[str, str] = {}
    for file in files:
        if file is not None and Path(file).is_file():
            found |= _upper(dotenv_values(file, encoding="utf-8"))
    return found


def _upper(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name.upper(): value for name, value in values.items() if value}


class UnknownNames:
    """Finds names that look like settings and are none.

    A misspelled setting is rejected. Another unknown name with the prefix is only warned about: the SDKs of
    other languages, later versions and Kubernetes (`MESHGUARD_SERVICE_HOST`) have names of their own.

    Args:
        settings: The upper-case names, without prefix, of the settings that are read.
        all_settings: Those of all settings.
    """

    def __init__(self, settings: Collection[str], all_settings: Collection[str]) -> None:
        self._settings = [*settings, DB_PATH]
        self._known = {*all_settings, DB_PATH, *CLIENT_NAMES}
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def check_arguments(self, names: Iterable[str]) -> None:
        """Reject each argument that is not a setting."""
        for name in names:
            if name.upper().removeprefix(PREFIX) not in self._known:
                nearest, _ = self._nearest(name.upper())
                self.errors.append(f"{name}: is not a setting; did you mean {nearest.lower()}?")

    def check_environment(self, names: Iterable[str]) -> None:
        """Look at each name with the prefix."""
        for name in sorted(names):
            bare = name.removeprefix(PREFIX)
            if bare == name or bare in self._known:
                continue
            nearest, likeness = self._nearest(bare)
            if likeness >= _NEAR and nearest in self._settings:
                self.errors.append(f"{name}: is not a setting; did you mean {PREFIX}{nearest}?")
            else:
                self.warnings.append(
                    f"{name} is not a setting and is ignored; the nearest is {PREFIX}{nearest}."
                )

    def check_file(self, names: Collection[str]) -> None:
        """Look at each name of an env file; the program's own names there are not judged."""
        self.check_environment(names)
        for name in sorted(names):
            if name.startswith(PREFIX) or name in self._known or "_" not in name:
                continue
            nearest, likeness = self._nearest(name)
            if likeness >= _NEAR and nearest in self._settings:
                self.warnings.append(
                    f"{name} in .env is not a setting and is ignored; the nearest is {nearest}."
                )

    def _nearest(self, name: str) -> tuple[str, float]:
        found = [(SequenceMatcher(None, name, known).ratio(), known) for known in sorted(self._known)]
        likeness, nearest = max(found)
        return nearest, likeness
