"""Make `meshguard_api` from `openapi.yaml`, the same bytes every time.

The generator and the formatter it calls are pinned in `constraints.txt`; `STAMP.json` records their versions
and the hash of the contract. `adapt.py` makes up for what the generator lacks. `--check` generates into a
temporary folder and compares whole trees in both directions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import adapt
from ruamel.yaml import YAML

HERE = Path(__file__).parent
SPEC = HERE.parent / "openapi.yaml"
OUTPUTS = ("meshguard_api", "STAMP.json")


def generate(target: Path) -> None:
    """Write `meshguard_api/` and `STAMP.json` into the empty folder `target`."""
    package = target / "meshguard_api"
    spec = target / "openapi.json"
    document = YAML(typ="safe", pure=True).load(SPEC.read_bytes())
    adapt.simplify(document)
    spec.write_text(json.dumps(document))
    command = [
        str(Path(sys.executable).with_name("openapi-python-client")),
        "generate",
        *("--path", str(spec)),
        *("--config", str(HERE / "config.yaml")),
        *("--meta", "none"),
        *("--output-path", str(package)),
        "--fail-on-warning",
    ]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(  # noqa: S603
        command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"The generator refused openapi.yaml:\n{done.stdout}{done.stderr}")
    adapt.finish(package)
    (package / "py.typed").touch()
    (target / "STAMP.json").write_text(json.dumps(stamp(), indent=2) + "\n")


def stamp() -> dict[str, str]:
    """What the generated tree depends on."""
    return {
        "openapi.yaml": hashlib.sha256(SPEC.read_bytes()).hexdigest(),
        "config.yaml": hashlib.sha256((HERE / "config.yaml").read_bytes()).hexdigest(),
        "openapi-python-client": version("openapi-python-client"),
        "ruff": version("ruff"),
    }


def files(root: Path) -> dict[str, bytes]:
    """Every generated file below `root` by its relative path."""
    found = [root / "STAMP.json", *(root / "meshguard_api").rglob("*")]
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".pyc")
    }


def drift(fresh: Path) -> list[str]:
    """One line for each file that is missing, left over or different."""
    committed, expected = files(HERE), files(fresh)
    return (
        [f"missing: generated/{name}" for name in sorted(expected.keys() - committed.keys())]
        + [f"left over: generated/{name}" for name in sorted(committed.keys() - expected.keys())]
        + [
            f"different: generated/{name}"
            for name in sorted(expected.keys() & committed.keys())
            if expected[name] != committed[name]
        ]
    )


def replace(fresh: Path) -> None:
    """Put the fresh tree in the place of the committed one."""
    shutil.rmtree(HERE / "meshguard_api", ignore_errors=True)
    for name in OUTPUTS:
        shutil.move(fresh / name, HERE / name)


def main() -> None:
    """Regenerate, or with `--check` only compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on any difference")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        differences = drift(fresh)
        if check and differences:
            sys.exit("\n".join([*differences, "Run scripts/regenerate and commit the result."]))
        if not check:
            replace(fresh)
    print(f"meshguard_api {'matches' if check else 'made from'} openapi.yaml")  # noqa: T201


if __name__ == "__main__":
    main()
