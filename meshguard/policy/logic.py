"""Three values: true, false, and an error that is neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshguard.policy.values import Outcome, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence


def both(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the three-valued conjunction: false before error before true."""
    if False in outcomes:
        return False
    return _problem_of(outcomes) or True


def either(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the three-valued disjunction: true before error before false."""
    if True in outcomes:
        return True
    return _problem_of(outcomes) or False


def _problem_of(outcomes: Sequence[Outcome]) -> Problem | None:
    """Return one problem, the same whatever the order."""
    problems = [outcome for outcome in outcomes if type(outcome) is Problem]
    return min(problems, key=_message) if problems else None


def _message(problem: Problem) -> str:
    return problem.message


def negation(outcome: Outcome) -> Outcome:
    """Return the three-valued negation: an error stays an error."""
    return outcome if isinstance(outcome, Problem) else not outcome


def value_word(outcome: Outcome) -> str:
    """Return an outcome as one of "true", "false", "error"."""
    return "error" if isinstance(outcome, Problem) else str(outcome).lower()
