"""The gateway under test: how it is asked, and what was put into it for the tests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from time import sleep
from typing import TYPE_CHECKING, Any

import httpx

from meshguard.config import is_loopback
from meshguard.contract.document import load_document
from meshguard.contract.exchange import Exchange, Violation

if TYPE_CHECKING:
    from typing import Self

OK, CREATED, NO_CONTENT = 200, 201, 204
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED = 400, 401, 403, 404, 405
CONFLICT, TOO_LARGE, TOO_MANY, BAD_GATEWAY = 409, 413, 429, 502

_PATIENCE = 61  # seconds that a 429 may ask us to wait
_TIMEOUT = 120.0  # seconds; to verify a long audit log takes a while
_REASON = "Secrets are off limits"


class UnusableError(Exception):
    """The tests can't be run: the gateway can't be reached, or does not take the admin token."""


class Skipped(Exception):  # noqa: N818 - no error at all
    """A case does not concern this gateway; the text says why."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent made for the tests."""

    id: str
    name: str
    token: str


class Subject:
    """A running gateway, an administrator of it, and what the tests put into it.

    Whatever is made bears the prefix in its name, and the policies apply to agents with the prefix as a tag,
    so that nobody else is concerned. `clean_up` takes it away again.

    Args:
        url: Where the gateway answers.
        admin_token: Its admin token.
        settle: Seconds to wait after a change, where several gateways answer at this URL.
    """

    def __init__(self, url: str, admin_token: str, settle: float = 0.0) -> None:
        self.url = url.rstrip("/")
        self.admin_token = admin_token
        self.prefix = f"contract-{secrets.token_hex(5)}"
        self.faults: dict[tuple[str, int, str], Exchange] = {}
        self.requests = 0
        self.health: dict[str, Any] = {}
        self._settle = settle
        self._agents: dict[str, None] = {}
        self._policies: dict[str, None] = {}
        # A gateway on this machine is not reached through a proxy, which would see the token.
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=not _is_local(self.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def connect(self) -> None:
        """Find out whether the tests can be run.

        Raises:
            UnusableError: They can't.
        """
        try:
            health = self._client.get("/health")
            listed = self._client.get("/admin/agents?limit=1", headers={"X-Admin-Token": self.admin_token})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnusableError(
                f"{self.url} can't be reached ({type(error).__name__}); is it running?"
            ) from None
        except UnicodeError:
            raise UnusableError("The admin token has characters that no header can carry.") from None
        try:
            self.health = dict(health.json())
        except (ValueError, TypeError):
            raise UnusableError(f"What answers at {self.url}/health is not a MeshGuard gateway.") from None
        if listed.status_code == UNAUTHORIZED:
            raise UnusableError("The gateway refuses the admin token; give it with --admin-token.")

    @property
    def mode(self) -> str:
        """`enforce` or `audit`, as the gateway says."""
        return str(self.health.get("mode", "enforce"))

    def send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **content: Any
    ) -> Exchange:
        """Send a request with no credential but those among the headers.

        What in the answer does not fit openapi.yaml is kept in `faults`.

        Args:
            method: The method.
            path: The path and query, percent-encoded.
            headers: Its headers.
            **content: `json=` or `content=`, as httpx has it.

        Raises:
            Violation: No answer came.
        """
        exchange = self._exchange(method, path, headers, content)
        for _ in range(3):
            wait = exchange.header("retry-after") or ""
            if exchange.status != TOO_MANY or not wait.isdigit() or int(wait) > _PATIENCE:
                break
            sleep(int(wait))
            exchange = self._exchange(method, path, headers, content)
        return exchange

    def _exchange(self, method: str, path: str, headers: Any, content: dict[str, Any]) -> Exchange:
        self.requests += 1
        try:
            exchange = Exchange.of(self._client.request(method, path, headers=headers, **content))
        except httpx.HTTPError as error:
            sent = Exchange(method, f"{self.url}{path}", tuple((headers or {}).items()), b"", 0, (), b"")
            raise Violation(f"no answer came ({type(error).__name__})", sent) from None
        operation = load_document().find(method, path.partition("?")[0])
        if operation:
            for fault in operation.response_faults(exchange):
                self.faults.setdefault((operation.id, exchange.status, fault), exchange)
        return exchange

    def admin(self, method: str, path: str, **content: Any) -> Exchange:
        """Send a request as the administrator; wait for a change to settle."""
        headers = {"X-Admin-Token": self.admin_token, **content.pop("headers", {})}
        exchange = self.send(method, path, headers=headers, **content)
        if method != "GET" and self._settle:
            sleep(self._settle)
        return exchange

    def as_agent(self, token: str, method: str, path: str, **content: Any) -> Exchange:
        """Send a request with an agent's token."""
        headers = {"Authorization": f"Bearer {token}", **content.pop("headers", {})}
        return self.send(method, path, headers=headers, **content)

    def check(self, token: str, action: str, **headers: str) -> Exchange:
        """Ask `check_action`; further headers as `X_Trace_ID="..."`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.as_agent(token, "GET", "/proxy/check", headers={"X-MeshGuard-Action": action, **named})

    def evaluate(self, token: str, action: str, **fields: Any) -> Exchange:
        """Ask `evaluate`."""
        return self.as_agent(token, "POST", "/api/v1/pdp/evaluate", json={"action": action, **fields})

    def new_agent(self, **fields: Any) -> Agent:
        """Make an agent to which the tests' policy applies.

        Raises:
            Violation: It can't be made.
        """
        body = {"name": self.prefix, "tags": [self.prefix], **fields}
        exchange = expect(self.admin("POST", "/admin/agents", json=body), CREATED)
        created = exchange.object()
        if not all(isinstance(created.get(name), str) for name in ("id", "name", "token")):
            raise Violation("the answer lacks id, name or token", exchange)
        self.remember_agent(created["id"])
        return Agent(created["id"], created["name"], created["token"])

    def apply(self, policy: dict[str, Any], status: int = CREATED) -> Exchange:
        """Put a policy in force, which is taken away in the end."""
        self.remember_policy(policy["name"])
        return expect(self.admin("PUT", f"/admin/policies/{policy['name']}", json=policy), status)

    def new_policy(self, name: str, *rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Return a policy for the agents with a tag of its own, `<prefix>-<name>`."""
        own = f"{self.prefix}-{name}"
        return {"name": own, "appliesTo": {"tags": [own]}, "rules": list(rules), **fields}

    @cached_property
    def reader(self) -> Agent:
        """An agent that may read, but no secrets."""
        rules = [
            {"name": "reads", "effect": "allow", "actions": [self.read("*")]},
            {"name": "secrets", "effect": "deny", "actions": [self.read("secret*")], "reason": _REASON},
        ]
        self.apply({"name": self.prefix, "appliesTo": {"tags": [self.prefix]}, "rules": rules})
        return self.new_agent()

    def read(self, thing: str) -> str:
        """Return the action that is to read a thing; `secret` is what no agent of the tests may read."""
        return f"read:{self.prefix}/{thing}"

    def trace(self) -> str:
        """Return a new trace id."""
        return f"{self.prefix}-{secrets.token_hex(8)}"

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        """Return a page of audit entries.

        Raises:
            Violation: There is none.
        """
        exchange = expect(self.admin("GET", f"/admin/audit?{httpx.QueryParams(query)}"), OK)
        entries = exchange.object().get("entries")
        if not isinstance(entries, list):
            raise Violation("the answer has no list of entries", exchange)
        return entries

    def needs_mode(self, mode: str) -> None:
        """Skip the case in another mode.

        Raises:
            Skipped: The gateway is in another mode.
        """
        if self.mode != mode:
            raise Skipped(f"the gateway is in mode {self.mode}, this is about mode {mode}")

    def remember_agent(self, agent_id: str) -> None:
        """Revoke an agent in the end."""
        self._agents[agent_id] = None

    def remember_policy(self, name: str) -> None:
        """Delete a policy in the end."""
        self._policies[name] = None

    def clean_up(self) -> list[str]:
        """Take away what was made; returns the paths of what could not be."""
        paths = [f"/admin/policies/{name}" for name in self._policies]
        paths += [f"/admin/agents/{agent_id}" for agent_id in self._agents]
        self._agents, self._policies = {}, {}
        return [path for path in paths if not self._removed(path)]

    def _removed(self, path: str) -> bool:
        try:
            answer = self._client.delete(path, headers={"X-Admin-Token": self.admin_token})
        except httpx.HTTPError:
            return False
        return answer.is_success or answer.status_code == NOT_FOUND


