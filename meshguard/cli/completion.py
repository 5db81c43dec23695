"""`meshguard completion`: completion of commands and options in a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from meshguard.cli.app import PROGRAM, App
from meshguard.cli.options import AsJson
from meshguard.cli.output import write_json

app = App()


class Shell(StrEnum):
    """A shell with completion."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    as_json: AsJson = False,
) -> None:
    """Print the completion script of a shell.

    Put the line for your shell into its startup file: ~/.bashrc, ~/.zshrc (after `compinit`), or
    ~/.config/fish/config.fish.

    Examples:
      $ eval "$(meshguard completion bash)"
      $ eval "$(meshguard completion zsh)"
      $ meshguard completion fish | source
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(
        prog_name=PROGRAM, complete_var=f"_{PROGRAM.upper()}_COMPLETE", shell=shell.value
    )
    if as_json:
        write_json({"shell": shell.value, "script": script})
    else:
        typer.echo(script)
