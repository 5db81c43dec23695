"""What a program with OpenTelemetry's SDK gets to see, as JSON; a process of its own, for the SDK stays."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshguard import AsyncMeshGuardClient, MeshGuardClient, MeshGuardError
from meshguard.gateway.logs import JsonFormatter
from tests.support import ALLOW_READS, running_app, running_gateway, until

UPSTREAM_CREDENTIAL = "Bearer upstream-s3cret"
CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

spans = InMemorySpanExporter()
reader = InMemoryMetricReader()
seen: list[dict[str, str]] = []
lines: list[str] = []


class Lines(logging.Handler):
    """Keeps the lines of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        lines.append(self.format(record))


def set_up() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    handler = Lines()
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    logging.getLogger("meshguard").setLevel(logging.DEBUG)


async def upstream(request: Request) -> JSONResponse:
    seen.append(dict(request.headers))
    return JSONResponse({"answer": "s3cret of the upstream"}, int(request.query_params.get("status", 200)))


class World:
    """An upstream, a gateway and their clients."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(running_app(Starlette(routes=[Route("/{path:path}", upstream)])))
        gateway = stack.enter_context(
            running_gateway(folder, proxy_target=target, proxy_authorization=UPSTREAM_CREDENTIAL)
        )
        admin = stack.enter_context(MeshGuardClient(gateway.url, admin_token=gateway.admin_token))
        admin.apply_policy(ALLOW_READS)
        agent = admin.create_agent("bot")
        self.agent_id, self.token = agent["id"], agent["token"]
        self.admin = admin
        self.url = gateway.url
        self.client = stack.enter_context(MeshGuardClient(gateway.url, self.token, trace_id="run-1"))
        self.http = stack.enter_context(
            httpx.Client(base_url=gateway.url, headers={"Authorization": f"Bearer {self.token}"})
        )


def check(world: World) -> None:
    world.client.check("read:contacts", "/crm/s3cret-resource")


def check_with_context(world: World) -> None:
    world.client.check("read:contacts", "/s3cret", context={"card": "s3cret"}, explain=True)


def denied(world: World) -> None:
    world.client.check("delete:contacts")


def many(world: World) -> None:
    world.client.check_many(["read:a", "delete:a", {"action": "read:b", "context": {"x": "s3cret"}}])


def asynchronous(world: World) -> None:
    async def ask() -> None:
        async with AsyncMeshGuardClient(world.url, world.token) as client:
            with trace.get_tracer("program").start_as_current_span("program"):
                await client.check("read:contacts")

    asyncio.run(ask())


def proxied(world: World) -> None:
    with trace.get_tracer("program").start_as_current_span("program"):
        world.client.get("/crm/s3cret-path", action="read:contacts", params={"key": "s3cret"})


def streamed(world: World) -> None:
    with world.client.stream("GET", "/crm", action="read:contacts") as response:
        response.read()


def proxied_and_denied(world: World) -> None:
    with suppress(MeshGuardError):
        world.client.delete("/crm", action="delete:contacts")


def upstream_fails(world: World) -> None:
    with suppress(MeshGuardError):
        world.client.get("/crm?status=503", action="read:contacts")


def wrong_token(world: World) -> None:
    with MeshGuardClient(world.url, "wrong-s3cret-token") as client, suppress(MeshGuardError):
        client.check("read:contacts")


def unreachable(_world: World) -> None:
    with MeshGuardClient("http://127.0.0.1:1", "s3cret", max_retries=0, on_unavailable="deny") as client:
        client.check("read:contacts")


def repeated(_world: World) -> None:
    statuses = iter((503, 200))

    async def answer(_: Request) -> JSONResponse:
        said = {"decision": "deny", "allowed": False, "message": "s3cret"}
        return JSONResponse(said, next(statuses), headers={"Retry-After": "0"})

    application = Starlette(routes=[Route("/proxy/check", answer)])
    with running_app(application) as url, MeshGuardClient(url, "s3cret") as client:
        client.check("read:contacts")


def administration(world: World) -> None:
    world.admin.issue_token(world.admin.create_agent("other-s3cret")["id"])
    world.admin.test_policies("read:contacts", agent={"trustTier": "verified"})


def foreign_trace(world: World) -> None:
    headers = {"X-MeshGuard-Action": "read:x", "traceparent": CALLERS, "tracestate": "vendor=1"}
    world.http.get("/proxy/crm", headers=headers)


def broken_trace(world: World) -> None:
    headers = {"X-MeshGuard-Action": "read:x", "traceparent": "00-nothing-01", "tracestate": "vendor=1"}
    world.http.get("/proxy/crm", headers=headers)


def unknown_path(world: World) -> None:
    world.http.request("BREW", "/s3cret/path?s3cret=1")


SCENES: tuple[Callable[[World], None], ...] = (
    check,
    check_with_context,
    denied,
    many,
    asynchronous,
    proxied,
    streamed,
    proxied_and_denied,
    upstream_fails,
    wrong_token,
    unreachable,
    repeated,
    administration,
    foreign_trace,
    broken_trace,
    unknown_path,
)


@contextmanager
def recorded(told: dict[str, Any], name: str) -> Iterator[None]:
    """Note the spans, the upstream's requests and the log of one scene."""
    spans.clear()
    seen.clear()
    lines.clear()
    yield
    told[name] = {
        "spans": [json.loads(span.to_json()) for span in spans.get_finished_spans()],
        "upstream": list(seen),
        "log": [json.loads(line) for line in lines],
    }


def servers_are_done(sent: int) -> bool:
    """Whether each request that a client sent has the span of a server, which ends after the answer."""
    kinds = [span.kind for span in spans.get_finished_spans()]
    return kinds.count(trace.SpanKind.SERVER) >= sent


def main() -> None:
    set_up()
    told: dict[str, Any] = {"scenes": {}}
    with ExitStack() as stack:
        world = World(stack)
        told["token"] = world.token
        for scene in SCENES:
            sent = {"unreachable": 0, "repeated": 0, "administration": 2}.get(scene.__name__, 1)
            with recorded(told["scenes"], scene.__name__):
                scene(world)
                until(lambda sent=sent: servers_are_done(sent))
        told["agent"] = world.agent_id
    data = reader.get_metrics_data()
    told["metrics"] = json.loads(data.to_json()) if data else {}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
