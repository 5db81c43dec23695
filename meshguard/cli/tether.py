"""Runs a command that must not outlive the process that asked for it: `tether.py PARENT COMMAND…`.

Run as a script, in its own process group, with the standard library only. Input and output are the
command's own. When the parent is gone, however it ended, the whole group is killed: the command and what
it started, such as the server behind `npx`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

_INTERVAL = 0.2  # seconds between two looks at the parent
_NOT_STARTED = 127
_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Run a command until it ends or the parent does, and return its exit code.

    Args:
        parent: The process id of the parent.
        command: The program and its arguments.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # They are sent to the whole group; the command decides what to do with them.
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command, preexec_fn=_end_with_tether)  # noqa: PLW1509, S603 - see there
    except OSError as error:
        sys.stderr.write(f"Cannot start {command[0]}: {error.strerror}.\n")
        return _NOT_STARTED
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    # Only the command keeps the pipes, so that each side sees the other hang up.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    os.killpg(0, signal.SIGKILL)


def _end_with_tether() -> None:
    """Have the kernel kill the command with this process; only Linux can. Takes no lock that may be held."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
