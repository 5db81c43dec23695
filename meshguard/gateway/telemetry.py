"""What OpenTelemetry and the log are told of each request.

Spans, metrics and log lines tell which operation, agent and action it was, and what became of it: never a
credential, a query, a resource, a context, or the text of an error.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import context, metrics, trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from meshguard.gateway.ids import new_id
from meshguard.gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from urllib.parse import SplitResult

    from opentelemetry.context import Context
    from starlette.types import Scope

    from meshguard.gateway.decisions import Verdict

_VERSION = version("meshguard")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_TRACE_HEADERS = ("traceparent", "tracestate")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
_LONGEST_ACTION = 256
_SERVER_ERROR = 500

_NO_SPAN = nullcontext(INVALID_SPAN)

_access = logging.getLogger("meshguard.gateway.access")
_w3c = TraceContextTextMapPropagator()
# Each of these does nothing until a program sets up an SDK, before or after this module is imported.
_tracer = trace.get_tracer("meshguard.gateway", _VERSION)
_meter = metrics.get_meter("meshguard.gateway", _VERSION)
_duration = _meter.create_histogram(
    "meshguard.request.duration",
    "s",
    "Time to answer a request.",
    explicit_bucket_boundaries_advisory=_BUCKETS,
)
_decisions = _meter.create_counter("meshguard.policy.checks", "{decision}", "Decisions made.")
_entries = _meter.create_counter("meshguard.audit.entries", "{entry}", "Entries of decisions written.")
_errors = _meter.create_counter("meshguard.condition.errors", "{error}", "Tests that could not be evaluated.")


@dataclass(slots=True)
class Exchange:
    """What is known of the request that is being answered, as far as it may be told.

    Entered when it arrives, left when its answer is sent.

    Args:
        method: The HTTP method; `_OTHER` for one that no operation has.
        trace_id: One that was made up, until the request's own `X-MeshGuard-Trace-ID` is read.
        route: The path of the operation in the contract.
        agent_id: Who asks, where an agent does.
        status: The status that was answered.
        span: The request's own span.
        seconds: How long it took.
    """

    method: str
    trace_id: str
    route: str | None = None
    agent_id: str | None = None
    status: int | None = None
    span: Span = INVALID_SPAN
    seconds: float = 0.0
    _started: float = field(default_factory=perf_counter)
    _cleanup: ExitStack | None = None
    _token: Token[Exchange | None] | None = None

    def __enter__(self) -> Self:
        self._token = _exchange.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._end()
        if self._cleanup:
            self._cleanup.__exit__(kind, error, stack)
        if self._token:
            _exchange.reset(self._token)

    def begin_span(self, scope: Scope) -> None:
        """Make the request's own span, which its caller's is the parent of."""
        self._cleanup = ExitStack()
        self.span = self._cleanup.enter_context(_span(self.method, SpanKind.SERVER, _incoming(scope)))

    def _end(self) -> None:
        self.seconds = perf_counter() - self._started
        if self.span.is_recording():
            self._tell_span()
        about = {"http.request.method": self.method, "http.route": self.route or ""}
        _duration.record(self.seconds, {**about, "http.response.status_code": self.status or 0})
        if _access.isEnabledFor(logging.DEBUG):
            line = "%s %s answered %s in %.1f ms"
            _access.debug(
                line, self.method, self.route, self.status, self.seconds * 1000, extra=self._fields()
            )

    def _tell_span(self) -> None:
        if self.route:
            self.span.update_name(f"{self.method} {self.route}")
        told = {
            "http.route": self.route,
            "http.response.status_code": self.status,
            "meshguard.trace_id": self.trace_id,
            "meshguard.agent_id": self.agent_id,
        }
        self.span.set_attributes({name: value for name, value in told.items() if value is not None})
        if self.status is not None and self.status >= _SERVER_ERROR:
            _mark_error(self.span, str(self.status))

    def _fields(self) -> dict[str, Any]:
        return {
            "fields": {
                "method": self.method,
                "route": self.route,
                "status": self.status,
                "agentId": self.agent_id,
                "durationMs": round(self.seconds * 1000, 3),
            }
        }


_exchange: ContextVar[Exchange | None] = ContextVar("meshguard_exchange", default=None)


def current_trace_id() -> str | None:
    """Return the trace id of the request that is being answered; None outside of one."""
    exchange = _exchange.get()
    return exchange.trace_id if exchange else None


def is_on() -> bool:
    """Whether this program has set up an SDK; without one no time is spent on spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def serving(scope: Scope) -> Exchange:
    """Return what watches a request from its arrival until its answer is sent."""
    method = scope["method"]
    exchange = Exchange(method if method in _METHODS else "_OTHER", new_id())
    if is_on():
        exchange.begin_span(scope)
    return exchange


