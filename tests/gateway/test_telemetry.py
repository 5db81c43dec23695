from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from meshguard.gateway import telemetry
from tests.environments import clean_environ
from tests.gateway.telemetry_session import CALLERS, UPSTREAM_CREDENTIAL
from tests.support import ADMIN_TOKEN, SECRET

ROOT = Path(__file__).parents[2]
OF_REQUESTS = {"http.request.method", "http.response.status_code"}


def run_python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Session:
    """What `telemetry_session` told."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.told: dict[str, Any] = json.loads(text)

    def spans(self, scene: str) -> dict[str, dict[str, Any]]:
        return {span["name"]: span for span in self.told["scenes"][scene]["spans"]}

    def upstream(self, scene: str) -> dict[str, str]:
        (request,) = self.told["scenes"][scene]["upstream"]
        headers: dict[str, str] = request
        return headers

    def log(self, scene: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = self.told["scenes"][scene]["log"]
        return lines

    @cached_property
    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        (resource,) = self.told["metrics"]["resource_metrics"]
        found = [metric for scope in resource["scope_metrics"] for metric in scope["metrics"]]
        return {metric["name"]: metric["data"]["data_points"] for metric in found}


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(run_python("-m", "tests.gateway.telemetry_session"))


def ids(span: dict[str, Any]) -> tuple[str, str]:
    return span["context"]["trace_id"][2:], span["context"]["span_id"][2:]


def parent(span: dict[str, Any]) -> str | None:
    return span["parent_id"][2:] if span["parent_id"] else None


def test_client_gateway_and_upstream_are_one_trace(session: Session) -> None:
    spans = session.spans("proxied")
    chain = ["program", "meshguard request", "GET /proxy/{path}", "meshguard upstream"]
    for outer, inner in pairwise(chain):
        assert parent(spans[inner]) == ids(spans[outer])[1]
    assert parent(spans["meshguard decide"]) == ids(spans["GET /proxy/{path}"])[1]
    trace_id, span_id = ids(spans["meshguard upstream"])
    assert {ids(span)[0] for span in spans.values()} == {trace_id}
    assert session.upstream("proxied")["traceparent"].startswith(f"00-{trace_id}-{span_id}-")
    kinds = [spans[name]["kind"].removeprefix("SpanKind.") for name in chain]
    assert kinds == ["INTERNAL", "CLIENT", "SERVER", "CLIENT"]


def test_the_async_client_goes_on_with_the_callers_trace(session: Session) -> None:
    spans = session.spans("asynchronous")
    assert parent(spans["meshguard check"]) == ids(spans["program"])[1]
    assert parent(spans["GET /proxy/check"]) == ids(spans["meshguard check"])[1]


@pytest.mark.parametrize("scene", ["check", "check_with_context", "denied"])
def test_the_span_of_a_check_tells_what_was_decided(session: Session, scene: str) -> None:
    spans = session.spans(scene)
    told = spans["meshguard check"]["attributes"]
    denied = scene == "denied"
    expected = {
        "meshguard.operation": "check",
        "meshguard.action": "delete:contacts" if denied else "read:contacts",
        "meshguard.decision": "deny" if denied else "allow",
        "meshguard.degraded": False,
        "meshguard.trace_id": "run-1",
        "http.request.method": "POST" if scene == "check_with_context" else "GET",
        "http.response.status_code": 403 if denied else 200,
        "server.address": "127.0.0.1",
        "server.port": told["server.port"],
    }
    assert told == expected
    assert spans["meshguard check"]["status"]["status_code"] == "UNSET"
    decided = spans["meshguard decide"]["attributes"]
    assert decided["meshguard.action"] == expected["meshguard.action"]
    assert decided["meshguard.decision"] == expected["meshguard.decision"]


def test_the_span_of_a_request_tells_who_asked_and_what_was_answered(session: Session) -> None:
    assert session.spans("check")["GET /proxy/check"]["attributes"] == {
        "http.request.method": "GET",
        "http.route": "/proxy/check",
        "http.response.status_code": 200,
        "meshguard.trace_id": "run-1",
        "meshguard.agent_id": session.told["agent"],
    }


def test_a_batch_is_one_span_with_the_number_of_decisions(session: Session) -> None:
    decided = session.spans("many")["meshguard decide"]["attributes"]
    assert decided == {"meshguard.decision": "deny", "meshguard.decisions": 3}
    assert "meshguard.decision" not in session.spans("many")["meshguard check_many"]["attributes"]


def test_a_denied_request_never_gets_a_span_of_the_upstream(session: Session) -> None:
    spans = session.spans("proxied_and_denied")
    assert "meshguard upstream" not in spans
    assert spans["meshguard request"]["attributes"]["meshguard.decision"] == "deny"
    assert {span["status"]["status_code"] for span in spans.values()} == {"UNSET"}


@pytest.mark.parametrize(
    ("scene", "name", "kind"),
    [
        ("wrong_token", "meshguard check", "AuthenticationError"),
        ("unreachable", "meshguard check", "GatewayUnavailableError"),
        ("upstream_fails", "meshguard request", "UpstreamError"),
        ("upstream_fails", "meshguard upstream", "503"),
        ("upstream_fails", "GET /proxy/{path}", "503"),
    ],
)
def test_an_error_is_told_by_its_kind_alone(session: Session, scene: str, name: str, kind: str) -> None:
    span = session.spans(scene)[name]
    assert span["status"] == {"status_code": "ERROR"}
    assert span["attributes"]["error.type"] == kind
    assert [event["attributes"] for event in span["events"]] == (
        [] if kind == "503" else [{"exception.type": kind}]
    )


def test_a_failed_span_tells_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    with pytest.raises(RuntimeError), telemetry._span("failing"):
        raise RuntimeError("s3cret")
    (span,) = exporter.get_finished_spans()
    assert [dict(event.attributes or {}) for event in span.events] == [{"exception.type": "RuntimeError"}]
    assert "s3cret" not in span.to_json()


def test_a_decision_without_the_gateway_is_told_as_degraded(session: Session) -> None:
    told = session.spans("unreachable")["meshguard check"]["attributes"]
    assert (told["meshguard.decision"], told["meshguard.degraded"]) == ("deny", True)


def test_an_attempt_that_is_repeated_is_an_event_of_the_span(session: Session) -> None:
    span = session.spans("repeated")["meshguard check"]
    told = [(event["name"], event["attributes"]) for event in span["events"]]
    assert told == [("retry", {"http.response.status_code": 503})]
    assert span["attributes"]["http.response.status_code"] == 200


def test_a_refused_credential_is_no_error_of_the_gateway(session: Session) -> None:
    span = session.spans("wrong_token")["GET /proxy/check"]
    assert span["attributes"]["http.response.status_code"] == 401
    assert span["status"]["status_code"] == "UNSET"
    assert "meshguard.agent_id" not in span["attributes"]


def test_the_trace_of_any_caller_goes_on_to_the_upstream(session: Session) -> None:
    spans = session.spans("foreign_trace")
    _, trace_id, span_id, _ = CALLERS.split("-")
    assert ids(spans["GET /proxy/{path}"])[0] == trace_id
    assert parent(spans["GET /proxy/{path}"]) == span_id
    forwarded = session.upstream("foreign_trace")
    assert forwarded["traceparent"] == f"00-{trace_id}-{ids(spans['meshguard upstream'])[1]}-01"
    assert forwarded["tracestate"] == "vendor=1"


def test_a_broken_traceparent_begins_a_new_trace(session: Session) -> None:
    spans = session.spans("broken_trace")
    assert parent(spans["GET /proxy/{path}"]) is None
    forwarded = session.upstream("broken_trace")
    assert forwarded["traceparent"].split("-")[1] == ids(spans["GET /proxy/{path}"])[0]
    assert "tracestate" not in forwarded


def test_what_no_operation_answers_is_told_without_its_path_and_method(session: Session) -> None:
    told = session.spans("unknown_path")["_OTHER"]["attributes"]
    assert told.keys() == OF_REQUESTS | {"meshguard.trace_id"}
    assert told["http.response.status_code"] == 404


def test_metrics_count_decisions_and_time_requests(session: Session) -> None:
    def counted(name: str) -> dict[Any, int]:
        words = Counter[Any]()
        for point in session.metrics[name]:
            words[point["attributes"].get("meshguard.decision")] += point["value"]
        return dict(words)

    assert counted("meshguard.client.decisions") == {"allow": 8, "deny": 5}
    assert counted("meshguard.policy.checks") == {"allow": 10, "deny": 3}
    assert counted("meshguard.audit.entries") == {None: 13}
    routes = {point["attributes"]["http.route"] for point in session.metrics["meshguard.request.duration"]}
    assert {"/proxy/check", "/proxy/{path}", "/admin/agents", ""} <= routes
    for point in session.metrics["meshguard.client.operation.duration"]:
        assert {"meshguard.operation", "http.request.method"} < point["attributes"].keys()
        assert point["attributes"].keys().isdisjoint({"meshguard.action", "meshguard.trace_id"})


def test_no_span_metric_or_log_line_holds_a_secret(session: Session) -> None:
    told = {name: {**scene, "upstream": None} for name, scene in session.told["scenes"].items()}
    text = json.dumps([told, session.told["metrics"]])
    assert sum(len(scene["spans"]) for scene in told.values()) > 30
    for secret in ("s3cret", SECRET, ADMIN_TOKEN, UPSTREAM_CREDENTIAL, session.told["token"]):
        assert secret not in text


def test_a_line_of_the_log_belongs_to_the_request_and_its_trace(session: Session) -> None:
    (line,) = (line for line in session.log("proxied") if line["logger"].startswith("meshguard.gateway"))
    span = session.spans("proxied")["GET /proxy/{path}"]
    assert line["message"].startswith("GET /proxy/{path} answered 200 in ")
    assert (line["otelTraceId"], line["otelSpanId"]) == ids(span)
    about = {name: line[name] for name in ("logger", "level", "traceId", "agentId", "status", "route")}
    assert about == {
        "logger": "meshguard.gateway.access",
        "level": "debug",
        "traceId": "run-1",
        "agentId": session.told["agent"],
        "status": 200,
        "route": "/proxy/{path}",
    }


WITHOUT_SDK = """
import sys, tempfile
from pathlib import Path
{imports}
from meshguard import MeshGuardClient
from tests.unit.conftest import Gateway
gateway = Gateway()
with MeshGuardClient(gateway.url, "token") as client:
    assert client.check("read:x").allowed
print(*sorted(gateway.received[0].headers))
print("opentelemetry" in sys.modules, "opentelemetry.sdk" in sys.modules)
gateway.close()
"""


@pytest.mark.parametrize("imports", ["", "import opentelemetry.trace"])
def test_without_an_sdk_a_request_carries_no_trace(imports: str) -> None:
    headers, loaded = run_python("-c", WITHOUT_SDK.format(imports=imports)).splitlines()
    assert "x-meshguard-trace-id" in headers.split()
    assert "traceparent" not in headers.split()
    assert loaded == f"{bool(imports)} False"


WITHOUT_THE_API = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
{session}
"""


def test_the_client_works_where_the_api_is_not_installed() -> None:
    session = WITHOUT_THE_API.format(session=WITHOUT_SDK.format(imports=""))
    assert run_python("-c", session).splitlines()[1] == "False False"
