"""The CPU time of `meshguard --help` and of each command's help; prints a Markdown table."""

import resource
import statistics
import subprocess
import sys
from importlib.util import find_spec

from meshguard.cli.commands import COMMANDS

ROUNDS = 5
TARGET = 0.3  # seconds


def cpu_seconds(*arguments: str) -> float:
    """User and system time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "meshguard.cli", *arguments, "--help"]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    names = [name for name, entry in COMMANDS.items() if find_spec(f"meshguard.cli.{entry.module}")]
    commands = {"meshguard": (), **{f"meshguard {name}": (name,) for name in names}}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, arguments in commands.items():
            times[name].append(cpu_seconds(*arguments))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    slowest = max(medians, key=lambda name: medians[name])
    print("| command | CPU time, median |\n|---|---:|")
    for name in ("meshguard", slowest):
        print(f"| `{name} --help` | {medians[name] * 1e3:.0f} ms |")
    print(f"\nThe second is the slowest of {len(commands)}. Target: at most {TARGET * 1e3:.0f} ms.")


if __name__ == "__main__":
    main()
