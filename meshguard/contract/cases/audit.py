"""Cases on the audit log."""

from __future__ import annotations

import json
from typing import Any

from meshguard.contract.cases.case import case
from meshguard.contract.exchange import Exchange, Violation
from meshguard.contract.subject import (
    BAD_REQUEST,
    NO_CONTENT,
    OK,
    Agent,
    Subject,
    expect,
    expect_fields,
    expect_that,
)

_BATCH = "/api/v1/pdp/evaluate/batch"
_PAGE = 2


@case("schema Decision, auditId")
def each_decision_has_its_entry_before_the_answer_is_sent(gateway: Subject) -> None:
    """The audit entry was durable before the answer was sent: it can be read at once, and says the same."""
    reader = gateway.reader
    for thing in ("x", "secret"):
        for ask in (gateway.check, gateway.evaluate):
            answer = ask(reader.token, gateway.read(thing))
            decision = answer.object()
            entry = _entry(gateway, answer, decision)
            for name in ("action", "policy", "rule", "reason", "wouldDeny"):
                same = entry.get(name) == decision.get(name)
                expect_that(same, f"{name} is {entry.get(name)!r} in the entry", answer)
            who = (entry.get("agentId"), entry.get("agentName"), entry.get("kind"))
            expect_that(who == (reader.id, reader.name, "decision"), f"the entry is about {who}", answer)


def _entry(gateway: Subject, answer: Exchange, decision: dict[str, Any]) -> dict[str, Any]:
    for entry in gateway.entries(traceId=decision.get("traceId")):
        if entry.get("id") == decision.get("auditId"):
            return entry
    raise Violation("the decision has no audit entry", answer)


@case("evaluate_batch")
def each_decision_of_a_batch_has_an_entry_of_its_own(gateway: Subject) -> None:
    """Each decision of a batch has an audit entry of its own."""
    questions = [{"action": gateway.read(thing)} for thing in ("x", "secret", "x")]
    answer = gateway.as_agent(gateway.reader.token, "POST", _BATCH, json={"requests": questions})
    decisions = expect(answer, OK).object().get("decisions", [])
    told = [decision.get("auditId") for decision in decisions]
    trace = answer.header("x-meshguard-trace-id")
    found = {entry.get("id") for entry in gateway.entries(traceId=trace)}
    expect_that(len(set(told)) == len(questions), "the decisions share an audit entry", answer)
    expect_that(found == set(told), f"the entries are {sorted(map(str, found))}", answer)


def _busy(gateway: Subject, *things: str) -> tuple[Agent, list[str]]:
    """Let a new agent ask; returns it and the ids of the audit entries."""
    _ = gateway.reader
    agent = gateway.new_agent(name=f"{gateway.prefix}-{len(things)}")
    return agent, [_ask(gateway, agent, thing) for thing in things]


def _ask(gateway: Subject, agent: Agent, thing: str) -> str:
    return str(gateway.check(agent.token, gateway.read(thing)).object().get("auditId"))


@case("list_audit_entries, parameters")
def the_filters_of_the_log_hold(gateway: Subject) -> None:
    """Only entries that fit each filter: agent, agentId, decision, action, policy, kind, from, to."""
    agent, (first, second) = _busy(gateway, "x", "secret")
    of = f"/admin/audit?agent={agent.id}&"
    moment = _listed(gateway, f"{of}kind=decision")[0][0]["timestamp"]
    expected = {
        "kind=decision": [second, first],
        f"kind=decision&action={gateway.read('s')}*": [second],
        f"kind=decision&action={gateway.read('x')}": [first],
        f"policy={gateway.prefix}": [second, first],
        f"policy={gateway.prefix}-none": [],
        f"agentId={agent.id}&kind=decision": [second, first],
        f"agentId={agent.id}-none": [],
        "kind=decision&from=2999-01-01T00:00:00.000Z": [],
        "kind=decision&to=2000-01-01T00:00:00.000Z": [],
        f"kind=decision&from={moment}&decision=deny": [second] if gateway.mode == "enforce" else [],
        "kind=decision&decision=allow": [first] if gateway.mode == "enforce" else [second, first],
    }
    for query, ids in expected.items():
        _expect_listed(gateway, f"{of}{query}", ids)
    _expect_listed(gateway, f"/admin/audit?agent={agent.name}&kind=decision&limit=2", [second, first])


def _expect_listed(gateway: Subject, path: str, ids: list[str]) -> None:
    entries, answer = _listed(gateway, path)
    found = [entry.get("id") for entry in entries]
    expect_that(found == ids, f"listed are {found}, not {ids}", answer)


