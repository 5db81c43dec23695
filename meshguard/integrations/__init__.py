"""One thin module per framework: its hook, the `ToolCall` made from it, and its form of a denial."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def needs(framework: str, extra: str) -> Generator[None]:
    """Name the extra to install if the framework of an adapter is missing.

    Args:
        framework: The framework's module, such as `google.adk`.
        extra: The extra of `meshguard` that installs it.

    Raises:
        ModuleNotFoundError: The framework is missing. Other import errors propagate unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not f"{framework}.".startswith(f"{error.name}."):
            raise
        raise ModuleNotFoundError(
            f"Cannot import the adapter: {extra} is not installed. Run: pip install 'meshguard[{extra}]'",
            name=error.name,
        ) from error
