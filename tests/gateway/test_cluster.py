from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import httpx
import pytest
from sqlalchemy import update

from meshguard.gateway import store as tables
from tests.gateway.conftest import Lab, check
from tests.support import Clock, until

ALLOW_WRITES = """
name: writers
appliesTo: {trustTiers: [privileged]}
rules: [{name: writes, effect: allow, actions: ["write:*"]}]
"""


@pytest.fixture
def pair(open_lab: Callable[..., Lab]) -> tuple[Lab, Lab]:
    """Two gateways on one database."""
    return open_lab(rate_limit_rpm=0), open_lab(rate_limit_rpm=0)


def within_a_second(condition: Callable[[], bool]) -> bool:
    started = monotonic()
    return until(condition, 10) and monotonic() - started <= 1


def status(client: httpx.Client, action: str) -> int:
    return check(client, action).status_code


def test_what_is_created_at_one_gateway_is_known_at_the_other(pair: tuple[Lab, Lab]) -> None:
    here, there = pair
    agent = there.client(here.create()["token"])
    assert within_a_second(lambda: status(agent, "read:x") == 200)


def test_a_revocation_is_in_force_at_the_other_gateway(pair: tuple[Lab, Lab]) -> None:
    here, there = pair
    created = here.create()
    agent = there.client(created["token"])
    assert until(lambda: status(agent, "read:x") == 200)
    here.admin.delete(f"/admin/agents/{created['id']}")
    assert status(here.client(created["token"]), "read:x") == 401
    assert within_a_second(lambda: status(agent, "read:x") == 401)


def test_a_tier_and_a_policy_are_in_force_at_the_other_gateway(pair: tuple[Lab, Lab]) -> None:
    here, there = pair
    created = here.create()
    agent = there.client(created["token"])
    assert until(lambda: status(agent, "read:x") == 200)
    here.apply(ALLOW_WRITES, "writers")
    here.admin.patch(f"/admin/agents/{created['id']}", json={"trustTier": "privileged"})
    assert within_a_second(lambda: status(agent, "write:x") == 200)
    here.admin.delete("/admin/policies/writers")
    assert within_a_second(lambda: status(agent, "write:x") == 403)
    assert there.admin.get(f"/admin/agents/{created['id']}").json()["trustTier"] == "privileged"
    assert [policy["name"] for policy in there.admin.get("/admin/policies").json()["policies"]] == ["readers"]


def test_a_new_token_ends_the_old_one_at_the_other_gateway(pair: tuple[Lab, Lab]) -> None:
    here, there = pair
    created = here.create()
    old = there.client(created["token"])
    assert until(lambda: status(old, "read:x") == 200)
    new = there.client(here.admin.post(f"/admin/agents/{created['id']}/token").json()["token"])
    assert within_a_second(lambda: status(old, "read:x") == 401)
    assert status(new, "read:x") == 200


def test_no_gateway_undoes_a_revocation_by_a_change_of_its_own(pair: tuple[Lab, Lab]) -> None:
    here, there = pair
    with ThreadPoolExecutor(4) as pool:
        for _ in range(15):
            path = f"/admin/agents/{here.create()['id']}"
            changes = [
                pool.submit(there.admin.patch, path, json={"name": "other"}),
                pool.submit(here.admin.delete, path),
                pool.submit(there.admin.post, f"{path}/token"),
            ]
            assert {change.result().status_code for change in changes} <= {200, 204, 409}
            assert here.admin.get(path).json()["status"] == "revoked"
    assert here.admin.get("/admin/audit/verify").json()["valid"] is True


def test_a_gateway_that_cannot_confirm_what_it_knows_allows_nothing(
    open_lab: Callable[..., Lab], store: Callable[[Path], str], tmp_path: Path
) -> None:
    monotonic_clock = Clock()
    lab = open_lab(monotonic=monotonic_clock)
    agent = lab.agent()
    engine = tables.open_database(store(tmp_path))

    def rename(old: str, new: str) -> None:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    rename("revision", "gone")
    monotonic_clock.seconds += 9.9
    assert status(agent, "read:x") == 200
    monotonic_clock.seconds += 0.2
    refusal = check(agent, "read:x")
    assert (refusal.status_code, refusal.json()["error"]) == (503, "unavailable")
    assert refusal.headers["Retry-After"] == "1"
    assert httpx.get(f"{lab.url}/health").status_code == 503
    health = lab.admin.get("/health")
    assert health.status_code == 503
    assert health.json()["checks"]["snapshot"].startswith("out of date")
    assert health.json()["checks"]["database"] == health.json()["checks"]["audit"] == "ok"
    rename("gone", "revision")
    assert until(lambda: status(agent, "read:x") == 200)
    assert lab.admin.get("/health").json()["checks"]["snapshot"] == "ok"
    engine.dispose()


def test_a_database_that_was_put_back_is_read_anew(
    open_lab: Callable[..., Lab], store: Callable[[Path], str], tmp_path: Path
) -> None:
    lab = open_lab()
    kept, lost = lab.create(name="kept"), lab.create(name="lost")
    engine = tables.open_database(store(tmp_path))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(tables.agents.delete().where(tables.agents.c.id == lost["id"]))
        connection.execute(update(tables.revision).values(number=1))
    engine.dispose()
    assert within_a_second(lambda: status(lab.client(lost["token"]), "read:x") == 401)
    assert status(lab.client(kept["token"]), "read:x") == 200


def test_gateways_that_are_asked_for_their_health_at_once_stay_healthy(pair: tuple[Lab, Lab]) -> None:
    urls = [f"{lab.url}/health" for lab in pair] * 4
    with ThreadPoolExecutor(8) as pool:
        assert [answer.status_code for answer in pool.map(httpx.get, urls)] == [200] * 8
