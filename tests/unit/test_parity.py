"""The async client has the same methods as the sync one."""

import inspect
import re
from typing import Any

import pytest

from meshguard import AsyncMeshGuardClient, MeshGuardClient

RENAMED = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
NOT_AWAITED = {"__init__", "__repr__", "govern", "stream", "iter_audit_log", "_set", "with_options"}


def _methods(client_class: type) -> dict[str, Any]:
    return dict(inspect.getmembers(client_class, inspect.isfunction))


def _properties(client_class: type) -> dict[str, Any]:
    return dict(inspect.getmembers(client_class, lambda member: isinstance(member, property)))


METHODS = sorted(set(_methods(MeshGuardClient)) - {"_items"})


def _made_sync(text: str) -> str:
    for written, meant in (
        ("AsyncMeshGuardClient", "MeshGuardClient"),
        ("AsyncGoverned", "Governed"),
        ("AsyncIterator", "Iterator"),
        ("meshguard.async_client", "meshguard.client"),
        ("AbstractAsyncContextManager", "AbstractContextManager"),
        ("AsyncClient", "Client"),
        ("aclose", "close"),
        ("aiter_bytes", "iter_bytes"),
        (".asyncio(", ".sync("),
    ):
        text = text.replace(written, meant)
    return text


def _plain(docstring: str | None) -> str:
    """Leave out what has to differ: awaiting, its brackets, and which functions `govern` takes."""
    text = re.sub(r"\b(async|await) |[()]", "", _made_sync(docstring or ""))
    text = re.sub(r"(A|An) (async )?generator function is decided on .*", "", text)
    text = re.sub(r"the function is (not )?async; it belongs to .*|function is not async.*", "", text)
    text = re.sub(r"many (threads|tasks) at once", "", text)
    return " ".join(text.split())


def test_both_clients_have_the_same_members() -> None:
    renamed = {RENAMED.get(name, name) for name in _methods(MeshGuardClient)}
    assert renamed == set(_methods(AsyncMeshGuardClient))
    assert set(_properties(MeshGuardClient)) == set(_properties(AsyncMeshGuardClient))


@pytest.mark.parametrize("name", METHODS)
def test_signatures_are_equal(name: str) -> None:
    mine = inspect.signature(_methods(MeshGuardClient)[name])
    twin = inspect.signature(_methods(AsyncMeshGuardClient)[RENAMED.get(name, name)])
    assert str(mine) == _made_sync(str(twin))
    method = inspect.unwrap(_methods(AsyncMeshGuardClient)[RENAMED.get(name, name)])
    assert inspect.iscoroutinefunction(method) == (name not in NOT_AWAITED)


@pytest.mark.parametrize("name", METHODS)
def test_docstrings_are_equal_but_for_awaiting(name: str) -> None:
    mine = _methods(MeshGuardClient)[name].__doc__
    assert _plain(mine) == _plain(_methods(AsyncMeshGuardClient)[RENAMED.get(name, name)].__doc__)


def test_docstrings_of_classes_and_properties_are_equal_too() -> None:
    assert _plain(MeshGuardClient.__doc__) == _plain(AsyncMeshGuardClient.__doc__)
    twins = _properties(AsyncMeshGuardClient)
    assert all(
        _plain(mine.__doc__) == _plain(twins[name].__doc__)
        for name, mine in _properties(MeshGuardClient).items()
    )


@pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
def test_every_public_method_says_what_it_gives_raises_and_looks_like(client_class: type) -> None:
    for name, method in _methods(client_class).items():
        if name.startswith("_"):
            continue
        doc = str(method.__doc__)
        assert "```python" in doc, name
        assert "Raises:" in doc or "never raises" in doc or "close" in name, name
        missing = [
            parameter
            for parameter in inspect.signature(method).parameters
            if parameter != "self" and f"{parameter}: " not in doc
        ]
        assert missing == [], name
