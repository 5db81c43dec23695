"""All commands by name, and the module each comes from."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperGroup

from meshguard import __version__
from meshguard.cli import missing

_MODULES = {
    "audit": "meshguard.cli.audit",
    "backup": "meshguard.cli.backup",
    "contract": "meshguard.cli.contract",
    "db": "meshguard.cli.db",
    "demo": "meshguard.cli.demo",
    "init": "meshguard.cli.init",
    "mcp-proxy": "meshguard.cli.mcp_proxy",
    "policy": "meshguard.cli.policy",
    "restore": "meshguard.cli.restore",
    "run": "meshguard.cli.run",
    "serve": "meshguard.cli.serve",
}
_EXTRAS = {"contract": "contract", "mcp-proxy": "fastmcp"}  # where it is not "gateway"


class _Commands(TyperGroup):
    """Loads a command's module when the command is used or listed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands that are there."""
        return [name for name, module in _MODULES.items() if find_spec(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None when there is none of this name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return _load(cmd_name)


def _load(name: str) -> Any:
    try:
        module = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(name, "gateway")
        return _advising(
            missing(error, f"`meshguard {name}` needs more packages: pip install 'meshguard[{extra}]'")
        )
    return typer.main.get_command(module.app)


def _advising(advice: str) -> Any:
    """A command that only says what it needs, so that the others can be listed."""
    advising = typer.Typer(add_completion=False, rich_markup_mode=None)

    @advising.command(
        help=advice,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def advise() -> None:
        typer.echo(advice, err=True)
        raise typer.Exit(1)

    return typer.main.get_command(advising)


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _meshguard(
    _version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Govern what AI agents may do."""
