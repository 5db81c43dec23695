"""What scripts/unasync does not guarantee about the two clients: that every line of it can be made."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from meshguard import AsyncMeshGuardClient, MeshGuardClient

ROOT = Path(__file__).parents[2]
RENAMED = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}


@pytest.fixture(scope="module")
def unasync() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unasync", ROOT / "scripts" / "unasync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def members(client_class: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(client_class) if not name.startswith("__")}


def test_the_sync_client_is_what_the_script_makes(unasync: ModuleType, tmp_path: Path) -> None:
    unasync.generate(tmp_path)
    assert unasync.differences(tmp_path) == []


def test_a_file_that_was_edited_is_reported(unasync: ModuleType, tmp_path: Path) -> None:
    unasync.generate(tmp_path)
    (tmp_path / "agents.py").write_text((tmp_path / "agents.py").read_text() + "\n")
    (tmp_path / "extra.py").touch()
    assert unasync.differences(tmp_path) == ["agents.py", "extra.py"]


def test_both_clients_have_the_same_members() -> None:
    renamed = {RENAMED.get(name, name) for name in members(MeshGuardClient)}
    assert renamed == set(members(AsyncMeshGuardClient))


def test_no_trace_of_async_is_left_in_the_sync_client() -> None:
    for path in (ROOT / "meshguard" / "_sync").glob("*.py"):
        _, _, source = path.read_text().partition("\n")
        assert "await" not in source, path.name
        assert "Async" not in source, path.name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("async def a(): return await b()\n", "def a(): return b()\n"),
        ("x = (await a(b(1)))['c']\n", "x = a(b(1))['c']\n"),
        ("x = [y async for y in z]\n", "x = [y for y in z]\n"),
        ("a = 1  # sync: a = 2\n", "a = 2\n"),
        ("    a = 1  # sync:\n    b = 2\n", "    b = 2\n"),
        ('"""Run `async with x` and an async one."""\n', '"""Run `with x` and a one."""\n'),
        ("await_ = 1  # AsyncClient\n", "await_ = 1  # Client\n"),
    ],
)
def test_the_script_converts(unasync: ModuleType, source: str, expected: str) -> None:
    assert unasync.convert(source) == expected


def documented(client_class: type, name: str) -> set[str]:
    """The arguments that a docstring describes, those of its class, and of the method it refers to."""
    doc = str(getattr(client_class, name).__doc__)
    owner = next(base for base in client_class.__mro__ if name in vars(base))
    doc += "" if owner is client_class else str(owner.__doc__)
    described = {line.split(":")[0].strip().strip("*") for line in doc.splitlines() if ": " in line}
    shared = re.search(r"the arguments of `(\w+)`", doc)
    return described | (documented(client_class, shared[1]) if shared else set())


@pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
def test_every_public_method_describes_its_arguments_and_has_an_example(client_class: type) -> None:
    for name, method in members(client_class).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        assert "```python" in str(method.__doc__), name
        described = "request" if "see `request`" in str(method.__doc__) else name
        expected = set(inspect.signature(method).parameters) - {"self"}
        assert expected <= documented(client_class, described), name
