"""A gateway with an upstream for the clients that other generators make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generators.upstream import upstream
from tests.support import ALLOW_READS, RunningGateway, admin_client, running_app, running_gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with (
        running_app(upstream) as target,
        running_gateway(tmp_path, proxy_target=target, rate_limit_rpm=0) as gateway,
        admin_client(gateway.url) as admin,
    ):
        headers = {"Content-Type": "application/yaml"}
        assert admin.put("/admin/policies/readers", content=ALLOW_READS, headers=headers).status_code == 201
        yield gateway
