"""What every command prints: in a terminal and in a pipe, with and without a gateway, at three widths.

`pytest tests/cli --update-snapshots` writes `tests/cli/snapshots` again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from meshguard.cli.commands import COMMANDS, load
from tests.cli.command_line import CommandLine, Outcome, longest_lines
from tests.cli.normalization import normalized
from tests.support import ADMIN_TOKEN, SECRET, admin_client, running_gateway

VARIANTS = list(product((False, True), (60, 80, 120)))  # in a terminal, and its columns
POLICY = """\
name: support
appliesTo: {tags: [support]}
rules:
  - {name: read-anything, effect: allow, actions: ["read:*"]}
  - {name: small-refunds, effect: allow, actions: ["write:refund"], conditions: {context.amount: {lte: 500}}}
  - {name: no-secrets, effect: deny, actions: ["read:secret*"], reason: Secrets are off limits}
"""
SALES = 'name: sales\nrules:\n  - {effect: allow, actions: ["read:leads"]}\n'
CASES = """\
policies: policies
agents: {ada: {tags: [support]}}
cases:
  - {name: reading, agent: ada, action: "read:contacts", expect: allow}
  - {name: a large refund, agent: ada, action: "write:refund", context: {amount: 900}, expect: allow}
"""
Make = Callable[["World"], Sequence[str]]


@dataclass
class World:
    """A gateway and what is in it."""

    url: str
    admin: httpx.Client
    env: dict[str, str]
    entry: dict[str, Any] = field(default_factory=dict)

    def agent(self, name: str = "temp-bot") -> dict[str, Any]:
        body = {"name": name, "tags": ["support", "eu"]}
        created: dict[str, Any] = self.admin.post("/admin/agents", json=body).raise_for_status().json()
        return created

    def apply(self, text: str, name: str) -> None:
        headers = {"Content-Type": "application/yaml"}
        self.admin.put(f"/admin/policies/{name}", content=text, headers=headers).raise_for_status()

    def check(self, token: str, action: str, **body: object) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "X-MeshGuard-Trace-ID": f"trace-of-{action}"}
        response = httpx.post(
            f"{self.url}/api/v1/pdp/evaluate", json={"action": action, **body}, headers=headers, timeout=60
        )
        decision: dict[str, Any] = response.json()
        return decision

    def with_sales(self, *arguments: str) -> Sequence[str]:
        self.apply(SALES, "sales")
        return arguments

    def without_sales(self, *arguments: str) -> Sequence[str]:
        self.admin.delete("/admin/policies/sales")
        return arguments


def _write_files(folder: Path) -> None:
    (folder / "policies").mkdir()
    (folder / "policies" / "support.yaml").write_text(POLICY)
    (folder / "sales.yaml").write_text(SALES)
    (folder / "wide.yaml").write_text('name: wide\nrules: [{effect: allow, actions: ["*"]}]\n')
    (folder / "broken.yaml").write_text('name: broken\nrules: [{effect: alow, actions: ["read:*"]}]\n')
    (folder / "cases.txt").write_text(CASES)
    (folder / ".meshguard").mkdir()
    state = folder / ".meshguard" / "dev.json"
    state.touch(0o600)
    state.write_text('{"gateway_url": "http://127.0.0.1:3100", "agent_token": "a b", "admin_token": "c"}')


@contextmanager
def new_world(folder: Path) -> Iterator[World]:
    with running_gateway(folder, rate_limit_rpm=0) as gateway, admin_client(gateway.url, timeout=60) as admin:
        env = {"MESHGUARD_GATEWAY_URL": gateway.url, "MESHGUARD_ADMIN_TOKEN": ADMIN_TOKEN}
        found = World(gateway.url, admin, env)
        found.apply(POLICY, "support")
        bot = found.agent("support-bot")
        env["MESHGUARD_AGENT_TOKEN"] = bot["token"]
        found.check(bot["token"], "read:contacts", resource="crm/customers/0042")
        found.entry = found.check(bot["token"], "write:refund", context={"amount": 900})
        yield found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway that no test changes."""
    with new_world(tmp_path_factory.mktemp("gateway")) as found:
        yield found


