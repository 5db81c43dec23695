from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshguard.policy import PolicyEngine, load_policy
from tests.cli.command import COMMAND, bare_environment, run_cli
from tests.support import until

POLICY = '{name: desk, rules: [{name: reads, effect: allow, actions: ["read:*"]}]}'
AGENT = """
import json, os, sys
from meshguard import MeshGuardClient

client = MeshGuardClient()
for action in sys.argv[1:]:
    print(action, client.check(action, resource="table/1").decision)
sys.exit(7)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "desk.yaml").write_text(POLICY)
    (tmp_path / "agent.py").write_text(AGENT)
    return tmp_path


def test_a_program_runs_under_the_policies_of_its_folder(folder: Path) -> None:
    done = run_cli(folder, "run", "--", sys.executable, "agent.py", "read:x", "delete:x")
    assert done.returncode == 7, done.stderr
    assert done.stdout == "read:x allow\ndelete:x deny\n"
    lines = [line.split(maxsplit=1)[-1] for line in done.stderr.splitlines()]
    assert "Policies from policies: 1 (desk)" in done.stderr
    assert "allow  dev  read:x  table/1  desk / reads" in lines
    assert "deny   dev  delete:x  table/1" in lines


def test_the_program_gets_no_secret_of_an_administrator(folder: Path) -> None:
    show = "import os, json; print(json.dumps({k: v for k, v in os.environ.items() if 'MESHGUARD' in k}))"
    secrets = {"MESHGUARD_ADMIN_TOKEN": "a" * 40, "MESHGUARD_JWT_SECRET": "b" * 40}
    done = run_cli(folder, "run", "--", sys.executable, "-c", show, variables=secrets)
    assert json.loads(done.stdout).keys() == {"MESHGUARD_GATEWAY_URL", "MESHGUARD_AGENT_TOKEN"}


def test_a_policy_file_can_be_named(folder: Path) -> None:
    (folder / "elsewhere.yaml").write_text(POLICY.replace("read:", "delete:").replace("desk", "other"))
    arguments = ("--policy", "elsewhere.yaml", "--policy", "policies", "--agent", "clerk")
    done = run_cli(folder, "run", *arguments, "--", sys.executable, "agent.py", "read:x", "delete:x")
    assert done.stdout == "read:x allow\ndelete:x allow\n"
    assert "allow  clerk  delete:x  table/1  other / reads" in done.stderr


def test_without_policies_everything_is_denied_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(AGENT)
    done = run_cli(tmp_path, "run", sys.executable, "agent.py", "read:x")
    assert done.stdout == "read:x deny\n"
    assert "Policies: none, so everything is denied." in done.stderr


def test_the_log_is_kept_for_its_owner_only(folder: Path) -> None:
    for _ in range(2):
        run_cli(folder, "run", "--", sys.executable, "agent.py", "read:x")
    state = folder / ".meshguard"
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode)
        for file in state.iterdir()
        if file.suffix != ".gitignore"
    }
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert modes["dev.json"] == modes["gateway.db"] == 0o600
    assert (state / ".gitignore").read_text() == "*\n"


def test_recording_allows_everything_and_suggests_a_policy(folder: Path) -> None:
    done = run_cli(folder, "run", "--record", "--", sys.executable, "agent.py", "read:x", "delete:x")
    assert done.stdout == "read:x allow\ndelete:x allow\n"
    assert "would deny  dev  delete:x" in done.stderr
    text = (folder / ".meshguard" / "suggested-policy.yaml").read_text()
    assert text in done.stderr
    (rule, other) = PolicyEngine([load_policy(text)]).policies[0].rules
    assert {*rule.actions, *other.actions} == {"read:x", "delete:x"}


def test_recording_again_suggests_only_the_new_run(folder: Path) -> None:
    for action in ("read:x", "delete:x"):
        run_cli(folder, "run", "--record", "--", sys.executable, "agent.py", action)
    assert "read:x" not in (folder / ".meshguard" / "suggested-policy.yaml").read_text()


def test_a_signal_is_passed_on(folder: Path) -> None:
    (folder / "agent.py").write_text("import signal, sys; print('ready', flush=True); signal.pause()")
    process = subprocess.Popen(
        [*COMMAND, "run", "--", sys.executable, "agent.py"],
        cwd=folder,
        env=bare_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def test_an_edited_policy_takes_effect_while_the_program_runs(folder: Path) -> None:
    (folder / "agent.py").write_text(
        "import sys\nfrom meshguard import MeshGuardClient\nclient = MeshGuardClient()\n"
        "for line in sys.stdin: print(client.check(line.strip()).decision, flush=True)"
    )
    command = [*COMMAND, "run", "--policy", "policies/desk.yaml", "--", sys.executable, "agent.py"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=bare_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:

        def check() -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("delete:x\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        assert check() == "deny"
        (folder / "policies" / "desk.yaml").write_text(POLICY.replace("read:", "delete:"))
        assert until(lambda: check() == "allow", 20)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("nosuch-program",),
            127,
            "Error: Cannot start nosuch-program: it is not a program on PATH. Check the name.\n",
        ),
        (("--policy", "none.yaml", "true"), 2, "Error: Cannot load the policies:\nnone.yaml: can't be read"),
        (("--policy", "broken.yaml", "true"), 2, "Error: Cannot load the policies:\nbroken.yaml:1:"),
    ],
)
def test_a_mistake_starts_nothing(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (folder / "broken.yaml").write_text("rules: {")
    done = run_cli(folder, "run", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(message), done.stderr
    assert not (folder / ".meshguard").exists()


def test_a_broken_state_is_named(folder: Path) -> None:
    (folder / ".meshguard").mkdir(0o700)
    (folder / ".meshguard" / "dev.json").touch(0o600)
    done = run_cli(folder, "run", "true")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "Error: Cannot use .meshguard/dev.json: it is not from `meshguard serve --dev`."
    )