def _incoming(scope: Scope) -> Context | None:
    """Return the caller's span as the parent; None is whatever span the server that runs us has begun."""
    if trace.get_current_span().get_span_context().is_valid:
        return None
    carrier = {
        name: [value.decode("latin-1") for key, value in scope["headers"] if key == name.encode()]
        for name in _TRACE_HEADERS
    }
    return _w3c.extract(carrier, context.Context())


def deciding(action: str | None = None) -> AbstractContextManager[Span]:
    """Return what watches decisions being made and recorded; `action` where it is one."""
    return _deciding(action) if _is_traced() else _NO_SPAN


@contextmanager
def _deciding(action: str | None) -> Iterator[Span]:
    with _span("meshguard decide") as span:
        if action is not None:
            span.set_attribute("meshguard.action", action[:_LONGEST_ACTION])
        yield span


def _is_traced() -> bool:
    exchange = _exchange.get()
    return exchange is not None and exchange.span is not INVALID_SPAN


def decided(verdicts: Sequence[Verdict]) -> None:
    """Count decisions that were recorded."""
    for verdict in verdicts:
        _decisions.add(1, {"meshguard.decision": verdict.word})
        if verdict.decision.errors:
            _errors.add(verdict.decision.errors)
    _entries.add(len(verdicts))
    if _is_traced():
        span = trace.get_current_span()
        words = {verdict.word for verdict in verdicts}
        span.set_attribute("meshguard.decision", "deny" if "deny" in words else "allow")
        span.set_attribute("meshguard.decisions", len(verdicts))


def forwarding(
    method: str, url: SplitResult, headers: list[tuple[bytes, bytes]]
) -> AbstractContextManager[Span]:
    """Return what watches a request to the upstream until its status is there, and continues the trace.

    Args:
        method: Of the request.
        url: The upstream's.
        headers: Of the request; those of the trace are replaced.
    """
    return _forwarding(method, url, headers) if _is_traced() else _NO_SPAN


@contextmanager
def _forwarding(method: str, url: SplitResult, headers: list[tuple[bytes, bytes]]) -> Iterator[Span]:
    with _span("meshguard upstream", SpanKind.CLIENT) as span:
        span.set_attributes(_about_upstream(method, url))
        carrier: dict[str, str] = {}
        _w3c.inject(carrier)
        headers[:] = [pair for pair in headers if pair[0].decode("latin-1") not in _TRACE_HEADERS]
        headers.extend((name.encode(), value.encode()) for name, value in carrier.items())
        yield span


def forwarded(span: Span, status: int) -> None:
    """Note the upstream's status."""
    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        _mark_error(span, str(status))


def _about_upstream(method: str, url: SplitResult) -> dict[str, str | int]:
    port = {} if url.port is None else {"server.port": url.port}
    return {"http.request.method": method, "server.address": url.hostname or "", **port}


@contextmanager
def _span(name: str, kind: SpanKind = SpanKind.INTERNAL, parent: Context | None = None) -> Iterator[Span]:
    attributes = {"http.request.method": name} if kind is SpanKind.SERVER else None
    with _tracer.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            _note_failure(span, error)
            raise


def _note_failure(span: Span, error: BaseException) -> None:
    if not isinstance(error, Problem):
        _mark_error(span, type(error).__name__)
        span.add_event("exception", {"exception.type": type(error).__name__})
    elif error.status >= _SERVER_ERROR:
        _mark_error(span, str(error.status))


def _mark_error(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
