"""What installing the SDK alone brings along; prints a Markdown table."""

import json
import subprocess
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
SIZES = """
import json
from importlib.metadata import distributions
print(json.dumps({
    item.metadata["Name"]: sum(file.size or 0 for file in item.files or []) for item in distributions()
}))
"""


def sizes(python: Path) -> dict[str, int]:
    """The bytes of each distribution of an environment."""
    listed = subprocess.run([python, "-c", SIZES], check=True, capture_output=True).stdout
    found: dict[str, int] = json.loads(listed)
    return found


def main() -> None:
    """Install into a fresh environment, count and print."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        before = sizes(python)
        constraint = f"--constraint={ROOT / 'constraints.txt'}"
        subprocess.run([python, "-m", "pip", "install", "--quiet", constraint, str(ROOT)], check=True)
        brought = {name: size for name, size in sizes(python).items() if name not in before}
    print("| packages, the SDK included | size |\n|---:|---:|")
    print(f"| {len(brought)} | {sum(brought.values()) / 2**20:.1f} MiB |")
    print(f"\n{', '.join(sorted(brought, key=str.lower))}")


if __name__ == "__main__":
    main()
