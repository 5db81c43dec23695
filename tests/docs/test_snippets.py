"""What the documentation shows is run, block by block, against a real gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from meshguard import MeshGuardClient
from tests.docs.snippets import Snippet, snippets
from tests.environments import ROOT

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
