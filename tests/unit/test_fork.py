"""Processes that were forked share clients, and each gets the responses to its own requests."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.support import ALLOW_READS, RunningGateway, admin_client, running_app, running_gateway

from . import forking


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


@pytest.fixture(scope="module")
def real_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with (
        running_app(Starlette(routes=[Route("/{path:path}", echo)])) as upstream,
        running_gateway(folder, rate_limit_rpm=1_000_000, proxy_target=upstream) as gateway,
    ):
        yield gateway


@pytest.mark.parametrize("mode", [*forking.SYNC, "asynchronously", "in_a_pool"])
def test_every_process_gets_its_own_responses(mode: str, real_gateway: RunningGateway) -> None:
    with admin_client(real_gateway.url) as admin:
        admin.put(
            "/admin/policies/readers", content=ALLOW_READS, headers={"Content-Type": "application/yaml"}
        )
        token = admin.post("/admin/agents", json={"name": mode}).json()["token"]
    program = [sys.executable, "-W", "always::ResourceWarning", forking.__file__]
    done = subprocess.run(
        [*program, mode, real_gateway.url, token, real_gateway.admin_token],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["processes"] > forking.CHILDREN
    assert found["asked"] >= forking.EACH * found["processes"] >= 300
