"""Cases on agents and their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshguard.contract.cases.case import case
from meshguard.contract.exchange import Exchange, Violation
from meshguard.contract.subject import (
    BAD_REQUEST,
    CONFLICT,
    CREATED,
    NO_CONTENT,
    OK,
    UNAUTHORIZED,
    Agent,
    Subject,
    expect,
    expect_allowed,
    expect_denied,
    expect_fields,
    expect_header,
    expect_that,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@case("create_agent; schema CreatedAgent")
def a_new_agent_is_answered_with_201_and_a_token_that_works(gateway: Subject) -> None:
    """The answer is 201, the agent exists and its token is valid; the tier is `verified` when left out."""
    body = {"name": gateway.prefix, "tags": ["a", "a", "b"], "metadata": {"team": "x"}}
    answer = expect(gateway.admin("POST", "/admin/agents", json=body), CREATED)
    created = expect_fields(answer, name=gateway.prefix, trustTier="verified", status="active")
    gateway.remember_agent(str(created.get("id")))
    expect_fields(answer, tags=["a", "b"], metadata={"team": "x"})
    asked = gateway.evaluate(str(created.get("token")), gateway.read("x"))
    expect(asked, OK)


@case("create_agent, issue_token; parameter IdempotencyKey")
def a_repeated_request_with_a_key_creates_nothing(gateway: Subject) -> None:
    """A request with the key of an earlier one gets its response; with another path or body it gets 409."""
    body = {"name": gateway.prefix, "tags": [gateway.prefix]}
    created = _keyed(gateway, "/admin/agents", f"{gateway.prefix}-agent", body)
    headers = {"Idempotency-Key": f"{gateway.prefix}-agent"}
    changes: tuple[dict[str, object], ...] = ({"name": f"{gateway.prefix}-other"}, {"tags": []})
    for change in changes:
        other = gateway.admin("POST", "/admin/agents", json={**body, **change}, headers=headers)
        expect_fields(expect(other, CONFLICT), error="conflict")
    found, answer = _ids(gateway, f"/admin/agents?tag={gateway.prefix}")
    expect_that(found.count(created) == 1, "the agent is not listed once", answer)
    _keyed(gateway, f"/admin/agents/{created}/token", f"{gateway.prefix}-token")


@case("schema TrustTier")
def the_tier_untrusted_is_read_as_unverified(gateway: Subject) -> None:
    """`untrusted` is read as `unverified`."""
    agent = gateway.new_agent(trustTier="untrusted")
    expect_fields(_stored(gateway, agent), trustTier="unverified")


@case("create_agent")
def a_token_is_shown_once(gateway: Subject) -> None:
    """The token is shown by `create_agent` and `issue_token` alone; the gateway does not keep it."""
    agent = gateway.new_agent()
    listed = expect(gateway.admin("GET", f"/admin/agents?tag={gateway.prefix}"), OK)
    for answer in (_stored(gateway, agent), listed):
        expect_that(agent.token.encode() not in answer.body, "the token is shown again", answer)


@case("update_agent")
def a_new_tier_holds_at_the_next_decision_with_the_same_token(gateway: Subject) -> None:
    """A change holds from the next decision on, with no new token."""
    own = f"{gateway.prefix}-tier"
    rule = {"effect": "allow", "actions": [gateway.read("*")], "conditions": {"trustTier": "privileged"}}
    gateway.apply(gateway.new_policy("tier", rule))
    agent = gateway.new_agent(tags=[own])
    expect_denied(gateway.check(agent.token, gateway.read("x")))
    expect_fields(expect(_patch(gateway, agent, trustTier="privileged"), OK), trustTier="privileged")
    expect_allowed(gateway.check(agent.token, gateway.read("x")))
    expect(_patch(gateway, agent, trustTier="verified"), OK)
    expect_denied(gateway.check(agent.token, gateway.read("x")))


@case("update_agent")
def new_tags_hold_at_the_next_decision_with_the_same_token(gateway: Subject) -> None:
    """Tags are replaced whole; the change holds from the next decision on, with no new token."""
    reader = gateway.reader
    agent = gateway.new_agent()
    expect_allowed(gateway.check(agent.token, gateway.read("x")))
    expect_fields(expect(_patch(gateway, agent, tags=["other"]), OK), tags=["other"])
    expect_denied(gateway.check(agent.token, gateway.read("x")))
    expect_allowed(gateway.check(reader.token, gateway.read("x")))


@case("update_agent; schema UpdateAgentRequest")
def an_empty_change_is_refused(gateway: Subject) -> None:
    """A change has at least one field, and null is no value for any: 400."""
    agent = gateway.new_agent(metadata={"team": "x"})
    for body in ({}, {"metadata": None}, {"name": None}, {"status": "revoked"}):
        expect(gateway.admin("PATCH", f"/admin/agents/{agent.id}", json=body), BAD_REQUEST)
    expect_fields(_stored(gateway, agent), metadata={"team": "x"}, status="active")


@case("create_agent, update_agent, put_agent; schema Agent")
def a_description_and_capabilities_are_kept_and_returned(gateway: Subject) -> None:
    """Both are returned with the agent and decide nothing; PUT changes what it names, as PATCH does."""
    kept = {"description": "Answers mail", "capabilities": [gateway.read("*")]}
    agent = gateway.new_agent(tags=[], metadata={"team": "x"}, **kept)
    expect_fields(_stored(gateway, agent), **kept)
    expect_denied(gateway.check(agent.token, gateway.read("x")))
    changed = gateway.admin("PUT", f"/admin/agents/{agent.id}", json={"name": "other", "description": None})
    fields = {**kept, "description": None, "name": "other", "metadata": {"team": "x"}}
    expect_fields(expect(changed, OK), **fields)
    expect_fields(_stored(gateway, agent), **fields)


@case("issue_token")
def a_new_token_ends_the_earlier_one_at_once(gateway: Subject) -> None:
    """The agent's earlier tokens stop working at once; the new one works."""
    _ = gateway.reader
    agent = gateway.new_agent()
    expect_allowed(gateway.check(agent.token, gateway.read("x")))
    answer = expect_fields(expect(gateway.admin("POST", f"/admin/agents/{agent.id}/token"), OK), id=agent.id)
    expect_that(answer.get("token") != agent.token, "the new token is the earlier one")
    expect_allowed(gateway.check(str(answer.get("token")), gateway.read("x")))
    expect(gateway.check(agent.token, gateway.read("x")), UNAUTHORIZED)


