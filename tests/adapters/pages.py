"""Run the examples of the pages and docstrings about adapters, against a real gateway."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from meshguard import MeshGuardClient
from meshguard.guard import Guard
from meshguard.testing import running_gateway
from tests.docs.snippets import Snippet, snippets
from tests.environments import ROOT, clean_environ

FENCE = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page that was run.

    Attributes:
        names: The variables of its program.
        decisions: The decisions of the agent in the environment, as (action, decision).
    """

    names: dict[str, Any]
    decisions: set[tuple[str, str]]


def run_example(page: str, folder: Path, **variables: str) -> None:
    """Run the program at the head of a page as a reader would, and compare what it prints with the page."""
    program, output = _example(page)
    done = subprocess.run(
        [sys.executable, "-c", program.code],
        cwd=folder,
        env=clean_environ(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == output.code


def run_page(page: str) -> Page:
    """Run the Python blocks of a page in order, as one program that may await.

    The blocks after the first have in their environment what the page says: the address of a gateway with the
    page's own policy, and a token of an agent.
    """
    blocks = snippets(_path(page), "python")
    namespace: dict[str, Any] = {"__name__": "page"}
    with asyncio.Runner() as runner:
        with contextlib.redirect_stdout(io.StringIO()):
            _run_block(runner, blocks[0], namespace)
        with running_gateway(namespace["POLICY"]) as gateway, gateway.agent("page") as client:
            variables = {
                "MESHGUARD_GATEWAY_URL": gateway.url,
                "MESHGUARD_AGENT_TOKEN": client.agent_token or "",
                "MESHGUARD_ADMIN_TOKEN": gateway.admin_token,
            }
            with patch.dict(os.environ, variables):
                for block in blocks[1:]:
                    _run_block(runner, block, namespace)
                runner.run(_close(namespace))
            for made in [value for value in namespace.values() if isinstance(value, MeshGuardClient)]:
                made.close()
            with gateway.admin() as admin:
                entries = [entry for entry in admin.iter_audit_log() if entry.get("kind") == "decision"]
    return Page(namespace, {(entry["action"], entry["decision"]) for entry in entries})


def _path(page: str) -> Path:
    return ROOT / "docs" / "integrations" / f"{page}.md"


def _example(page: str) -> tuple[Snippet, Snippet]:
    """The first program of a page, and the output right after it."""
    blocks = snippets(_path(page), "python", "text")
    assert [block.language for block in blocks[:2]] == ["python", "text"], f"{page} has no complete example"
    return blocks[0], blocks[1]


def _run_block(runner: asyncio.Runner, block: Snippet, namespace: dict[str, Any]) -> None:
    _run(runner, "\n" * (block.line - 1) + block.code, block.page.name, namespace)


def run_docstrings(module: ModuleType, **names: Any) -> int:
    """Run the fenced examples in the docstrings of a module's public names; returns their number."""
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
