"""Run what the pages and docstrings about adapters show, against a real gateway, with a scripted model."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from types import ModuleType
from typing import Any

from meshguard.guard import Guard
from tests.docs.snippets import snippets
from tests.environments import ROOT

FENCE = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def run_page(page: str, **names: Any) -> dict[str, Any]:
    """Run the Python blocks of a page of docs/integrations in order, as one program that may await.

    Args:
        page: The file's name without `.md`.
        names: What the page takes for granted, such as `model`.

    Returns:
        The program's variables.
    """
    path = ROOT / "docs" / "integrations" / f"{page}.md"
    namespace = {"__name__": "page", **names}
    found = snippets(path, "python")
    assert found, f"{path.name} shows no code"
    with asyncio.Runner() as runner:
        for snippet in found:
            _run(runner, "\n" * (snippet.line - 1) + snippet.code, path.name, namespace)
        runner.run(_close(namespace))
    return namespace


def run_docstrings(module: ModuleType, **names: Any) -> int:
    """Run the fenced examples in the docstrings of a module's public names; gives their number."""
    documented = [module, *(getattr(module, name) for name in module.__all__)]
    documented += [
        member
        for owner in documented
        if inspect.isclass(owner)
        for name, member in vars(owner).items()
        if not name.startswith("_")
    ]
    examples = [
        textwrap.dedent(match[2])
        for owner in documented
        for match in FENCE.finditer(inspect.getdoc(owner) or "")
    ]
    for example in examples:
        namespace = {"__name__": "example", **names}
        with asyncio.Runner() as runner:
            _run(runner, example, module.__name__, namespace)
            runner.run(_close(namespace))
    return len(examples)


async def _close(namespace: dict[str, Any]) -> None:
    for value in namespace.values():
        if isinstance(value, Guard):
            await value.aclose()


def _run(runner: asyncio.Runner, code: str, file: str, namespace: dict[str, Any]) -> None:
    compiled = compile(code, file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    awaited = eval(compiled, namespace)
    if inspect.iscoroutine(awaited):
        runner.run(awaited)