def _listed(gateway: Subject, path: str) -> tuple[list[dict[str, Any]], Exchange]:
    answer = expect(gateway.admin("GET", path), OK)
    entries = answer.object().get("entries")
    if not isinstance(entries, list):
        raise Violation("the answer has no list of entries", answer)
    return entries, answer


@case("list_audit_entries")
def pages_do_not_shift_while_entries_arrive(gateway: Subject) -> None:
    """Entries that arrive while one pages do not shift the pages; none comes twice, none is left out."""
    agent, made = _busy(gateway, "1", "2", "3", "4", "5")
    path = f"/admin/audit?agent={agent.id}&kind=decision&limit={_PAGE}"
    found: list[str] = []
    answer = expect(gateway.admin("GET", path), OK)
    for _ in range(len(made)):
        page = answer.object()
        found += [str(entry.get("id")) for entry in page.get("entries", [])]
        if "nextCursor" not in page:
            break
        _ask(gateway, agent, "later")
        answer = expect(gateway.admin("GET", f"{path}&cursor={page['nextCursor']}"), OK)
    expect_that(found == made[::-1], f"the pages hold {found}, not {made[::-1]}", answer)


@case("list_audit_entries, parameters")
def a_bad_filter_is_refused(gateway: Subject) -> None:
    """A limit outside 1 to 1000, a cursor, moment or decision that is none: 400, not ignored."""
    for query in ("limit=0", "limit=1001", "cursor=x", "from=yesterday", "decision=maybe", "kind=x"):
        expect_fields(
            expect(gateway.admin("GET", f"/admin/audit?{query}"), BAD_REQUEST), error="invalid_request"
        )


@case("export_audit_entries")
def the_export_holds_what_the_list_holds_oldest_first(gateway: Subject) -> None:
    """The export holds the same entries as the list, a JSON object a line, oldest first."""
    agent, _ = _busy(gateway, "x", "secret", "y")
    entries, _ = _listed(gateway, f"/admin/audit?agent={agent.id}")
    answer = expect(gateway.admin("GET", f"/admin/audit/export?agent={agent.id}"), OK)
    try:
        lines = [json.loads(line) for line in answer.body.splitlines()]
    except ValueError:
        raise Violation("a line of the export is no JSON", answer) from None
    expect_that(lines == entries[::-1], "the lines are not the entries of the list, oldest first", answer)


@case("verify_audit_log")
def the_log_verifies(gateway: Subject) -> None:
    """The audit log is whole and unaltered, and its heads are told."""
    _busy(gateway, "x")
    answer = expect(gateway.admin("GET", "/admin/audit/verify"), OK)
    found = expect_fields(answer, valid=True, firstBroken=None)
    expect_that(bool(found.get("heads")), "there are no heads", answer)


@case("get_audit_stats")
def the_statistics_add_up(gateway: Subject) -> None:
    """The decisions of a period are counted: those allowed and those denied are all."""
    _busy(gateway, "x")
    answer = expect(gateway.admin("GET", "/admin/audit/stats?period=7d"), OK)
    found = expect_fields(answer, period="7d")
    total = found.get("allowed", 0) + found.get("denied", 0)
    expect_that(found.get("total") == total > 0, "allowed and denied are not the total", answer)


@case("schema AuditEntry, kind admin")
def changes_by_administrators_are_recorded_without_secrets(gateway: Subject) -> None:
    """Creation, update with old and new values, new token and revocation of an agent are entries too."""
    agent = gateway.new_agent(trustTier="trusted")
    expect(gateway.admin("PATCH", f"/admin/agents/{agent.id}", json={"trustTier": "verified"}), OK)
    issued = expect(gateway.admin("POST", f"/admin/agents/{agent.id}/token"), OK).object()
    expect(gateway.admin("DELETE", f"/admin/agents/{agent.id}"), NO_CONTENT)
    entries, answer = _listed(gateway, f"/admin/audit?agent={agent.id}&kind=admin")
    expect_that(len(entries) == 4, f"{len(entries)} entries, not 4", answer)  # noqa: PLR2004 - four changes
    changes = json.dumps([entry.get("changes") for entry in entries])
    both = "trusted" in changes and "verified" in changes
    expect_that(both, "no entry has the old and the new tier", answer)
    secret = any(token.encode() in answer.body for token in (agent.token, str(issued.get("token"))))
    expect_that(not secret, "an entry holds a token", answer)
