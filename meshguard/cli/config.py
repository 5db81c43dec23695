"""`meshguard config`: the profiles of this user."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from meshguard.cli.app import App
from meshguard.cli.connection import settings_of
from meshguard.cli.errors import CommandError
from meshguard.cli.options import AsJson
from meshguard.cli.output import Column, write, write_json, write_record, write_table
from meshguard.cli.profiles import (
    KEYS,
    TOKENS,
    load_profiles,
    profiles_file,
    save_setting,
    selected_name,
)
from meshguard.cli.text import closest, printable

app = App(help="Show and set the profiles of this user.")

_HIDDEN = "set"  # shown in place of a token


@app.command(gateway=True)
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the settings that commands use, where they come from, and all profiles.

    Tokens are never shown.

    Examples:
      $ meshguard config show
      $ meshguard config show --profile prod
    """
    profiles = {name: _without_tokens(profile) for name, profile in sorted(load_profiles().items())}
    settings = settings_of(ctx)
    if as_json:
        used = {
            key: {"value": _shown(key, found.value), "source": found.source}
            for key, found in settings.items()
        }
        write_json({"file": str(profiles_file()), "settings": used, "profiles": profiles})
        return
    write_record([("file", profiles_file()), ("profile", selected_name(ctx.meta.get("meshguard.--profile")))])
    if settings:
        write()
        rows = ((key, _shown(key, found.value), found.source) for key, found in settings.items())
        write_table([Column("setting"), Column("value"), Column("from", detail=True)], rows)
    if profiles:
        write()
        columns = [Column("profile"), *(Column(key, detail=key in TOKENS) for key in KEYS)]
        stored = ((name, *(profile.get(key, "") for key in KEYS)) for name, profile in profiles.items())
        write_table(columns, stored)


@app.command("set", profile=True)
def set_(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="gateway-url, agent-token or admin-token.")],
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[VALUE]", help="The value; an empty one removes the setting. Omit it for tokens."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a setting in a profile, in a file that only you can read.

    Without VALUE, it is read from standard input, so that a token is not visible in the list of processes.

    Examples:
      $ meshguard config set gateway-url http://127.0.0.1:3100
      $ meshguard config set --profile prod admin-token
    """
    if key not in KEYS:
        known = ", ".join(KEYS)
        raise CommandError(f'No setting "{printable(key)}".{closest(key, KEYS)} The settings are {known}.')
    text = _read_value(key) if value is None else value
    _check(key, text)
    name = ctx.meta.get("meshguard.--profile")
    save_setting(name, key, text)
    if as_json:
        write_json({"file": str(profiles_file()), "profile": selected_name(name), "key": key})
    else:
        write(f'✓ {"Set" if text else "Removed"} {key} of profile "{selected_name(name)}"')


def _read_value(key: str) -> str:
    if sys.stdin.isatty():
        text: str = typer.prompt(key, hide_input=key in TOKENS, err=True)
        return text.strip()
    return sys.stdin.readline().strip()


def _check(key: str, value: str) -> None:
    from meshguard import ConfigurationError, MeshGuardClient

    if not value:
        return
    settings: dict[str, Any] = {"gateway_url": "http://127.0.0.1", "agent_token": "-", "admin_token": "-"}
    settings[key.replace("-", "_")] = value
    try:
        MeshGuardClient(**settings).close()
    except ConfigurationError as error:
        raise CommandError(f"Cannot set {key}: {error}") from None


def _shown(key: str, value: str) -> str:
    return _HIDDEN if key in TOKENS else value


def _without_tokens(profile: dict[str, str]) -> dict[str, str]:
    return {key: _shown(key, value) for key, value in profile.items()}
