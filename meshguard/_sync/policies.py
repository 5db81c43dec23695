# Made from meshguard/_async/policies.py by scripts/unasync; edit that file.
"""Policies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from meshguard._sync.base import ClientBase
from meshguard._wire import decisions, policies
from meshguard._wire.requests import ApiCall, segment
from meshguard._wire.responses import read_as, read_items, read_nothing, typed
from meshguard.types import Policy, PolicyValidation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshguard.types import HypotheticalAgent, PolicyDecision, PolicySource


class Policies(ClientBase):
    """The methods that administer policies.

    Args:
        policy: A mapping, JSON or YAML text, or the `pathlib.Path` of a file with such text.
        name: The policy's name.
    """

    def list_policies(self) -> list[Policy]:
        """List the active policies by name. Operation `list_policies`.

        Example:
            ```python
            for policy in client.list_policies():
                print(f"{policy['name']}: {len(policy['rules'])} rules")
            ```
        """
        read = partial(read_items, name="policies", read_item=partial(typed, Policy))
        return self._transport.send(ApiCall("list_policies", "GET", "/admin/policies", read))

    def get_policy(self, name: str) -> Policy:
        """Return an active policy. Operation `get_policy`.

        Raises:
            NotFoundError: No policy has this name.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            client.apply_policy(policy)
            print(client.get_policy("readers")["rules"])
            ```
        """
        path = f"/admin/policies/{segment('name', name)}"
        return self._transport.send(ApiCall("get_policy", "GET", path, read_as(Policy)))

    def apply_policy(self, policy: PolicySource, name: str | None = None) -> Policy:
        """Activate a policy, in place of the active one of its name. Operation `apply_policy`.

        Args:
            policy: A mapping, JSON or YAML text, or the `pathlib.Path` of a file with such text.
            name: The policy's name; read from the policy by default.

        Raises:
            InvalidRequestError: The policy has errors, listed in `details`; the active one stays.
            ConflictError: The policy has another name, or is managed in a file of the gateway.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            client.apply_policy(policy)
            ```
        """
        source = policies.document(policy)
        path = f"/admin/policies/{segment('name', name or policies.name_of(source))}"
        call = ApiCall("apply_policy", "PUT", path, read_as(Policy), policies.body(source))
        return self._transport.send(call)

    def validate_policy(self, policy: PolicySource) -> PolicyValidation:
        """Find the errors of a policy without applying it. Operation `validate_policy`.

        Args:
            policy: A mapping, JSON or YAML text, or the `pathlib.Path` of a file with such text.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "alow", "actions": ["read:*"]}]}
            validation = client.validate_policy(policy)
            print(validation["valid"], validation["errors"])
            ```
        """
        path, options = "/admin/policies/validate", policies.body(policies.document(policy))
        call = ApiCall("validate_policy", "POST", path, read_as(PolicyValidation), options)
        return self._transport.send(call)

    def test_policies(
        self,
        action: str,
        resource: str | None = None,
        *,
        agent: str | HypotheticalAgent,
        context: Mapping[str, object] | None = None,
        policy: str | None = None,
        candidate: PolicySource | None = None,
    ) -> PolicyDecision:
        """Return the decision that an agent would get, with its explanation. Operation `test_policies`.

        Nothing is recorded as an action of the agent.

        Args:
            action: The action, by convention `verb:object`.
            resource: What the action would be done to.
            agent: An agent's ID, or the fields of a hypothetical agent, such as `{"trustTier": "verified"}`.
            context: Facts about the request, as for `check`.
            policy: The name of the only policy to evaluate; all are evaluated by default.
            candidate: A policy to evaluate as if it were active, in any form that `apply_policy` takes.

        Raises:
            NotFoundError: There is no such agent or policy.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            agent = {"trustTier": "verified", "tags": ["support"]}
            decision = client.test_policies("read:contacts", agent=agent, candidate=policy)
            print(decision.allowed, decision.reason)
            ```
        """
        call = decisions.test_policies(
            action,
            resource,
            agent=agent,
            context=context,
            policy=policy,
            candidate=None if candidate is None else policies.document(candidate),
        )
        return self._transport.send(call)

    def delete_policy(self, name: str) -> None:
        """Deactivate and remove a policy. Operation `delete_policy`.

        Raises:
            NotFoundError: No policy has this name.
            ConflictError: The policy is managed in a file of the gateway.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            client.apply_policy(policy)
            client.delete_policy("readers")
            ```
        """
        path = f"/admin/policies/{segment('name', name)}"
        self._transport.send(ApiCall("delete_policy", "DELETE", path, read_nothing, retryable=False))
