"""`meshguard env`, and the file of the development gateway."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshguard.cli.dev_state import DevState, read_dev_state, write_dev_state
from tests.cli.command_line import CommandLine

STATE = DevState("http://127.0.0.1:3100", "agent $(touch stolen)", "admin'quoted")
PRINT = 'printf "%s|" "$MESHGUARD_GATEWAY_URL" "$MESHGUARD_AGENT_TOKEN" "$MESHGUARD_ADMIN_TOKEN"'


@pytest.fixture(autouse=True)
def state(mesh: CommandLine) -> Iterator[Path]:
    file = mesh.folder / ".meshguard" / "dev.json"
    write_dev_state(STATE, file)
    yield file
    file.unlink(missing_ok=True)


def test_the_state_is_private_and_read_back(state: Path) -> None:
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    assert read_dev_state(state) == STATE
    assert (state.parent / ".gitignore").read_text() == "*\n"
    assert set(json.loads(state.read_text())) == set(DevState.__dataclass_fields__)
    assert "admin" not in repr(STATE)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_evaluates_the_lines(mesh: CommandLine, shell: str, tmp_path: Path) -> None:
    script = f"{mesh('env').stdout}\n{PRINT}"
    done = subprocess.run([shell, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{STATE.gateway_url}|{STATE.agent_token}|{STATE.admin_token}|"
    assert not (tmp_path / "stolen").exists()


def test_a_file_keeps_its_other_lines(mesh: CommandLine) -> None:
    file = mesh.folder / ".env"
    file.write_text("# mine\nexport MESHGUARD_AGENT_TOKEN=old\nOTHER=1\n")
    assert mesh("env", "--env-file", ".env").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# mine", "OTHER=1"]
    assert [line.partition("=")[0] for line in lines[2:]] == list(STATE.variables())
    assert mesh("env", "--env-file", ".env").code == 0
    assert file.read_text().splitlines() == lines


def test_json_has_the_variables(mesh: CommandLine) -> None:
    assert json.loads(mesh("env", "--json").stdout) == STATE.variables()


@pytest.mark.parametrize(
    ("content", "mode", "code", "message"),
    [
        (None, 0o600, 3, "No development gateway"),
        ("{}", 0o600, 2, "it is not from `meshguard serve --dev`"),
        ("nonsense", 0o600, 2, "it is not from `meshguard serve --dev`"),
        ('{"gateway_url": "x", "agent_token": "a\\nb", "admin_token": "c"}', 0o600, 2, "it is not from"),
        ('{"gateway_url": "x", "agent_token": "a", "admin_token": "c"}', 0o644, 2, "chmod 600"),
    ],
)
def test_nothing_is_printed_from_an_unusable_file(  # noqa: PLR0917
    mesh: CommandLine, state: Path, content: str | None, mode: int, code: int, message: str
) -> None:
    state.unlink()
    if content is not None:
        state.write_text(content)
        state.chmod(mode)
    done = mesh("env")
    assert (done.code, done.stdout) == (code, "")
    assert message in done.stderr