@pytest.fixture(scope="module")
def changing_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("changing")) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def files(mesh: CommandLine) -> None:
    _write_files(mesh.folder)
    mesh("config", "set", "--profile", "prod", "gateway-url", "https://gateway.example.com")


@pytest.fixture
def unreachable() -> Iterator[str]:
    """The URL of a port on which no server listens, but that is taken."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def constant(*arguments: str) -> Make:
    return lambda _: arguments


READING: dict[str, Make] = {
    "agent list": constant("agent", "list"),
    "agent show": constant("agent", "show", "support-bot"),
    "audit export": constant("audit", "export", "audit.jsonl", "--force"),
    "audit list": constant("audit", "list"),
    "audit query": constant("audit", "query", "--limit", "1"),
    "audit stats": constant("audit", "stats"),
    "audit tail": constant("audit", "tail", "-n", "2"),
    "audit trace": constant("audit", "trace", "trace-of-read:contacts"),
    "audit verify": constant("audit", "verify"),
    "check": constant("check", "read:secrets", "--agent", "support-bot"),
    "config show": constant("config", "show", "--gateway-url", "http://127.0.0.1:3100"),
    "explain": lambda world: ("explain", world.entry["auditId"]),
    "policy list": constant("policy", "list"),
    "policy show": constant("policy", "show", "support"),
    "status": constant("status"),
}
CHANGING: dict[str, Make] = {
    "agent create": constant("agent", "create", "temp-bot", "--tag", "support", "--tier", "trusted"),
    "agent revoke": lambda world: ("agent", "revoke", world.agent()["id"], "--yes"),
    "agent token": lambda world: ("agent", "token", world.agent()["id"]),
    "agent update": lambda world: ("agent", "update", world.agent()["id"], "--tier", "trusted"),
    "policy apply": lambda world: world.without_sales("policy", "apply", "sales.yaml", "--yes"),
    "policy delete": lambda world: world.with_sales("policy", "delete", "sales", "--yes"),
}
LOCAL: dict[str, Sequence[str]] = {
    "backup": ("backup", "copy.db", "--force", "--database-url", "sqlite:///new.db"),
    "completion": ("completion", "bash"),
    "config set": ("config", "set", "--profile", "prod", "gateway-url", "https://gateway.example.com"),
    "contract": ("contract", "http://127.0.0.1:1"),
    "db current": ("db", "current", "--database-url", "sqlite:///new.db"),
    "db upgrade": ("db", "upgrade", "--database-url", "sqlite:///new.db"),
    "env": ("env",),
    "mcp-proxy": ("mcp-proxy", "--", "no-such-program-7"),
    "policy lint": ("policy", "lint", "wide.yaml"),
    "policy test": ("policy", "test", "-f", "cases.txt"),
    "policy validate": ("policy", "validate", "broken.yaml"),
    "restore": ("restore", "copy.db", "--database-url", "sqlite:///new.db"),
    "serve": ("serve", "--dev", "--host", "0.0.0.0"),
}
NOT_HERE = {"demo", "init", "run"}  # they have tests of their own


def every_command() -> list[str]:
    found = []
    for name in COMMANDS:
        if name not in NOT_HERE:
            commands = getattr(load(name), "commands", {})
            found += [f"{name} {command}" for command in commands] or [name]
    return sorted(found)


def shown(title: str, outcome: Outcome) -> str:
    parts = [f"==== {title}: exit code {outcome.code}", outcome.stdout]
    if outcome.stderr:
        parts += ["---- stderr", outcome.stderr]
    return normalized("\n".join(parts))


def describe(terminal: bool, columns: int, where: str = "") -> str:
    return f"{'terminal' if terminal else 'pipe'}, {columns} columns{where}"


def assert_fits(outcome: Outcome, terminal: bool, columns: int) -> None:
    """No line is wider than the terminal; errors and data in a pipe are single lines."""
    assert outcome.code != 99, "a traceback"
    text = outcome.stdout if terminal or not outcome.stdout.startswith("{") else ""
    assert longest_lines(text, columns) == []
    if not terminal:
        assert "\x1b" not in outcome.stdout + outcome.stderr


def test_every_command_has_a_snapshot() -> None:
    assert sorted([*READING, *CHANGING, *LOCAL]) == every_command()


def run_variants(mesh: CommandLine, arguments: Sequence[str], env: Mapping[str, str]) -> list[Outcome]:
    """Run a command that changes nothing, in all variants at once."""

    def run(variant: tuple[bool, int]) -> Outcome:
        terminal, columns = variant
        return mesh(*arguments, terminal=terminal, columns=columns, env=env)

    with ThreadPoolExecutor(len(VARIANTS)) as pool:
        return list(pool.map(run, VARIANTS))


def all_shown(outcomes: Sequence[Outcome], where: str = "") -> str:
    text = ""
    for (terminal, columns), outcome in zip(VARIANTS, outcomes, strict=True):
        assert_fits(outcome, terminal, columns)
        text += shown(describe(terminal, columns, where), outcome) + "\n"
    return text


@pytest.mark.parametrize("name", sorted(READING))
def test_commands_that_read_from_a_gateway(
    name: str, mesh: CommandLine, world: World, unreachable: str, matches_snapshot: Callable[[str, str], None]
) -> None:
    arguments = READING[name](world)
    text = all_shown(run_variants(mesh, arguments, world.env))
    env = {**world.env, "MESHGUARD_GATEWAY_URL": unreachable}
    text += all_shown(run_variants(mesh, arguments, env), ", without a gateway")
    matches_snapshot(name.replace(" ", "-"), text)


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_commands_that_change_a_gateway(
    name: str,
    mesh: CommandLine,
    changing_world: World,
    unreachable: str,
    matches_snapshot: Callable[[str, str], None],
) -> None:
    outcomes = []
    for terminal, columns in VARIANTS:
        arguments = CHANGING[name](changing_world)
        outcomes.append(mesh(*arguments, terminal=terminal, columns=columns, env=changing_world.env))
    text = all_shown(outcomes)
    env = {**changing_world.env, "MESHGUARD_GATEWAY_URL": unreachable}
    text += all_shown(run_variants(mesh, arguments, env), ", without a gateway")
    matches_snapshot(name.replace(" ", "-"), text)


@pytest.mark.parametrize("name", sorted(LOCAL))
def test_commands_that_need_no_gateway(
    name: str, mesh: CommandLine, matches_snapshot: Callable[[str, str], None]
) -> None:
    mesh("db", "upgrade", "--database-url", "sqlite:///new.db")
    mesh("backup", "copy.db", "--force", "--database-url", "sqlite:///new.db")
    outcomes = [mesh(*LOCAL[name], terminal=terminal, columns=columns) for terminal, columns in VARIANTS]
    matches_snapshot(name.replace(" ", "-"), all_shown(outcomes))


@pytest.mark.parametrize("name", ["", *every_command()])
def test_help_fits_and_is_the_same_everywhere(
    name: str, mesh: CommandLine, matches_snapshot: Callable[[str, str], None]
) -> None:
    outcomes = run_variants(mesh, [*name.split(), "-h"], {})
    in_pipes, in_terminals = outcomes[:3], outcomes[3:]
    for in_pipe, in_terminal in zip(in_pipes, in_terminals, strict=True):
        assert (in_pipe.code, in_pipe.stderr) == (0, "")
        assert in_terminal.plain == in_pipe.stdout
        assert in_terminal.stdout != in_pipe.stdout
    text = all_shown(outcomes).partition("==== terminal")[0]
    matches_snapshot(f"help/{name.replace(' ', '-') or 'meshguard'}", text)


@pytest.mark.parametrize("name", every_command())
def test_help_has_an_example_and_json(name: str, mesh: CommandLine) -> None:
    text = mesh(*name.split(), "-h").stdout
    assert "\nExamples:\n  $ " in text
    assert f"meshguard {name}" in text.partition("Examples:")[2]
    assert ("--json" in text) is (name not in {"serve", "mcp-proxy"})


def test_commands_are_typer_commands() -> None:
    assert all(
        isinstance(load(name), typer.core.TyperCommand | typer.core.TyperGroup)
        for name in COMMANDS
        if name not in NOT_HERE
    )


def test_secrets_are_in_no_snapshot() -> None:
    for file in (Path(__file__).parent / "snapshots").rglob("*.txt"):
        assert SECRET not in file.read_text()
        assert ADMIN_TOKEN not in file.read_text()
