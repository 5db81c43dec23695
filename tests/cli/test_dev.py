from __future__ import annotations

import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import IO

import pytest

from meshguard import MeshGuardClient
from meshguard.cli.dev_state import DevState, open_dev_state, read_dev_state, write_dev_state
from meshguard.cli.errors import CommandError
from tests.cli.command import COMMAND, bare_environment

POLICY = '{name: desk, rules: [{name: reads, effect: allow, actions: ["read:*"]}]}'


@dataclass
class Output:
    """What a process prints, line by line."""

    stream: IO[str]
    lines: list[str] = field(default_factory=list)

    def read_until(self, start: str) -> list[str]:
        """Return all lines so far, at least up to one that starts like this."""
        for line in self.stream:
            self.lines.append(line.rstrip("\n"))
            if line.lstrip().startswith(start):
                return self.lines
        raise AssertionError(self.lines)


@contextmanager
def dev_gateway(folder: Path, *flags: str) -> Iterator[Output]:
    """Run `meshguard serve --dev`; gives its output, read up to the point where decisions follow."""
    with subprocess.Popen(
        [*COMMAND, "serve", "--dev", "--port", "0", *flags],
        cwd=folder,
        env=bare_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        output = Output(process.stdout)
        overdue = Timer(120, process.kill)
        overdue.start()
        try:
            output.read_until("Decisions appear here")
            yield output
        finally:
            overdue.cancel()
            process.send_signal(signal.SIGTERM)


def state_of(folder: Path) -> DevState:
    return read_dev_state(folder / ".meshguard" / "dev.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "desk.yaml").write_text(POLICY)
    return tmp_path


def test_it_says_what_it_works_with(folder: Path) -> None:
    with dev_gateway(folder, "--policies-dir", "policies") as output:
        lines = output.lines
        assert re.fullmatch(
            r"MeshGuard gateway \S+, mode enforce, is ready at http://127\.0\.0\.1:\d+", lines[0]
        )
        assert lines[1] == f"Database: {folder}/.meshguard/gateway.db"
        assert lines[2] == "Policies from policies: 1 (desk)"
        assert 'In another terminal, in this folder: eval "$(meshguard env)"' in lines
    state = state_of(folder)
    secrets = (state.admin_token, state.jwt_secret, state.agent_token)
    assert not any(secret in line for secret in secrets for line in lines)


def test_without_policies_it_says_that_everything_is_denied(tmp_path: Path) -> None:
    with dev_gateway(tmp_path) as output:
        assert output.lines[2].startswith("Policies: none, so everything is denied.")


def test_each_decision_is_shown_and_a_denial_explained(folder: Path) -> None:
    with dev_gateway(folder, "--policies-dir", "policies") as output:
        state = state_of(folder)
        with MeshGuardClient(state.gateway_url, state.agent_token, trust_env=False) as client:
            client.check("read:contacts", resource="ada")
            client.check("delete:contacts")
        lines = output.read_until("No rule allows `delete:contacts` for dev.")
    shown = [line[10:] for line in lines if re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert shown == ["allow  dev  read:contacts  ada  desk / reads", "deny   dev  delete:contacts"]


def test_agents_and_tokens_last_across_restarts(folder: Path) -> None:
    tokens = set()
    for _ in range(2):
        with dev_gateway(folder, "--policies-dir", "policies"):
            state = state_of(folder)
            tokens.add((state.admin_token, state.agent_id, state.agent_token))
            with MeshGuardClient(state.gateway_url, state.agent_token, trust_env=False) as client:
                assert client.check("read:x").allowed
    assert len(tokens) == 1
    mode = (folder / ".meshguard" / "dev.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_revoked_agent_is_replaced_at_the_next_start(folder: Path) -> None:
    with dev_gateway(folder):
        state = state_of(folder)
        with MeshGuardClient(state.gateway_url, admin_token=state.admin_token, trust_env=False) as admin:
            admin.revoke_agent(state.agent_id)
    with dev_gateway(folder):
        again = state_of(folder)
        assert again.agent_id != state.agent_id
        with MeshGuardClient(again.gateway_url, again.agent_token, trust_env=False) as client:
            assert not client.check("read:x").allowed


def test_a_state_survives_the_file(tmp_path: Path) -> None:
    state = DevState("http://127.0.0.1:1", "t" * 40, "a" * 40, "agent_1", "s" * 40)
    file = tmp_path / "x" / "dev.json"
    write_dev_state(state, file)
    assert read_dev_state(file) == open_dev_state(file) == state
    assert {found.name for found in file.parent.iterdir()} == {"dev.json", ".gitignore"}


def test_no_secret_shows_in_a_repr() -> None:
    assert "secret" not in repr(DevState("http://a", "agent-secret", "admin-secret", "agent_1", "jwt-secret"))


def test_before_the_first_start_there_is_no_gateway(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    assert open_dev_state(file).jwt_secret
    with pytest.raises(CommandError, match="Run `meshguard serve --dev` in this folder"):
        read_dev_state(file)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"admin_token": 1}', "\x00", '{"x": 1}', '{"admin_token": "a\\u001b"}']
)
def test_a_file_that_is_not_a_state_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dev.json"
    file.touch(0o600)
    file.write_text(text)
    for read in (read_dev_state, open_dev_state):
        with pytest.raises(CommandError, match="it is not from `meshguard serve --dev`"):
            read(file)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="Run in a folder that you can write to"):
        write_dev_state(DevState("s", "a", "b"), tmp_path / "file" / "x" / "dev.json")
