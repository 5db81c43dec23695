"""Wrong calls that pyright and mypy must flag, one on each marked line; checked by a test, never run."""
# pyright: strict
# ruff: noqa: T201

from collections.abc import AsyncIterator, Iterator

from meshguard import Agent, AsyncMeshGuardClient, MeshGuardClient, PolicyDecision, PolicyDeniedError
from meshguard.types import Conditions, Policy, Rule

sync_client = MeshGuardClient()
async_client = AsyncMeshGuardClient()


@sync_client.govern("write:email")
async def asynchronous(to: str) -> str:
    return to


@sync_client.govern("read:lines")
async def asynchronous_lines() -> AsyncIterator[str]:
    yield "line"


@sync_client.govern("write:email")
def governed(to: str, *, copies: int = 1) -> str:
    return to * copies


@async_client.govern("write:email")
async def agoverned(to: str) -> str:
    return to


@async_client.govern("write:email")  # wrong
def synchronous(to: str) -> str:
    return to


@async_client.govern("read:lines")  # wrong
def synchronous_lines() -> Iterator[str]:
    yield "line"


@sync_client.govern  # wrong
def without_a_call(to: str) -> str:
    return to


@async_client.govern  # wrong
async def awithout_a_call(to: str) -> str:
    return to


@sync_client.govern()  # wrong
def without_an_action(to: str) -> str:
    return to


class Mailer:
    @sync_client.govern("write:email")
    async def asend(self, to: str) -> str:
        return to

    @async_client.govern("write:email")  # wrong
    def send(self, to: str) -> str:
        return to


async def governing(client: MeshGuardClient, aclient: AsyncMeshGuardClient) -> None:
    await asynchronous("ada")  # wrong
    await Mailer().asend("ada")  # wrong
    print([line async for line in asynchronous_lines()])  # wrong
    governed(1)  # wrong
    governed("ada", copy=2)  # wrong
    print(governed("ada").decode())  # wrong
    await agoverned()  # wrong
    with aclient.govern("write:email"):  # wrong
        print("allowed")
    async with client.govern("write:email"):  # wrong
        print("allowed")
    with client.govern("write:email", explain=True):  # wrong
        print("allowed")
    with client.govern("write:email") as decision:
        print(decision.allow)  # wrong


def decisions(client: MeshGuardClient) -> None:
    client.check()  # wrong
    client.check(None)  # wrong
    client.check("read:a", context=["amount", 1])  # wrong
    client.check("read:a", context={1: "amount"})  # wrong
    client.check("read:a", {"amount": 1})  # wrong
    client.check("read:a", contxt={"amount": 1})  # wrong
    client.check("read:a", explain="yes")  # wrong
    client.enforce("read:a", explain=True)  # wrong
    client.enforce(action="read:a", resource=1)  # wrong
    client.check_many([1])  # wrong
    client.check_many([{"resource": "a"}])  # wrong
    client.check_many([{"action": "read:a", "resorce": "a"}])  # wrong
    print(client.check("read:a").explanation["summary"])  # wrong
    print(client.check("read:a")["allowed"])  # wrong


def clients(client: MeshGuardClient) -> None:
    MeshGuardClient(base_url="https://gateway.test")  # wrong
    MeshGuardClient(on_unavailable="ignore")  # wrong
    MeshGuardClient(timeout="30")  # wrong
    MeshGuardClient(http_client=object())  # wrong
    client.with_options(on_unavailable="ignore")  # wrong
    client.with_options(retries=3)  # wrong
    client.with_options(agent_token=1)  # wrong
    client.trace_id = None  # wrong
    client.tenant = "acme"  # wrong


def proxy(client: MeshGuardClient) -> None:
    client.get("/a")  # wrong
    client.get("/a", "read:a", parms={"b": 1})  # wrong
    client.post("/a", "write:a", raise_on_error=True)  # wrong
    client.request("/a", action="read:a")  # wrong
    client.delete("/a", "delete:a", timeout="1")  # wrong
    with client.stream("GET", "/a"):  # wrong
        print("open")


def administration(client: MeshGuardClient) -> None:
    client.create_agent("a", trust_tier="gold")  # wrong
    client.create_agent("a", tags=[1])  # wrong
    client.create_agent("a", metadata=["team"])  # wrong
    client.create_agent(trust_tier="verified")  # wrong
    print(client.create_agent("a")["tokn"])  # wrong
    print(client.create_agent("a").token)  # wrong
    client.update_agent("a", trust_tier="gold")  # wrong
    client.update_agent("a", status="revoked")  # wrong
    client.list_agents(status="paused")  # wrong
    client.list_agents(trust_tier="gold")  # wrong
    print(client.get_agent("a")["name"])  # wrong
    client.apply_policy(["read:*"])  # wrong
    client.get_audit_log(decision="maybe")  # wrong
    client.get_audit_log(kind="decisions")  # wrong
    client.get_audit_log(since="2026-11-22")  # wrong
    client.get_audit_log(limit="10")  # wrong
    print(client.get_audit_log()[0]["reson"])  # wrong
    client.iter_audit_log(kind="decisions")  # wrong
    client.audit_stats("30")  # wrong
    client.audit_stats(period="1y")  # wrong
    print(client.audit_stats()["allow"])  # wrong
    print(client.health()["state"])  # wrong


async def awaits(client: AsyncMeshGuardClient) -> None:
    client.enforce("read:a")  # wrong
    print(client.get_agent("a").name)  # wrong
    print(client.get_audit_log()[0])  # wrong
    for _ in client.iter_audit_log():  # wrong
        print("an entry")
    with client.stream("GET", "/a", "read:a"):  # wrong
        print("open")
    with client:  # wrong
        print("open")
    await client.create_agent("a", trust_tier="gold")  # wrong
    await client.list_agents(status="paused")  # wrong
    await client.audit_stats("1y")  # wrong
    await client.get_audit_log(decision="maybe")  # wrong
    await client.get("/a", "read:a", parms={"b": 1})  # wrong
    client.iter_audit_log(decision="maybe")  # wrong
    client.with_options(on_unavailable="ignore")  # wrong


def policies() -> None:
    Rule(effect="allow")  # wrong
    Rule(effect="allow", actions="read:*")  # wrong
    conditions: Conditions = {"context.amount": {"gtt": 5}}  # wrong
    conditions = {"context.amount": {"gt": [5]}}  # wrong
    conditions = {"context.path": {"not": {"startswith": "/etc"}}}  # wrong
    conditions = {"time": {"weekdays": ["monday"]}}  # wrong
    conditions = {"any": [{"context.amount": {"lt": 5}}, {"resource": {"equal": "a"}}]}  # wrong
    policy: Policy = {"name": "a", "rule": []}  # wrong
    policy = {"name": "a", "rules": [{"effect": "deny", "action": ["*"]}]}  # wrong
    print(conditions, policy)


def results(decision: PolicyDecision, agent: Agent, denied: PolicyDeniedError) -> None:
    decision.allowed = True  # wrong
    agent.trust_tier = "trusted"  # wrong
    PolicyDecision(allowed=True)  # wrong
    print(denied.explain)  # wrong
    print(denied.decision.reason)  # wrong
