"""The audit log: pages, exports and verifications."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshguard import (
    AsyncMeshGuardClient,
    AuthenticationError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    InvalidResponseError,
    MeshGuardClient,
    MeshGuardError,
)
from meshguard.audit_verify import NO_HASH, entry_hash
from meshguard.types import AuditEntry, AuditExport, AuditFilters, AuditVerification

from .conftest import Answer, Gateway
from .raw_server import RawServer, run
from .test_admin import ENTRY, query_of

BOTH = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
NDJSON = "Content-Type: application/x-ndjson"


def chain(count: int, stream: str = "gw-1") -> list[dict[str, Any]]:
    """Return the entries of an intact chain."""
    entries: list[dict[str, Any]] = []
    for sequence in range(1, count + 1):
        previous = entries[-1]["hash"] if entries else NO_HASH
        entry = {**ENTRY, "id": f"aud_{sequence}", "stream": stream, "sequence": sequence}
        entry["prevHash"] = previous
        entries.append({**entry, "hash": entry_hash(entry)})
    return entries


def head(entries: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    last = entries[-1]
    return {"stream": last["stream"], "count": last["sequence"], "hash": last["hash"], "number": 1, **fields}


def verified(*heads: dict[str, Any], entries: int = 0, **fields: Any) -> dict[str, Any]:
    return {"valid": True, "entries": entries, "heads": list(heads), **fields}


def lines(entries: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def exported(entries: Iterable[Any]) -> Answer:
    return Answer(lines(entries), headers={"Content-Type": "application/x-ndjson"})


@BOTH
def test_a_page_continues_from_a_stored_cursor(gateway: Gateway, client_class: Any) -> None:
    gateway.answers({"entries": [ENTRY], "nextCursor": "17-4"}, {"entries": []})
    page = run(client_class, lambda client: client.list_audit_log(1, "deny", agent="a"), gateway.url)
    stored = str(page.cursor)
    assert page.entries[0].timestamp == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    last = run(client_class, lambda client: client.list_audit_log(1, cursor=stored), gateway.url)
    assert (last.entries, last.cursor) == ([], None)
    first, second = (query_of(request.path) for request in gateway.received)
    assert first == {"limit": "1", "decision": "deny", "agent": "a", "kind": "decision"}
    assert second == {"limit": "1", "kind": "decision", "cursor": "17-4"}


def test_a_record_has_the_values_of_its_entry(gateway: Gateway, client: MeshGuardClient) -> None:
    values = {name: f"value of {name}" for name in AuditEntry.__annotations__}
    typed = {"latencyMs": 0.5, "sequence": 7, "status": 403, "wouldDeny": True, "context": {}, "changes": {}}
    gateway.answers({"entries": [{**values, **typed, "timestamp": "2026-11-22T09:30:00Z", "vendor": 1}]})
    (record,) = client.list_audit_log().entries
    assert (record.trace_id, record.prev_hash) == ("value of traceId", "value of prevHash")
    assert (record.latency_ms, record.sequence, record.status, record.would_deny) == (0.5, 7, 403, True)


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01T00:00:00Z", ""])
def test_an_unreadable_time_is_an_error(gateway: Gateway, client: MeshGuardClient, time: str) -> None:
    gateway.answers({"entries": [{**ENTRY, "timestamp": time}]})
    with pytest.raises(InvalidResponseError, match="/timestamp"):
        client.list_audit_log()
    assert client.get_audit_log()[0]["timestamp"] == time


READERS: list[Callable[..., Any]] = [
    MeshGuardClient.get_audit_log,
    MeshGuardClient.list_audit_log,
    lambda client, **filters: list(client.iter_audit_log(**filters)),
]


@pytest.mark.parametrize("read", READERS)
def test_only_decisions_are_read_by_default(
    gateway: Gateway, client: MeshGuardClient, read: Callable[..., Any]
) -> None:
    gateway.answers({"entries": []})
    for filters in ({}, {"kind": "admin"}, {"kind": "all"}):
        read(client, **filters)
    kinds = [query_of(request.path).get("kind") for request in gateway.received]
    assert kinds == ["decision", "admin", None]


@pytest.mark.parametrize("read", [*READERS, lambda client, **more: client.export_audit_log("x", **more)])
def test_an_unknown_filter_is_an_error(
    gateway: Gateway, client: MeshGuardClient, read: Callable[..., Any]
) -> None:
    with pytest.raises(TypeError, match="agnet"):
        read(client, agnet="a")
    with pytest.raises(InvalidRequestError, match="kind"):
        read(client, kind=None)
    assert gateway.received == []


@BOTH
def test_an_export_is_written_line_by_line(gateway: Gateway, client_class: Any) -> None:
    gateway.answers(exported(chain(3)))
    file = io.BytesIO()
    filters = {"policy": "p", "since": datetime(2026, 11, 22, tzinfo=UTC)}
    done = run(client_class, lambda client: client.export_audit_log(file, "deny", **filters), gateway.url)
    assert done == AuditExport(3)
    assert file.getvalue() == lines(chain(3))
    (request,) = gateway.received
    assert request.headers["accept-encoding"] == "identity"
    assert query_of(request.path) == {"decision": "deny", "policy": "p", "from": "2026-11-22T00:00:00+00:00"}


@BOTH
def test_an_export_to_a_path_is_verified(gateway: Gateway, client_class: Any, tmp_path: Path) -> None:
    entries, path = chain(3), tmp_path / "audit.jsonl"
    gateway.answers(verified(head(entries[:2])), exported(entries))
    done = run(client_class, lambda client: client.export_audit_log(path), gateway.url)
    assert (done.entries, bool(done.verification)) == (2, True)
    assert path.read_bytes() == lines(entries[:2])
    heads = tmp_path / "audit.jsonl.heads"
    assert json.loads(heads.read_bytes()) == {"heads": [head(entries[:2])]}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    assert sorted(tmp_path.iterdir()) == [path, heads]


def test_a_selection_has_no_heads(gateway: Gateway, client: MeshGuardClient, tmp_path: Path) -> None:
    path, heads = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.heads"
    heads.write_text("those of an earlier export")
    gateway.answers(exported(chain(1)))
    assert client.export_audit_log(str(path), "allow") == AuditExport(1)
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_log_is_exported(gateway: Gateway, client: MeshGuardClient, tmp_path: Path) -> None:
    broken = {"stream": "gw-1", "sequence": 2, "problem": "p", "id": "aud_2"}
    entries = chain(3)
    entries[1]["reason"] = "changed"
    gateway.answers(verified(head(entries), valid=False, firstBroken=broken), exported(entries))
    done = client.export_audit_log(tmp_path / "audit.jsonl")
    assert done.verification is not None
    assert done.verification.first_broken == broken
    assert len((tmp_path / "audit.jsonl").read_bytes().splitlines()) == 3


@pytest.mark.parametrize("missing", [slice(2), slice(1, None)])
def test_an_incomplete_export_is_not_valid(
    gateway: Gateway, client: MeshGuardClient, tmp_path: Path, missing: slice
) -> None:
    """The gateway calls its log valid, and sends less of it."""
    entries = chain(3)
    whole = verified(head(entries))
    gateway.answers(whole, exported(entries[missing]), whole)
    done = client.export_audit_log(tmp_path / "audit.jsonl")
    assert done.verification is not None
    assert not done.verification
    assert "missing" in str(done.verification.first_broken)


def test_an_export_starts_again_after_retention(
    gateway: Gateway, client: MeshGuardClient, tmp_path: Path
) -> None:
    entries = chain(4)
    stone = {"count": 2, "hash": entries[1]["hash"], "prunedAt": "2026-11-23T00:00:00.000Z", "signature": "s"}
    pruned = verified(head(entries, pruned=stone))
    gateway.answers(
        verified(head(entries)), exported(entries[2:]), pruned, exported(entries[2:]), {"error": "unexpected"}
    )
    done = client.export_audit_log(tmp_path / "audit.jsonl")
    assert (done.entries, bool(done.verification)) == (2, True)
    assert (tmp_path / "audit.jsonl").read_bytes() == lines(entries[2:])


def test_endless_retention_ends_in_an_error(
    gateway: Gateway, client: MeshGuardClient, tmp_path: Path
) -> None:
    entries, answers = chain(9), []
    for count in range(1, 8):
        end = entries[count - 1]
        stone = {"count": count, "hash": end["hash"], "prunedAt": "2026-11-23T00:00:00Z", "signature": "s"}
        answers += [verified(head(entries, pruned=stone)), exported(entries[count + 1 :])]
    gateway.answers(*answers)
    with pytest.raises(GatewayError, match="Try again later"):
        client.export_audit_log(tmp_path / "audit.jsonl")
    assert list(tmp_path.iterdir()) == []


def body_of(reply: bytes, *headers: str) -> Callable[[dict[str, str]], Iterator[bytes]]:
    def pieces(_: dict[str, str]) -> Iterator[bytes]:
        yield "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode()
        yield reply

    return pieces


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


ENTRIES = lines(chain(3))
SIZE = f"Content-Length: {len(ENTRIES)}"
CHUNKED = "Transfer-Encoding: chunked"
CUT: dict[str, tuple[Callable[[dict[str, str]], Iterator[bytes]], type[MeshGuardError]]] = {
    "a chunked body without its end": (
        body_of(chunk(ENTRIES), NDJSON, CHUNKED, "Connection: close"),
        GatewayUnavailableError,
    ),
    "a body shorter than announced": (body_of(ENTRIES[:-9], NDJSON, SIZE), GatewayUnavailableError),
    "a body that ends with the connection": (
        body_of(ENTRIES, NDJSON, "Connection: close"),
        InvalidResponseError,
    ),
    "a last line without its end": (
        body_of(chunk(ENTRIES[:-1]) + chunk(b""), NDJSON, CHUNKED),
        InvalidResponseError,
    ),
    "a page of a portal": (
        body_of(b"<html>", "Content-Type: text/html", "Content-Length: 6"),
        InvalidResponseError,
    ),
    "an empty page of a portal": (
        body_of(b"", "Content-Type: text/html", "Content-Length: 0"),
        InvalidResponseError,
    ),
    "lines that are not entries": (
        body_of(b'{"error":"x"}\n', NDJSON, "Content-Length: 14"),
        InvalidResponseError,
    ),
    "an empty line": (body_of(b"\n" + ENTRIES, NDJSON, CHUNKED), InvalidResponseError),
    "a compressed body": (
        body_of(ENTRIES, NDJSON, SIZE, "Content-Encoding: gzip"),
        InvalidResponseError,
    ),
}


@BOTH
@pytest.mark.parametrize("case", CUT)
def test_a_cut_export_is_an_error(client_class: Any, case: str, tmp_path: Path) -> None:
    """The file that was there stays, and nothing is left beside it."""
    reply, expected = CUT[case]
    path = tmp_path / "audit.jsonl"
    path.write_text("the export before")

    def close_after(headers: dict[str, str]) -> Iterator[bytes]:
        yield from reply(headers)
        raise OSError  # closes the connection

    with RawServer(close_after) as server, pytest.raises(expected):
        run(client_class, lambda client: client.export_audit_log(path, "deny"), server.url, timeout=5)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "the export before"


@BOTH
def test_entries_may_be_cut_into_any_pieces(client_class: Any) -> None:
    def reply(_: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\n{NDJSON}\r\n{CHUNKED}\r\n\r\n".encode()
        for start in range(0, len(ENTRIES), 7):
            yield chunk(ENTRIES[start : start + 7])
        yield chunk(b"")

    file = io.BytesIO()
    with RawServer(reply) as server:
        assert run(client_class, lambda client: client.export_audit_log(file), server.url).entries == 3
    assert file.getvalue() == ENTRIES


@BOTH
def test_memory_does_not_grow_with_an_export(client_class: Any, tmp_path: Path) -> None:
    entry = lines([{**ENTRY, "reason": "x" * 900}])

    def reply(_: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\n{NDJSON}\r\n{CHUNKED}\r\n\r\n".encode()
        for _number in range(200):
            yield chunk(entry * 64)
        yield chunk(b"")

    with RawServer(reply) as server, (tmp_path / "out").open("wb") as file:
        tracemalloc.start()
        try:
            done = run(client_class, lambda client: client.export_audit_log(file), server.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert done.entries == 12_800
    assert peak < len(entry) * 12_800 / 2


@BOTH
def test_an_endless_line_is_an_error(client_class: Any) -> None:
    def reply(_: dict[str, str]) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\n{NDJSON}\r\n{CHUNKED}\r\n\r\n".encode()
        for _number in range(1_000):
            yield chunk(bytes(65_536))

    with RawServer(reply) as server, pytest.raises(InvalidResponseError, match="max_response_bytes"):
        run(
            client_class,
            lambda client: client.export_audit_log(io.BytesIO()),
            server.url,
            max_response_bytes=200_000,
        )


class Trickle(io.RawIOBase):
    """An unbuffered file that takes few bytes at a time."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, data: Any, /) -> int:
        self.content += bytes(data[:5])
        return min(5, len(data))


