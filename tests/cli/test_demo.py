from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import run_cli

ROOT = Path(__file__).parents[2]


def test_the_demo_shows_each_decision_as_it_happens(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    decisions = re.findall(r"^\d\d:\d\d:\d\d  (allow|deny )  support-bot  (\S+)", done.stdout, re.MULTILINE)
    assert [(decision.strip(), action) for decision, action in decisions] == [
        ("allow", "read:contacts"),
        ("deny", "delete:contacts"),
        ("allow", "write:email"),
        ("deny", "write:refund"),
        ("allow", "read:contacts"),
        ("deny", "delete:contacts"),
        ("allow", "write:refund"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_ignores_the_settings_of_the_environment(tmp_path: Path) -> None:
    variables = {"MESHGUARD_MODE": "audit", "MESHGUARD_GATEWAY_URL": "http://127.0.0.1:1"}
    assert run_cli(tmp_path, "demo", variables=variables).returncode == 0


@pytest.mark.skipif("MESHGUARD_WHEEL" in os.environ, reason="that run has its own environment")
def test_the_demo_needs_few_and_small_packages() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "demo"], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    packages = list((ROOT / ".cache" / "demo").glob("lib/python*/site-packages/*.dist-info"))
    assert len(packages) <= 50
    size = sum(file.lstat().st_size for file in (ROOT / ".cache" / "demo").rglob("*") if file.is_file())
    assert size <= 150 * 1024 * 1024
