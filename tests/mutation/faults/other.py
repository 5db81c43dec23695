"""Faults of the contract tests, the command line, telemetry and routing."""

from tests.mutation.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        name="a proxied path falls through to another operation",
        file="meshguard/gateway/routing.py",
        right='raise Problem(404, "Nothing answers',
        wrong='raise Problem(500, "Nothing answers',
        promise="A path that no operation has is a 404.",
        tests=("tests/gateway/test_http.py::test_unknown_paths_are_answered_404_in_the_one_shape",),
    ),
)
