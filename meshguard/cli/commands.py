"""All commands by name, with their help; a command's module is imported when the command is used."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any, NamedTuple

import typer

from meshguard import __version__
from meshguard.cli.app import App, Group, profile_option
from meshguard.cli.exit_codes import ExitCode


class Entry(NamedTuple):
    """A command of the registry; its extra has the packages that it needs to run, but not for its help."""

    help: str
    panel: str
    module: str
    extra: str = "cli"


_START, _GOVERN, _GATEWAY, _SETUP = "Start", "Govern", "Run a gateway", "Configure"

# An entry whose module does not exist is not shown.
COMMANDS = {
    "init": Entry("Write a policy, a policy test and secrets for a project", _START, "init"),
    "demo": Entry("Show what a governed agent may do", _START, "demo", "gateway"),
    "run": Entry("Run a program with its own gateway", _START, "run", "gateway"),
    "check": Entry("Check whether the agent may do something", _GOVERN, "decisions"),
    "explain": Entry("Explain a decision", _GOVERN, "decisions"),
    "agent": Entry("Create, change and revoke agents", _GOVERN, "agent"),
    "policy": Entry("Write, test and apply policies", _GOVERN, "policy"),
    "audit": Entry("Read, export and verify the audit log", _GOVERN, "audit"),
    "status": Entry("Show the state of the gateway", _GOVERN, "status"),
    "serve": Entry("Run a gateway", _GATEWAY, "serve", "gateway"),
    "db": Entry("Look after the schema of the gateway's database", _GATEWAY, "db", "gateway"),
    "backup": Entry("Copy the gateway's SQLite database", _GATEWAY, "backup", "gateway"),
    "restore": Entry("Restore the gateway's SQLite database from a backup", _GATEWAY, "backup", "gateway"),
    "contract": Entry("Test whether a running gateway keeps the contract", _GATEWAY, "contract", "contract"),
    "mcp-proxy": Entry("Put an MCP server behind the gateway's policies", _GATEWAY, "mcp_proxy", "fastmcp"),
    "config": Entry("Show and set the profiles of this user", _SETUP, "config"),
    "env": Entry("Print the settings of the development gateway", _SETUP, "env"),
    "completion": Entry("Print the completion script of a shell", _SETUP, "completion"),
}


class _Root(Group):
    def __init__(self, *arguments: Any, params: list[Any] | None = None, **options: Any) -> None:
        profile = profile_option()
        profile.rich_help_panel = None
        super().__init__(*arguments, params=[*(params or []), profile], **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, with its module."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest


def load(name: str) -> Any:
    """Import the module of a command and return the command.

    Args:
        name: A key of `COMMANDS`.
    """
    module = importlib.import_module(f"meshguard.cli.{COMMANDS[name].module}")
    command: Any = typer.main.get_command(module.app)
    return command.commands[name] if name in getattr(command, "commands", {}) else command


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit(ExitCode.OK)


app = App(cls=_Root)


@app.callback()
def _meshguard(
    _version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Govern what AI agents may do.

    Examples:
      $ meshguard serve --dev
      $ meshguard check read:contacts
      $ meshguard policy apply policies/
    """


for _name, _entry in COMMANDS.items():
    if find_spec(f"meshguard.cli.{_entry.module}"):
        app.command(_name, help=_entry.help, rich_help_panel=_entry.panel)(lambda: None)
