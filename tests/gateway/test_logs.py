from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard.gateway.logs import JsonFormatter, TextFormatter
from tests.gateway.conftest import check
from tests.gateway.test_serve import SECRETS, agent_of, run, served
from tests.support import ADMIN_TOKEN, SECRET

PROXY_SECRET = "Bearer upstream-s3cret-9Kd83jf7Dn2"

SDK = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
spans = open(os.environ["SPANS"], "a")
exporter = ConsoleSpanExporter(out=spans, formatter=lambda span: span.to_json(None) + "\\n")
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
"""


def failure() -> Any:
    def inner(password: str) -> None:
        raise ValueError(f"{password} is no password")

    try:
        try:
            inner("s3cret")
        except ValueError as error:
            raise RuntimeError("s3cret was refused") from error
    except RuntimeError:
        return sys.exc_info()


def record(level: int = logging.ERROR, **fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "meshguard.gateway", "levelno": level, "levelname": logging.getLevelName(level), **fields}
    )


def test_a_line_is_one_json_object_whatever_the_message() -> None:
    text = JsonFormatter().format(record(msg='two\nlines, a "quotation", %s', args=("\x1b[31m\u2028",)))
    assert len(text.splitlines()) == 1
    line = json.loads(text)
    assert line["message"] == 'two\nlines, a "quotation", \x1b[31m\u2028'
    assert line.keys() == {"timestamp", "level", "logger", "message"}
    assert (line["level"], line["logger"]) == ("error", "meshguard.gateway")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_exception_is_told_by_type_and_stack_without_text_or_variables(
    formatter: logging.Formatter,
) -> None:
    text = formatter.format(record(msg="it failed", exc_info=failure()))
    assert "builtins.RuntimeError" in text
    assert "builtins.ValueError" in text
    assert "in failure.<locals>.inner" in text
    assert "s3cret" not in text


def test_an_exception_in_json_names_its_causes() -> None:
    line = json.loads(JsonFormatter().format(record(msg="it failed", exc_info=failure())))
    assert line["exception"]["type"] == "builtins.RuntimeError"
    assert [cause["type"] for cause in line["exception"]["causes"]] == ["builtins.ValueError"]
    assert all(isinstance(frame, str) for frame in line["exception"]["stack"])


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_gateway_at_debug_logs_each_request_as_json_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SDK)
    spans = tmp_path / "spans.jsonl"
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "debug", "SPANS": str(spans), "PYTHONPATH": str(tmp_path)}
    secrets = {**SECRETS, "PROXY_AUTHORIZATION": PROXY_SECRET, "PROXY_TARGET": "http://127.0.0.1:1"}
    with served(tmp_path, **secrets, **settings) as (process, url), agent_of(url) as agent:
        token = agent.headers["Authorization"].removeprefix("Bearer ")
        assert check(agent, "read:x", **{"X-MeshGuard-Trace-ID": "run-7"}).status_code == 200
        headers = {"X-MeshGuard-Trace-ID": "run-8", "X-MeshGuard-Action": "read:x"}
        assert agent.get("/proxy/crm?key=s3cret-query", headers=headers).status_code == 502
        assert httpx.get(f"{url}/admin/agents", headers={"X-Admin-Token": "s3cret-guess"}).status_code == 401
        process.terminate()
        _, text = process.communicate(timeout=20)
    lines = lines_of(text)
    of = {line["traceId"]: line for line in lines if line["logger"] == "meshguard.gateway.access"}
    assert (of["run-7"]["route"], of["run-7"]["status"]) == ("/proxy/check", 200)
    unreachable, guess = (line for line in lines if line["level"] == "warning")
    assert (unreachable["traceId"], unreachable["logger"]) == ("run-8", "meshguard.gateway")
    assert guess["message"] == "admin token guessed from 127.0.0.1: A wrong admin token."
    told = {span["context"]["span_id"] for span in lines_of(spans.read_text())}
    assert f"0x{of['run-7']['otelSpanId']}" in told
    for secret in (SECRET, ADMIN_TOKEN, PROXY_SECRET, token, "s3cret"):
        assert secret not in text + spans.read_text()


def test_a_gateway_is_quiet_and_logs_text_unless_told_otherwise(tmp_path: Path) -> None:
    with served(tmp_path, **SECRETS) as (process, url), agent_of(url) as agent:
        assert check(agent, "read:x").status_code == 200
        assert agent.get("/proxy/crm", headers={"X-MeshGuard-Action": "read:x"}).status_code == 502
        process.terminate()
        _, text = process.communicate(timeout=20)
    assert text == ""


def test_the_form_of_the_log_is_a_flag_too(tmp_path: Path) -> None:
    settings = {**SECRETS, "PROXY_TARGET": "http://127.0.0.1:1"}
    with served(tmp_path, "--log-format", "json", **settings) as (process, url), agent_of(url) as agent:
        agent.get("/proxy/crm", headers={"X-MeshGuard-Action": "read:x"})
        process.terminate()
        _, text = process.communicate(timeout=20)
    messages = [line["message"] for line in lines_of(text)]
    assert messages == ["the upstream can't be reached (ConnectionRefusedError)"]


def test_a_form_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "LOG_FORMAT" in run("serve", "--dev", "--log-format", "xml", folder=tmp_path).stderr
