"""Runs `meshguard` many times, each in a process of its own that is forked with all modules loaded.

Reads one JSON object a line: `args`, `env`, `cwd`, the paths of `stdin`, `stdout` and `stderr`, the path that
the exit code is written to as `result`, and `progress_after`, the seconds until a progress bar is shown.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from meshguard.cli import main, output
from meshguard.cli.commands import COMMANDS

_LOADED = (
    "httpx",
    "platformdirs",
    "rich.progress",
    "rich.table",
    "ruamel.yaml",
    "meshguard.client",
    "meshguard.contract.run",
    "meshguard.cli.mcp_server",
    "meshguard.cli.policy_apply",
    "meshguard.gateway.backup",
    "meshguard.gateway.partitions",
    "meshguard.gateway.settings",
)


def serve() -> None:
    """Start a process for each line."""
    for name in (*_LOADED, *(f"meshguard.cli.{entry.module}" for entry in COMMANDS.values())):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _supervise(json.loads(line))


def _supervise(job: dict[str, Any]) -> None:
    process = os.fork()
    if process == 0:
        _run(job)
    _, status = os.waitpid(process, 0)
    Path(job["result"]).write_text(str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _run(job: dict[str, Any]) -> None:
    os.setsid()  # so that a terminal that is opened becomes its own
    for number, (name, flags) in enumerate(
        (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))
    ):
        opened = os.open(job[name], flags)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    sys.argv = ["meshguard", *job["args"]]
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "r", closefd=False), encoding="utf-8")
    sys.stdout = _writer(1)
    sys.stderr = _writer(2)
    output.PROGRESS_AFTER = job["progress_after"]
    code = 99  # a traceback
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _writer(number: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", line_buffering=True)


if __name__ == "__main__":
    serve()
