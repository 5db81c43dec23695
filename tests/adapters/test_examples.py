"""The examples run as a reader would run them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT, clean_environ

ELSEWHERE = ("crewai", "claude")  # these frameworks have environments of their own, and tests there
EXAMPLES = [
    path
    for path in sorted((ROOT / "examples" / "agents").glob("*.py"))
    if not path.name.startswith(ELSEWHERE)
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_does_what_it_says(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "deny" in done.stdout
    assert "allow" in done.stdout
