"""Runs faults: first their tests without any, then each fault by itself."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from time import monotonic

from tests.environments import adapter_environment
from tests.mutation.fault import Fault
from tests.mutation.sandbox import Run, Sandbox

_BASELINE_TIMEOUT = 3600.0  # seconds
_APART = ("claude_agent", "crewai")  # adapters whose tests need an environment of their own
_OPTIONS = ("-x", "-p", "no:xdist")


class Verdict(StrEnum):
    """What became of a fault; only the first is good."""

    NOTICED = "noticed"
    SURVIVED = "survived"
    BROKEN = "broken"  # imports, collection or fixtures failed: no test said anything of the promise
    HUNG = "hung"  # a test that must notice has to end in time


@dataclass(frozen=True)
class Result:
    """What became of a fault."""

    fault: Fault
    verdict: Verdict
    seconds: float
    output: str


class BrokenBaselineError(Exception):
    """Tests that faults name do not pass without any fault."""


def environment_of(test: str) -> Path:
    """Return the python that a test needs."""
    parts = Path(test.partition("::")[0]).parts
    apart = [name for name in _APART if parts[:3] == ("tests", "adapters", name)]
    return adapter_environment(apart[0]) if apart else Path(sys.executable)


def run_faults(
    root: Path,
    faults: Sequence[Fault],
    *,
    jobs: int = 2,
    margin: float = 60.0,
    told: Callable[[Result], None],
) -> list[Result]:
    """Return what became of each fault, in their order.

    Args:
        root: The tree to copy.
        faults: Faults without errors (`checks.errors_in`).
        jobs: How many run at a time, each in its own copy.
        margin: Seconds that a run may take beyond ten times what its tests take without the fault.
        told: Called with each result as it comes.

    Raises:
        BrokenBaselineError: A named test does not pass without the fault.
    """
    with _sandboxes(root, jobs) as free, ThreadPoolExecutor(jobs) as pool:
        seconds = _baseline(free, faults, jobs)

        def run(fault: Fault) -> Result:
            sandbox = free.get()
            try:
                return _run_fault(sandbox, fault, margin + 10 * sum(seconds[test] for test in fault.tests))
            finally:
                free.put(sandbox)

        tasks = [pool.submit(run, fault) for fault in faults]
        for task in as_completed(tasks):
            told(task.result())
        return [task.result() for task in tasks]


@contextmanager
def _sandboxes(root: Path, count: int) -> Iterator[SimpleQueue[Sandbox]]:
    free: SimpleQueue[Sandbox] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="meshguard-mutate-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        for number in range(count):
            (Path(folder) / str(number)).mkdir()
            free.put(Sandbox(root, Path(folder) / str(number)))
        yield free


def _baseline(free: SimpleQueue[Sandbox], faults: Sequence[Fault], jobs: int) -> dict[str, float]:
    """Return the seconds that each named test takes without a fault."""
    sandbox = free.get()
    seconds: dict[str, float] = {}
    tests = sorted({test for fault in faults for test in fault.tests})
    for python in {environment_of(test): None for test in tests}:
        named = tuple(test for test in tests if environment_of(test) == python)
        options = ("-n", str(jobs), "--dist", "loadfile") if jobs > 1 else ()
        run = sandbox.run(python, named, *options, seconds=_BASELINE_TIMEOUT, fault=None)
        if broken := [test for test in named if not _passes(run, test)]:
            raise BrokenBaselineError(
                "\n".join([run.output[-5_000:], "Without a fault these do not pass:", *broken])
            )
        for test in named:
            seconds[test] = sum(outcome.seconds for outcome in run.outcomes if _is_of(outcome.test, test))
    free.put(sandbox)
    return seconds


def _passes(run: Run, test: str) -> bool:
    called = [outcome for outcome in run.outcomes if _is_of(outcome.test, test)]
    return (
        run.exit_code is not None
        and any(outcome.phase == "call" for outcome in called)
        and all(outcome.outcome == "passed" for outcome in called)
    )


def _is_of(found: str, test: str) -> bool:
    return found == test or found.startswith(f"{test}[")


def _run_fault(sandbox: Sandbox, fault: Fault, seconds: float) -> Result:
    started = monotonic()
    right = (sandbox.root / fault.file).read_text()
    sandbox.write(fault.file, fault.apply_to(right))
    verdict, output = Verdict.SURVIVED, ""
    try:
        for python in {environment_of(test): None for test in fault.tests}:
            named = tuple(test for test in fault.tests if environment_of(test) == python)
            run = sandbox.run(python, named, *_OPTIONS, seconds=seconds, fault=fault)
            output += run.output[-5_000:]
            verdict = _verdict(run)
            if verdict is not Verdict.SURVIVED:
                break
    finally:
        sandbox.write(fault.file, right)
    return Result(fault, verdict, monotonic() - started, output)


def _verdict(run: Run) -> Verdict:
    if run.failed_in("import", "collect"):
        return Verdict.BROKEN
    if run.failed_in("call", "teardown"):  # a fixture holds all traffic against the contract in the end
        return Verdict.NOTICED
    if run.exit_code is None:
        return Verdict.HUNG
    return Verdict.SURVIVED if run.exit_code == 0 else Verdict.BROKEN
