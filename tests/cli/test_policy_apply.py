"""`meshguard policy apply`: shows what changes, asks, and applies everything or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshguard.gateway import app
from tests.cli.command_line import CommandLine, Outcome
from tests.support import ADMIN_TOKEN, admin_client, gateway_settings, running_app

BEFORE = 'name: beta\nrules: [{effect: allow, actions: ["read:old"]}]\n'


class Failing:
    """A gateway that fails on some requests."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        self.rejected: list[tuple[str, str]] = []  # method and path; each once

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = (scope.get("method"), scope.get("path"))
        if scope["type"] == "http" and request in self.rejected:
            self.rejected.remove(request)
            while (await receive()).get("more_body"):
                pass
            headers = [(b"content-type", b"application/json"), (b"x-meshguard-trace-id", b"t")]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            body = b'{"error": "internal_error", "message": "The disk is full.", "traceId": "t"}'
            await send({"type": "http.response.body", "body": body})
        else:
            await self._gateway(scope, receive, send)


class Bench:
    def __init__(self, mesh: CommandLine, url: str, gateway: Failing) -> None:
        self.gateway = gateway
        self._mesh = mesh
        self.url = url

    def __call__(self, *arguments: str, terminal: bool = False, answer: str = "") -> Outcome:
        env = {"MESHGUARD_GATEWAY_URL": self.url, "MESHGUARD_ADMIN_TOKEN": ADMIN_TOKEN}
        return self._mesh(
            "policy", "apply", *arguments, terminal=terminal, prompt="[y/N]", answer=answer, env=env
        )

    def active(self) -> dict[str, Any]:
        with admin_client(self.url, timeout=60) as admin:
            policies = admin.get("/admin/policies").json()["policies"]
        return {policy["name"]: policy["rules"][0]["actions"] for policy in policies}


@pytest.fixture
def apply(mesh: CommandLine, tmp_path: Path) -> Iterator[Bench]:
    folder = mesh.folder / "apply"
    folder.mkdir(exist_ok=True)
    for name in ("alpha", "beta", "gamma"):
        (folder / f"{name}.yaml").write_text(
            f'name: {name}\nrules: [{{effect: allow, actions: ["read:{name}"]}}]\n'
        )
    (mesh.folder / "bad.yaml").write_text('name: bad\nrules: [{effect: alow, actions: ["x"]}]\n')
    gateway = Failing(app(gateway_settings(tmp_path)))
    with running_app(gateway) as url:
        with admin_client(url, timeout=60) as admin:
            headers = {"Content-Type": "application/yaml"}
            admin.put("/admin/policies/beta", content=BEFORE, headers=headers).raise_for_status()
        yield Bench(mesh, url, gateway)


NEW = {"alpha": ["read:alpha"], "beta": ["read:beta"], "gamma": ["read:gamma"]}
OLD = {"beta": ["read:old"]}


def test_all_policies_of_a_folder_are_applied(apply: Bench) -> None:
    done = apply("apply")
    assert done.code == 0
    assert "-  - read:old\n+  - read:beta\n" in done.stdout
    assert "✓ Created alpha\n✓ Updated beta\n✓ Created gamma\n" in done.stdout
    assert apply.active() == NEW
    again = apply("apply")
    assert (again.code, again.stdout.count("is active already")) == (0, 3)


def test_a_dry_run_changes_nothing(apply: Bench) -> None:
    done = apply("apply", "--dry-run")
    assert done.code == 0
    assert "+  - read:beta" in done.stdout
    assert apply.active() == OLD


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_a_person_is_asked(apply: Bench, answer: str, code: int) -> None:
    done = apply("apply", terminal=True, answer=answer)
    assert done.code == code
    assert f"Apply 3 policies to {apply.url}? [y/N]" in done.plain
    assert apply.active() == (OLD if code else NEW)


def test_yes_skips_the_question(apply: Bench) -> None:
    done = apply("apply", "--yes", terminal=True)
    assert "[y/N]" not in done.plain
    assert apply.active() == NEW


def test_one_invalid_policy_prevents_all_changes(apply: Bench) -> None:
    done = apply("apply", "bad.yaml")
    assert done.code == 1
    assert "bad.yaml:1:" in done.stderr or "bad.yaml:2:" in done.stderr
    assert "did you mean `allow`?" in done.stderr
    assert apply.active() == OLD


@pytest.mark.parametrize("failing", ["alpha", "beta", "gamma"])
def test_a_failure_midway_restores_the_earlier_policies(apply: Bench, failing: str) -> None:
    apply.gateway.rejected = [("PUT", f"/admin/policies/{failing}")]
    done = apply("apply")
    assert done.code == 3
    assert f"Cannot apply {failing}: " in done.stderr
    assert done.stderr.endswith("No policy was changed.\n")
    assert apply.active() == OLD


def test_a_policy_that_is_not_restored_is_named(apply: Bench) -> None:
    apply.gateway.rejected = [("PUT", "/admin/policies/gamma"), ("DELETE", "/admin/policies/alpha")]
    done = apply("apply")
    assert done.code == 3
    assert "Not restored: alpha." in done.stderr
    assert apply.active() == {"alpha": ["read:alpha"], **OLD}


def test_two_policies_of_one_name_are_rejected(apply: Bench) -> None:
    done = apply("apply", "apply/beta.yaml")
    assert done.code == 2
    assert "Two policies are named beta" in done.stderr
    assert apply.active() == OLD


@pytest.mark.parametrize(("path", "code"), [("nowhere.yaml", 2), ("empty", 2)])
def test_a_path_without_policies_is_named(apply: Bench, mesh: CommandLine, path: str, code: int) -> None:
    (mesh.folder / "empty").mkdir(exist_ok=True)
    done = apply(path)
    assert done.code == code
    assert path in done.stderr


def test_json_has_the_changes(apply: Bench) -> None:
    found = json.loads(apply("apply", "--json").stdout)
    assert [(change["name"], change["change"]) for change in found["changes"]] == [
        ("alpha", "created"),
        ("beta", "updated"),
        ("gamma", "created"),
    ]
    assert found["unchanged"] == []
    assert found["dryRun"] is False
