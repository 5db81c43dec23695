"""What OpenTelemetry is told of each operation, in a program that uses it; in any other, nothing.

Spans and metrics hold the kinds of things, never their contents: no token, no resource, no context, no text
of an error.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx

from meshguard import __version__
from meshguard._wire.errors import DECISION_HEADER
from meshguard.exceptions import PolicyDeniedError
from meshguard.types import PolicyDecision

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span

    from meshguard._wire.requests import ApiCall
    from meshguard.config import Config

T = TypeVar("T")

_LONGEST_ACTION = 256
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds


class Observation:
    """Watches one operation, and says nothing of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def sending(self, request: httpx.Request) -> None:
        """Let a request carry on the trace."""

    def repeating(self, outcome: httpx.Response | Exception) -> None:
        """Note an attempt that is followed by another one."""

    def answered(self, response: httpx.Response) -> None:
        """Note the last answer."""

    def failed(self, error: BaseException) -> None:
        """Note an error."""

    def resulted(self, result: T) -> T:
        """Note the result and pass it on."""
        return result


_NOTHING = Observation()


def observe(call: ApiCall[Any], config: Config) -> Observation:
    """Return what watches an operation.

    A program that never imported OpenTelemetry has nobody who listens: then it is not imported here either.
    """
    return _Traced(call, config) if "opentelemetry.trace" in sys.modules else _NOTHING


class _Api:
    """The parts of OpenTelemetry's API that are needed, each of which does nothing without an SDK."""

    def __init__(self) -> None:
        from opentelemetry import context, metrics, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        meter = metrics.get_meter("meshguard", __version__)
        self.context = context
        self.trace = trace
        self.tracer = trace.get_tracer("meshguard", __version__)
        # W3C alone: baggage of the program is none of the gateway's business.
        self.inject = TraceContextTextMapPropagator().inject
        self.duration = meter.create_histogram(
            "meshguard.client.operation.duration",
            "s",
            "Time that an operation takes, retries included.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self.decisions = meter.create_counter(
            "meshguard.client.decisions", "{decision}", "Decisions received."
        )


_api = lru_cache(maxsize=1)(_Api)


@lru_cache(maxsize=128)
def _server(gateway_url: str) -> dict[str, Any]:
    url = httpx.URL(gateway_url)
    port = {} if url.port is None else {"server.port": url.port}
    return {"server.address": url.host, **port}


class _Traced(Observation):
    """Makes a span of an operation, and counts it."""

    def __init__(self, call: ApiCall[Any], config: Config) -> None:
        self._api = _api()
        self._call = call
        self._about: dict[str, Any] = {
            "meshguard.operation": call.name,
            "http.request.method": call.method,
            **_server(config.gateway_url),
        }
        self._trace_id = config.trace_id
        self._span: Span
        self._token: Any

    def __enter__(self) -> Self:
        api, call = self._api, self._call
        attributes = {**self._about, "meshguard.trace_id": self._trace_id}
        if call.action is not None:
            attributes["meshguard.action"] = call.action[:_LONGEST_ACTION]
        self._span = api.tracer.start_span(
            f"meshguard {call.name}", kind=api.trace.SpanKind.CLIENT, attributes=attributes
        )
        self._token = api.context.attach(api.trace.set_span_in_context(self._span))
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(error)
        self._api.context.detach(self._token)
        self._span.end()
        self._api.duration.record(perf_counter() - self._started, self._about)

    def sending(self, request: httpx.Request) -> None:
        self._api.inject(request.headers)

    def repeating(self, outcome: httpx.Response | Exception) -> None:
        about: dict[str, str | int]
        if isinstance(outcome, httpx.Response):
            about = {"http.response.status_code": outcome.status_code}
        else:
            about = {"error.type": type(outcome).__name__}
        self._span.add_event("retry", about)

    def answered(self, response: httpx.Response) -> None:
        self._about["http.response.status_code"] = response.status_code
        self._span.set_attribute("http.response.status_code", response.status_code)
        said = response.headers.get(DECISION_HEADER)
        if said is not None and self._call.name == "request":
            self._decided(said)

    def failed(self, error: BaseException) -> None:
        if "error.type" in self._about or isinstance(error, PolicyDeniedError):
            return  # noted already, or an answer like any other
        name = type(error).__name__
        self._about["error.type"] = name
        self._span.set_attribute("error.type", name)
        self._span.add_event("exception", {"exception.type": name})
        self._span.set_status(self._api.trace.StatusCode.ERROR)

    def resulted(self, result: T) -> T:
        if self._call.credential != "agent":
            return result
        found: Any = result
        for decision in cast("list[object]", found) if isinstance(found, list) else (found,):
            if isinstance(decision, PolicyDecision):
                self._decided(decision.decision, degraded=decision.degraded)
        return result

    def _decided(self, word: str, *, degraded: bool = False) -> None:
        decision = word if word in {"allow", "deny"} else "other"
        about: dict[str, str | bool] = {"meshguard.decision": decision, "meshguard.degraded": degraded}
        self._api.decisions.add(1, about)
        if self._call.action is not None:
            self._span.set_attributes(about)
