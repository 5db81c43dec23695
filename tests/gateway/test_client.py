"""The client's methods for administrators, on a real gateway with either store."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from meshguard import (
    AsyncMeshGuardClient,
    ConflictError,
    GatewayError,
    GatewayUnavailableError,
    InvalidRequestError,
    MeshGuardClient,
    NotFoundError,
    audit_verify,
)
from meshguard._sync.transport import SyncTransport
from meshguard.gateway import audit_log
from meshguard.gateway.audit_proof import Cut
from meshguard.gateway.audit_retention import remove
from meshguard.gateway.audit_seals import Seals
from meshguard.gateway.store import open_database
from tests.gateway.conftest import Lab, check
from tests.support import ADMIN_TOKEN

WRITERS = "name: writers\nrules:\n  - {effect: allow, actions: ['write:*']}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for files; these tests hold on both stores."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def client(lab: Lab) -> Iterator[MeshGuardClient]:
    """Five reads and a denied write are in the log, after what set the gateway up."""
    agent = lab.agent(name="ada")
    for number in range(5):
        check(agent, f"read:{number}")
    check(agent, "write:x")
    with MeshGuardClient(lab.url, admin_token=ADMIN_TOKEN, max_retries=0, trust_env=False) as client:
        yield client


def run(client_class: Any, call: Callable[[Any], Any], url: str) -> Any:
    """Return the result of a call of a new client."""
    if client_class is MeshGuardClient:
        with MeshGuardClient(url, admin_token=ADMIN_TOKEN, trust_env=False) as client:
            return call(client)

    async def scenario() -> Any:
        async with AsyncMeshGuardClient(url, admin_token=ADMIN_TOKEN, trust_env=False) as client:
            return await call(client)

    return asyncio.run(scenario())


def execute(lab: Lab, statement: str) -> None:
    engine = open_database(lab.settings.database_url.get_secret_value())
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text(statement))
    engine.dispose()


def test_an_export_is_verified_without_the_gateway(lab: Lab, client: MeshGuardClient, folder: Path) -> None:
    file = folder / "audit.jsonl"
    done = client.export_audit_log(file)
    assert (done.entries, bool(done.verification)) == (8, True)
    assert audit_verify.main([str(file)]) == 0
    twin = folder / "twin.jsonl"
    assert run(AsyncMeshGuardClient, lambda other: other.export_audit_log(twin), lab.url) == done
    assert twin.read_bytes() == file.read_bytes()
    whole = io.BytesIO()
    assert client.export_audit_log(whole).entries == 8
    assert whole.getvalue() == file.read_bytes()


def test_an_export_selects_entries(client: MeshGuardClient) -> None:
    selections: list[tuple[dict[str, Any], int]] = [
        ({"decision": "deny"}, 1),
        ({"kind": "decision", "agent": "ada", "action": "read:*", "policy": "readers"}, 5),
        ({"kind": "admin"}, 2),
    ]
    for filters, count in selections:
        file = io.BytesIO()
        assert client.export_audit_log(file, **filters).entries == count
        assert len(file.getvalue().splitlines()) == count


def test_a_change_of_the_log_is_found(lab: Lab, client: MeshGuardClient, folder: Path) -> None:
    anchors = client.verify_audit_log().heads
    assert client.verify_audit_log(anchors)
    execute(lab, "UPDATE audit_entries SET reason = 'x' WHERE sequence = 4")
    for found in (client.verify_audit_log(), client.verify_audit_log(anchors)):
        assert not found
        assert found.first_broken is not None
        assert found.first_broken["sequence"] == 4
    done = client.export_audit_log(folder / "audit.jsonl")
    assert (done.entries, bool(done.verification)) == (8, False)
    assert not run(AsyncMeshGuardClient, lambda other: other.verify_audit_log(anchors), lab.url)


def test_an_anchor_finds_what_the_gateway_forgot(lab: Lab, client: MeshGuardClient) -> None:
    """The entries after an old head are cut, and the old head is put back with its signature."""
    old = client.verify_audit_log().heads[0]
    check(lab.agent(), "read:later")
    anchors = [*client.verify_audit_log().heads, old]
    execute(lab, f"DELETE FROM audit_entries WHERE sequence > {old['count']}")
    execute(
        lab,
        f"UPDATE audit_heads SET count = {old['count']}, hash = '{old['hash']}',"
        f" signature = '{old['signature']}'",
    )
    assert client.verify_audit_log()
    assert client.verify_audit_log([old])
    found = client.verify_audit_log(anchors)
    assert not found
    assert found.first_broken is not None
    assert "missing" in found.first_broken["problem"]


def test_retention_between_heads_and_export_is_no_removal(
    lab: Lab, client: MeshGuardClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, cuts = SyncTransport.stream, iter([3, None, 5])

    def remove_first(self: Any, call: Any) -> Any:
        if count := next(cuts, None):
            engine = open_database(lab.settings.database_url.get_secret_value())
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                found = "SELECT stream, hash FROM audit_entries WHERE sequence = :count"
                row = connection.execute(text(found), {"count": count}).one()
                cut = Cut(row.stream, count, row.hash)
                assert remove(connection, cut, 1_795_340_000_000, Seals(lab.settings)) is None
            engine.dispose()
        return stream(self, call)

    monkeypatch.setattr(SyncTransport, "stream", remove_first)
    assert client.verify_audit_log([])
    done = client.export_audit_log(folder / "audit.jsonl")
    assert (done.entries, bool(done.verification)) == (3, True)
    assert next(cuts, "all were made") == "all were made"
    assert audit_verify.main([str(folder / "audit.jsonl")]) == 0


def test_a_gateway_that_fails_within_an_export_is_noticed(
    client: MeshGuardClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, pages = audit_log.read_onwards, iter([True, False])

    def fail_later(*arguments: Any) -> Any:
        if next(pages, False):
            return read(*arguments)
        raise RuntimeError("the database is gone")

    monkeypatch.setattr("meshguard.gateway.audit_operations._EXPORTED_AT_ONCE", 3)
    monkeypatch.setattr(audit_log, "read_onwards", fail_later)
    with pytest.raises(GatewayUnavailableError):
        client.export_audit_log(folder / "audit.jsonl", kind="decision")
    with pytest.raises(GatewayError):
        client.export_audit_log(folder / "audit.jsonl")
    assert not list(folder.glob("audit*"))


def test_pages_continue_below_what_arrives(lab: Lab, client: MeshGuardClient) -> None:
    first = client.list_audit_log(4)
    check(lab.agent(name="late"), "read:late")
    cursor = json.loads(json.dumps(first.cursor))
    second = client.list_audit_log(4, cursor=cursor)
    actions = [entry.action for entry in first.entries + second.entries]
    assert actions == ["write:x", *(f"read:{number}" for number in (4, 3, 2, 1, 0))]
    assert second.cursor is None
    with pytest.raises(InvalidRequestError, match="cursor"):
        client.list_audit_log(cursor="nonsense")


def test_entries_have_every_field(client: MeshGuardClient) -> None:
    (denied,) = client.get_audit_log(decision="deny")
    assert (denied["policy"], denied["rule"], denied["resource"]) == (None, None, None)
    kinds = {entry["kind"] for entry in client.get_audit_log()}
    assert kinds == {"decision"}
    (issued, *_) = client.get_audit_log(kind="admin")
    assert issued["kind"] == "admin"
    assert {entry["kind"] for entry in client.iter_audit_log(kind="all")} == {"admin", "decision"}


@pytest.mark.parametrize("form", ["mapping", "YAML", "JSON", "file"])
def test_a_candidate_is_evaluated_as_if_active(client: MeshGuardClient, form: str, folder: Path) -> None:
    policy = {"name": "writers", "rules": [{"effect": "allow", "actions": ["write:*"]}]}
    (folder / "writers.yaml").write_text(WRITERS)
    candidate: Any = {
        "mapping": policy,
        "YAML": WRITERS,
        "JSON": json.dumps(policy),
        "file": folder / "writers.yaml",
    }[form]
    agent = {"trustTier": "verified"}
    assert not client.test_policies("write:x", agent=agent)  # type: ignore[arg-type]
    decision = client.test_policies("write:x", agent=agent, candidate=candidate)  # type: ignore[arg-type]
    assert (decision.allowed, decision.policy, decision.audit_id) == (True, "writers", None)
    assert decision.explanation is not None
    with pytest.raises(NotFoundError):
        client.test_policies("write:x", agent="agent_nobody", candidate=candidate)
    assert [policy["name"] for policy in client.list_policies()] == ["readers"]


def test_the_errors_of_a_candidate_have_places(client: MeshGuardClient) -> None:
    agent: Any = {"trustTier": "verified"}
    wrong = "name: writers\nrules:\n  - {effect: alow, actions: ['write:*']}\n"
    with pytest.raises(InvalidRequestError) as caught:
        client.test_policies("write:x", agent=agent, candidate=wrong)
    assert [detail["path"] for detail in caught.value.details] == ["/candidateText/rules/0/effect"]
    assert "line 3" in str(caught.value)


def test_two_candidates_are_rejected(lab: Lab) -> None:
    policy = {"name": "writers", "rules": [{"effect": "allow", "actions": ["write:*"]}]}
    body = {"action": "a", "agent": {"trustTier": "verified"}, "candidate": policy, "candidateText": WRITERS}
    response = lab.admin.post("/admin/policies/test", json=body)
    assert response.status_code == 400
    assert response.json()["details"] == [{"path": "/candidate", "message": "not allowed here"}]


def test_a_policy_is_applied_from_text_and_file(client: MeshGuardClient, folder: Path) -> None:
    (folder / "writers.yaml").write_text(WRITERS)
    as_json = json.dumps({"name": "writers", "rules": [{"effect": "allow", "actions": ["write:*"]}]})
    for policy in (WRITERS, as_json, folder / "writers.yaml"):
        assert client.validate_policy(policy)["valid"]
        assert client.apply_policy(policy)["name"] == "writers"
        client.delete_policy("writers")
    with pytest.raises(ConflictError):
        client.apply_policy(WRITERS, "other")


def test_an_agent_has_times(client: MeshGuardClient) -> None:
    created = client.create_agent("timed")
    agent = client.get_agent(created["id"])
    assert agent.created_at is not None
    assert agent.created_at.tzinfo is not None
    assert agent.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z") == created["createdAt"]


@contextmanager
def losing_the_first_response(gateway: str) -> Iterator[str]:
    """Run a proxy that closes the connection when the first response has arrived; gives its URL."""
    lost = iter([True])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            response = httpx.post(gateway + self.path, content=content, headers=headers, trust_env=False)
            if next(lost, False):
                self.close_connection = True
                return
            self.send_response(response.status_code)
            for name in ("X-MeshGuard-Trace-ID", "X-Request-ID", "Idempotency-Replayed"):
                if name in response.headers:
                    self.send_header(name, response.headers[name])
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


BOTH = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])


@BOTH
def test_a_lost_response_creates_one_agent(lab: Lab, client_class: Any) -> None:
    with losing_the_first_response(lab.url) as url:
        create = partial(client_class.create_agent, name="once", idempotency_key="order-17")
        created = run(client_class, create, url)
    (agent,) = lab.admin.get("/admin/agents").json()["agents"]
    assert agent["id"] == created["id"]
    assert check(lab.client(created["token"]), "read:x").status_code == 200


@BOTH
def test_a_lost_response_issues_one_token(lab: Lab, client_class: Any) -> None:
    agent = lab.create()["id"]
    with losing_the_first_response(lab.url) as url:
        issue = partial(client_class.issue_token, agent_id=agent, idempotency_key="order-17")
        issued = run(client_class, issue, url)
    assert check(lab.client(issued["token"]), "read:x").status_code == 200
    entries = lab.entries(kind="admin", agent=agent)
    assert [entry["action"] for entry in entries] == ["admin:agent.token", "admin:agent.create"]


@BOTH
def test_a_lost_response_without_a_key_is_an_error(lab: Lab, client_class: Any) -> None:
    with losing_the_first_response(lab.url) as url, pytest.raises(GatewayUnavailableError):
        run(client_class, partial(client_class.create_agent, name="once"), url)
    assert len(lab.admin.get("/admin/agents").json()["agents"]) == 1


def test_a_key_belongs_to_one_request(client: MeshGuardClient) -> None:
    first = client.create_agent("ada", idempotency_key="order-17")
    assert client.create_agent("ada", idempotency_key="order-17") == first
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        client.create_agent("bob", idempotency_key="order-17")
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        client.issue_token(first["id"], idempotency_key="order-17")
