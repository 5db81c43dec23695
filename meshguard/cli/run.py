"""`meshguard run`: a program under a gateway that lives as long as the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshguard.cli.app import App

app = App()


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after --.")],
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="A policy file, or a folder of them; can be repeated.  [default: policies]"),
    ] = None,
    agent: Annotated[str, typer.Option(help="The name of the agent that the program acts as.")] = "dev",
    record: Annotated[
        bool, typer.Option("--record", help="Allow everything, and suggest a policy at the end.")
    ] = False,
) -> None:
    """Run a program under a gateway of its own.

    The program finds MESHGUARD_GATEWAY_URL and MESHGUARD_AGENT_TOKEN in its environment, and no secret of an
    administrator: an agent must not change its own policies. Each decision is shown on standard error as it
    is made, and kept in .meshguard/. The exit code is the program's.

    Examples:
      $ meshguard run --policy policies -- python agent.py
      $ meshguard run --record -- python agent.py
    """
    from meshguard.cli import program

    raise typer.Exit(program.run(command, policy or [], agent, record=record))
