"""Cases on the proxy, where the gateway has an upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshguard.contract.cases.case import case
from meshguard.contract.subject import (
    BAD_GATEWAY,
    BAD_REQUEST,
    FORBIDDEN,
    UNAUTHORIZED,
    Skipped,
    Subject,
    expect,
    expect_fields,
    expect_header,
    expect_that,
)

if TYPE_CHECKING:
    from meshguard.contract.exchange import Exchange


def _get(gateway: Subject, thing: str, **headers: str) -> Exchange:
    named = {"X-MeshGuard-Action": gateway.read(thing), **headers}
    path = f"/proxy/{gateway.prefix}/{thing}"
    return gateway.as_agent(gateway.reader.token, "GET", path, headers=named)


def _needs_upstream(gateway: Subject) -> None:
    answer = _get(gateway, "x")
    if answer.status == BAD_GATEWAY and answer.header("x-meshguard-decision") is None:
        raise Skipped("the gateway has no upstream that answers: GET /proxy/… gives 502")


@case("proxy_get, response Upstream")
def an_answer_of_the_upstream_is_marked_as_its_own(gateway: Subject) -> None:
    """Every answer that came from the upstream, whatever its status, carries X-MeshGuard-Decision: allow."""
    _needs_upstream(gateway)
    trace = gateway.trace()
    answer = _get(gateway, "x", **{"X-MeshGuard-Trace-ID": trace})
    expect_header(answer, "X-MeshGuard-Decision", "allow")
    expect_header(answer, "X-MeshGuard-Trace-ID", trace)
    expect_that(bool(gateway.entries(traceId=trace)), "the request has no audit entry", answer)


@case("proxy_get, response Denied")
def a_denied_request_is_not_forwarded(gateway: Subject) -> None:
    """The decision comes first: a denied request is answered with 403 by the gateway itself."""
    gateway.needs_mode("enforce")
    _needs_upstream(gateway)
    answer = expect(_get(gateway, "secret"), FORBIDDEN)
    expect_fields(answer, error="forbidden")
    expect_header(answer, "X-MeshGuard-Decision", "deny")


@case("proxy_get, response AgentUnauthorized")
def the_proxy_answers_401_itself_without_a_token(gateway: Subject) -> None:
    """Without a valid token nothing is forwarded, and no allowance is claimed."""
    answer = expect(gateway.send("GET", f"/proxy/{gateway.prefix}/x"), UNAUTHORIZED)
    expect_header(answer, "X-MeshGuard-Decision", None)


@case("parameter UpstreamPath")
def dot_segments_in_any_encoding_are_refused(gateway: Subject) -> None:
    """Dot segments in any encoding, backslashes, control characters and whole URLs are refused with 400."""
    for thing in ("%2e%2e/x", "a/%2E%2E/%2e%2e/x", "..%2fx", "a%5cb", "a%00b"):
        path = f"/proxy/{gateway.prefix}/{thing}"
        headers = {"X-MeshGuard-Action": gateway.read("x")}
        expect(gateway.as_agent(gateway.reader.token, "GET", path, headers=headers), BAD_REQUEST)
