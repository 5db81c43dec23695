"""Runs the command line in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "meshguard.cli"]
_KEPT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def bare_environment(home: Path, **variables: str) -> dict[str, str]:
    """Return an environment without settings of MeshGuard, in which nothing is written outside `home`."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return (
        kept
        | {"HOME": str(home), "XDG_DATA_HOME": f"{home}/data", "XDG_CONFIG_HOME": f"{home}/config"}
        | variables
    )


def run_cli(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `meshguard` with these arguments in a folder, which is its home too."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=bare_environment(folder, **(variables or {})),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )
