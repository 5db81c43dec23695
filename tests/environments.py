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
ADAPTERS = {  # the environments in which adapters are tested, with their extras; .venv has what "shared" has
    "claude_agent": "claude-agent",
    "crewai": "crewai",
    "shared": "fastmcp,google-adk,langchain,mcp,openai-agents,pydantic-ai",
}


def adapter_environment(name: str, *, newest: bool = False) -> Path:
    """The python of an environment for adapters, with pinned versions or, made afresh, with the newest."""
    requirements = ("--editable", f".[testing,{ADAPTERS[name]}]", "hypothesis", "pytest-xdist")
    if newest:
        shutil.rmtree(ROOT / ".cache" / "environments" / f"newest-{name}", ignore_errors=True)
        return environment(f"newest-{name}", *requirements, constraints=None)
    return environment(name, *requirements, constraints=f"tests/adapters/{name}/constraints.txt")


def environment(name: str, *requirements: str, constraints: str | None = "constraints.txt") -> Path:
    """The python of an environment with these requirements, made at the first call."""
    folder = ROOT / ".cache" / "environments" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    content = [(ROOT / constraints).read_text() if constraints else "", *map(_content, requirements)]
    stamp = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    with (folder.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "stamp").is_file() or (folder / "stamp").read_text() != stamp:
            _make(folder, requirements, constraints)
            (folder / "stamp").write_text(stamp)
    return folder / "bin" / "python"


def _content(requirement: str) -> str:
    file = Path(requirement.partition("[")[0])
    if file == Path():  # this project; its dependencies stand before the settings of tools
        return requirement + (ROOT / "pyproject.toml").read_text().partition("\n[tool.")[0]
    return requirement + (hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "")


def _make(folder: Path, requirements: tuple[str, ...], constraints: str | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pinned = ["--constraint", constraints] if constraints else []
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *pinned, *requirements]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder)
        sys.exit(f"could not make the environment {folder.name}:\n{done.stderr}")


def clean_environ(**extra: str) -> dict[str, str]:
    """The environment variables, without any of MeshGuard's or Python's, plus `extra`."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("MESHGUARD_", "PYTHON", "COV"))
    }
    return kept | extra


if __name__ == "__main__":
    sys.stdout.write(str(adapter_environment(sys.argv[1], newest="--newest" in sys.argv)))
