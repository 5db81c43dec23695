"""The built wheel, installed on its own: nothing of the source tree may be needed."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from meshguard import integrations
from tests.environments import ROOT, clean_environ, environment
from tests.support import ADMIN_TOKEN, running_gateway

ADAPTERS = ["meshguard.langchain"] + [
    found.name
    for found in pkgutil.iter_modules(integrations.__path__, "meshguard.integrations.")
    if found.name != "meshguard.integrations.functions"
]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = os.environ.get("MESHGUARD_WHEEL")
    if built:
        return Path(built)
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path) -> Path:
    return environment("wheel-bare", str(wheel))


@pytest.fixture(scope="module")
def full(wheel: Path) -> Path:
    return environment("wheel-gateway", f"{wheel}[gateway]")


@pytest.fixture(scope="module")
def contract(wheel: Path) -> Path:
    return environment("wheel-contract", f"{wheel}[contract]")


def run(python: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(python), *arguments]
    return subprocess.run(
        command, cwd=folder, env=clean_environ(), capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_the_contract_the_typing_markers_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"meshguard/openapi.yaml", "meshguard/py.typed", "meshguard_api/py.typed"} <= names
    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {"meshguard", "meshguard_api"}
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("meshguard/openapi.yaml") == (ROOT / "openapi.yaml").read_bytes()


def test_the_bare_sdk_installs_at_most_twelve_packages(bare: Path, tmp_path: Path) -> None:
    listed = run(bare, "-m", "pip", "list", "--format=freeze", folder=tmp_path).stdout.split()
    packages = [line for line in listed if not line.startswith(("pip==", "setuptools=="))]
    assert len(packages) <= 12, packages


def test_the_bare_sdk_imports_every_public_module_without_an_extra(bare: Path, tmp_path: Path) -> None:
    code = (
        "import meshguard, meshguard_api.models, meshguard.guard, meshguard.integrations.functions\n"
        "print(meshguard.MeshGuardClient, meshguard.__file__)"
    )
    done = run(bare, "-W", "error", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(ROOT / "meshguard") not in done.stdout


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_says_how_to_install_the_framework_that_it_lacks(
    adapter: str, bare: Path, tmp_path: Path
) -> None:
    extra = adapter.rpartition(".")[2].replace("_", "-")
    done = run(bare, "-c", f"import {adapter}", folder=tmp_path)
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: Cannot import the adapter: {extra} is not installed. "
        f"Run: pip install 'meshguard[{extra}]'"
    )
    assert extra in EXTRAS


def test_the_command_line_says_how_to_install_what_it_lacks(bare: Path, tmp_path: Path) -> None:
    done = run(bare.with_name("meshguard"), "serve", folder=tmp_path)
    assert done.returncode != 0
    assert "pip install" in done.stderr
    assert "meshguard[" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_gateway_finds_the_contract_in_the_wheel(full: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from meshguard.gateway.contract import load_contract\n"
        "sys.stdout.buffer.write(load_contract().text)\n"
    )
    done = run(full, "-W", "error", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "openapi.yaml").read_text()


def test_the_extra_contract_is_all_that_testing_a_gateway_needs(contract: Path, tmp_path: Path) -> None:
    meshguard = contract.with_name("meshguard")
    assert "Exit code 0" in run(meshguard, "contract", "--help", folder=tmp_path).stdout
    with running_gateway(tmp_path, rate_limit_rpm=0) as gateway:
        options = ("--admin-token", ADMIN_TOKEN, "--examples", "1", "--quick", "--json")
        done = run(meshguard, "contract", gateway.url, *options, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["totals"]["operations"] == 31
