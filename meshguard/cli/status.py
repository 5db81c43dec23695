"""`meshguard status`: the state of the gateway."""

from __future__ import annotations

from typing import Any

import typer

from meshguard.cli.app import App
from meshguard.cli.connection import open_client, settings_of
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AsJson
from meshguard.cli.output import write_json, write_record

app = App()


@app.command(gateway=True)
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the state of the gateway. Exit code 0: healthy; 1: unhealthy.

    Examples:
      $ meshguard status
      $ meshguard status --profile prod --json
    """
    with open_client(ctx) as client:
        health = dict(client.health())
    settings = settings_of(ctx)
    if as_json:
        write_json({"gatewayUrl": settings["gateway-url"].value, **health})
    else:
        sources = {key: f"from {setting.source}" for key, setting in settings.items()}
        url = settings["gateway-url"]
        write_record(
            [
                ("gateway", url.value),
                ("configured", sources["gateway-url"]),
                ("status", health["status"]),
                ("version", health.get("version")),
                ("mode", health.get("mode")),
                *_checks(health.get("checks")),
                ("agent token", sources.get("agent-token", "not set")),
                ("admin token", sources.get("admin-token", "not set")),
            ]
        )
    raise typer.Exit(ExitCode.OK if health["status"] == "healthy" else ExitCode.NO)


def _checks(checks: Any) -> list[tuple[str, object]]:
    if not isinstance(checks, dict):
        return []
    return [(name, _check_text(value)) for name, value in checks.items()]


def _check_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {found}" for name, found in value.items())
    return str(value)
