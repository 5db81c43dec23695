"""A repeated request with one `Idempotency-Key` creates one thing, whatever happens in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from meshguard.gateway import store as tables
from meshguard.gateway.idempotency import LIFETIME
from tests.gateway.conftest import Lab, check
from tests.gateway.test_serve import SECRETS, served
from tests.support import OLD_SECRET, SECRET, Clock, admin_client, until

KEY = {"Idempotency-Key": "4e0f6d0c-9a55-4f6d-8b1e-2d9a7c1f3b60"}
BODY = {"name": "ada", "tags": ["a", "é"], "metadata": {"limit": 100.000000000000001, "team": "x"}}
DAY = LIFETIME / 1000


def create(lab: Lab, body: dict[str, Any] = BODY, key: str = KEY["Idempotency-Key"]) -> httpx.Response:
    return lab.admin.post("/admin/agents", json=body, headers={"Idempotency-Key": key})


def names(lab: Lab) -> list[str]:
    return [agent["name"] for agent in lab.admin.get("/admin/agents").json()["agents"]]


def test_a_repeated_request_gets_the_first_response(lab: Lab) -> None:
    first, again = create(lab), create(lab)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert names(lab) == ["ada"]
    assert check(lab.client(again.json()["token"]), "read:x").status_code == 200


def test_a_repeated_request_is_recorded_once(lab: Lab) -> None:
    agent = create(lab).json()
    create(lab)
    path = f"/admin/agents/{agent['id']}/token"
    for _ in range(2):
        lab.admin.post(path, headers={"Idempotency-Key": "token-1"})
    actions = [entry["action"] for entry in lab.entries(kind="admin", agent=agent["id"])]
    assert actions == ["admin:agent.token", "admin:agent.create"]
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True


def test_a_token_is_issued_once(lab: Lab) -> None:
    agent = lab.create()
    path = f"/admin/agents/{agent['id']}/token"
    first, again = (lab.admin.post(path, headers=KEY) for _ in range(2))
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert check(lab.client(first.json()["token"]), "read:x").status_code == 200
    assert lab.admin.post(path).json()["token"] != first.json()["token"]


def test_the_order_of_fields_makes_no_other_request(lab: Lab) -> None:
    first = create(lab)
    again = lab.admin.post("/api/v1/admin/agents", json=dict(reversed(BODY.items())), headers=KEY)
    assert again.content == first.content


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "name": "bob"},
        {"name": "ada"},
        {**BODY, "trustTier": "verified"},
        {**BODY, "metadata": {"limit": 100, "team": "x"}},
        {**BODY, "tags": ["é", "a"]},
    ],
)
def test_a_key_with_another_body_is_409(lab: Lab, body: dict[str, Any]) -> None:
    create(lab)
    refused = create(lab, body)
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert "Idempotency-Key" in refused.json()["message"]
    assert names(lab) == ["ada"]


def test_a_key_at_another_path_is_409(lab: Lab) -> None:
    first, other = create(lab).json(), lab.create(name="other")
    paths = [f"/admin/agents/{agent['id']}/token" for agent in (first, other)]
    assert [lab.admin.post(path, headers=KEY).status_code for path in paths] == [409, 409]
    key = {"Idempotency-Key": "token-1"}
    assert [lab.admin.post(path, headers=key).status_code for path in paths] == [200, 409]
    assert check(lab.client(other["token"]), "read:x").status_code == 200


@pytest.mark.parametrize("key", ["", "two words", "k" * 256, "\x7f", "schl\xfcssel"])
def test_an_odd_key_is_rejected(lab: Lab, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    refused = lab.admin.post("/admin/agents", json=BODY, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["path"] == "/header/Idempotency-Key"


@pytest.mark.parametrize("key", ["!", "k" * 255, '"quoted"', "0"])
def test_every_visible_key_is_taken(lab: Lab, key: str) -> None:
    first, again = (create(lab, key=key) for _ in range(2))
    assert (first.status_code, again.content) == (201, first.content)


def test_a_key_given_twice_is_rejected(lab: Lab) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    assert lab.admin.post("/admin/agents", json=BODY, headers=headers).status_code == 400


def test_only_a_success_is_remembered(lab: Lab) -> None:
    assert create(lab, {"name": ""}).status_code == 400
    unknown = "/admin/agents/agent_unknown/token"
    assert [lab.admin.post(unknown, headers=KEY).status_code for _ in range(2)] == [404, 404]
    assert create(lab).status_code == 201


def test_without_a_key_each_request_creates(lab: Lab) -> None:
    ids = {lab.admin.post("/admin/agents", json=BODY).json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_key_is_kept_for_a_day(open_lab: Callable[..., Lab], clock: Clock) -> None:
    lab = open_lab(clock=clock)
    first = create(lab)
    clock.seconds += DAY - 1
    assert create(lab).content == first.content
    clock.seconds += 1
    later = create(lab)
    assert later.status_code == 201
    assert later.json()["id"] != first.json()["id"]
    assert create(lab).content == later.content


def test_maintenance_removes_old_keys(
    open_lab: Callable[..., Lab], store: Callable[[Path], str], tmp_path: Path, clock: Clock
) -> None:
    lab = open_lab(clock=clock)
    create(lab)
    clock.seconds += DAY / 2
    create(lab, key="later")
    clock.seconds += DAY / 2
    engine = tables.open_database(store(tmp_path))
    count = select(func.count()).select_from(tables.idempotency_keys)

    def kept() -> int:
        with engine.begin() as connection:
            return int(connection.execute(count).scalar_one())

    assert kept() == 2
    open_lab(clock=clock)  # maintenance runs at the start, then hourly
    assert until(lambda: kept() == 1)
    engine.dispose()


def test_a_key_outlives_a_restart_and_a_new_secret(open_lab: Callable[..., Lab]) -> None:
    first = create(open_lab(jwt_secret=OLD_SECRET))
    rotated = open_lab(jwt_secret=SECRET, jwt_secrets_old=[OLD_SECRET])
    again = create(rotated)
    assert again.content == first.content
    assert check(rotated.client(again.json()["token"]), "read:x").status_code == 200


def test_a_token_of_a_lost_secret_is_409(open_lab: Callable[..., Lab]) -> None:
    create(open_lab(jwt_secret=OLD_SECRET))
    lab = open_lab()
    refused = create(lab)
    assert refused.status_code == 409
    assert "/token" in refused.json()["message"]
    assert names(lab) == ["ada"]


def test_a_key_belongs_to_its_credential(open_lab: Callable[..., Lab]) -> None:
    first = create(open_lab())
    token = "other-5Rt6Yu8Io0Pa2Sd4Fg6Hj8Kl1Zx3Cv5B"
    other = open_lab(admin_token=token, policies_dir=None)
    other.admin.headers["X-Admin-Token"] = token
    second = create(other, {"name": "ada of another"})
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]


def test_the_database_has_neither_token_nor_key(
    open_lab: Callable[..., Lab], store: Callable[[Path], str], tmp_path: Path
) -> None:
    token = create(open_lab()).json()["token"]
    engine = tables.open_database(store(tmp_path))
    with engine.begin() as connection:
        found = repr([connection.execute(select(table)).all() for table in tables.metadata.sorted_tables])
    engine.dispose()
    assert "ada" in found
    assert token not in found
    assert token.rpartition(".")[2] not in found
    assert KEY["Idempotency-Key"] not in found


@pytest.mark.parametrize("gateways", [1, 2])
def test_simultaneous_requests_create_one(open_lab: Callable[..., Lab], gateways: int) -> None:
    labs = [open_lab() for _ in range(gateways)]
    with ThreadPoolExecutor(8) as pool:
        for number in range(6):
            body, key = {"name": f"bot-{number}"}, f"key-{number}"
            sent = [pool.submit(create, labs[turn % gateways], body, key) for turn in range(8)]
            answers = [answer.result() for answer in sent]
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.content for answer in answers}) == 1
            assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert names(labs[0]) == [f"bot-{number}" for number in range(6)]
    assert labs[0].admin.get("/admin/audit/verify").json()["valid"] is True


def test_a_lost_response_is_given_again_after_a_kill(tmp_path: Path) -> None:
    with served(tmp_path, **SECRETS) as (process, url):

        def retry(number: int) -> None:
            with admin_client(url) as admin:
                for count in range(1_000):
                    key = {"Idempotency-Key": f"{number}-{count}"}
                    try:
                        admin.post("/admin/agents", json={"name": f"{number}-{count}"}, headers=key)
                    except httpx.TransportError:
                        return

        with ThreadPoolExecutor(4) as pool, admin_client(url) as admin:
            sent = [pool.submit(retry, number) for number in range(4)]
            assert until(lambda: len(admin.get("/admin/agents").json()["agents"]) >= 40, 60)
            os.killpg(process.pid, signal.SIGKILL)
            for task in sent:
                task.result()
    with served(tmp_path, **SECRETS) as (_, url), admin_client(url) as admin:
        before = {agent["name"]: agent["id"] for agent in admin.get("/admin/agents").json()["agents"]}
        for name, agent_id in before.items():
            again = admin.post("/admin/agents", json={"name": name}, headers={"Idempotency-Key": name})
            assert (again.status_code, again.json()["id"]) == (201, agent_id)
        assert len(admin.get("/admin/agents").json()["agents"]) == len(before)


def test_an_agent_and_its_key_are_committed_together(
    open_lab: Callable[..., Lab], store: Callable[[Path], str], tmp_path: Path
) -> None:
    lab = open_lab()
    engine = tables.open_database(store(tmp_path))
    rename = "ALTER TABLE idempotency_keys RENAME TO gone"
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.exec_driver_sql(rename)
    assert create(lab).status_code == 503
    assert lab.admin.post("/admin/agents", json={"name": "without"}).status_code == 201
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO idempotency_keys")
    engine.dispose()
    assert names(lab) == ["without"]
    assert create(lab).status_code == 201
