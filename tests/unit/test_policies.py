"""Policies in every form that callers have them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from meshguard import (
    AsyncMeshGuardClient,
    InvalidRequestError,
    MeshGuardClient,
    NotFoundError,
    PolicyDecision,
)

from .conftest import Answer, Gateway
from .raw_server import run
from .test_admin import POLICY

BOTH = pytest.mark.parametrize("client_class", [MeshGuardClient, AsyncMeshGuardClient])
RULES = "rules:\n  - effect: allow\n    actions: ['read:*']\n"
NAMED = {
    "plain": "name: readers\n",
    "double quotes": 'name: "readers"\n',
    "single quotes": "name: 'readers'  # a comment\n",
    "a quoted key": '"name": readers\n',
    "space before the colon": "name : readers\n",
    "on the next line": "name:\n  readers\n",
    "after a comment": "name:  # the name\n  readers\n",
    "after a document start": "%YAML 1.2\n---\nname: readers\n",
    "after a block": "description: |\n  name: other\nname: readers\n",
    "with carriage returns": "version: '1'\r\nname: readers\r\n",
}
UNNAMED = [
    *(
        RULES,
        "name: a b\n",
        "name: [readers]\n",
        "  name: readers\n",
        "name:readers\n",
        "a: {name: readers}\n",
    ),
    *(
        "{rules: [], name: readers}",
        '{"rules": []}',
        '{"name": 5}',
        '{"name": ""}',
        '{"name": null}',
        "[]",
        "5",
    ),
    *({}, {"rules": []}, {"name": 5}, {"name": None}, {"name": ""}),
]


def sent(gateway: Gateway) -> tuple[str, str, bytes]:
    request = gateway.received[-1]
    return request.path, request.headers["content-type"], request.body


@BOTH
def test_a_policy_may_be_a_mapping_text_or_a_file(
    gateway: Gateway, client_class: Any, tmp_path: Path
) -> None:
    gateway.answers(POLICY)
    as_json, as_yaml = json.dumps(POLICY, indent=1), f"name: readers\n{RULES}"
    for name, content in (("p.json", as_json), ("p.yaml", as_yaml), ("no-suffix", as_yaml)):
        (tmp_path / name).write_text(content)
    forms = {
        "application/json": [as_json, tmp_path / "p.json"],
        "application/yaml": [as_yaml, tmp_path / "p.yaml", tmp_path / "no-suffix"],
    }
    for media_type, policies in forms.items():
        for policy in policies:
            run(client_class, partial(client_class.apply_policy, policy=policy), gateway.url)
            text = as_json if media_type.endswith("json") else as_yaml
            assert sent(gateway) == ("/admin/policies/readers", media_type, text.encode())
    run(client_class, lambda client: client.apply_policy(POLICY), gateway.url)
    assert (gateway.received[-1].json, sent(gateway)[1]) == (POLICY, "application/json")


@pytest.mark.parametrize("form", NAMED)
def test_the_name_is_read_from_text(gateway: Gateway, client: MeshGuardClient, form: str) -> None:
    gateway.answers(POLICY)
    client.apply_policy(NAMED[form] + RULES)
    assert gateway.received[0].path == "/admin/policies/readers"
    assert gateway.received[0].body.decode() == NAMED[form] + RULES


@pytest.mark.parametrize("policy", UNNAMED, ids=repr)
def test_a_name_that_cannot_be_read_must_be_passed(
    gateway: Gateway, client: MeshGuardClient, policy: Any
) -> None:
    with pytest.raises(InvalidRequestError, match="name"):
        client.apply_policy(policy)
    assert gateway.received == []
    gateway.answers(POLICY)
    client.apply_policy(policy, name="readers")
    assert gateway.received[0].path == "/admin/policies/readers"


@pytest.mark.parametrize("start", ["{name: readers,", "{ 'name' : readers ,", '\n{\n  "name": "readers",'])
def test_the_name_is_read_from_a_flow_mapping(gateway: Gateway, client: MeshGuardClient, start: str) -> None:
    gateway.answers(POLICY)
    client.apply_policy(f"{start} rules: [{{effect: allow, actions: ['read:*']}}]}}")
    assert sent(gateway)[:2] == ("/admin/policies/readers", "application/yaml")


def test_a_file_needs_a_path_object(gateway: Gateway, client: MeshGuardClient) -> None:
    with pytest.raises(InvalidRequestError, match=r"pathlib\.Path"):
        client.apply_policy("policies/readers.yaml")
    assert gateway.received == []


@pytest.mark.parametrize("content", [None, b"name: \xff", b"", b"name: a\x00"])
def test_a_file_that_cannot_be_read_is_named(
    gateway: Gateway, client: MeshGuardClient, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "readers.yaml"
    if content is not None:
        file.write_bytes(content)
    for call in (client.apply_policy, client.validate_policy):
        with pytest.raises(InvalidRequestError, match=r"readers\.yaml|Invalid policy"):
            call(file)
    with pytest.raises(InvalidRequestError, match="directory"):
        client.apply_policy(tmp_path)
    assert gateway.received == []


def test_a_byte_order_mark_is_skipped(gateway: Gateway, client: MeshGuardClient, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(POLICY), encoding="utf-8-sig")
    gateway.answers(POLICY)
    client.apply_policy(tmp_path / "p.json")
    assert gateway.received[0].json == POLICY


TESTED = {
    "decision": "deny",
    "allowed": False,
    "action": "read:a",
    "reason": "r",
    "explanation": {"summary": "s"},
}


@BOTH
def test_policies_are_tested_for_an_agent(gateway: Gateway, client_class: Any, tmp_path: Path) -> None:
    gateway.answers(TESTED)
    (tmp_path / "p.yaml").write_text("name: readers\n")
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"agent": "agent_1"}, {"agentId": "agent_1"}),
        ({"agent": {"trustTier": "verified"}}, {"agent": {"trustTier": "verified"}}),
        (
            {"agent": "a", "policy": "p", "context": {"n": 1}},
            {"agentId": "a", "policy": "p", "context": {"n": 1}},
        ),
        ({"agent": "a", "candidate": POLICY}, {"agentId": "a", "candidate": POLICY}),
        ({"agent": "a", "candidate": "name: x"}, {"agentId": "a", "candidateText": "name: x"}),
        (
            {"agent": "a", "candidate": tmp_path / "p.yaml"},
            {"agentId": "a", "candidateText": "name: readers\n"},
        ),
    ]
    for arguments, body in calls:
        test = partial(client_class.test_policies, action="read:a", resource="r", **arguments)
        decision = run(client_class, test, gateway.url)
        assert isinstance(decision, PolicyDecision)
        assert (bool(decision), decision.resource, decision.audit_id) == (False, "r", None)
        assert decision.explanation is not None
        request = gateway.received[-1]
        assert (request.path, request.json) == (
            "/admin/policies/test",
            {"action": "read:a", "resource": "r", **body},
        )
        assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "arguments",
    [
        {"agent": ""},
        {"agent": None},
        {"agent": 5},
        {"agent": "a", "context": []},
        {"agent": "a", "context": {"x": float("nan")}},
        {"agent": {"trustTier": float("nan")}},
        {"agent": "a", "policy": ""},
        {"agent": "a", "candidate": ""},
        {"agent": "a", "candidate": 5},
    ],
)
def test_a_test_that_cannot_be_sent_is_rejected(
    gateway: Gateway, client: MeshGuardClient, arguments: Any
) -> None:
    with pytest.raises(InvalidRequestError):
        client.test_policies("read:a", **arguments)
    assert gateway.received == []


def test_a_test_is_an_error_without_a_gateway(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers(Answer({"error": "not_found", "message": "m"}, 404))
    with pytest.raises(NotFoundError):
        client.with_options(on_unavailable="allow").test_policies("read:a", agent="agent_1")
