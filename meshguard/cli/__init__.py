"""The command line, `meshguard`; each command or noun has a module of its own, loaded when it is used."""

from __future__ import annotations

import sys

_INSTALL = (
    "The command line needs more packages: pip install 'meshguard[cli]' (or 'meshguard[gateway]' to serve)"
)


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: Always, with the exit code.
    """
    try:
        from meshguard.cli.commands import app  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        sys.exit(missing(error, _INSTALL))
    app()


def missing(error: ModuleNotFoundError, advice: str) -> str:
    """Return the advice when a package of an extra is not installed.

    Raises:
        ModuleNotFoundError: The same error, when it is a module of our own.
    """
    if error.name and error.name.split(".")[0] == "meshguard":
        raise error
    return advice
