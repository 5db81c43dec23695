"""What the documentation shows is run, block by block, against a real gateway."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
from langchain_core.language_models import FakeListChatModel

from meshguard import MeshGuardClient
from tests.docs.snippets import Snippet, snippets
from tests.environments import ROOT, clean_environ

PAGES = (
    *(ROOT / "README.md", ROOT / "docs" / "sdk.md", ROOT / "docs" / "audit-log.md"),
    ROOT / "tests" / "docs" / "published-sdk.md",
)
EXPORT = re.compile(r'^export (\w+)="?([^"\n]*)"?$', re.MULTILINE)


def filled(code: str, world: dict[str, str]) -> str:
    for placeholder, value in world.items():
        code = code.replace(placeholder, value)
    return code


def names_that_the_pages_assume() -> dict[str, Any]:
    def forbidden() -> None:
        raise AssertionError("a denied action ran")

    def search_contacts(query: str) -> str:
        """Search the contacts."""
        return query

    return {
        "__name__": "snippet",
        "send_email": lambda **_: None,
        "delete_database": forbidden,
        "model": FakeListChatModel(responses=["Hello."]),
        "search_contacts": search_contacts,
    }


def run(snippet: Snippet, code: str, namespace: dict[str, Any]) -> None:
    """Run the code so that a traceback names the page's own line; close a client that it replaced."""
    client = namespace.get("client")
    exec(compile("\n" * (snippet.line - 1) + code, str(snippet.page), "exec"), namespace)
    if namespace.get("client") is not client:
        close(client)


def close(client: object) -> None:
    if isinstance(client, MeshGuardClient):
        client.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_snippet_runs_as_it_stands(
    page: Path, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = snippets(page, "python", "bash")
    assert any(snippet.language == "python" for snippet in found)
    namespace = names_that_the_pages_assume()
    for snippet in found:
        code = filled(snippet.code, world)
        if snippet.language == "bash":
            for name, value in EXPORT.findall(code):
                monkeypatch.setenv(name, value)
        else:
            run(snippet, code, namespace)
    close(namespace.get("client"))


def test_the_quickstart_works_as_it_is_typed(tmp_path: Path) -> None:
    terminal, script = snippets(ROOT / "README.md", "bash", "python")[:2]
    commands = "\n".join(line for line in terminal.code.splitlines() if not line.startswith("pip "))
    tools = Path(sys.executable).parent
    variables = clean_environ(PATH=f"{tools}{os.pathsep}{os.environ['PATH']}", MESHGUARD_PORT="0")
    with subprocess.Popen(
        ["bash", "-c", commands.replace("meshguard serve", "exec meshguard serve")],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    ) as gateway:
        try:
            assert gateway.stdout is not None
            exported = dict(EXPORT.findall(next_exports(gateway.stdout)))
            done = subprocess.run(
                [sys.executable, "-c", script.code],
                cwd=tmp_path,
                env=variables | exported,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            gateway.terminate()
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"allowed by support, trace \S+\n", done.stdout)


def next_exports(lines: IO[str]) -> str:
    found: list[str] = []
    for line in lines:
        found += [line] if line.startswith("export ") else []
        if len(found) == 3:
            break
    return "".join(found)
