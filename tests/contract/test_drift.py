"""The generated client is what the contract gives, byte for byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "openapi.yaml", tmp_path)
    shutil.copytree(ROOT / "generated", tmp_path / "generated", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def regenerate(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "generated" / "regenerate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def tree(checkout: Path) -> dict[str, bytes]:
    paths = (checkout / "generated").rglob("*")
    return {str(path.relative_to(checkout)): path.read_bytes() for path in paths if path.is_file()}


def test_the_committed_tree_is_what_the_contract_gives(checkout: Path) -> None:
    before = tree(checkout)
    done = regenerate(checkout, "--check")
    assert done.returncode == 0, done.stderr
    assert tree(checkout) == before


def test_generating_twice_gives_the_same_bytes_and_removes_what_is_stale(checkout: Path) -> None:
    before = tree(checkout)
    (checkout / "generated" / "meshguard_api" / "stale.py").write_text("left over\n")
    assert regenerate(checkout).returncode == 0
    assert tree(checkout) == before


def test_one_changed_byte_in_a_schema_is_drift(checkout: Path) -> None:
    spec = checkout / "openapi.yaml"
    spec.write_bytes(spec.read_bytes().replace(b"auditId", b"auditID", 1))
    done = regenerate(checkout, "--check")
    assert done.returncode != 0
    assert "STAMP.json" in done.stderr


def test_one_changed_byte_in_the_generated_tree_is_drift(checkout: Path) -> None:
    model = checkout / "generated" / "meshguard_api" / "models" / "decision.py"
    model.write_bytes(model.read_bytes() + b"\n")
    done = regenerate(checkout, "--check")
    assert done.returncode != 0
    assert "different: generated/meshguard_api/models/decision.py" in done.stderr


def test_a_file_too_many_and_a_file_too_few_are_drift(checkout: Path) -> None:
    (checkout / "generated" / "meshguard_api" / "extra.py").touch()
    (checkout / "generated" / "meshguard_api" / "py.typed").unlink()
    done = regenerate(checkout, "--check")
    assert done.returncode != 0
    assert "left over: generated/meshguard_api/extra.py" in done.stderr
    assert "missing: generated/meshguard_api/py.typed" in done.stderr


def test_what_the_generator_only_warns_of_is_refused(checkout: Path) -> None:
    spec = checkout / "openapi.yaml"
    text = spec.read_text().replace("            text/plain:\n", "            application/x-unknown:\n", 1)
    spec.write_text(text)
    done = regenerate(checkout)
    assert done.returncode != 0
    assert "x-unknown" in done.stderr
