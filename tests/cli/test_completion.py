"""Completion, in the shells themselves: a person types, presses Tab, and reads the screen."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.environments import clean_environ

TIMEOUT = 60.0  # seconds
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(meshguard completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -u; eval "$(meshguard completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "meshguard completion fish | source"),
}


@pytest.fixture(scope="session", autouse=True)
def shells() -> None:
    """Install the shells that are missing."""
    missing = [name for name in SHELLS if shutil.which(name) is None]
    if missing:
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", *missing]):
            subprocess.run([*sudo, *command], check=True, capture_output=True)


class Screen:
    """A shell in a pseudo-terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Return what was shown up to a match, and forget it."""
        deadline = monotonic() + TIMEOUT
        while not (found := re.search(pattern, self._shown)):
            ready, _, _ = select.select([self._master], [], [], max(deadline - monotonic(), 0))
            assert ready, f"no {pattern!r} in {self._shown!r}"
            text = os.read(self._master, 65_536).decode(errors="replace")
            self._shown += re.sub(
                r"\x1b(\[[0-9;?>=]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[=>()][B0]?)", "", text
            )
        before, self._shown = self._shown[: found.end()], self._shown[found.end() :]
        return before


@contextmanager
def shell(name: str, folder: Path) -> Iterator[Screen]:
    command, setup = SHELLS[name]
    (folder / "meshguard").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m meshguard.cli "$@"\n')
    (folder / "meshguard").chmod(0o755)
    env = clean_environ(
        PATH=f"{folder}:{os.environ['PATH']}", HOME=str(folder), TERM="xterm", PS1="READY> ", LANG="C.UTF-8"
    )
    env.pop("PROMPT_COMMAND", None)
    master, slave = os.openpty()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - for job control
    ) as process:
        os.close(slave)
        try:
            screen = Screen(master)
            screen.type(f"{setup}; echo SET''UP\r")
            screen.wait_for("SETUP")
            yield screen
        finally:
            process.kill()
            with suppress(OSError):
                os.close(master)


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("meshguard comp", "meshguard completion "),
        ("meshguard audit expo", "meshguard audit export "),
        ("meshguard agent create --ti", "meshguard agent create --tier "),
        ("meshguard agent create --tier priv", "meshguard agent create --tier privileged "),
    ],
)
def test_tab_completes(name: str, typed: str, completed: str, tmp_path: Path) -> None:
    with shell(name, tmp_path) as screen:
        screen.type(f"{typed}\t")
        screen.wait_for(re.escape(completed))


@pytest.mark.parametrize("name", SHELLS)
def test_tab_lists_the_commands(name: str, tmp_path: Path) -> None:
    with shell(name, tmp_path) as screen:
        screen.type("meshguard agent \t\t")
        for command in ("create", "list"):
            screen.wait_for(rf"\b{command}\b")


@pytest.mark.parametrize("name", SHELLS)
def test_files_are_completed_where_files_are_expected(name: str, tmp_path: Path) -> None:
    (tmp_path / "unusual-name.yaml").touch()
    with shell(name, tmp_path) as screen:
        screen.type("meshguard policy validate unus\t")
        screen.wait_for(r"unusual-name\.yaml")
