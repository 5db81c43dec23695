"""Exit codes of every command; docs/cli.md describes them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command."""

    OK = 0  # done; yes, allowed, valid; nothing found
    NO = 1  # denied, invalid, failed, not found, declined
    USAGE = 2  # a wrong argument, setting or file
    CANNOT_TELL = 3  # no usable gateway, a rejected token, a missing package, an error of our own
    NOT_STARTED = 127  # `meshguard run` cannot start the program, as a shell says it
    INTERRUPTED = 130  # Ctrl-C
    BROKEN_PIPE = 141  # the reader of the output has gone, as `head` does
