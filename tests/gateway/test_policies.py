from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.conftest import Lab, check
from tests.support import until

WRITERS = "{name: writers, rules: [{effect: allow, actions: ['write:*']}]}"


def test_a_policy_is_new_then_replaced_then_gone(lab: Lab) -> None:
    agent = lab.agent()
    assert lab.apply(WRITERS, "writers").status_code == 201
    assert check(agent, "write:x").status_code == 200
    assert lab.apply(WRITERS.replace("write:", "draw:"), "writers").status_code == 200
    assert check(agent, "write:x").status_code == 403
    assert lab.admin.delete("/admin/policies/writers").status_code == 204
    assert lab.admin.delete("/admin/policies/writers").status_code == 404
    assert check(agent, "draw:x").status_code == 403


def test_a_policy_may_be_sent_as_json(lab: Lab) -> None:
    policy = {"name": "writers", "rules": [{"effect": "allow", "actions": ["write:*"]}]}
    assert lab.admin.put("/admin/policies/writers", json=policy).json() == policy
    assert lab.admin.get("/admin/policies/writers").json() == policy
    assert [item["name"] for item in lab.admin.get("/admin/policies").json()["policies"]] == [
        "readers",
        "writers",
    ]


def test_a_refused_policy_names_every_fault_and_changes_nothing(lab: Lab) -> None:
    response = lab.apply("{name: readers, rules: [{effect: alow, actions: []}]}", "readers")
    assert response.status_code == 400
    assert {fault["path"] for fault in response.json()["details"]} == {"/rules/0/effect", "/rules/0/actions"}
    assert check(lab.agent(), "read:x").status_code == 200


def test_the_name_in_the_path_has_to_be_the_policys(lab: Lab) -> None:
    assert lab.apply(WRITERS, "others").status_code == 409


def test_json_with_a_duplicate_key_is_no_policy(lab: Lab) -> None:
    body = b'{"name": "a", "rules": [{"effect": "deny", "effect": "allow", "actions": ["*"]}]}'
    response = lab.admin.put("/admin/policies/a", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert lab.admin.get("/admin/policies/a").status_code == 404


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "x" * 129, "%C3%A9"])
def test_a_name_that_is_none_is_refused(lab: Lab, name: str) -> None:
    assert lab.admin.get(f"/admin/policies/{name}").status_code == 400


def test_policy_changes_are_recorded_with_old_and_new(lab: Lab) -> None:
    lab.apply(WRITERS, "writers")
    lab.admin.delete("/admin/policies/writers")
    removed, applied = lab.entries(action="admin:policy.*")[:2]
    assert applied["resource"] == "writers"
    assert applied["changes"]["policy"]["old"] is None
    assert applied["changes"]["policy"]["new"] == removed["changes"]["policy"]["old"]
    assert removed["changes"]["policy"]["new"] is None


def test_validation_answers_200_with_the_faults(lab: Lab) -> None:
    headers = {"Content-Type": "application/yaml"}
    sound = lab.admin.post("/admin/policies/validate", content=WRITERS, headers=headers).json()
    assert (sound["valid"], sound["errors"]) == (True, [])
    vague = "{name: all, rules: [{effect: allow, actions: ['*']}]}"
    warned = lab.admin.post("/admin/policies/validate", content=vague, headers=headers).json()
    assert warned["valid"] is True
    assert [warning["path"] for warning in warned["warnings"]] == ["/rules/0"]
    broken = lab.admin.post("/admin/policies/validate", json={"name": "x"}).json()
    assert broken["valid"] is False
    assert broken["errors"][0]["path"] == "/rules"
    placed = lab.admin.post("/admin/policies/validate", content="name: x\nrules: 3", headers=headers).json()
    assert "(line 2, column" in placed["errors"][0]["message"]
    unparsable = lab.admin.post("/admin/policies/validate", content="{", headers=headers).json()
    assert unparsable["valid"] is False


@pytest.mark.parametrize("kind", ["yaml", "json"])
@pytest.mark.parametrize("text", ["null", "[]", '"x"', "", "# empty"])
def test_only_an_object_is_a_policy(lab: Lab, kind: str, text: str) -> None:
    headers = {"Content-Type": f"application/{kind}"}
    validated = lab.admin.post("/admin/policies/validate", content=text, headers=headers)
    applied = lab.admin.put("/admin/policies/p", content=text, headers=headers)
    assert (validated.status_code, applied.status_code) == (400, 400)
    assert lab.admin.get("/admin/policies/p").status_code == 404


def test_a_large_invalid_candidate_is_rejected(lab: Lab) -> None:
    tags = [f"tag-{number}" for number in range(300)]
    rule = {"effect": "allow", "actions": ["x"], "conditions": {"tags": tags, "context.a": {"gt": [1]}}}
    candidate = {"name": "p", "rules": [rule]}
    body = {"agent": {"trustTier": "verified"}, "action": "x", "candidate": candidate}
    response = lab.admin.post("/admin/policies/test", json=body)
    assert response.status_code == 400
    assert response.json()["details"][0]["path"] == "/candidate/rules/0/conditions"


