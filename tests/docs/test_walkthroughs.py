"""The README and the tutorial, word for word, in a shell and an environment without anything of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.walkthrough import Step, clone_of, follow, missing_lines

ROOT = Path(__file__).parents[2]
# Commands whose exit code the page announces.
_CODES = {"meshguard explain": 1}


def _expected_code(step: Step) -> int:
    last = step.commands.strip().splitlines()[-1]
    return next((code for start, code in _CODES.items() if last.startswith(start)), 0)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "clone").mkdir()
    return clone_of(ROOT, tmp_path / "clone")


def test_the_readme_works_word_for_word(clone: Path, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    steps = follow(text.partition("## In your framework")[0], clone, tmp_path)
    for step in steps:
        assert step.code == 0, step.output
        assert missing_lines(step) == [], step.output
    demo = Step("meshguard demo", [text.partition("```text\n")[2].partition("```")[0]])
    demo.output = next(step.output for step in steps if "meshguard demo" in step.commands)
    assert missing_lines(demo) == []


def test_the_tutorial_works_word_for_word(clone: Path, tmp_path: Path) -> None:
    steps = follow((ROOT / "docs" / "tutorial.md").read_text(), clone, tmp_path)
    for step in steps:
        assert step.code == _expected_code(step), step.output
        assert missing_lines(step) == [], step.output
    outputs = [step.output for step in steps if step.commands == "meshguard run -- python agent.py\n"]
    denials = [output.count("denied") for output in outputs]
    assert denials[0] >= 4
    assert [output.count("Ada got 9000 back") for output in outputs] == [0, 0]