def expect(exchange: Exchange, status: int) -> Exchange:
    """Return the exchange, which has this status.

    Raises:
        Violation: It has another.
    """
    if exchange.status != status:
        raise Violation(f"status {exchange.status}, not {status}", exchange)
    return exchange


def expect_that(holds: bool, wrong: str, exchange: Exchange | None = None) -> None:
    """Go on when something holds.

    Raises:
        Violation: It does not; the sentence says what is wrong.
    """
    if not holds:
        raise Violation(wrong, exchange)


def expect_fields(exchange: Exchange, **fields: Any) -> dict[str, Any]:
    """Return the JSON object in the answer, which has these values; None stands for an absent field.

    Raises:
        Violation: It has others.
    """
    found = exchange.object()
    for name, value in fields.items():
        if found.get(name) != value:
            raise Violation(f"{name} is {found.get(name)!r}, not {value!r}", exchange)
    return found


def expect_header(exchange: Exchange, name: str, value: str | None) -> None:
    """Go on when a header of the answer has this value; None stands for an absent one.

    Raises:
        Violation: It has not.
    """
    found = exchange.header(name)
    if found != value:
        state = "is missing" if found is None else f"is {found!r}"
        raise Violation(f"the header {name} {state}, not {value!r}", exchange)


def expect_allowed(exchange: Exchange) -> dict[str, Any]:
    """Return the decision, which allows.

    Raises:
        Violation: It does not.
    """
    found = expect_fields(expect(exchange, OK), decision="allow", allowed=True)
    if found.get("wouldDeny"):
        raise Violation("wouldDeny is true for what policy allows", exchange)
    return found


def is_denied(exchange: Exchange) -> bool:
    """Whether policy denies; in mode `audit` the answer is an allowance with `wouldDeny`."""
    if exchange.status == FORBIDDEN:
        return True
    found = expect(exchange, OK).object()
    return found.get("decision") == "deny" or found.get("wouldDeny") is True


def expect_denied(exchange: Exchange) -> dict[str, Any]:
    """Return the body of a denial, which in mode `audit` is an allowance with `wouldDeny`.

    Raises:
        Violation: It is no denial.
    """
    expect_that(is_denied(exchange), "what policy denies is allowed", exchange)
    return exchange.object()


def _is_local(url: str) -> bool:
    try:
        return is_loopback(url)
    except httpx.InvalidURL:
        return False  # which `connect` reports
