"""No token for a gateway on this machine goes through a proxy, whoever makes the HTTP client."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path

import pytest

import meshguard
from meshguard.contract.subject import Subject, UnusableError

from .conftest import ADMIN_TOKEN, Gateway
from .test_credentials_on_the_wire import Proxy

PACKAGE = Path(meshguard.__file__).parent
MAKERS = {
    *("httpx.Client", "httpx.AsyncClient", "httpx.HTTPTransport", "httpx.AsyncHTTPTransport"),
    *("httpx.get", "httpx.post", "httpx.request", "httpx.stream", "httpx2.Client", "httpx2.AsyncClient"),
    *("urllib.request.urlopen", "request.urlopen", "urlopen", "requests.get", "requests.post"),
    *("http.client.HTTPConnection", "http.client.HTTPSConnection"),
}


def made() -> list[tuple[str, ast.Call]]:
    """Every place in the package that makes an HTTP client or sends a request without one."""
    return [
        (path.relative_to(PACKAGE).as_posix(), node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in MAKERS
    ]


def test_the_places_are_known() -> None:
    assert {place for place, _ in made()} == {
        "_async/transport.py",
        "_sync/transport.py",
        "cli/dev_gateway.py",
        "cli/server.py",
        "contract/subject.py",
        "gateway/embedded.py",
    }


def test_each_decides_on_the_environment() -> None:
    """By `trust_env`, or by options that contain it (`client_options`)."""
    for place, call in made():
        names = {keyword.arg for keyword in call.keywords}
        assert "trust_env" in names or None in names, f"{place}:{call.lineno}"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_contract_tests_reach_a_local_gateway_directly(
    gateway: Gateway, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(gateway._server.server_port)
    monkeypatch.setenv(variable, proxy.url)
    with suppress(UnusableError), Subject(gateway.url, ADMIN_TOKEN) as subject:
        subject.connect()
    proxy.close()
    assert proxy.asked == []
    assert gateway.received[1].headers["x-admin-token"] == ADMIN_TOKEN


def test_contract_tests_use_a_proxy_for_other_machines(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(gateway._server.server_port)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with suppress(UnusableError), Subject("http://gateway.test", ADMIN_TOKEN) as subject:
        subject.connect()
    proxy.close()
    assert proxy.asked[0] == b"GET http://gateway.test/health HTTP/1.1"
