"""Write faults into the code, one at a time, and see whether their tests notice.

A fault counts as noticed when a test that it names fails. A failed import, a failed setup of a fixture and a
test that does not end don't count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.catalog import areas, faults_of, sample
from tests.mutation.checks import errors_in
from tests.mutation.fault import Fault
from tests.mutation.session import BrokenBaselineError, Result, Verdict, run_faults

ROOT = Path(__file__).parents[2]
_SURVIVORS = 1
_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults that the arguments choose; returns the exit code."""
    options = _parser().parse_args(arguments)
    if unknown := {*options.areas} - {*areas()}:
        return _quit([f"No such area: {', '.join(sorted(unknown))}. Choose from {', '.join(areas())}."])
    chosen = {
        area: tuple(fault for fault in faults_of(area) if options.only in fault.name)
        for area in options.areas or areas()
    }
    if options.sample is not None:
        seed = options.seed or _commit()
        chosen = sample(chosen, options.sample, seed)
        _say(f"{options.sample} faults, seed {seed}")
    if options.list:
        return _list(chosen)
    if errors := [f"{area}: {error}" for area, faults in chosen.items() for error in errors_in(faults, ROOT)]:
        return _quit(errors)
    return _run([fault for faults in chosen.values() for fault in faults], options.jobs)


def _run(faults: list[Fault], jobs: int) -> int:
    try:
        results = run_faults(ROOT, faults, jobs=jobs, told=_tell)
    except BrokenBaselineError as error:
        return _quit([str(error)])
    _say("\n" + table(results))
    if survivors := [result for result in results if result.verdict is not Verdict.NOTICED]:
        _say("\n" + "\n\n".join(map(described, survivors)))
        return _SURVIVORS
    return 0


def table(results: Sequence[Result]) -> str:
    """Return a table of counts by module."""
    faults, noticed = Counter[str](), Counter[str]()
    for result in results:
        faults[result.fault.file] += 1
        noticed[result.fault.file] += result.verdict is Verdict.NOTICED
    lines = [
        f"| `{file}` | {faults[file]} | {noticed[file]} | {faults[file] - noticed[file]} |"
        for file in sorted(faults)
    ]
    total = f"| **all** | {faults.total()} | {noticed.total()} | {faults.total() - noticed.total()} |"
    return "\n".join(["| module | faults | noticed | survived |", "|---|---:|---:|---:|", *lines, total])


def described(result: Result) -> str:
    """Return what to know of a fault that was not noticed."""
    fault = result.fault
    lines = [
        f"{result.verdict.upper()}: {fault.name} ({fault.file})",
        f"  promise: {fault.promise}",
        *(f"  {test}" for test in fault.tests),
    ]
    if result.verdict is not Verdict.SURVIVED:
        lines.append(result.output[-2_000:])
    return "\n".join(lines)


def _tell(result: Result) -> None:
    _say(f"{result.verdict:9} {result.seconds:5.1f} s  {result.fault.file}: {result.fault.name}")


def _list(chosen: dict[str, tuple[Fault, ...]]) -> int:
    for area, faults in chosen.items():
        for fault in faults:
            _say(f"{area}: {fault.name}\n    {fault.file}\n    {fault.promise}")
    return 0


def _quit(lines: list[str]) -> int:
    sys.stderr.write("\n".join(lines) + "\n")
    return _UNUSABLE


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no commit"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/mutate", description=__doc__)
    parser.add_argument(
        "areas", metavar="AREA", nargs="*", help="modules of tests/mutation/faults; default: all"
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="only faults with this text in their name")
    parser.add_argument("--sample", metavar="N", type=int, help="only so many faults, spread over the areas")
    parser.add_argument("--seed", metavar="S", default="", help="which sample; default: the commit's")
    parser.add_argument(
        "--list", action="store_true", help="list the faults and their promises, and run none"
    )
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=2, help="how many faults at a time; default: 2"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
