"""Which gateway and which tokens a command uses."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.cli.command_line import CommandLine
from tests.support import running_app

OTHER = "http://127.0.0.1:9"
TOKENS = ("agent-token", "admin-token")


@pytest.fixture(autouse=True)
def profiles(mesh: CommandLine) -> Iterator[Path]:
    """The file with the profiles; there is none at first."""
    file = mesh.config / "meshguard" / "profiles.json"
    file.unlink(missing_ok=True)
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def url(seen: list[str]) -> Iterator[str]:
    """A server that records the admin tokens it is sent."""

    async def answer(request: Request) -> Response:
        seen.append(request.headers.get("X-Admin-Token", ""))
        return JSONResponse({"agents": []})

    with running_app(Starlette(routes=[Route("/admin/agents", answer)])) as found:
        yield found


def store(mesh: CommandLine, name: str, **settings: str) -> None:
    for key, value in settings.items():
        done = mesh("config", "set", "--profile", name, key.replace("_", "-"), value)
        assert done.code == 0, done.stderr


def test_a_profile_is_used(mesh: CommandLine, url: str, seen: list[str]) -> None:
    store(mesh, "prod", gateway_url=url, admin_token="from-prod")
    store(mesh, "default", gateway_url=url, admin_token="from-default")
    mesh("agent", "list", "--profile", "prod")
    mesh("--profile", "prod", "agent", "list")
    mesh("agent", "list", env={"MESHGUARD_PROFILE": "prod"})
    mesh("agent", "list")
    assert seen == ["from-prod"] * 3 + ["from-default"]


def test_arguments_come_before_the_environment(mesh: CommandLine, url: str, seen: list[str]) -> None:
    store(mesh, "prod", gateway_url=url, admin_token="from-prod")
    env = {"MESHGUARD_GATEWAY_URL": OTHER, "MESHGUARD_ADMIN_TOKEN": "from-env"}
    mesh("agent", "list", "--profile", "prod", env=env)
    mesh("agent", "list", "--gateway-url", url, env=env)
    assert seen == ["from-prod", "from-env"]


def test_the_environment_comes_before_a_selected_profile(
    mesh: CommandLine, url: str, seen: list[str]
) -> None:
    store(mesh, "default", gateway_url=OTHER, admin_token="from-default")
    env = {"MESHGUARD_GATEWAY_URL": url, "MESHGUARD_ADMIN_TOKEN": "from-env"}
    assert mesh("agent", "list", env=env).code == 0
    assert seen == ["from-env"]


@pytest.mark.parametrize("named", [False, True])
def test_a_profile_token_is_sent_to_its_gateway_only(
    mesh: CommandLine, url: str, seen: list[str], named: bool
) -> None:
    store(mesh, "default", gateway_url=OTHER, admin_token="from-default")
    options = ("--profile", "default") if named else ()
    assert mesh("agent", "list", "--gateway-url", url, *options).code == 2
    assert mesh("agent", "list", env={"MESHGUARD_GATEWAY_URL": url}).code == 2
    assert seen == []


def test_without_a_url_nothing_is_sent(mesh: CommandLine) -> None:
    done = mesh("agent", "list")
    assert done.code == 2
    assert done.stderr.startswith(
        "Error: No gateway URL. Use --gateway-url, set MESHGUARD_GATEWAY_URL, or run"
    )


def test_only_the_owner_can_read_profiles(mesh: CommandLine, profiles: Path) -> None:
    store(mesh, "default", admin_token="secret-7")
    assert stat.S_IMODE(profiles.stat().st_mode) == 0o600
    for mode in (0o640, 0o604, 0o620, 0o644):
        profiles.chmod(mode)
        done = mesh("config", "show")
        assert done.code == 2
        assert f"Run `chmod 600 {profiles}`" in done.stderr


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"prod": []}', '{"prod": {"x": "y"}}', '{"prod": {"gateway-url": 1}}', "\xff"]
)
def test_a_broken_file_of_profiles_is_named(mesh: CommandLine, profiles: Path, content: str) -> None:
    profiles.parent.mkdir(parents=True, exist_ok=True)
    profiles.write_bytes(content.encode("latin-1"))
    profiles.chmod(0o600)
    done = mesh("agent", "list")
    assert done.code == 2
    assert done.stderr.startswith(f"Error: Cannot use {profiles}: ")


def test_tokens_are_never_shown(mesh: CommandLine) -> None:
    store(mesh, "default", gateway_url=OTHER, admin_token="secret-7", agent_token="secret-8")
    for options in ((), ("--json",)):
        for env in ({}, {"MESHGUARD_ADMIN_TOKEN": "secret-9"}):
            shown = mesh("config", "show", *options, env=env)
            assert shown.code == 0
            assert "secret" not in shown.stdout + shown.stderr
    assert "secret" not in mesh("config", "set", "admin-token", "secret-9").plain
    assert "secret" not in mesh("status").plain


def test_a_token_is_read_without_an_echo(mesh: CommandLine, profiles: Path) -> None:
    shown = mesh("config", "set", "admin-token", terminal=True, prompt="admin-token: ", answer="secret-7\n")
    assert shown.code == 0
    assert "secret" not in shown.plain
    assert json.loads(profiles.read_text())["default"] == {"admin-token": "secret-7"}


def test_an_empty_value_removes_a_setting(mesh: CommandLine, profiles: Path) -> None:
    store(mesh, "prod", gateway_url=OTHER, admin_token="x")
    store(mesh, "prod", admin_token="")
    assert json.loads(profiles.read_text()) == {"prod": {"gateway-url": OTHER}}
    store(mesh, "prod", gateway_url="")
    assert json.loads(profiles.read_text()) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gateway-ur", "x"), 'No setting "gateway-ur". Did you mean "gateway-url"?'),
        (("gateway-url", "nonsense"), "Cannot set gateway-url: "),
        (("admin-token", "two words\n"), "Cannot set admin-token: "),
    ],
)
def test_a_wrong_setting_is_not_stored(
    mesh: CommandLine, profiles: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = mesh("config", "set", *arguments)
    assert done.code == 2
    assert message in done.stderr
    assert not profiles.exists()


def test_an_unknown_profile_is_named(mesh: CommandLine) -> None:
    store(mesh, "prod", gateway_url=OTHER)
    done = mesh("agent", "list", "--profile", "prd")
    assert done.code == 2
    assert 'No profile "prd"' in done.stderr
    assert 'Did you mean "prod"?' in done.stderr
