"""`meshguard`, run in a pseudo-terminal or with its output in pipes."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition, Lock, Thread
from typing import Any

from tests.environments import ROOT, clean_environ

FOREVER = 3600.0
TIMEOUT = 60.0  # seconds; a command that hangs fails its test

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Outcome:
    """What a command wrote; in a terminal, `stdout` has both streams."""

    code: int
    stdout: str
    stderr: str = ""

    @property
    def plain(self) -> str:
        """All output without control sequences."""
        return _ANSI.sub("", self.stdout + self.stderr)


class CommandLine:
    """Runs `meshguard` in a folder of its own, with nothing of the user's configuration."""

    def __init__(self, forker: subprocess.Popen[str], folder: Path) -> None:
        self._forker = forker
        self._lock = Lock()
        self._numbers = count()
        self._pipes = folder / "pipes"
        self._pipes.mkdir()
        self.folder = folder / "work"
        self.folder.mkdir()
        self.config = folder / "config"
        self.env = {
            "XDG_CONFIG_HOME": str(self.config),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
        }

    def __call__(
        self,
        *arguments: object,
        terminal: bool = False,
        columns: int = 80,
        answer: str = "",
        prompt: str = "",
        progress_after: float = FOREVER,
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run a command; `answer` is what a person types in the terminal once the prompt is shown."""
        variables = {**clean_environ(), **self.env}
        for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
            variables.pop(name, None)
        if not terminal:
            variables["COLUMNS"] = str(columns)
        job = {
            "args": [str(argument) for argument in arguments],
            "env": {**variables, **(env or {})},
            "cwd": str(self.folder),
            "progress_after": progress_after,
        }
        return self._in_terminal(job, columns, prompt, answer) if terminal else self._in_pipes(job)

    def _in_pipes(self, job: dict[str, Any]) -> Outcome:
        with self._fifos("stdout", "stderr", "result") as paths:
            readers = {name: _Reader(path) for name, path in paths.items()}
            self._start({**job, **paths, "stdin": os.devnull})
            code, stdout, stderr = (readers[name].text() for name in ("result", "stdout", "stderr"))
        return Outcome(int(code), stdout, stderr)

    def _in_terminal(self, job: dict[str, Any], columns: int, prompt: str, answer: str) -> Outcome:
        with self._fifos("result") as paths, ExitStack() as stack:
            master, slave = os.openpty()
            stack.callback(os.close, master)
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            name = os.ttyname(slave)
            result = _Reader(paths["result"])
            shown = _Reader(master)
            self._start({**job, **paths, "stdin": name, "stdout": name, "stderr": name})
            if answer:
                shown.wait_for(prompt)
                os.write(master, answer.encode())
            code = result.text()
            os.close(slave)
            output = shown.text()
        return Outcome(int(code), output.replace("\r\n", "\n"))

    @contextmanager
    def _fifos(self, *names: str) -> Iterator[dict[str, str]]:
        number = next(self._numbers)
        paths = {name: self._pipes / f"{number}-{name}" for name in names}
        for path in paths.values():
            os.mkfifo(path)
        yield {name: str(path) for name, path in paths.items()}
        for path in paths.values():
            path.unlink()

    def _start(self, job: Mapping[str, object]) -> None:
        assert self._forker.stdin is not None
        with self._lock:
            self._forker.stdin.write(json.dumps(job) + "\n")
            self._forker.stdin.flush()


class _Reader:
    """Reads a pipe or a terminal to its end, in a thread."""

    def __init__(self, source: str | int) -> None:
        self._source = source
        self._pieces: list[bytes] = []
        self._arrived = Condition()
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        descriptor = os.open(self._source, os.O_RDONLY) if isinstance(self._source, str) else self._source
        with suppress(OSError):  # a terminal's end
            while piece := os.read(descriptor, 65_536):
                with self._arrived:
                    self._pieces.append(piece)
                    self._arrived.notify()
        if isinstance(self._source, str):
            os.close(descriptor)

    def wait_for(self, text: str) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: text.encode() in b"".join(self._pieces), TIMEOUT), text

    def text(self) -> str:
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the command does not end"
        return b"".join(self._pieces).decode()


@contextmanager
def command_line() -> Iterator[CommandLine]:
    """Start the process that commands are forked from."""
    command = [sys.executable, "-m", "tests.cli.forker"]
    with (
        TemporaryDirectory(prefix="mg", dir="/tmp") as folder,
        subprocess.Popen(command, cwd=ROOT, env=clean_environ(), stdin=subprocess.PIPE, text=True) as forker,
    ):
        yield CommandLine(forker, Path(folder))
        assert forker.stdin is not None
        forker.stdin.close()


def longest_lines(text: str, columns: int) -> Sequence[str]:
    """Return the lines that are wider than a terminal, except those that are one long word."""
    lines = _ANSI.sub("", text).splitlines()
    return [line for line in lines if len(line) > columns and " " in line.strip()]