def test_an_unbuffered_file_gets_every_byte(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(exported(chain(2)))
    file = Trickle()
    client.export_audit_log(file)
    assert file.content == lines(chain(2))


@pytest.mark.parametrize("file", [io.StringIO(), 5, None, Path("/dev/null")])
def test_a_file_that_cannot_be_written_is_rejected(
    gateway: Gateway, client: MeshGuardClient, file: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.export_audit_log(file)
    assert gateway.received == []


def test_a_folder_that_is_missing_is_named(client: MeshGuardClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.export_audit_log(tmp_path / "missing" / "audit.jsonl")


def test_a_rejected_export_leaves_no_file(gateway: Gateway, client: MeshGuardClient, tmp_path: Path) -> None:
    gateway.answers(Answer({"error": "unauthorized", "message": "m"}, 401))
    selections: list[AuditFilters] = [{}, {"agent": "a"}]
    for filters in selections:
        with pytest.raises(AuthenticationError):
            client.export_audit_log(tmp_path / "audit.jsonl", **filters)
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_the_gateway_verifies_alone_by_default(gateway: Gateway, client_class: Any) -> None:
    gateway.answers(verified(head(chain(2)), entries=2))
    found = run(client_class, lambda client: client.verify_audit_log(), gateway.url)
    assert found == AuditVerification(True, 2, [head(chain(2))])  # type: ignore[list-item]
    assert found
    assert [request.path for request in gateway.received] == ["/admin/audit/verify"]


@BOTH
@pytest.mark.parametrize(
    ("anchors", "valid"),
    [
        ([], True),
        ([head(chain(1))], True),
        ([head(chain(2))], True),
        ([head(chain(3))], False),
        ([head(chain(1), hash="0" * 64)], False),
        ([head(chain(1, "gw-gone"))], False),
    ],
)
def test_anchors_are_compared(gateway: Gateway, client_class: Any, anchors: Any, valid: bool) -> None:
    whole = verified(head(chain(2)))
    gateway.answers(whole, exported(chain(2)), whole)
    found = run(client_class, lambda client: client.verify_audit_log(anchors), gateway.url)
    assert bool(found) is found.valid is valid
    assert (found.first_broken is None) is valid


@pytest.mark.parametrize("anchors", [[5], [{"stream": "gw-1"}], [{"stream": 1, "count": 1, "hash": "x"}]])
def test_a_malformed_anchor_is_rejected(gateway: Gateway, client: MeshGuardClient, anchors: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"anchors\[0\]"):
        client.verify_audit_log(anchors)
    assert gateway.received == []


BROKEN = {"stream": "gw-1", "sequence": 1, "problem": "p"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"valid": True},
        verified(valid="true"),
        verified(valid=False),
        verified(firstBroken=BROKEN),
        verified({"stream": "gw-1"}),
        verified(valid=False, firstBroken={"stream": "gw-1"}),
    ],
)
def test_a_verification_counts_only_as_a_whole(gateway: Gateway, client: MeshGuardClient, body: Any) -> None:
    gateway.answers(body)
    with pytest.raises(InvalidResponseError):
        client.verify_audit_log()
