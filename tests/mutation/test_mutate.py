"""The runner of faults, on a small tree."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutation import run
from tests.mutation.checks import errors_in
from tests.mutation.fault import Fault
from tests.mutation.session import BrokenBaselineError, Result, Verdict, run_faults

ROOT = Path(__file__).parents[2]
MODULE = """
LIMIT = 100


def allows(amount):
    return amount <= LIMIT


def refuses(amount):
    return not allows(amount)
"""
TESTS = """
import subprocess
import sys
from pathlib import Path

import pytest

from meshguard.limits import allows, refuses


@pytest.fixture
def limit():
    assert allows(1)
    return 100


def test_limit(limit):
    assert not allows(limit + 1)


def test_script():
    command = [Path(sys.executable).with_name("pytest"), "--version"]
    assert sys.executable in command[0].read_text()
    subprocess.run(command, check=True, capture_output=True)


def test_little():
    assert allows(1)


def test_wrong():
    assert refuses(1)


@pytest.mark.skip
def test_skipped():
    assert False
"""
ISOLATED = """
import subprocess
import sys


def test_isolated():
    command = [sys.executable, "-I", "-c", "from meshguard import limits; print(limits.LIMIT)"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "100\\n"
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    files = {
        "meshguard/__init__.py": "",
        "meshguard/limits.py": MODULE,
        "generated/meshguard_api/__init__.py": "",
        "tests/test_isolated.py": ISOLATED,
        "tests/test_limits.py": TESTS,
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\n',
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tests/mutation").mkdir()
    shutil.copy(ROOT / "tests/mutation/outcomes.py", folder / "tests/mutation")
    return folder


@pytest.fixture(autouse=True)
def _few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a second less for each of many runs


def fault(right: str, wrong: str, *tests: str) -> Fault:
    named = tuple(
        f"tests/test_{'isolated' if test == 'test_isolated' else 'limits'}.py::{test}"
        for test in tests or ("test_limit",)
    )
    return Fault(
        f"{right} → {wrong}", "meshguard/limits.py", right, wrong, "No amount over the limit.", named
    )


def run_quietly(tree: Path, *faults: Fault, margin: float = 60.0) -> list[Result]:
    assert errors_in(faults, tree) == []
    return run_faults(tree, faults, jobs=1, margin=margin, told=lambda _: None)


def test_verdicts(tree: Path) -> None:
    expected = {
        fault("LIMIT = 100", "LIMIT = 999"): Verdict.NOTICED,
        # Of the same size as the one before: no older compiled form may be used.
        fault("LIMIT = 100", "LIMIT = 998", "test_isolated"): Verdict.NOTICED,
        fault("<= LIMIT", "< LIMIT"): Verdict.SURVIVED,
        fault("LIMIT = 100", "LIMIT = 997", "test_script", "test_little"): Verdict.SURVIVED,
        fault("LIMIT = 100", "import nothing_of_the_kind\nLIMIT = 100"): Verdict.BROKEN,  # collection
        fault("LIMIT = 100", "import os\nos._exit(1)\nLIMIT = 100"): Verdict.BROKEN,  # no report at all
        fault("amount <= LIMIT", "amount is None"): Verdict.BROKEN,  # a fixture
    }
    results = run_quietly(tree, *expected)
    assert {result.fault: result.verdict for result in results} == expected
    assert "| **all** | 7 | 2 | 5 |" in run.table(results)
    assert (tree / "meshguard/limits.py").read_text() == MODULE


def test_a_module_that_only_another_process_imports(tree: Path) -> None:
    broken = fault("LIMIT = 100", "import nothing_of_the_kind\nLIMIT = 100", "test_isolated")
    (result,) = run_quietly(tree, broken)
    assert result.verdict is Verdict.BROKEN


def test_a_test_that_hangs_has_not_noticed(tree: Path) -> None:
    endless = fault("return amount <= LIMIT", "while amount > LIMIT: pass\n    return True")
    (result,) = run_quietly(tree, endless, margin=3.0)
    assert result.verdict is Verdict.HUNG


@pytest.mark.parametrize("test", ["test_wrong", "test_skipped"])
def test_the_baseline_must_pass(tree: Path, test: str) -> None:
    with pytest.raises(BrokenBaselineError, match=test):
        run_quietly(tree, fault("<= LIMIT", "< LIMIT", "test_little", test))


UNUSABLE = {
    "`right` occurs 0 times": fault("LIMIT = 7", "LIMIT = 8"),
    "`right` occurs 2 times": fault("LIMIT", "MAX"),
    "no such test: tests/test_limits.py::test_nothing": fault("= 100", "= 999", "test_nothing"),
    "not valid Python": fault("= 100", "= ("),
    "changes nothing": fault("= 100", "= 100  # of them"),
    "Undefined name `HIGHEST`": fault("<= LIMIT", "<= HIGHEST"),
    "no test is named": replace(fault("= 100", "= 999"), tests=()),
    "no promise is named": replace(fault("= 100", "= 999"), promise=" "),
    "is not a module of the product": replace(fault("= 100", "= 999"), file="tests/test_limits.py"),
    "does not exist": replace(fault("= 100", "= 999"), file="meshguard/absent.py"),
}


@pytest.mark.parametrize("error", UNUSABLE)
def test_unusable_faults_are_rejected(tree: Path, error: str) -> None:
    assert error in "\n".join(errors_in([UNUSABLE[error]], tree))


def test_two_faults_of_one_name_are_rejected(tree: Path) -> None:
    assert "more than once" in "\n".join(errors_in([fault("= 100", "= 999")] * 2, tree))


def test_survivors_fail_the_run(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = (fault("LIMIT = 100", "LIMIT = 999"), fault("<= LIMIT", "< LIMIT"))
    monkeypatch.setattr(run, "ROOT", tree)
    monkeypatch.setattr(run, "areas", lambda: ("area",))
    monkeypatch.setattr(run, "faults_of", lambda _: faults)
    assert run.main(["--jobs", "1"]) == 1
    output = capsys.readouterr().out
    assert "| `meshguard/limits.py` | 2 | 1 | 1 |" in output
    assert "SURVIVED: <= LIMIT → < LIMIT" in output
    assert "promise: No amount over the limit." in output
    monkeypatch.setattr(run, "faults_of", lambda _: faults[:1])
    assert run.main(["--jobs", "1"]) == 0
    monkeypatch.setattr(run, "faults_of", lambda _: (UNUSABLE["changes nothing"],))
    assert run.main([]) == 2
    assert run.main(["unknown"]) == 2
    monkeypatch.setattr(run, "faults_of", lambda _: (fault("= 100", "= 999", "test_wrong"),))
    assert run.main(["--jobs", "1"]) == 2
    assert "do not pass" in capsys.readouterr().err
