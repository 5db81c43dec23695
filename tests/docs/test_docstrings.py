"""The examples in docstrings run: doctests as they are, fenced blocks against a real gateway."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

import pytest

import meshguard
from meshguard import AsyncMeshGuardClient, MeshGuardClient

FENCE = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def modules() -> Iterator[ModuleType]:
    yield meshguard
    for found in pkgutil.walk_packages(meshguard.__path__, "meshguard."):
        if "migrations" not in found.name and ".integrations." not in found.name:  # see tests/adapters
            yield importlib.import_module(found.name)


def examples(owner: type) -> list[Any]:
    documented = [(owner.__name__, owner), *inspect.getmembers(owner, callable)]
    documented += inspect.getmembers(owner, lambda member: isinstance(member, property))
    return [
        pytest.param(textwrap.dedent(match[2]), id=f"{owner.__name__}.{name}-{number}")
        for name, member in documented
        if not name.startswith("_")
        for number, match in enumerate(FENCE.finditer(inspect.getdoc(member) or ""), 1)
    ]


def compiled(code: str) -> CodeType:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    result: CodeType = compile(code, "<example>", "exec", flags=flags)
    return result


def agent_id(world: dict[str, str]) -> str:
    return world["agent_abc123"]


def names(world: dict[str, str], client: object) -> dict[str, Any]:
    return {"client": client, "send_email": lambda *_, **__: None, "agent_id": agent_id(world)}


def filled(code: str, world: dict[str, str]) -> str:
    for placeholder, value in world.items():
        code = code.replace(placeholder, value)
    return code


@pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)
def test_the_doctests_of_a_module_pass(module: ModuleType) -> None:
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("code", examples(MeshGuardClient))
def test_the_examples_of_the_client_run(code: str, world: dict[str, str]) -> None:
    with MeshGuardClient() as client:
        exec(compiled(filled(code, world)), names(world, client))


@pytest.mark.parametrize("code", examples(AsyncMeshGuardClient))
def test_the_examples_of_the_async_client_run(code: str, world: dict[str, str]) -> None:
    async def run() -> None:
        async with AsyncMeshGuardClient() as client:
            returned = eval(compiled(filled(code, world)), names(world, client))
            if inspect.isawaitable(returned):
                await returned

    asyncio.run(run())


@pytest.mark.parametrize("owner", [MeshGuardClient, AsyncMeshGuardClient])
def test_every_method_has_an_example(owner: type) -> None:
    methods = {name for name, _ in inspect.getmembers(owner, callable) if not name.startswith("_")}
    shown = {str(param.id).split(".")[1].split("-")[0] for param in examples(owner)}
    assert methods <= shown
