"""Which headers pass through the proxy, in every spelling that HTTP permits, over a real gateway."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import cycle

import httpx
import pytest

from meshguard.gateway import forwarded_headers as rules
from tests.gateway.conftest import Lab
from tests.support import until

END = b"\r\n\r\n"
TOKEN_CHARACTERS = "-_.!#$%&'*+^`|~"
EXAMPLES = [
    *(
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-Method",
        "X-Tunneled-Method",
    ),
    *(
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-Host",
        "X-Original-URI",
        "X-Forwarded-Host",
        "Destination",
    ),
    *("X-Forwarded-Prefix", "X-Forwarded-For", "X-Forwarded-User", "X-Envoy-Original-Path", "X-Forwarded"),
    *("X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Remote-User", "X-Remote-User", "X-Client-IP"),
    *("X-Auth-Request-User", "X-Auth-Request-Email", "X-Cluster-Client-IP", "Fastly-Client-IP", "Forwarded"),
    *("Client-IP", "X-Forwarded-Client-Cert", "Client-Cert", "SSL-Client-Cert", "X-SSL-Client-Verify"),
    *("X-Client-Cert", "X-ARR-ClientCert", "Impersonate-User", "X-WebAuth-User", "X-Goog-IAP-JWT-Assertion"),
    *("X-MeshGuard-Agent-Id", "X-MeshGuard", "X-MeshGuard-Decision", "X-Admin-Token", "Authorization"),
    *(
        "Proxy-Authorization",
        "X-ProxyUser-IP",
        "Tailscale-User-Login",
        "OIDC-Claim-Sub",
        "X-Consumer-Username",
    ),
]
NEVER = sorted(
    {name.lower() for name in EXAMPLES}
    | {
        name.decode()
        for name in rules.IDENTITIES | rules.TARGETS | rules.METHODS | {b"x-admin-token", b"forwarded"}
        if not name.startswith(b"-")
    }
    | {
        f"{prefix.decode().rstrip('-')}-x"
        for prefix in rules.OWN_PREFIXES + rules.IDENTITY_PREFIXES + rules.TARGET_PREFIXES
    }
    | {f"x{end.decode()}" for end in rules.IDENTITY_ENDS}
    | {f"x-{part.decode()}-x" for part in rules.METHOD_PARTS}
)
ORDINARY = [
    *("accept", "accept-language", "access-control-request-headers", "access-control-request-method"),
    *("anthropic-version", "baggage", "cache-control", "content-type", "cookie", "idempotency-key"),
    *("if-match", "if-none-match", "last-event-id", "mcp-protocol-version", "mcp-session-id", "origin"),
    *("openai-organization", "prefer", "priority", "range", "referer", "tracestate", "user-agent"),
    *(
        "x-amz-content-sha256",
        "x-amz-date",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-github-api-version",
    ),
    *("x-goog-api-key", "x-mine", "x-requested-with"),
]


def spellings(name: str) -> Iterator[str]:
    """The name with each separator that HTTP permits, and in mixed case."""
    for character in TOKEN_CHARACTERS:
        yield name.replace("-", character)
    yield name.upper()
    yield name.title()
    mixed = cycle(TOKEN_CHARACTERS)
    yield "".join(next(mixed) if character == "-" else character for character in name).swapcase()


class Recorder:
    """Keeps each head that it receives, and answers with the headers that it was told."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.headers: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    received = b""
                    while END not in received:
                        received += connection.recv(65_536)
                    self.heads.append(received)
                    lines = [*self.headers, "Content-Length: 2", "Connection: close"]
                    connection.sendall(
                        b"\r\n".join([b"HTTP/1.1 200 OK", *(x.encode() for x in lines)]) + END + b"ok"
                    )

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with closing(Recorder()) as upstream:
        yield upstream


@pytest.fixture
def agent(open_lab: Callable[..., Lab], recorder: Recorder) -> httpx.Client:
    lab = open_lab(proxy_target=recorder.url, rate_limit_rpm=0)
    lab.apply("{name: all, rules: [{effect: allow, actions: ['*']}]}", "all")
    return lab.agent()


def ask(agent: httpx.Client, headers: list[str]) -> bytes:
    """Send a request with these lines of its head; return the whole response."""
    address = (str(agent.base_url.host), agent.base_url.port)
    lines = ["GET /proxy/x HTTP/1.1", "Host: a", f"Authorization: {agent.headers['Authorization']}"]
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", *headers, "", ""]).encode())
        response = b""
        while piece := connection.recv(65_536):
            response += piece
    return response


def names_in(head: bytes) -> list[str]:
    return [line.partition(b":")[0].decode() for line in head.partition(END)[0].split(b"\r\n")[1:]]


def test_no_claim_reaches_the_upstream_in_any_spelling(agent: httpx.Client, recorder: Recorder) -> None:
    swept = [spelled for name in NEVER for spelled in spellings(name)]
    for batch in batched_lists(swept):
        response = ask(agent, [f"{name}: forged" for name in batch if name.lower() != "authorization"])
        assert response.startswith(b"HTTP/1.1 200 "), response[:300]
    passed = [name for head in recorder.heads for name in names_in(head) if b"forged" in head]
    assert passed == []
    assert not any(b"forged" in head for head in recorder.heads)
    assert len(swept) > 2_000
    assert until(lambda: len(recorder.heads) == -(-len(swept) // 80))


def batched_lists(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), 80):
        yield names[start : start + 80]


def test_ordinary_headers_reach_the_upstream(agent: httpx.Client, recorder: Recorder) -> None:
    assert ask(agent, [f"{name}: kept" for name in ORDINARY]).startswith(b"HTTP/1.1 200 ")
    assert [name for name in ORDINARY if name not in names_in(recorder.heads[0])] == []


@pytest.mark.parametrize("token", ["x-hop", "X_Hop", "x.hop"])
def test_connection_names_a_header_in_any_spelling(
    agent: httpx.Client, recorder: Recorder, token: str
) -> None:
    ask(agent, [f"Connection: {token}", "X-Hop: 1", "X_Hop: 1", "X-Kept: 1"])
    assert not {name for name in names_in(recorder.heads[0]) if "hop" in name.lower()}
    assert "x-kept" in names_in(recorder.heads[0])


def test_the_upstream_cannot_speak_for_the_gateway_in_any_spelling(
    agent: httpx.Client, recorder: Recorder
) -> None:
    names = ["X-MeshGuard-Decision", "X-MeshGuard-Policy", "X-MeshGuard-Agent-Id", "X-MeshGuard-Trace-ID"]
    swept = [spelled for name in [*names, "X-MeshGuard", "X-MeshGuard-Any"] for spelled in spellings(name)]
    for batch in batched_lists(swept):
        recorder.headers = [f"{name}: forged" for name in batch]
        response = ask(agent, [])
        assert response.startswith(b"HTTP/1.1 200 "), response[:300]
        assert b"forged" not in response
    assert len(swept) > 100


def test_hop_by_hop_headers_stay_here_by_name() -> None:
    named = {b"connection", b"keep-alive", b"proxy-authorization", b"proxy-authenticate", b"te", b"trailer"}
    assert named | {b"transfer-encoding", b"upgrade"} <= rules.HOP_BY_HOP
    assert not any(rules.reaches_client(name) for name in rules.HOP_BY_HOP)


def test_names_are_compared_without_case() -> None:
    assert rules.canonical(b"X_Real.IP") == b"x-real-ip"
    assert not rules.reaches_upstream(rules.canonical(b"REMOTE-USER"))
