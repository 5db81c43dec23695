"""A copy of the tree with an environment that imports the copy and nothing else of ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import venv
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.environments import clean_environ
from tests.mutation.fault import Fault
from tests.mutation.outcomes import FILE, MODULE

_NOT_COPIED = (
    ".git",
    ".venv",
    ".cache",
    ".*_cache",
    ".hypothesis",
    "__pycache__",
    "dist",
    "build",
    "*.egg-info",
)
_GRACE = 30  # seconds in which a run that is told to stop may end its servers
_LOCATIONS = "import meshguard, meshguard_api; print(meshguard.__file__); print(meshguard_api.__file__)"


@dataclass(frozen=True)
class Outcome:
    """What one phase of one test came to."""

    test: str
    phase: str
    outcome: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """A finished or stopped run of pytest; `exit_code` is None when it was stopped."""

    outcomes: tuple[Outcome, ...]
    exit_code: int | None
    output: str

    def failed_in(self, *phases: str) -> bool:
        return any(outcome.outcome == "failed" and outcome.phase in phases for outcome in self.outcomes)


class Sandbox:
    """A copy of a tree, to write faults into.

    The packages of an environment are used from another one, whose `.pth` file names the copy first. An
    editable install is a `.pth` file too, but Python reads none in a folder that one names. So `python -I`
    and scripts such as `meshguard` import the copy.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = folder / "tree"
        self._environments = folder / "environments"
        self._output = folder / "output"
        self._time = 1_700_000_000
        shutil.copytree(root, self.root, ignore=shutil.ignore_patterns(*_NOT_COPIED), symlinks=True)
        if (root / ".cache").is_dir():
            (self.root / ".cache").symlink_to(root / ".cache")

    def python(self, original: Path) -> Path:
        """Return the python that has the packages of another one, and the copy."""
        folder = self._environments / original.parents[1].name
        if not folder.exists():
            self._make(folder, original)
        return folder / "bin" / "python"

    def _make(self, folder: Path, original: Path) -> None:
        venv.EnvBuilder(symlinks=True).create(folder)
        (packages,) = original.parents[1].glob("lib/python3*/site-packages")
        (own,) = folder.glob("lib/python3*/site-packages")
        paths = (self.root, self.root / "generated", packages)
        (own / "copy.pth").write_text("".join(f"{path}\n" for path in paths))
        for script in original.parent.iterdir():
            _copy_script(script, original, folder / "bin")
        self._prove(folder / "bin" / "python", folder)

    def _prove(self, python: Path, folder: Path) -> None:
        for options in ((), ("-I",)):
            command = [str(python), *options, "-c", _LOCATIONS]
            shown = subprocess.run(
                command, cwd=folder, env=clean_environ(), capture_output=True, text=True, check=True
            )
            for file in shown.stdout.split():
                if not Path(file).resolve().is_relative_to(self.root.resolve()):
                    raise RuntimeError(f"The copy is not what is imported, but {file}.")

    def write(self, file: str, source: str) -> None:
        """Change a file so that no compiled form of an earlier version can be taken for this one."""
        self._time += 10
        (self.root / file).write_text(source)
        os.utime(self.root / file, (self._time, self._time))

    def run(
        self, original: Path, tests: tuple[str, ...], *options: str, seconds: float, fault: Fault | None
    ) -> Run:
        """Run tests, with the fault that is written into the copy."""
        self._output.mkdir(exist_ok=True)
        outcomes, output = self._output / "outcomes", self._output / "text"
        outcomes.write_text("")
        command = [str(self.python(original)), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
        environ = clean_environ(**{FILE: str(outcomes)}, **({MODULE: _module(fault.file)} if fault else {}))
        with output.open("w") as text:
            process = subprocess.Popen(
                [*command, "-p", "tests.mutation.outcomes", *options, *tests],
                cwd=self.root,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=text,
                stderr=text,
                start_new_session=True,
            )
            exit_code = _wait(process, seconds)
        lines = [json.loads(line) for line in outcomes.read_text().splitlines()]
        return Run(tuple(Outcome(**line) for line in lines), exit_code, output.read_text(errors="replace"))


def _copy_script(script: Path, original: Path, folder: Path) -> None:
    shebang = f"#!{original}\n".encode()
    if script.is_file() and script.stat().st_size < 100_000 and not (folder / script.name).exists():
        content = script.read_bytes()
        if content.startswith(shebang):
            copied = folder / script.name
            copied.write_bytes(content.replace(shebang, f"#!{folder / 'python'}\n".encode(), 1))
            copied.chmod(0o755)
            return
    if script.is_file() and not (folder / script.name).exists():
        (folder / script.name).symlink_to(script)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # pytest then ends fixtures, and with them servers
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _module(file: str) -> str:
    name = file.removeprefix("generated/").removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")
