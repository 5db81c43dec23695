"""The command line, `meshguard`: one module for each noun, loaded when its command is used."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from meshguard.cli.exit_codes import ExitCode

_INSTALL = "The command line needs more packages. Run: pip install 'meshguard[cli]'"


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: Always, with the exit code; docs/cli.md lists them.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        from meshguard.cli.commands import app
    except ModuleNotFoundError as error:
        if is_ours(error):
            raise
        print(f"Error: {_INSTALL}", file=sys.stderr)
        sys.exit(ExitCode.CANNOT_TELL)
    if "_MESHGUARD_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    app()


def is_ours(error: ModuleNotFoundError) -> bool:
    """Whether the missing module is one of our own, and not of an extra."""
    return (error.name or "meshguard").split(".")[0] == "meshguard"
