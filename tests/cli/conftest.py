from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine, command_line


@pytest.fixture(scope="module")
def mesh() -> Iterator[CommandLine]:
    with command_line() as runner:
        yield runner


@pytest.fixture
def matches_snapshot(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of its name; `--update-snapshots` writes it."""

    def compare(name: str, text: str) -> None:
        file = Path(__file__).parent / "snapshots" / f"{name}.txt"
        if request.config.getoption("--update-snapshots"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert file.is_file(), "no snapshot; write it with --update-snapshots"
        assert text == file.read_text()

    return compare
