"""Cases on trace IDs and request IDs."""

from __future__ import annotations

from meshguard.contract.cases.case import case
from meshguard.contract.subject import (
    BAD_REQUEST,
    Subject,
    expect,
    expect_allowed,
    expect_fields,
    expect_header,
    expect_that,
)

_TRACING = 'description, section "Tracing"'
_HEADER = "X-MeshGuard-Trace-ID"


@case(_TRACING)
def a_trace_id_is_repeated_in_header_body_and_audit_entry(gateway: Subject) -> None:
    """Every response repeats the request's trace id, and every audit entry stores it."""
    trace = gateway.trace()
    answer = gateway.check(gateway.reader.token, gateway.read("x"), X_MeshGuard_Trace_ID=trace)
    expect_header(answer, _HEADER, trace)
    found = expect_allowed(answer)
    expect_fields(answer, traceId=trace)
    ids = [entry.get("id") for entry in gateway.entries(traceId=trace)]
    expect_that(ids == [found.get("auditId")], f"the audit entries of the trace are {ids}", answer)


@case(_TRACING)
def a_trace_id_is_repeated_on_errors_too(gateway: Subject) -> None:
    """Every response repeats the trace id, also 401, 404 and 405."""
    for method, path in (("GET", "/proxy/check"), ("GET", f"/{gateway.prefix}"), ("PUT", "/health")):
        trace = gateway.trace()
        answer = gateway.send(method, path, headers={_HEADER: trace})
        expect_header(answer, _HEADER, trace)
        expect_fields(answer, traceId=trace)


@case(_TRACING)
def the_alias_x_trace_id_is_read_when_the_header_is_absent(gateway: Subject) -> None:
    """The alias X-Trace-ID is read when X-MeshGuard-Trace-ID is absent, and answered as the latter."""
    alias, trace = gateway.trace(), gateway.trace()
    expect_header(gateway.send("GET", "/health", headers={"X-Trace-ID": alias}), _HEADER, alias)
    both = gateway.send("GET", "/health", headers={"X-Trace-ID": alias, _HEADER: trace})
    expect_header(both, _HEADER, trace)


@case(_TRACING)
def a_trace_id_is_made_up_when_there_is_none(gateway: Subject) -> None:
    """When both headers are absent the gateway makes a trace id up, a new one for each request."""
    answers = [gateway.send("GET", "/health") for _ in range(2)]
    made_up = {answer.header(_HEADER) for answer in answers}
    expect_that(None not in made_up, f"the header {_HEADER} is missing", answers[0])
    expect_that(len(made_up) == len(answers), "two requests got the same trace id", answers[1])


@case(_TRACING)
def a_bad_trace_id_is_refused(gateway: Subject) -> None:
    """A trace id is 1 to 128 visible ASCII characters; anything else is refused with 400."""
    for name in (_HEADER, "X-Trace-ID"):
        for text in ("two words", "x" * 129):
            answer = gateway.send("GET", "/health", headers={name: text})
            expect_fields(expect(answer, BAD_REQUEST), error="invalid_request")
    answer = gateway.check(gateway.reader.token, gateway.read("x"), X_MeshGuard_Trace_ID="two words")
    expect_fields(expect(answer, BAD_REQUEST), error="invalid_request")


@case(_TRACING)
def the_longest_trace_id_is_taken(gateway: Subject) -> None:
    """A trace id has at most 128 characters, of all that are visible."""
    trace = (gateway.trace() + "".join(map(chr, range(33, 127))))[:128].ljust(128, "~")
    expect_header(gateway.send("GET", "/health", headers={_HEADER: trace}), _HEADER, trace)


_REQUESTS = 'description, section "Request IDs"'
_REQUEST_ID = "X-Request-ID"
_PATHS = (("GET", "/health"), ("GET", "/proxy/check"), ("GET", "/admin/agents"), ("PUT", "/health"))


@case(_REQUESTS)
def a_request_id_is_repeated_on_decisions(gateway: Subject) -> None:
    """Every response repeats the request's ID, allowed or denied."""
    for action in (gateway.read("x"), gateway.read("secret")):
        given = gateway.trace()
        answer = gateway.check(gateway.reader.token, action, X_Request_ID=given)
        expect_header(answer, _REQUEST_ID, given)


@case(_REQUESTS)
def a_request_id_is_repeated_on_errors_too(gateway: Subject) -> None:
    """Every response repeats the request's ID, whatever its status."""
    for method, path in (*_PATHS, ("GET", f"/{gateway.prefix}"), ("POST", "/api/v1/pdp/evaluate")):
        given = gateway.trace()
        expect_header(gateway.send(method, path, headers={_REQUEST_ID: given}), _REQUEST_ID, given)


@case(_REQUESTS)
def a_request_id_is_repeated_when_the_trace_id_is_invalid(gateway: Subject) -> None:
    """Every response repeats the request's ID, even a 400 for another header."""
    given = gateway.trace()
    answer = gateway.send("GET", "/health", headers={_REQUEST_ID: given, _HEADER: "two words"})
    expect_header(expect(answer, BAD_REQUEST), _REQUEST_ID, given)


@case(_REQUESTS)
def a_bad_request_id_is_rejected(gateway: Subject) -> None:
    """A request ID is 1 to 128 visible ASCII characters; anything else is rejected with 400."""
    for text in ("two words", "x" * 129):
        answer = gateway.send("GET", "/health", headers={_REQUEST_ID: text})
        expect_fields(expect(answer, BAD_REQUEST), error="invalid_request")


@case(_REQUESTS)
def the_longest_request_id_is_taken(gateway: Subject) -> None:
    """A request ID has at most 128 characters, of all that are visible."""
    given = (gateway.trace() + "".join(map(chr, range(33, 127))))[:128].ljust(128, "~")
    expect_header(gateway.send("GET", "/health", headers={_REQUEST_ID: given}), _REQUEST_ID, given)
