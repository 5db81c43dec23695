"""What the conformance kit has to notice of an adapter that is broken on purpose, in every mode."""

from __future__ import annotations

from meshguard.testing.conformance import AdapterConformance, failures

ALLOWED = "test_an_allowed_call_runs_once"
DENIED = "test_a_denied_call_never_runs"
DOWN = "test_nothing_runs_while_the_gateway_is_down"
CRASHED = "test_nothing_runs_when_context_crashes"


def assert_noticed_as_ungoverned(adapter: type[AdapterConformance]) -> None:
    """Denied calls run, and allowed ones leave no entry in the audit log."""
    assert _in_each_mode(adapter, ALLOWED, DENIED, DOWN) - set(failures(adapter)) == set()


def assert_noticed_as_letting_errors_out(adapter: type[AdapterConformance]) -> None:
    """The model is told nothing where no decision can be had; all is well where one can."""
    failed = set(failures(adapter))
    assert _in_each_mode(adapter, DOWN, CRASHED) - failed == set()
    assert _in_each_mode(adapter, ALLOWED) & failed == set()


def _in_each_mode(adapter: type[AdapterConformance], *checks: str) -> set[str]:
    return {f"{check}[{mode}]" for check in checks for mode in adapter.modes}
