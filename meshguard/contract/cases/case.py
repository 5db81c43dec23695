"""What a case is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.contract.subject import Subject

_cases: dict[str, list[Case]] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One sentence of the contract and how it is tested.

    Args:
        name: The sentence.
        rule: What the contract says.
        reference: Where it says so: operations, or sections of the description.
        run: Tests it; raises `Violation`, or `Skipped`.
    """

    name: str
    rule: str
    reference: str
    run: Callable[[Subject], None]


def case(reference: str) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Make a function a case.

    Args:
        reference: Where in openapi.yaml its rule stands.
    """

    def register(run: Callable[[Subject], None]) -> Callable[[Subject], None]:
        name = run.__name__.replace("_", " ")
        rule = " ".join((run.__doc__ or "").split())
        _cases.setdefault(run.__module__, []).append(Case(name, rule, reference, run))
        return run

    return register


def cases_of(module: str) -> list[Case]:
    """Return the cases of a module."""
    return _cases[module]
