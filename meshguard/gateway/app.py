"""The gateway as an ASGI application."""

from __future__ import annotations

import logging
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from starlette.middleware.cors import CORSMiddleware

from meshguard.gateway import agents, audit_operations, decisions, policies, system, telemetry
from meshguard.gateway.gateway import Gateway, StartError
from meshguard.gateway.http import (
    NO_WEBSOCKETS,
    Answer,
    Body,
    ClientGone,
    Head,
    Request,
    echoing,
    error_response,
    read_parameters,
    request_id,
)
from meshguard.gateway.logs import log_failure
from meshguard.gateway.problems import Detail, Problem, invalid
from meshguard.gateway.proxy import proxy
from meshguard.gateway.routing import Router

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from meshguard.gateway.clock import Clock
    from meshguard.gateway.contract import Operation
    from meshguard.gateway.settings import Settings
    from meshguard.gateway.telemetry import Exchange

_log = logging.getLogger("meshguard.gateway")

Handler: TypeAlias = "Callable[[Gateway, Request], Awaitable[Answer]]"

HANDLERS: dict[str, Handler] = {
    "get_gateway_info": system.get_gateway_info,
    "get_health": system.get_health,
    "get_openapi": system.get_openapi,
    "get_metrics": system.get_metrics,
    "check_action": decisions.check_action,
    "evaluate": decisions.evaluate,
    "evaluate_batch": decisions.evaluate_batch,
    "proxy_get": proxy,
    "proxy_head": proxy,
    "proxy_options": proxy,
    "proxy_post": proxy,
    "proxy_put": proxy,
    "proxy_patch": proxy,
    "proxy_delete": proxy,
    "list_agents": agents.list_agents,
    "create_agent": agents.create_agent,
    "get_agent": agents.get_agent,
    "update_agent": agents.update_agent,
    "put_agent": agents.update_agent,
    "revoke_agent": agents.revoke_agent,
    "issue_token": agents.issue_token,
    "list_policies": policies.list_policies,
    "get_policy": policies.get_policy,
    "apply_policy": policies.apply_policy,
    "delete_policy": policies.delete_policy,
    "validate_policy": policies.validate_policy,
    "test_policies": policies.test_policies,
    "list_audit_entries": audit_operations.list_audit_entries,
    "get_audit_stats": audit_operations.get_audit_stats,
    "export_audit_entries": audit_operations.export_audit_entries,
    "verify_audit_log": audit_operations.verify_audit_log,
}
_TRACE_HEADERS = {"X-MeshGuard-Trace-ID": b"x-meshguard-trace-id", "X-Trace-ID": b"x-trace-id"}
_TRACE_ID = re.compile(r"[!-~]{1,128}")
_CHARGED = frozenset({400, 413})  # invalid requests, which cost work too


def app(settings: Settings, *, clock: Clock = time.time, monotonic: Clock = time.monotonic) -> ASGIApp:
    """Return a gateway as an ASGI application; it shares nothing with others of the process.

    Args:
        settings: From `load_settings`.
        clock: Seconds since 1970, for tokens, conditions on time, and the audit log.
        monotonic: Seconds of a clock that nobody sets, for the age of what decisions are made from.

    Returns:
        The application. It needs the server's lifespan events to start.
    """
    application: ASGIApp = _Application(Gateway(settings, clock, monotonic))
    if settings.cors_origin:
        application = CORSMiddleware(
            application,
            allow_origins=[origin.strip() for origin in settings.cors_origin.split(",")],
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=[
                "X-MeshGuard-Decision",
                "X-MeshGuard-Policy",
                "X-MeshGuard-Trace-ID",
                "X-Request-ID",
            ],
        )
    return application


class _Application:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._router = Router(gateway.contract.operations)
        self._is_started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            head = Head(scope)
            body = Body(receive, head) if head.announces_body else None
            with telemetry.serving(scope) as exchange:
                await self._respond(scope, body or receive, send, head, exchange)
            if self._gateway.metrics:
                self._gateway.metrics.duration.observe(exchange.seconds)
            if body:
                await body.drain()
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": NO_WEBSOCKETS})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._gateway.start()
        except StartError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._is_started = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._is_started = False
        await self._gateway.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, head: Head, exchange: Exchange
    ) -> None:
        echo = None
        try:
            echo = request_id(head)
            exchange.trace_id = _given_trace_id(head) or exchange.trace_id
            answer = await self._answer(scope, receive, head, exchange)
        except ClientGone:
            # Nobody reads this, unless the body was no HTTP.
            problem = invalid(Detail("", "the body breaks off"))
            answer = error_response(problem, exchange.trace_id, is_head=scope["method"] == "HEAD")
        except Problem as problem:
            answer = error_response(problem, exchange.trace_id, is_head=scope["method"] == "HEAD")
        except Exception as error:  # noqa: BLE001 - it is logged, and answered without internals
            log_failure(error, "request %s failed", exchange.trace_id)
            failure = Problem(500, "The gateway failed to answer; report this trace id to its operator.")
            answer = error_response(failure, exchange.trace_id, is_head=scope["method"] == "HEAD")
        exchange.status = answer.status
        await _send(answer, echoing(send, echo), exchange.trace_id)

    async def _answer(self, scope: Scope, receive: Receive, head: Head, exchange: Exchange) -> Answer:
        if not self._is_started:
            raise Problem(503, "The gateway is starting or stopping; try again in a second.")
        head.check()
        operation, path = self._router.find(scope["method"], _raw_path(scope))
        exchange.route = operation.template
        timeout = self._gateway.settings.request_timeout
        request = Request(scope, receive, head, exchange.trace_id, operation, path, timeout=timeout)
        request.pool = self._gateway.pools.bodies
        self._authenticate(operation, request)
        open_query = operation.template == "/proxy/{path}"
        if request.agent is None:
            read_parameters(request, open_query=open_query)
            return await HANDLERS[operation.id](self._gateway, request)
        agent_id = exchange.agent_id = request.agent.record.id
        self._gateway.limit.reject_used_up(agent_id)
        request.charge = partial(self._gateway.limit.take, agent_id)
        try:
            read_parameters(request, open_query=open_query)
            return await HANDLERS[operation.id](self._gateway, request)
        except Problem as problem:
            if problem.status in _CHARGED:
                await request.charge(1)
            raise

    def _authenticate(self, operation: Operation, request: Request) -> None:
        if operation.credential == "agentToken":
            authorization = request.head.get(b"authorization")
            request.agent = self._gateway.tokens.agent(authorization, self._gateway.current.confirmed())
        elif operation.credential == "adminToken":
            address = (request.scope.get("client") or ("unknown", 0))[0]
            self._gateway.admin_token.check(request.head.get(b"x-admin-token"), address)


async def _send(answer: Answer, send: Send, trace_id: str) -> None:
    try:
        await answer.send_to(send, trace_id)
    except ClientGone:
        _log.debug("the client of request %s went away", trace_id)
    except Exception as error:  # noqa: BLE001 - a server that gets no end of the answer breaks off
        log_failure(error, "the answer to request %s broke off", trace_id)


def _raw_path(scope: Scope) -> str:
    raw: Any = scope.get("raw_path")
    return raw.decode("latin-1") if raw else quote(scope["path"])


def _given_trace_id(head: Head) -> str | None:
    for name, raw in _TRACE_HEADERS.items():
        text = head.get(raw)
        if text is not None:
            if not _TRACE_ID.fullmatch(text):
                raise invalid(Detail(f"/header/{name}", "1 to 128 visible ASCII characters"))
            return text
    return None
