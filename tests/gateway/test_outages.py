from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import httpx
import pytest
from sqlalchemy import update

from meshguard.gateway import store as tables
from meshguard.gateway import sync, writer
from tests.gateway.conftest import Lab, check
from tests.gateway.load import Seen, load
from tests.gateway.test_cluster import ALLOW_WRITES
from tests.gateway.test_serve import SECRETS, agent_of, served
from tests.servers import PostgreSQL, postgresql, stalling_proxy
from tests.support import ALLOW_READS, admin_client, until


class Cluster:
    """Three gateways, each a process of its own, on one PostgreSQL."""

    def __init__(self, urls: list[str], database: str) -> None:
        self.urls = urls
        self.database = database
        with admin_client(urls[0]) as admin:
            content_type = {"Content-Type": "application/yaml"}
            admin.put("/admin/policies/readers", content=ALLOW_READS, headers=content_type)
            agent = admin.post("/admin/agents", json={"name": "bot"}).json()
        self.agent_id, self.token = agent["id"], agent["token"]

    def revoke_at_the_first(self) -> None:
        with admin_client(self.urls[0]) as admin:
            assert admin.delete(f"/admin/agents/{self.agent_id}").status_code == 204

    def revoke_without_a_notification(self) -> None:
        engine = tables.open_database(self.database)
        with engine.begin() as connection:
            bump = update(tables.revision).values(number=tables.revision.c.number + 1)
            number = connection.execute(bump.returning(tables.revision.c.number)).scalar_one()
            agent = update(tables.agents).where(tables.agents.c.id == self.agent_id)
            connection.execute(agent.values(status="revoked", token_id=None, revision=number))
        engine.dispose()


def assert_without_gaps(export: str) -> None:
    """Assert that no entry is missing before another of its chain."""
    sequences: dict[str, list[int]] = {}
    for line in export.splitlines():
        entry = json.loads(line)
        sequences.setdefault(entry["stream"], []).append(entry["sequence"])
    assert len(sequences) == 3
    assert all(found == list(range(1, len(found) + 1)) for found in sequences.values())


@pytest.fixture
def cluster(postgres: PostgreSQL, tmp_path: Path) -> Iterator[Cluster]:
    database = postgres.new_database()
    settings = {**SECRETS, "DATABASE_URL": database, "RATE_LIMIT_RPM": "0"}
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        started = pool.map(lambda _: stack.enter_context(served(tmp_path, **settings)), range(3))
        yield Cluster([url for _, url in started], database)


@pytest.mark.parametrize(
    "revoke", [Cluster.revoke_at_the_first, Cluster.revoke_without_a_notification], ids=["told", "not told"]
)
def test_under_load_no_gateway_allows_a_revoked_agent_for_longer_than_a_second(
    cluster: Cluster, revoke: Callable[[Cluster], None]
) -> None:
    with load(cluster.urls, cluster.token) as seen:
        for notes in seen:
            notes.await_more(200)
        with admin_client(cluster.urls[1], timeout=60) as admin:
            assert admin.get("/admin/audit/verify").json()["valid"] is True
            assert_without_gaps(admin.get("/admin/audit/export").text)
        revoke(cluster)
        revoked = monotonic()
        for notes in seen:
            notes.await_more(401)
    delays = [notes.last(200) - revoked for notes in seen]
    assert max(delays) <= 1, delays
    assert all(notes.statuses() == {200, 401} for notes in seen)


def assert_recorded(url: str, seen: Seen) -> None:
    """Assert that the log is whole and has every decision that a client received."""
    with admin_client(url, timeout=60) as admin:
        exported = admin.get("/admin/audit/export", params={"kind": "decision"}).text
        assert set(seen.entries) <= {json.loads(line)["id"] for line in exported.splitlines()}
        assert admin.get("/admin/audit/verify").json()["valid"] is True


def test_a_database_that_stops_and_starts_loses_nothing_and_allows_nothing(
    open_lab: Callable[..., Lab],
) -> None:
    with postgresql() as server:
        lab = open_lab(database_url=server.new_database(), rate_limit_rpm=0)
        with load([lab.url], lab.create()["token"]) as (seen,):
            seen.await_more(200)
            server.stop()
            seen.await_more(503)
            stopped = monotonic()
            seen.await_more(503)
            starting = monotonic()
            server.start()
            seen.await_more(200)
        assert not [moment for moment, found in seen.answers if found == 200 and stopped < moment < starting]
        assert seen.statuses() == {200, 503}
        assert until(lambda: httpx.get(f"{lab.url}/health").status_code == 200)
        assert_recorded(lab.url, seen)


