"""`meshguard env`: the settings of the development gateway, for a shell or a program."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from meshguard.cli.app import App
from meshguard.cli.dev_state import read_dev_state
from meshguard.cli.options import AsJson
from meshguard.cli.output import write_json, write_note
from meshguard.cli.private_files import write_private

app = App()


@app.command()
def env(
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file", metavar="FILE", help="Write them to a file as NAME=value; its other lines stay."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the settings of the development gateway of this folder, tokens included.

    `meshguard serve --dev` keeps them in .meshguard/dev.json.

    Examples:
      $ eval "$(meshguard env)"
      $ meshguard env --env-file .env
    """
    variables = read_dev_state().variables()
    if env_file is not None:
        _update(env_file, variables)
        write_note(f"✓ {env_file}")
    if as_json:
        write_json(variables)
    elif env_file is None:
        for name, value in variables.items():
            typer.echo(f"export {name}={shlex.quote(value)}")


def _update(env_file: Path, variables: dict[str, str]) -> None:
    """Replace the variables in a file, or append them, and keep all other lines."""
    before = env_file.read_text("utf-8").splitlines() if env_file.exists() else []
    others = [line for line in before if _name(line) not in variables]
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    write_private(env_file, "\n".join([*others, *lines]) + "\n")


def _name(line: str) -> str:
    return line.partition("=")[0].removeprefix("export ").strip()