def test_null_is_not_a_candidate(lab: Lab) -> None:
    body = {"agent": {"trustTier": "verified"}, "action": "x", "candidate": None}
    response = lab.admin.post("/admin/policies/test", json=body)
    assert response.status_code == 400
    assert response.json()["details"][0]["path"].startswith("/candidate")


def ask(lab: Lab, **body: object) -> dict[str, object]:
    response = lab.admin.post("/admin/policies/test", json={"action": "write:x", **body})
    assert response.status_code == 200, response.text
    outcome: dict[str, object] = response.json()
    return outcome


def test_a_test_decides_for_a_stored_or_an_imagined_agent(lab: Lab) -> None:
    agent = lab.create(tags=["finance"])
    lab.apply(
        "{name: fin, appliesTo: {tags: [finance]}, rules: [{effect: allow, actions: ['write:*']}]}", "fin"
    )
    assert ask(lab, agentId=agent["id"])["decision"] == "allow"
    assert ask(lab, agent={"trustTier": "verified"})["decision"] == "deny"
    assert ask(lab, agent={"trustTier": "verified", "tags": ["finance"]})["explanation"]
    lab.admin.delete(f"/admin/agents/{agent['id']}")
    assert ask(lab, agentId=agent["id"])["decision"] == "deny"


def test_a_test_may_use_a_candidate_or_one_policy_alone(lab: Lab) -> None:
    agent = {"trustTier": "verified"}
    candidate = {"name": "writers", "rules": [{"effect": "allow", "actions": ["write:*"]}]}
    assert ask(lab, agent=agent, candidate=candidate)["decision"] == "allow"
    assert ask(lab, agent=agent, candidate=candidate, policy="readers")["decision"] == "deny"
    assert ask(lab, agent=agent)["decision"] == "deny"


def test_a_test_records_nothing_and_has_no_audit_id(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(mode="audit")
    before = len(lab.entries())
    outcome = ask(lab, agent={"trustTier": "verified"})
    assert "auditId" not in outcome
    assert outcome["decision"] == "deny"
    assert len(lab.entries()) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "a", "agentId": "agent_nobody"}, 404),
        ({"action": "a"}, 400),
        ({"action": "a", "agentId": "x", "agent": {"trustTier": "verified"}}, 400),
        ({"action": "a", "agent": {"trustTier": "verified"}, "policy": "nope"}, 404),
        ({"action": "a", "agent": {"trustTier": "verified"}, "candidate": {"name": "x", "rules": []}}, 400),
    ],
)
def test_a_test_that_cannot_be_is_refused(lab: Lab, body: dict[str, object], status: int) -> None:
    assert lab.admin.post("/admin/policies/test", json=body).status_code == status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "readers.yaml").write_text("{name: readers, rules: [{effect: allow, actions: ['read:*']}]}")
    return folder


def test_policies_of_a_folder_are_in_force_and_watched(open_lab: Callable[..., Lab], folder: Path) -> None:
    lab = open_lab(policies_dir=folder)
    agent = lab.agent()
    assert check(agent, "read:x").status_code == 200
    assert check(agent, "write:x").status_code == 403
    (folder / "writers.yaml").write_text(WRITERS)
    assert until(lambda: check(agent, "write:x").status_code == 200, 2)
    (folder / "writers.yaml").unlink()
    assert until(lambda: check(agent, "write:x").status_code == 403, 2)


def test_a_broken_file_leaves_the_last_good_set_in_force(open_lab: Callable[..., Lab], folder: Path) -> None:
    lab = open_lab(policies_dir=folder)
    agent = lab.agent()

    def said() -> str:
        gateway_said: str = lab.admin.get("/health").json()["checks"]["policies"]
        return gateway_said

    (folder / "readers.yaml").write_text("{name: readers}")
    assert until(lambda: "readers.yaml" in said())
    assert check(agent, "read:x").status_code == 200
    assert lab.admin.get("/health").status_code == 200
    (folder / "readers.yaml").write_text(WRITERS)
    assert until(lambda: said() == "ok")
    assert check(agent, "read:x").status_code == 403


def test_a_policy_from_a_file_is_changed_there(open_lab: Callable[..., Lab], folder: Path) -> None:
    lab = open_lab(policies_dir=folder)
    assert lab.apply(WRITERS.replace("writers", "readers"), "readers").status_code == 409
    assert lab.admin.delete("/admin/policies/readers").status_code == 409
    assert lab.apply(WRITERS, "writers").status_code == 201


def test_a_file_wins_over_a_stored_policy_of_its_name(open_lab: Callable[..., Lab], folder: Path) -> None:
    lab = open_lab(policies_dir=folder)
    lab.apply(WRITERS, "writers")
    (folder / "writers.json").write_text(
        json.dumps({"name": "writers", "rules": [{"effect": "deny", "actions": ["write:*"]}]})
    )
    assert until(lambda: "writers" in lab.admin.get("/health").json()["checks"]["policies"])
    assert check(lab.agent(), "write:x").status_code == 403
    assert lab.admin.get("/admin/policies/writers").json()["rules"][0]["effect"] == "deny"


def test_a_gateway_does_not_start_with_a_broken_file(open_lab: Callable[..., Lab], folder: Path) -> None:
    (folder / "bad.yaml").write_text("name: bad")
    with pytest.raises(RuntimeError):
        open_lab(policies_dir=folder)
