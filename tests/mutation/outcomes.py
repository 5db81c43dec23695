"""A pytest plugin that writes each outcome to a file at once, so that a killed run loses none."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

FILE = "MUTATION_OUTCOMES"
MODULE = "MUTATED_MODULE"


def pytest_configure(config: pytest.Config) -> None:
    if FILE in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(Path(os.environ[FILE]), Path(config.rootpath)))


class _Writer:
    def __init__(self, file: Path, root: Path) -> None:
        self._file = file
        self._root = root

    def _write(self, test: str, phase: str, outcome: str, seconds: float = 0.0) -> None:
        line = {"test": test, "phase": phase, "outcome": outcome, "seconds": seconds}
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(report.nodeid, report.when or "", report.outcome, report.duration)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, "collect", "failed")

    def pytest_sessionfinish(self) -> None:
        if module := os.environ.get(MODULE):
            self._import(module)

    def _import(self, module: str) -> None:
        try:
            imported: Any = importlib.import_module(module)
        except Exception as error:  # noqa: BLE001
            sys.stdout.write(f"{module} can't be imported: {error!r}\n")
            self._write(module, "import", "failed")
            return
        if not Path(imported.__file__).is_relative_to(self._root):
            sys.stdout.write(f"{module} was imported from {imported.__file__}\n")
            self._write(module, "import", "failed")