def test_connections_that_are_cut_lose_nothing(open_lab: Callable[..., Lab], postgres: PostgreSQL) -> None:
    database = postgres.new_database()
    lab = open_lab(database_url=database, rate_limit_rpm=0)
    created = lab.create()
    name = database.rpartition("/")[2]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with load([lab.url], created["token"]) as (seen,):
        for _ in range(5):
            seen.await_more(200)
            assert until(lambda: postgres.execute(cut))
    assert seen.statuses() <= {200, 503}
    assert until(lambda: lab.admin.delete(f"/admin/agents/{created['id']}").status_code == 204)
    assert check(lab.client(created["token"]), "read:x").status_code == 401
    assert_recorded(lab.url, seen)


@pytest.mark.parametrize("new", [False, True], ids=["open connections", "new ones too"])
def test_a_server_that_hangs_is_given_up(
    new: bool, open_lab: Callable[..., Lab], postgres: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_STATEMENT_TIMEOUT", 1.0)
    monkeypatch.setattr(tables, "GRACE", 0.5)
    monkeypatch.setattr(sync, "_LOAD_TIMEOUT", 1.0)
    monkeypatch.setattr(writer, "WRITE_TIMEOUT", 2.0)
    with stalling_proxy(postgres.port) as proxy:
        database = postgres.new_database().replace(str(postgres.port), str(proxy.port))
        lab = open_lab(database_url=f"{database}?connect_timeout=2", rate_limit_rpm=0)
        created = lab.create()
        agent = lab.client(created["token"])
        agent.timeout = lab.admin.timeout = httpx.Timeout(20)
        assert check(agent, "read:before").status_code == 200
        proxy.stall(new=new)
        if new:
            assert until(lambda: check(agent, "read:during").status_code == 503, 20)
            proxy.resume()
        assert until(lambda: check(agent, "read:after").status_code == 200, 20)
        assert until(lambda: lab.admin.get("/health").status_code == 200, 20)
        assert lab.admin.get("/admin/audit/verify").json()["valid"] is True
        assert len(lab.entries(action="read:after")) == 1
        assert lab.admin.delete(f"/admin/agents/{created['id']}").status_code == 204
        assert check(agent, "read:x").status_code == 401


def test_after_a_kill_every_decision_that_was_received_is_in_the_log(
    postgres: PostgreSQL, tmp_path: Path
) -> None:
    settings = {**SECRETS, "DATABASE_URL": postgres.new_database(), "RATE_LIMIT_RPM": "0"}
    received = Seen()
    for _ in range(int(os.environ.get("KILLS", "2"))):
        with served(tmp_path, **settings) as (process, url), agent_of(url) as agent:
            token = agent.headers["Authorization"].removeprefix("Bearer ")
            with load([url], token, clients=4) as (seen,):
                seen.await_more(200)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
            received.entries += seen.entries
    with served(tmp_path, **settings) as (_, url):
        assert_recorded(url, received)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_all_workers_follow_a_change(store: Callable[[Path], str], tmp_path: Path) -> None:
    settings = {**SECRETS, "DATABASE_URL": store(tmp_path), "RATE_LIMIT_RPM": "0"}
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "writers.yaml").write_text(ALLOW_WRITES.replace("privileged", "verified"))
    flags = ("--workers", "2", "--policies-dir", str(policies))
    with served(tmp_path, *flags, **settings) as (_, url), admin_client(url) as admin:
        agent = admin.post("/admin/agents", json={"name": "bot"}).json()
        # A connection stays with its worker, so each request makes its own.
        headers = {"Authorization": f"Bearer {agent['token']}", "Connection": "close"}
        client = httpx.Client(base_url=url, headers=headers, trust_env=False)
        answers: list[tuple[float, int]] = []

        def all_answer(status: int) -> bool:
            asked = [(check(client, "write:x").status_code, monotonic()) for _ in range(12)]
            answers.extend((moment, found) for found, moment in asked)
            return {found for found, _ in asked} == {status}

        def is_whole(workers: int) -> bool:
            found = admin.get("/admin/audit/verify").json()
            return bool(found["valid"] and len(found["heads"]) == workers)

        assert until(lambda: all_answer(200) and is_whole(2), 20)
        (policies / "writers.yaml").write_text(ALLOW_WRITES)
        assert until(lambda: all_answer(403))
        admin.patch(f"/admin/agents/{agent['id']}", json={"trustTier": "privileged"})
        assert until(lambda: all_answer(200))
        admin.delete(f"/admin/agents/{agent['id']}")
        revoked = monotonic()
        assert until(lambda: all_answer(401))
        assert max(moment for moment, found in answers if found == 200) - revoked <= 1
        assert is_whole(2)
        client.close()