@case("revoke_agent")
def a_revoked_agent_is_refused_at_once_everywhere(gateway: Subject) -> None:
    """Every token of the agent stops working with the revocation, at every operation of agents."""
    _ = gateway.reader
    agent = gateway.new_agent()
    expect_allowed(gateway.check(agent.token, gateway.read("x")))
    expect(_revoke(gateway, agent), NO_CONTENT)
    expect(gateway.check(agent.token, gateway.read("x")), UNAUTHORIZED)
    expect(gateway.evaluate(agent.token, gateway.read("x")), UNAUTHORIZED)
    expect(gateway.as_agent(agent.token, "GET", f"/proxy/{gateway.prefix}/x"), UNAUTHORIZED)


@case("revoke_agent")
def to_revoke_a_revoked_agent_is_no_error(gateway: Subject) -> None:
    """A second DELETE is 204 too."""
    agent = gateway.new_agent()
    for _ in range(2):
        expect(_revoke(gateway, agent), NO_CONTENT)


@case("revoke_agent, update_agent, issue_token")
def a_revocation_is_permanent_and_the_record_stays(gateway: Subject) -> None:
    """The record stays with `status: revoked`; a revoked agent can't be changed and gets no token, 409."""
    agent = gateway.new_agent()
    expect(_revoke(gateway, agent), NO_CONTENT)
    expect_fields(_stored(gateway, agent), status="revoked")
    expect_fields(expect(_patch(gateway, agent, name="other"), CONFLICT), error="conflict")
    expect_fields(
        expect(gateway.admin("POST", f"/admin/agents/{agent.id}/token"), CONFLICT), error="conflict"
    )


@case("list_agents")
def agents_are_listed_by_filter_and_page(gateway: Subject) -> None:
    """Only agents that fit the filters are listed, each once, and `nextCursor` leads to the next page."""
    tag = f"{gateway.prefix}-listed"
    made = [gateway.new_agent(tags=[tag], trustTier=tier).id for tier in ("trusted", "verified", "trusted")]
    revoked = Agent(made[2], "", "")
    expect(_revoke(gateway, revoked), NO_CONTENT)
    expected = {"": made, "&trustTier=trusted": [made[0], made[2]], "&status=revoked": [made[2]]}
    for query, ids in expected.items():
        for limit in ("", "&limit=1"):
            found, answer = _ids(gateway, f"/admin/agents?tag={tag}{query}{limit}")
            expect_that(found == ids, f"listed are {found}, not {ids}", answer)


def _ids(gateway: Subject, path: str) -> tuple[list[str], Exchange]:
    ids: list[str] = []
    answer = expect(gateway.admin("GET", path), OK)
    for _ in range(10):
        page = answer.object()
        ids += [str(agent.get("id")) for agent in page.get("agents", [])]
        if "nextCursor" not in page:
            return ids, answer
        answer = expect(gateway.admin("GET", f"{path}&cursor={page['nextCursor']}"), OK)
    raise Violation("the pages have no end", answer)


def _keyed(gateway: Subject, path: str, key: str, body: Mapping[str, object] | None = None) -> str:
    """Send a request twice and return the id in the response, which is the same."""
    headers = {"Idempotency-Key": key}
    first = gateway.admin("POST", path, json=body, headers=headers)
    agent_id = str(first.object().get("id"))
    gateway.remember_agent(agent_id)
    again = expect(gateway.admin("POST", path, json=body, headers=headers), first.status)
    expect_that(again.object() == first.object(), "the repeated request has another response", again)
    expect_header(again, "Idempotency-Replayed", "true")
    return agent_id


def _stored(gateway: Subject, agent: Agent) -> Exchange:
    return expect(gateway.admin("GET", f"/admin/agents/{agent.id}"), OK)


def _patch(gateway: Subject, agent: Agent, **fields: object) -> Exchange:
    return gateway.admin("PATCH", f"/admin/agents/{agent.id}", json=fields)


def _revoke(gateway: Subject, agent: Agent) -> Exchange:
    return gateway.admin("DELETE", f"/admin/agents/{agent.id}")
