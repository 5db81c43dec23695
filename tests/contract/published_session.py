"""Every call of the published `meshguard==0.1.2`, unchanged, against a real gateway.

Runs under that package's own interpreter, without pytest; prints what happened as JSON. Its one argument is
an agent id that it revokes in the end.
"""

import json
import sys
from dataclasses import asdict

from meshguard import AuthenticationError, MeshGuardClient, PolicyDeniedError


def denial(error):
    return {"action": error.action, "policy": error.policy, "rule": error.rule, "reason": error.reason}


def refused(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except PolicyDeniedError as error:
        return denial(error)
    except AuthenticationError as error:
        return str(error)
    return None


def decisions(client):
    yield "check allowed", asdict(client.check("read:contacts"))
    yield "check with resource", asdict(client.check("read:contacts", "/crm/42"))
    yield "check denied", asdict(client.check("delete:contacts"))
    yield "enforce allowed", client.enforce("read:contacts").allowed
    yield "enforce denied", refused(client.enforce, "delete:contacts")
    with client.govern("read:contacts") as decision:
        yield "govern allowed", decision.allowed
    yield "govern denied", refused(client.govern("delete:contacts").__enter__)


def proxy(client):
    got = client.get("/api/contacts", action="read:contacts")
    yield "proxy get", [got.status_code, got.json()]
    posted = client.post("/api/emails", action="write:email", json={"to": "user@example.com"})
    yield "proxy post", [posted.status_code, posted.json()]
    put = client.request("PUT", "/api/records/123", action="write:records", json={"status": "updated"})
    yield "proxy put", [put.status_code, put.json()]
    yield "proxy delete denied", refused(client.delete, "/api/contacts/1", action="delete:contacts")


def admin(client):
    yield "health", client.health()["status"]
    yield "is healthy", client.is_healthy()
    created = client.create_agent(name="from-the-field", trust_tier="trusted", tags=["production", "sales"])
    yield "create agent", sorted(created)
    listed = {agent.id: [agent.name, agent.trust_tier, agent.tags] for agent in client.list_agents()}
    yield "list agents", listed[created["id"]]
    yield "list policies", [[policy["name"], len(policy["rules"])] for policy in client.list_policies()]
    entries = client.get_audit_log(limit=3)
    yield "audit", [len(entries), all(e["timestamp"] and e["action"] and e["decision"] for e in entries)]
    denied = client.get_audit_log(limit=50, decision="deny")
    yield "audit denied", sorted({entry["action"] for entry in denied})
    yield "revoke", client.revoke_agent(created["id"])
    client.revoke_agent(sys.argv[1])
    yield "revoked", refused(client.check, "read:contacts")


with MeshGuardClient(trace_id="published-session") as client:
    steps = [*decisions(client), *proxy(client), *admin(client)]
    json.dump(dict(steps), sys.stdout)
