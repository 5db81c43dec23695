"""What `import meshguard` costs beside `import httpx`, and whether it pulls in more than it needs.

Both run in an environment that holds the SDK alone, each in a process of its own, interleaved; the figures
are medians, less the start of a bare interpreter. Prints a Markdown table.
"""

import argparse
import json
import statistics
import subprocess
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".cache" / "sdk"
BARE, HTTPX, MESHGUARD = "pass", "import httpx", "import meshguard"


def sdk_python() -> Path:
    """An interpreter with the SDK as it is now, and nothing else."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", f"--constraint={ROOT / 'constraints.txt'}"]
    subprocess.run([*install, str(ROOT)], check=True)
    subprocess.run([*install, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    return python


def measure(python: Path, rounds: int) -> dict[str, float]:
    """Median seconds by statement; a round before them warms the caches."""
    times: dict[str, list[float]] = {BARE: [], HTTPX: [], MESHGUARD: []}
    for number in range(rounds + 1):
        for statement, taken in times.items():
            start = time.perf_counter()
            subprocess.run([python, "-c", statement], check=True, cwd="/")
            if number:
                taken.append(time.perf_counter() - start)
    return {statement: statistics.median(taken) for statement, taken in times.items()}


def modules(python: Path, statement: str) -> set[str]:
    """The top-level modules, less those of the standard library, that a statement loads."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps([*{{n.partition('.')[0] for n in sys.modules}} - "
    )
    code += "sys.stdlib_module_names]))"
    loaded = subprocess.run([python, "-c", code], check=True, capture_output=True, cwd="/").stdout
    return set(json.loads(loaded))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    python = sdk_python()
    seconds = measure(python, arguments.rounds)
    base = seconds[HTTPX] - seconds[BARE]
    print("| import | median | ratio |\n|---|---:|---:|")
    for statement in (HTTPX, MESHGUARD):
        taken = seconds[statement] - seconds[BARE]
        print(f"| `{statement}` | {taken * 1e3:.0f} ms | {taken / base:.2f} |")
    more = modules(python, MESHGUARD) - modules(python, HTTPX)
    print(f"\nImported beyond the standard library and what `httpx` imports: {', '.join(sorted(more))}.")


if __name__ == "__main__":
    main()
