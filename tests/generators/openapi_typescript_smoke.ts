// The main calls with a client from openapi-typescript and openapi-fetch; compiled with --strict.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const baseUrl = process.env.GATEWAY_URL!;
const admin = createClient<paths>({ baseUrl, headers: { "X-Admin-Token": process.env.ADMIN_TOKEN! } });

const created = await admin.POST("/admin/agents", {
  body: { name: "typescript", trustTier: "verified", tags: ["support"], metadata: { team: "sales" } },
});
assert(created.data);
assert(new Date(created.data.createdAt) <= new Date(created.data.expiresAt));
const agentId = created.data.id;
const agent = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${created.data.token}` } });

// decisions
const allowed = await agent.GET("/proxy/check", { params: { header: { "X-MeshGuard-Action": "read:contacts" } } });
assert.equal(allowed.data?.decision, "allow");
const denied = await agent.GET("/proxy/check", { params: { header: { "X-MeshGuard-Action": "write:contacts" } } });
assert.equal(denied.response.status, 403);
assert(denied.error && "reason" in denied.error);
const evaluated = await agent.POST("/api/v1/pdp/evaluate", {
  body: { action: "write:refund", context: { amount: 40 }, explain: true },
});
assert.equal(evaluated.data?.allowed, false);

// policies, with every kind of condition
const conditions: components["schemas"]["Conditions"] = {
  resource: { startsWith: "order-", not: { endsWith: ".key" } },
  trustTier: ["verified", "trusted"],
  tags: "support",
  time: { weekdays: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
  any: [{ "context.currency": "EUR" }, { "metadata.team": { in: ["sales"] } }],
  "context.amount": { gt: 0, lte: 100 },
};
const policy: components["schemas"]["Policy"] = {
  name: "refunds",
  appliesTo: { tags: ["support"] },
  rules: [{ name: "small", effect: "allow", actions: ["write:refund"], conditions }],
};
const applied = await admin.PUT("/admin/policies/{name}", { params: { path: { name: "refunds" } }, body: policy });
assert.equal(applied.response.status, 201);
const stored = await admin.GET("/admin/policies/{name}", { params: { path: { name: "refunds" } } });
assert.deepEqual(stored.data?.rules[0]?.conditions?.["context.amount"], { gt: 0, lte: 100 });
const refund = await agent.POST("/api/v1/pdp/evaluate", {
  body: { action: "write:refund", resource: "order-1", context: { amount: 40 } },
});
assert.equal(refund.data?.rule, "small");
const validated = await admin.POST("/admin/policies/validate", { body: { name: "x" } });
assert.equal(validated.data?.valid, false);
const tested = await admin.POST("/admin/policies/test", { body: { agentId, action: "read:a" } });
assert.equal(tested.data?.explanation.policies.length, 2);

// audit
const from = new Date(Date.parse(created.data.createdAt) - 1000).toISOString();
const page = await admin.GET("/admin/audit", { params: { query: { agent: agentId, kind: "decision", from } } });
assert.equal(page.data?.entries.length, 4);
assert(page.data.entries.every((entry) => new Date(entry.timestamp) >= new Date(from)));

// the proxy: a query, a body of JSON, the upstream's own 403, and a denial
const headers = { "X-MeshGuard-Action": "read:files" };
const echoed = await agent.POST("/proxy/{path}", {
  params: { path: { path: "files/echo" }, query: { query: { page: "2", tag: ["new", "vip"] } }, header: headers },
  body: { name: "Ada" },
  querySerializer: ({ query = {} }) =>
    String(new URLSearchParams(Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, one])))),
});
const echo = echoed.data as unknown as { query: string[][]; type: string; body: string }; // parsed as JSON
assert.deepEqual(echo.query, [["page", "2"], ["tag", "new"], ["tag", "vip"]]);
assert.equal(echo.type, "application/json");
assert.equal(echo.body, '{"name":"Ada"}');
const rejected = await agent.GET("/proxy/{path}", {
  params: { path: { path: "files/rejected" }, header: headers },
  parseAs: "text",
});
assert.equal(rejected.response.status, 403);
assert.equal(rejected.response.headers.get("X-MeshGuard-Decision"), "allow");
const refused = await agent.GET("/proxy/{path}", {
  params: { path: { path: "files/echo" }, header: { "X-MeshGuard-Action": "delete:files" } },
});
assert.equal(refused.response.status, 403);
assert.equal(refused.response.headers.get("X-MeshGuard-Decision"), "deny");

const revoked = await admin.DELETE("/admin/agents/{agentId}", { params: { path: { agentId } } });
assert.equal(revoked.response.status, 204);
const health = await admin.GET("/health");
assert.equal(health.data?.status, "healthy");
console.log("passed");
