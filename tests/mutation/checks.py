"""What must hold of a fault before it is worth running."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.mutation.fault import Fault


def errors_in(faults: Sequence[Fault], root: Path) -> list[str]:
    """Return what makes faults unusable, a line for each error."""
    errors = [f"{fault.name}: {error}" for fault in faults for error in _errors_in(fault, root)]
    names = [fault.name for fault in faults]
    errors += [f"{name}: the name occurs more than once" for name in {*names} if names.count(name) > 1]
    return errors or _undefined_names(faults, root)


def _errors_in(fault: Fault, root: Path) -> list[str]:
    errors = [f"no such test: {test}" for test in fault.tests if not _exists(test, root)]
    if not fault.tests:
        errors.append("no test is named")
    if not fault.promise.strip():
        errors.append("no promise is named")
    return [*errors, *_source_errors(fault, root / fault.file)]


def _source_errors(fault: Fault, file: Path) -> list[str]:
    if not fault.file.startswith(("meshguard/", "generated/meshguard_api/")) or file.suffix != ".py":
        return [f"{fault.file} is not a module of the product"]
    if not file.is_file():
        return [f"{fault.file} does not exist"]
    source = file.read_text()
    if (occurrences := source.count(fault.right)) != 1:
        return [f"`right` occurs {occurrences} times in {fault.file}"]
    try:
        wrong = ast.parse(fault.apply_to(source))
    except SyntaxError as error:
        return [f"{fault.file} is not valid Python with the fault: {error.msg}"]
    if ast.dump(wrong) == ast.dump(ast.parse(source)):
        return ["the fault changes nothing"]
    return []


def _exists(test: str, root: Path) -> bool:
    path, _, names = test.partition("::")
    *_, name = names.partition("[")[0].split("::")
    return bool(name) and (root / path).is_file() and name in _functions(root / path)


@cache
def _functions(file: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def _undefined_names(faults: Sequence[Fault], root: Path) -> list[str]:
    """A fault that raises NameError would be noticed by any test."""
    with tempfile.TemporaryDirectory() as folder:
        for number, fault in enumerate(faults):
            file = Path(folder) / f"fault{number}.py"
            file.write_text(fault.apply_to((root / fault.file).read_text()))
        command = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", "--no-cache"]
        options = ["--select", "F821", "--output-format", "concise", folder]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    lines = [line.rpartition("fault")[2] for line in done.stdout.splitlines() if "F821" in line]
    return [f"{faults[int(line.partition('.')[0])].name}: {line.partition('F821 ')[2]}" for line in lines]
