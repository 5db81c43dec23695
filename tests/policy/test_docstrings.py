import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import meshguard.policy

ROOT = Path(__file__).parents[2]
MODULES = [
    "meshguard.policy",
    *(f"meshguard.policy.{module.name}" for module in pkgutil.iter_modules(meshguard.policy.__path__)),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_come_out_as_they_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_function_has_an_example() -> None:
    public = [getattr(meshguard.policy, name) for name in meshguard.policy.__all__]
    for function in filter(inspect.isfunction, public):
        assert ">>>" in (function.__doc__ or ""), function.__name__


SHARED = "meshguard.explanation_text"  # of the standard library alone; the client prints with it too


def test_the_policy_package_imports_nothing_else_of_ours() -> None:
    for file in (ROOT / "meshguard/policy").glob("*.py"):
        for line in file.read_text().splitlines():
            if line.strip().startswith(("from meshguard", "import meshguard")):
                assert "meshguard.policy" in line or SHARED in line
