from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.gateway.conftest import Lab
from tests.support import Clock


def test_a_created_agent_has_the_defaults(lab: Lab) -> None:
    agent = lab.create(name="ada")
    assert agent["id"].startswith("agent_")
    assert (agent["trustTier"], agent["tags"], agent["metadata"]) == ("verified", [], {})
    assert agent["status"] == "active"
    assert agent["createdAt"] == agent["updatedAt"]
    stored = lab.admin.get(f"/admin/agents/{agent['id']}").json()
    assert "token" not in stored
    assert stored == {key: value for key, value in agent.items() if key not in {"token", "expiresAt"}}


@pytest.mark.parametrize("fraction", [0.0, 0.004, 0.25])
def test_times_have_one_format(open_lab: Callable[..., Lab], clock: Clock, fraction: float) -> None:
    clock.seconds += fraction
    lab = open_lab(clock=clock)
    agent = lab.create()
    health = lab.admin.get("/health").json()
    times = [agent[name] for name in ("createdAt", "updatedAt", "expiresAt")]
    for time in (*times, health["timestamp"], lab.entries(limit=1)[0]["timestamp"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)


def test_untrusted_is_read_as_unverified_and_a_tag_is_kept_once(lab: Lab) -> None:
    agent = lab.create(trustTier="untrusted", tags=["b", "a", "b"])
    assert agent["trustTier"] == "unverified"
    assert agent["tags"] == ["b", "a"]


def test_only_the_fields_sent_change(lab: Lab) -> None:
    agent = lab.create(name="ada", tags=["a"], metadata={"team": "x", "size": 3})
    path = f"/admin/agents/{agent['id']}"
    changed = lab.admin.patch(path, json={"metadata": {"team": "y"}}).json()
    assert (changed["name"], changed["tags"], changed["metadata"]) == ("ada", ["a"], {"team": "y"})
    assert changed == lab.admin.get(path).json()


@pytest.mark.parametrize("body", [{}, {"metadata": None}, {"id": "x"}, {"status": "active"}, {"name": ""}])
def test_a_change_that_is_none_is_refused(lab: Lab, body: dict[str, object]) -> None:
    agent = lab.create()
    assert lab.admin.patch(f"/admin/agents/{agent['id']}", json=body).status_code == 400


def test_an_unknown_agent_is_answered_404(lab: Lab) -> None:
    path = "/admin/agents/agent_nobody"
    statuses = [
        lab.admin.get(path).status_code,
        lab.admin.patch(path, json={"name": "x"}).status_code,
        lab.admin.delete(path).status_code,
        lab.admin.post(f"{path}/token").status_code,
    ]
    assert statuses == [404] * 4


def test_an_id_may_hold_an_encoded_slash(lab: Lab) -> None:
    assert lab.admin.get("/admin/agents/a%2Fb").status_code == 404
    assert lab.admin.get("/admin/agents/%ff").status_code == 400


def test_agents_are_listed_by_tier_tag_and_status(lab: Lab) -> None:
    one = lab.create(name="one", trustTier="untrusted", tags=["x"])
    two = lab.create(name="two", tags=["x", "y"])
    lab.admin.delete(f"/admin/agents/{two['id']}")

    def names(**query: str) -> list[str]:
        return [agent["name"] for agent in lab.admin.get("/admin/agents", params=query).json()["agents"]]

    assert names() == ["one", "two"]
    assert names(status="revoked") == ["two"]
    assert names(trustTier="untrusted") == names(trustTier="unverified") == ["one"]
    assert names(tag="x") == ["one", "two"]
    assert names(tag="x", status="active") == ["one"]
    assert names(tag=one["id"]) == []


def test_pages_of_agents_cover_all_once(lab: Lab) -> None:
    ids = [lab.create()["id"] for _ in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = lab.admin.get("/admin/agents", params=query).json()
        seen += [agent["id"] for agent in page["agents"]]
        if "nextCursor" not in page:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == ids


def test_a_change_is_recorded_with_old_and_new_values(lab: Lab) -> None:
    agent = lab.create(name="ada")
    path = f"/admin/agents/{agent['id']}"
    lab.admin.patch(path, json={"trustTier": "trusted", "name": "ada"})
    lab.admin.post(f"{path}/token")
    lab.admin.delete(path)
    entries = lab.entries(agent=agent["id"], kind="admin")
    assert [entry["action"] for entry in entries] == [
        "admin:agent.revoke",
        "admin:agent.token",
        "admin:agent.update",
        "admin:agent.create",
    ]
    assert entries[2]["changes"] == {"trustTier": {"old": "verified", "new": "trusted"}}
    assert {entry["resource"] for entry in entries} == {agent["id"]}


def test_a_change_that_changes_nothing_is_no_entry(lab: Lab) -> None:
    agent = lab.create(name="ada")
    lab.admin.patch(f"/admin/agents/{agent['id']}", json={"name": "ada"})
    lab.admin.delete(f"/admin/agents/{agent['id']}")
    lab.admin.delete(f"/admin/agents/{agent['id']}")
    assert len(lab.entries(agent=agent["id"])) == 2


def test_agents_and_tokens_survive_a_restart(lab: Lab, open_lab: object) -> None:
    agent = lab.create(name="ada", tags=["a"], metadata={"n": 1.5})
    again = open_lab()  # type: ignore[operator]
    assert again.admin.get(f"/admin/agents/{agent['id']}").json()["metadata"] == {"n": 1.5}
    assert (
        again.client(agent["token"]).post("/api/v1/pdp/evaluate", json={"action": "read:x"}).status_code
        == 200
    )
