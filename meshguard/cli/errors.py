"""Errors of commands: one line on stderr, and an exit code."""

from __future__ import annotations

import os
import traceback

from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.text import write_error


class CommandError(Exception):
    """The command cannot do its job.

    Args:
        message: `<What happened> <to what>: <cause>. <What to do next>.`
        code: The exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.code = code


def report(error: Exception, command: str) -> ExitCode:
    """Write an error to stderr and return the exit code.

    Args:
        error: Anything that a command raised.
        command: The command, such as `meshguard audit list`.
    """
    missing = _missing(error, command) if isinstance(error, ModuleNotFoundError) else None
    message, code = missing or _described(error)
    write_error(message)
    if os.environ.get("MESHGUARD_LOG", "").lower() == "debug":
        traceback.print_exception(error)
    return code


def _missing(error: ModuleNotFoundError, command: str) -> tuple[str, ExitCode] | None:
    from meshguard.cli import is_ours
    from meshguard.cli.commands import COMMANDS

    if is_ours(error):
        return None
    name = next((word for word in command.split() if word in COMMANDS), None)
    extra = COMMANDS[name].extra if name else "cli"
    package = str(error.name).partition(".")[0]
    install = f"Run: pip install 'meshguard[{extra}]'"
    message = f"`{command}` needs more packages: {package} is missing. {install}"
    return message, ExitCode.CANNOT_TELL


def _described(error: Exception) -> tuple[str, ExitCode]:
    if isinstance(error, CommandError):
        return str(error), error.code
    if isinstance(error, OSError):
        return f"Cannot use {error.filename or 'the output'}: {error.strerror or error}.", ExitCode.USAGE
    from meshguard.exceptions import MeshGuardError

    if isinstance(error, MeshGuardError):
        return _with_details(error), code_of(error)
    return (
        f"Internal error: {type(error).__name__}. Set MESHGUARD_LOG=debug to see where, and report it.",
        ExitCode.CANNOT_TELL,
    )


def code_of(error: Exception) -> ExitCode:
    """Return the exit code for an error of the SDK."""
    from meshguard import exceptions

    if isinstance(error, exceptions.PolicyDeniedError | exceptions.NotFoundError | exceptions.ConflictError):
        return ExitCode.NO
    if isinstance(error, exceptions.ConfigurationError | exceptions.InvalidRequestError):
        return ExitCode.USAGE
    if isinstance(error, exceptions.AuthenticationError) and error.status_code is None:
        return ExitCode.USAGE  # there is no token to send
    return ExitCode.CANNOT_TELL


def _with_details(error: Exception) -> str:
    details = getattr(error, "details", ())
    message = str(error).strip() or type(error).__name__
    return " ".join([message, *(f"{detail['path']}: {detail['message']}." for detail in details)])
