"""docs/cli.md: its commands run, and its tables are complete."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshguard.cli.commands import COMMANDS, load
from meshguard.cli.exit_codes import ExitCode
from tests.cli.command_line import CommandLine
from tests.docs.snippets import snippets
from tests.environments import ROOT
from tests.support import ADMIN_TOKEN, admin_client, running_gateway

PAGE = ROOT / "docs" / "cli.md"
POLICY = """\
name: support
rules:
  - {name: reads, effect: allow, actions: ["read:*"]}
  - {name: refunds, effect: allow, actions: ["write:refund"], conditions: {context.amount: {lte: 500}}}
"""
CASES = """\
policies: policies
cases:
  - {name: reading, agent: {}, action: "read:contacts", expect: allow}
  - {name: refund, agent: {}, action: "write:refund", context: {amount: 1}, expect: allow}
"""


@pytest.fixture
def env(mesh: CommandLine, tmp_path: Path) -> Iterator[dict[str, str]]:
    (mesh.folder / "policies").mkdir()
    (mesh.folder / "policies" / "support.yaml").write_text(POLICY)
    (mesh.folder / "policies.tests.yaml").write_text(CASES)
    with running_gateway(tmp_path) as gateway, admin_client(gateway.url, timeout=60) as admin:
        headers = {"Content-Type": "application/yaml"}
        admin.put("/admin/policies/support", content=POLICY, headers=headers).raise_for_status()
        bot = admin.post("/admin/agents", json={"name": "bot"}).json()
        old = admin.post("/admin/agents", json={"name": "support-bot"}).json()
        yield {
            "MESHGUARD_GATEWAY_URL": gateway.url,
            "MESHGUARD_ADMIN_TOKEN": ADMIN_TOKEN,
            "MESHGUARD_AGENT_TOKEN": bot["token"],
            "OLD": old["id"],
        }


def test_the_commands_of_the_page_run(mesh: CommandLine, env: dict[str, str]) -> None:
    ran = 0
    for snippet in snippets(PAGE, "bash"):
        for line in snippet.code.splitlines():
            if not line.startswith("meshguard "):
                continue
            if line.startswith("meshguard agent create"):  # the page names one agent only
                assert mesh("agent", "revoke", env["OLD"], env=env).code == 0
            if line.startswith("meshguard init"):  # in a project that has a policy already
                (mesh.folder / "policies.tests.yaml").unlink()
            command, _, comment = line.partition("    # ")
            expected = int(comment.removeprefix("exit code ") or 0)
            done = mesh(*shlex.split(command)[1:], env=env)
            assert done.code == expected, (line, done.stdout, done.stderr)
            if line.startswith("meshguard init"):
                (mesh.folder / "policies" / "agent.yaml").unlink()
                (mesh.folder / "policies.tests.yaml").write_text(CASES)
            ran += 1
    assert ran > 25


def test_the_exit_codes_are_those_of_the_page() -> None:
    codes = re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert [int(code) for code in codes] == sorted(ExitCode)


def test_every_command_is_on_the_page() -> None:
    table = PAGE.read_text().partition("## Exit codes")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `meshguard")]
    for name, entry in COMMANDS.items():
        if (ROOT / "meshguard" / "cli" / f"{entry.module}.py").exists():
            [cell] = [cell for cell in cells if re.search(rf"`(meshguard )?{name}\b", cell)]
            for command in getattr(load(name), "commands", {}):
                assert re.search(rf"\b{command}`", cell), command
