"""A gateway with an upstream for the clients that other generators make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support import ALLOW_READS, RunningGateway, admin_client, running_app, running_gateway

_METHODS = ["GET", "POST"]


async def echo(request: Request) -> JSONResponse:
    """Return the query, the media type and the body of a request."""
    return JSONResponse(
        {
            "query": request.query_params.multi_items(),
            "type": request.headers.get("content-type"),
            "body": (await request.body()).decode(),
        }
    )


async def reject(_: Request) -> JSONResponse:
    """Return a 403 that is the upstream's own."""
    return JSONResponse({"detail": "not yours"}, 403)


async def reject_in_words(_: Request) -> Response:
    """Return a 429 that is not JSON."""
    return Response("slow down", 429, media_type="text/plain")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    upstream = Starlette(
        routes=[
            Route("/files/echo", echo, methods=_METHODS),
            Route("/files/rejected", reject),
            Route("/files/busy", reject_in_words),
        ]
    )
    with (
        running_app(upstream) as target,
        running_gateway(tmp_path, proxy_target=target, rate_limit_rpm=0) as gateway,
        admin_client(gateway.url) as admin,
    ):
        headers = {"Content-Type": "application/yaml"}
        assert admin.put("/admin/policies/readers", content=ALLOW_READS, headers=headers).status_code == 201
        yield gateway
