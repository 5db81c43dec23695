"""One module a framework, each thin: the hook it has, a `ToolCall` made of it, and its form of a denial."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def needs(framework: str, extra: str) -> Generator[None]:
    """Have the imports of an adapter say what to install when its framework is missing.

    Args:
        framework: The module that is the framework, such as `google.adk`.
        extra: The extra of `meshguard` that installs it.

    Raises:
        ModuleNotFoundError: The framework is missing. Whatever else an import raises comes out as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not f"{framework}.".startswith(f"{error.name}."):
            raise
        raise ModuleNotFoundError(
            f"This adapter needs {extra}; install it with: pip install 'meshguard[{extra}]'", name=error.name
        ) from error
