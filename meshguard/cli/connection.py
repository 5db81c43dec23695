"""The gateway that a command calls: from arguments, the environment, or a profile."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshguard.cli.errors import CommandError
from meshguard.cli.profiles import KEYS, TOKENS, Profile, load_profile, selected_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshguard import MeshGuardClient

LONG_TIMEOUT = 86_400.0  # seconds that verifying or exporting a large log may take


@dataclass(frozen=True)
class Setting:
    """A setting and where it comes from."""

    value: str
    source: str


def settings_of(ctx: Any) -> dict[str, Setting]:
    """Return the settings of a command by their keys in a profile.

    An argument comes first: `--gateway-url`, then the profile that `--profile` names. Then come the
    environment and the selected profile. A token of a profile is used only for that profile's gateway.

    Args:
        ctx: The context of the command.
    """
    name = ctx.meta.get("meshguard.--profile")
    profile = load_profile(name)
    source = f'profile "{selected_name(name)}"'
    stored = {key: Setting(value, source) for key, value in profile.items()}
    environment = {key: found for key in KEYS if (found := _environment(key))}
    by_rank = {**environment, **stored} if name else {**stored, **environment}
    argument = ctx.meta.get("meshguard.--gateway-url")
    url = Setting(argument, "--gateway-url") if argument else by_rank.get("gateway-url")
    tokens = by_rank if _is_of(profile, url) else environment
    settings: dict[str, Setting | None] = {"gateway-url": url, **{key: tokens.get(key) for key in TOKENS}}
    return {key: setting for key, setting in settings.items() if setting}


def _environment(key: str) -> Setting | None:
    variable = f"MESHGUARD_{key.upper().replace('-', '_')}"
    value = os.environ.get(variable)
    return Setting(value, variable) if value else None


def _is_of(profile: Profile, url: Setting | None) -> bool:
    return url is not None and url.value.rstrip("/") == profile.get("gateway-url", "").rstrip("/")


@contextmanager
def open_client(ctx: Any, *, timeout: float = 30.0) -> Iterator[MeshGuardClient]:
    """Open the client of a command.

    Args:
        ctx: The context of the command.
        timeout: Seconds that one call may take.

    Raises:
        CommandError: No gateway is configured.
    """
    settings = settings_of(ctx)
    if "gateway-url" not in settings:
        raise CommandError(
            "No gateway URL. Use --gateway-url, set MESHGUARD_GATEWAY_URL, or run "
            "`meshguard config set gateway-url URL`. `meshguard serve --dev` runs a gateway."
        )
    from meshguard import MeshGuardClient

    url, agent_token, admin_token = (settings[key].value if key in settings else None for key in KEYS)
    with MeshGuardClient(url, agent_token, admin_token, timeout) as client:
        yield client
