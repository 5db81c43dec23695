"""What type checkers say of right and of wrong calls."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshguard import AsyncMeshGuardClient, MeshGuardClient, exceptions, types

HERE = Path(__file__).parent
USAGE, WRONG, MISTAKES = FILES = ("typed_usage.py", "typed_wrong.py", "typed_mistakes.py")
COMMANDS = {
    "mypy": ("mypy", "--strict", "--no-incremental", "--no-error-summary"),
    "pyright": ("pyright", "--pythonpath", sys.executable),
}
ERRORS = [getattr(exceptions, name) for name in exceptions.__all__]
Lines = set[tuple[str, int]]


def flagged(checker: str) -> Lines:
    """Run a type checker on all files, and return the lines in which it finds errors."""
    command = [sys.executable, "-m", *COMMANDS[checker], *(str(HERE / name) for name in FILES)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return {
        (Path(found[1]).name, int(found[2]))
        for found in re.finditer(r"^\s*(\S+\.py):(\d+):(?:\d+)?(?: -)? error", done.stdout, re.MULTILINE)
    }


def marked(checker: str) -> Lines:
    """Return the lines that are marked as wrong, for all checkers or for this one."""
    return {
        (name, number)
        for name in FILES
        for number, line in enumerate((HERE / name).read_text().splitlines(), 1)
        if (found := re.search(r"# wrong(?: for (.+))?$", line)) and checker in (found[1] or checker)
    }


@pytest.mark.parametrize("checker", COMMANDS)
def test_a_type_checker_flags_exactly_the_wrong_calls(checker: str) -> None:
    expected = marked(checker)
    assert flagged(checker) == expected
    assert sum(name == WRONG for name, _ in expected) > 80
    assert sum(name == MISTAKES for name, _ in expected) > 10


@pytest.mark.parametrize("owner", [MeshGuardClient, AsyncMeshGuardClient, *ERRORS])
def test_no_public_signature_has_any(owner: Any) -> None:
    for name, member in inspect.getmembers(owner):
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            assert not re.search(r"\bAny\b", str(function.__annotations__)), name


def test_no_public_type_has_any() -> None:
    named = {name: value for name, value in vars(types).items() if not name.startswith("_")}
    fields = {name: str(getattr(value, "__annotations__", value)) for name, value in named.items()}
    assert not {name for name, text in fields.items() if re.search(r"\bAny\b", text)}


@pytest.mark.parametrize(
    ("client_class", "function"), [(MeshGuardClient, "sync"), (AsyncMeshGuardClient, "asynchronous")]
)
def test_the_right_calls_name_every_public_method(client_class: Any, function: str) -> None:
    tree = ast.parse((HERE / USAGE).read_text())
    [body] = [node for node in ast.walk(tree) if getattr(node, "name", None) == function]
    called = {
        node.func.attr
        for node in ast.walk(body)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    methods = {name for name, _ in inspect.getmembers(client_class, callable) if not name.startswith("_")}
    assert methods - {"with_options"} <= called
