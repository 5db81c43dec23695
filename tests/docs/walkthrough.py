"""Follows a page from top to bottom in a shell, as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: (?P<info>[^\n]+))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_MARK = re.compile(r"^@@ (\d+) (\d+)\n", re.MULTILINE)
_TIME = re.compile(r"\d\d:\d\d:\d\d")
_KEPT = re.compile(r"PATH|PIP_\w+|LANG|(https?|no|HTTPS?|NO)_(proxy|PROXY)|(SSL|REQUESTS)_\w+")


@dataclass
class Step:
    """One block of commands, what the page says they print, and what they did print."""

    commands: str
    expected: list[str] = field(default_factory=list)
    output: str = ""
    code: int = -1


def follow(page: str, clone: Path, home: Path) -> list[Step]:
    """Run the commands of a page, writing the files that it shows.

    Args:
        page: The page's text. After a language, `file=NAME` names a file, and `terminal=2` a command that
            continues to run.
        clone: The folder in which a reader starts.
        home: The reader's home.
    """
    steps: list[Step] = []
    lines: list[str] = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for block in _BLOCK.finditer(page):
        info = block["info"] or ""
        if info.startswith("file="):
            lines.append(f"cat >{info[5:]} <<'END OF FILE'\n{block['code']}END OF FILE")
        elif block["language"] == "text" and steps:
            steps[-1].expected.append(block["code"])
        elif block["language"] == "bash":
            command = block["code"]
            if info == "terminal=2":
                command = f"{command.rstrip()} >terminal-2.log 2>&1 &\n{_wait_for('Decisions appear here')}"
            lines.append(f"{command}\nprintf '\\n@@ %s %s\\n' {len(steps)} $?")
            steps.append(Step(block["code"]))
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=clone,
        env={name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
        | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    parts = _MARK.split(done.stdout)
    for output, number, code in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        steps[int(number)].output, steps[int(number)].code = output, int(code)
    return steps


def _wait_for(text: str) -> str:
    found = f"grep -q '{text}' terminal-2.log"
    return f"for _ in $(seq 300); do {found} && break; sleep 0.2; done; {found}"


def missing_lines(step: Step) -> list[str]:
    """Return the lines that the page shows and the commands did not print; times differ."""
    printed = {_TIME.sub("TIME", line.rstrip()) for line in step.output.splitlines()}
    shown = [line.rstrip() for block in step.expected for line in block.splitlines() if line.strip()]
    return [line for line in shown if _TIME.sub("TIME", line) not in printed]


def clone_of(root: Path, folder: Path) -> Path:
    """Return a folder with the files of the repository that git tracks, or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((root / name).read_bytes())
    return folder
