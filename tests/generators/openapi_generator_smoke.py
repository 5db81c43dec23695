"""The main calls with a client from openapi-generator; runs in an environment with that client."""

import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import meshguard_openapi as api
from meshguard_openapi.exceptions import ApiException

URL = os.environ["GATEWAY_URL"]


def client(**credentials: str) -> api.ApiClient:
    configuration = api.Configuration(host=URL, **credentials)
    configuration.datetime_format = "%Y-%m-%dT%H:%M:%S.%fZ"  # of times in UTC; its own is not RFC 3339
    return api.ApiClient(configuration)


def failure(call: Callable[..., Any], *arguments: Any, **options: Any) -> ApiException:
    """Return the error that a call raises."""
    try:
        call(*arguments, **options)
    except ApiException as error:
        return error
    raise AssertionError("no error")


admin = client(api_key={"adminToken": os.environ["ADMIN_TOKEN"]})
agents = api.AgentsApi(admin)
created = agents.create_agent(
    api.CreateAgentRequest(
        name="python", trust_tier=api.TrustTier.VERIFIED, tags=["support"], metadata={"team": "sales"}
    )
)
assert created.created_at < created.expires_at
assert created.created_at.utcoffset() == timedelta(0)
agent = client(access_token=created.token)

# decisions
decisions = api.DecisionsApi(agent)
assert decisions.check_action("read:contacts").decision == "allow"
denial = failure(decisions.check_action, "write:contacts")
assert (denial.status, denial.data.reason) == (403, json.loads(denial.body)["reason"])
evaluated = decisions.evaluate(
    api.EvaluateRequest(action="write:refund", context={"amount": 40}, explain=True)
)
assert evaluated.allowed is False

# policies, with every kind of condition
policies = api.PoliciesApi(admin)
conditions = {
    "resource": {"startsWith": "order-", "not": {"endsWith": ".key"}},
    "trustTier": ["verified", "trusted"],
    "tags": "support",
    "time": {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
    "any": [{"context.currency": "EUR"}, {"metadata.team": {"in": ["sales"]}}],
    "context.amount": {"gt": 0, "lte": 100},
}
policy = {
    "name": "refunds",
    "appliesTo": {"tags": ["support"]},
    "rules": [{"name": "small", "effect": "allow", "actions": ["write:refund"], "conditions": conditions}],
}
typed = api.Policy.from_dict(policy)
assert typed.to_dict() == policy
assert typed.rules[0].conditions.trust_tier.actual_instance == ["verified", "trusted"]
policies.apply_policy("refunds", typed)
stored = policies.get_policy("refunds")
assert stored.rules[0].conditions.resource.actual_instance.starts_with.actual_instance == "order-"
refund = api.EvaluateRequest(action="write:refund", resource="order-1", context={"amount": 40})
assert decisions.evaluate(refund).rule == "small"
assert policies.validate_policy({"name": "x"}).valid is False
other = failure(policies.apply_policy, "other", typed)
assert (other.status, other.data.error) == (409, "conflict")
test = api.TestPoliciesRequest(agent_id=created.id, action="read:a")
assert len(policies.test_policies(test).explanation.policies) == 2

# audit
since = created.created_at - timedelta(seconds=1)
page = api.AuditApi(admin).list_audit_entries(agent=created.id, kind="decision", var_from=since)
assert len(page.entries) == 4
assert all(entry.timestamp >= since for entry in page.entries)

# the proxy: a query, a body of JSON or another type, the upstream's own errors, and a denial
proxy = api.ProxyApi(agent)
query = {"page": api.UpstreamQueryValue("2"), "tag": api.UpstreamQueryValue(["new", "vip"])}
read = {"x_mesh_guard_action": "read:files"}
echo = json.loads(proxy.proxy_post("files/echo", query=query, body={"name": "Ada"}, **read))
assert echo["query"] == [["page", "2"], ["tag", "new"], ["tag", "vip"]], echo
assert (echo["type"], json.loads(echo["body"])) == ("application/json", {"name": "Ada"})
text = json.loads(proxy.proxy_post("files/echo", body=b"a,b\n", _content_type="text/csv", **read))
assert (text["type"], text["body"]) == ("text/csv", "a,b\n")
for path, status, body in (
    ("files/rejected", 403, b'{"detail":"not yours"}'),
    ("files/busy", 429, b"slow down"),
):
    error = failure(proxy.proxy_get, path, **read)
    assert (error.status, error.data) == (status, body)
    assert error.headers["X-MeshGuard-Decision"] == "allow"
denial = failure(proxy.proxy_get, "files/echo", x_mesh_guard_action="delete:files")
assert (denial.status, denial.headers["X-MeshGuard-Decision"]) == (403, "deny")
assert api.Denial.from_json(denial.data.decode()).action == "delete:files"

agents.revoke_agent(created.id)
assert api.SystemApi(client()).get_health().status == "healthy"
sys.stdout.write("passed\n")
