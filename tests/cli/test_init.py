from __future__ import annotations

import ast
import re
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from meshguard.cli.frameworks import FRAMEWORKS
from tests.cli.command import run_cli

TOOLS = ("--read", "search,lookup", "--write", "send_mail", "--forbid", "drop_table")


def test_the_policy_passes_its_own_tests(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "init", *TOOLS)
    assert done.returncode == 0, done.stderr
    tested = run_cli(tmp_path, "policy", "test", "--file", "policies.tests.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "6 cases, 0 failed; 3 of 3 rules" in tested.stdout
    assert run_cli(tmp_path, "policy", "lint", "policies").returncode == 0


@pytest.mark.parametrize("only", ["--read", "--write", "--forbid"])
def test_one_kind_of_tool_is_enough(tmp_path: Path, only: str) -> None:
    assert run_cli(tmp_path, "init", only, "another_tool").returncode == 0
    assert run_cli(tmp_path, "policy", "test", "--file", "policies.tests.yaml").returncode == 0


def test_the_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "init", *TOOLS, preexec_fn=lambda: __import__("os").umask(0))
    env = tmp_path / ".env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in env.read_text().splitlines())
    assert values.keys() == {"MESHGUARD_JWT_SECRET", "MESHGUARD_ADMIN_TOKEN"}
    assert not any(value in done.stdout + done.stderr for value in values.values())


def test_git_ignores_the_secrets(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.pyc")
    run_cli(tmp_path, "init", *TOOLS)
    listed = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line[3:] for line in listed.stdout.splitlines()] == [
        ".gitignore",
        "policies.tests.yaml",
        "policies/agent.yaml",
    ]


def test_lines_of_an_existing_env_file_stay(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=x\nMESHGUARD_JWT_SECRET=mine")
    assert run_cli(tmp_path, "init", *TOOLS).returncode == 0
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines[:2] == ["OPENAI_API_KEY=x", "MESHGUARD_JWT_SECRET=mine"]
    assert [line.partition("=")[0] for line in lines[2:]] == ["MESHGUARD_ADMIN_TOKEN"]


@pytest.mark.parametrize("file", ["policies/agent.yaml", "policies.tests.yaml"])
def test_an_existing_file_is_never_overwritten(tmp_path: Path, file: str) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / file).write_text("mine")
    done = run_cli(tmp_path, "init", *TOOLS)
    assert done.returncode == 2
    assert done.stderr == f"Error: {file} exists. Move it away, or edit it instead.\n"
    assert (tmp_path / file).read_text() == "mine"
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "No tool is named."),
        (("--read", "a b"), "'a b' is not the name of a tool."),
        (("--read", "a*"), "'a*' is not the name of a tool."),
        (("--read", "a", "--write", "a"), "The tool a is named twice."),
        (
            ("--framework", "lang", "--read", "a"),
            "Unknown framework lang. Choose one of: functions, langchain",
        ),
    ],
)
def test_a_mistake_writes_nothing(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run_cli(tmp_path, "init", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_lines_for_each_framework_are_printed(tmp_path: Path, name: str) -> None:
    done = run_cli(tmp_path, "init", "--framework", name, "--read", "a")
    assert FRAMEWORKS[name].code in done.stdout


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_names_in_the_lines_exist(name: str) -> None:
    imports = [node for node in ast.parse(FRAMEWORKS[name].code).body if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        spec = find_spec(str(node.module))  # not imported: not every framework is installed here
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text()
        for alias in node.names:
            assert re.search(rf"\b{alias.name}\b", source), alias.name
