"""`meshguard init`: a policy, its tests and the secrets of a new project."""

from __future__ import annotations

import os
import re
import secrets
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from meshguard.cli.app import App
from meshguard.cli.dev_state import FOLDER
from meshguard.cli.errors import CommandError
from meshguard.cli.frameworks import FRAMEWORKS

app = App()

POLICY = Path("policies/agent.yaml")
TESTS = Path("policies.tests.yaml")
_ENV = Path(".env")
_IGNORE = Path(".gitignore")
_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class _Tools:
    read: list[str]
    write: list[str]
    forbid: list[str]


@app.command()
def init(
    framework: Annotated[
        str | None, typer.Option(help=f"The agent's framework: {', '.join(FRAMEWORKS)}.")
    ] = None,
    read: Annotated[
        list[str] | None, typer.Option(help="Tools that any agent may call, such as search_contacts.")
    ] = None,
    write: Annotated[list[str] | None, typer.Option(help="Tools that only verified agents may call.")] = None,
    forbid: Annotated[list[str] | None, typer.Option(help="Tools that no agent may call.")] = None,
) -> None:
    """Write a policy that fits an agent's tools, tests for it, and a .env with secrets.

    Lists are comma-separated, or the option is repeated. What is not given is asked on a terminal. Existing
    files are never changed, except that .env and .gitignore get the lines they lack.

    Examples:
      $ meshguard init --framework langchain --read search_contacts --write send_email
    """
    if framework is None and _is_interactive():
        framework = typer.prompt(f"Framework ({', '.join(FRAMEWORKS)})", default="functions")
    chosen = FRAMEWORKS.get((framework or "functions").lower().replace("_", "-"))
    if chosen is None:
        raise CommandError(f"Unknown framework {framework}. Choose one of: {', '.join(FRAMEWORKS)}.")
    tools = _Tools(
        _named(read, "Tools that may read (comma-separated)"),
        _named(write, "Tools that may write"),
        _named(forbid, "Tools to forbid"),
    )
    _check(tools)
    for file in (POLICY, TESTS):
        if file.exists():
            raise CommandError(f"{file} exists. Move it away, or edit it instead.")
    try:
        _write_all(tools)
    except OSError as error:
        raise CommandError(
            f"Cannot write {error.filename}: {error.strerror}. Run in a folder that you can write to."
        ) from None
    typer.echo(f"Wrote {POLICY}, {TESTS} and {_ENV}.\n\nIn the agent ({chosen.install}):\n\n{chosen.code}\n")
    typer.echo("Next:\n")
    typer.echo(f"  meshguard policy test --file {TESTS}")
    typer.echo(f"  meshguard run --policy {POLICY.parent} -- python agent.py")
    typer.echo(f"  meshguard serve --policies-dir {POLICY.parent}")


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _named(given: list[str] | None, question: str) -> list[str]:
    if given is None and _is_interactive():
        given = [typer.prompt(question, default="", show_default=False)]
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def _check(tools: _Tools) -> None:
    if not (tools.read or tools.write or tools.forbid):
        raise CommandError(
            "No tool is named. Pass --read, --write or --forbid with the names of the agent's tools."
        )
    names = [*tools.read, *tools.write, *tools.forbid]
    for name in names:
        if not _TOOL.fullmatch(name):
            raise CommandError(
                f"{name!r} is not the name of a tool. Use letters, digits, dots, dashes and underscores."
            )
        if names.count(name) > 1:
            raise CommandError(
                f"The tool {name} is named twice. Name it in one of --read, --write and --forbid."
            )


def _write_all(tools: _Tools) -> None:
    POLICY.parent.mkdir(exist_ok=True)
    _write_env()
    _add_lines(_IGNORE, [str(_ENV), f"{FOLDER}/"])
    POLICY.write_text(_yaml(_policy(tools)), encoding="utf-8")
    TESTS.write_text(_yaml(_tests(tools)), encoding="utf-8")


def _policy(tools: _Tools) -> dict[str, Any]:
    rules: list[dict[str, Any]] = []
    if tools.read:
        rules.append({"name": "read", "effect": "allow", "actions": _actions(tools.read)})
    if tools.write:
        rules.append(
            {
                "name": "write",
                "effect": "allow",
                "actions": _actions(tools.write),
                "conditions": {"trustTier": ["verified", "trusted", "privileged"]},
            }
        )
    if tools.forbid:
        rules.append(
            {
                "name": "forbidden",
                "effect": "deny",
                "actions": _actions(tools.forbid),
                "reason": "This tool is forbidden to every agent.",
            }
        )
    return {"name": "agent", "description": "What the agent's tools may do.", "rules": rules}


def _tests(tools: _Tools) -> dict[str, Any]:
    cases = [
        *(_case("anyone", tool, "allow", "read") for tool in tools.read),
        *(_case("verified", tool, "allow", "write") for tool in tools.write),
        *(_case("anyone", tool, "deny") for tool in tools.write),
        *(_case("verified", tool, "deny", "forbidden") for tool in tools.forbid),
        _case("verified", _unknown(tools), "deny"),
    ]
    agents = {"verified": {"trustTier": "verified"}, "anyone": {"trustTier": "unverified"}}
    return {"policies": str(POLICY.parent), "agents": agents, "cases": cases}


def _case(agent: str, tool: str, expect: str, rule: str | None = None) -> dict[str, Any]:
    verb = "may" if expect == "allow" else "may not"
    who = {"anyone": "an unverified agent", "verified": "a verified agent"}[agent]
    case = {
        "name": f"{who} {verb} call {tool}",
        "agent": agent,
        "action": f"execute:{tool}",
        "expect": expect,
    }
    return case | ({"rule": rule} if rule else {})


def _unknown(tools: _Tools) -> str:
    name = "another_tool"
    while name in {*tools.read, *tools.write, *tools.forbid}:
        name += "_"
    return name


def _actions(tools: list[str]) -> list[str]:
    return [f"execute:{tool}" for tool in tools]


def _yaml(value: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(pure=True)
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 110
    text = StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def _write_env() -> None:
    """Add the secrets that .env lacks; only its owner may read it."""
    if not _ENV.exists():
        os.close(os.open(_ENV, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
    _ENV.chmod(_OWNER_ONLY)
    present = {line.partition("=")[0].strip() for line in _ENV.read_text(encoding="utf-8").splitlines()}
    names = [name for name in ("MESHGUARD_JWT_SECRET", "MESHGUARD_ADMIN_TOKEN") if name not in present]
    _add_lines(_ENV, [f"{name}={secrets.token_urlsafe(48)}" for name in names])


def _add_lines(file: Path, lines: list[str]) -> None:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [line for line in lines if line not in text.splitlines()]
    if missing:
        start = "" if not text or text.endswith("\n") else "\n"
        with file.open("a", encoding="utf-8") as stream:
            stream.write(start + "".join(f"{line}\n" for line in missing))
