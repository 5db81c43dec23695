"""What importing the SDK costs beside `import httpx`, and what it imports, also at the first `check`.

Each statement runs in its own process, interleaved, in an environment that contains only the SDK. Figures are
medians of processor time, less that of a bare interpreter. Prints a Markdown table.
"""

import argparse
import json
import os
import statistics
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".cache" / "sdk"
BARE, HTTPX, MESHGUARD = "pass", "import httpx", "import meshguard"
CLIENT = "from meshguard import MeshGuardClient"
FIRST_CHECK = f"""{CLIENT}
client = MeshGuardClient("http://127.0.0.1:9", "token", trace_id="t", max_retries=0, on_unavailable="deny")
assert client.check("read:contacts").degraded"""

BARE_GET = """import httpx
try:
    httpx.Client().get("http://127.0.0.1:9")
except httpx.ConnectError:
    pass"""


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
    """Median seconds of processor time by statement; a round before them warms the caches."""
    times: dict[str, list[float]] = {statement: [] for statement in (BARE, HTTPX, MESHGUARD, CLIENT)}
    for number in range(rounds + 1):
        for statement, taken in times.items():
            process = subprocess.Popen([python, "-c", statement], cwd="/")
            _, status, usage = os.wait4(process.pid, 0)
            assert status == 0, statement
            process.returncode = 0
            if number:
                taken.append(usage.ru_utime + usage.ru_stime)
    return {statement: statistics.median(taken) for statement, taken in times.items()}


def modules(python: Path, statement: str) -> set[str]:
    """The modules that a statement loads."""
    code = f"import sys\n{statement}\nloaded = [*sys.modules]\nimport json\nprint(json.dumps(loaded))"
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
    for statement in (HTTPX, MESHGUARD, CLIENT):
        taken = seconds[statement] - seconds[BARE]
        print(f"| `{statement}` | {taken * 1e3:.0f} ms | {taken / base:.2f} |")
    httpx, client, check = (modules(python, statement) for statement in (HTTPX, CLIENT, FIRST_CHECK))
    own = {name for name in client - httpx if name.startswith("meshguard")}
    print(f"\nBeside `httpx`, the client imports {len(own)} modules of its own, and of others:", end=" ")
    print(f"{', '.join(sorted(client - httpx - own))}.")
    bare = modules(python, BARE_GET)
    print(f"The first `check` imports: {', '.join(sorted(check - client - bare)) or 'nothing'}.")


if __name__ == "__main__":
    main()
