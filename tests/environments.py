"""Virtual environments that tests and benchmarks need beside their own, kept in `.cache` between runs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(name: str, *requirements: str, constrained: bool = True) -> Path:
    """The python of an environment with these requirements, made at the first call."""
    folder = ROOT / ".cache" / "environments" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    content = [(ROOT / "constraints.txt").read_text(), *map(_content, requirements)]
    stamp = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    with (folder.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "stamp").is_file() or (folder / "stamp").read_text() != stamp:
            _make(folder, requirements, constrained=constrained)
            (folder / "stamp").write_text(stamp)
    return folder / "bin" / "python"


def _content(requirement: str) -> str:
    file = Path(requirement.partition("[")[0])
    return requirement + (hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "")


def _make(folder: Path, requirements: tuple[str, ...], *, constrained: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    constraints = ["--constraint", str(ROOT / "constraints.txt")] if constrained else []
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *constraints, *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder)
        sys.exit(f"could not make the environment {folder.name}:\n{done.stderr}")


def clean_environ(**extra: str) -> dict[str, str]:
    """The environment variables, without any of MeshGuard's or Python's, plus `extra`."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("MESHGUARD_", "PYTHON", "COV"))
    }
    return kept | extra
