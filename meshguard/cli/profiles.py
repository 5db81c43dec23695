"""Profiles: gateways and tokens by name, in the platform's config folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from meshguard.cli.errors import CommandError
from meshguard.cli.private_files import read_private, write_private
from meshguard.cli.text import closest, printable

DEFAULT = "default"
KEYS = ("gateway-url", "agent-token", "admin-token")
TOKENS = ("agent-token", "admin-token")

Profile = dict[str, str]


def profiles_file() -> Path:
    """Return the path of the file with all profiles."""
    from platformdirs import user_config_path

    return user_config_path("meshguard", appauthor=False) / "profiles.json"


def selected_name(name: str | None) -> str:
    """Return the profile to use: `--profile`, `MESHGUARD_PROFILE` or `default`."""
    return name or os.environ.get("MESHGUARD_PROFILE") or DEFAULT


def load_profiles() -> dict[str, Profile]:
    """Return all profiles.

    Raises:
        CommandError: The file cannot be used.
    """
    path = profiles_file()
    try:
        found: Any = json.loads(read_private(path))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise _unusable(path, "it is not JSON") from None
    if not isinstance(found, dict) or not all(_is_profile(profile) for profile in found.values()):
        raise _unusable(path, "it is not an object of profiles")
    return found


def load_profile(name: str | None) -> Profile:
    """Return one profile; without a name, the default one or an empty one.

    Raises:
        CommandError: There is no profile of this name, or the file cannot be used.
    """
    wanted = selected_name(name)
    profiles = load_profiles()
    if wanted not in profiles and wanted != DEFAULT:
        raise CommandError(
            f'No profile "{printable(wanted)}" in {profiles_file()}.{closest(wanted, profiles)} Create it: '
            f"`meshguard config set --profile {printable(wanted)} gateway-url URL`."
        )
    return profiles.get(wanted, {})


def save_setting(name: str | None, key: str, value: str) -> None:
    """Store one setting of a profile; an empty value removes it."""
    profiles = load_profiles()
    profile = profiles.setdefault(selected_name(name), {})
    if value:
        profile[key] = value
    else:
        profile.pop(key, None)
    kept = {name: profile for name, profile in profiles.items() if profile}
    write_private(profiles_file(), json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def _is_profile(value: object) -> bool:
    return isinstance(value, dict) and all(
        key in KEYS and isinstance(text, str) for key, text in value.items()
    )


def _unusable(path: Path, cause: str) -> CommandError:
    return CommandError(f"Cannot use {path}: {cause}. Remove it, and set the profiles again.")
