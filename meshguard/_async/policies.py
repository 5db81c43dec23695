"""Policies: what decisions are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from meshguard._async.base import ClientBase
from meshguard._wire.pending import awaited
from meshguard._wire.requests import ApiCall, mapping, segment, text, text_block
from meshguard._wire.responses import read_as, read_items, read_nothing, typed
from meshguard.exceptions import InvalidRequestError
from meshguard.types import Policy, PolicyValidation

_YAML_NAME = re.compile(r"^name:[ \t]+([\"']?)(?P<name>[A-Za-z0-9._-]{1,128})\1[ \t]*(?:#.*)?$", re.MULTILINE)


class Policies(ClientBase):
    """The methods that administer policies."""

    @awaited  # sync:
    async def list_policies(self) -> list[Policy]:
        """List the policies in force, by name. Operation `list_policies`.

        Returns:
            The policies; each has `name` and `rules`.

        Example:
            ```python
            for policy in await client.list_policies():
                print(f"{policy['name']}: {len(policy['rules'])} rules")
            ```
        """
        read = partial(read_items, name="policies", read_item=partial(typed, Policy))
        return await self._transport.send(ApiCall("list_policies", "GET", "/admin/policies", read))

    @awaited  # sync:
    async def get_policy(self, name: str) -> Policy:
        """Fetch one policy. Operation `get_policy`.

        Args:
            name: The policy's name.

        Returns:
            The policy as it is in force.

        Raises:
            NotFoundError: There is no such policy.
            InvalidRequestError: The name is empty, a dot segment, or holds control characters.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            await client.apply_policy(policy)
            print((await client.get_policy("readers"))["rules"])
            ```
        """
        path = f"/admin/policies/{segment('name', name)}"
        return await self._transport.send(ApiCall("get_policy", "GET", path, read_as(Policy)))

    @awaited  # sync:
    async def apply_policy(
        self, policy: Mapping[str, object] | Policy | str, name: str | None = None
    ) -> Policy:
        """Put a policy in force, in place of the one of its name. Operation `apply_policy`.

        Args:
            policy: The policy as a mapping, or as YAML text.
            name: The policy's name; read from the policy when left out. YAML text needs it unless `name:`
                starts a line of its own.

        Returns:
            The policy as it is in force now.

        Raises:
            InvalidRequestError: The policy has faults; `details` has each with its path. The one in force
                stays.
            ConflictError: The name is not the policy's, or the policy belongs to a file of the gateway.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            await client.apply_policy(policy)
            ```
        """
        path = f"/admin/policies/{segment('name', name or _name_of(policy))}"
        call = ApiCall("apply_policy", "PUT", path, read_as(Policy), _body(policy))
        return await self._transport.send(call)

    @awaited  # sync:
    async def validate_policy(self, policy: Mapping[str, object] | Policy | str) -> PolicyValidation:
        """Find the faults of a policy without applying it. Operation `validate_policy`.

        Args:
            policy: What is meant as a policy, as a mapping or as YAML text.

        Returns:
            `valid`, `errors` and `warnings`; each fault has a `path` and a `message`.

        Raises:
            InvalidRequestError: It can't be read at all.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "alow", "actions": ["read:*"]}]}
            faults = await client.validate_policy(policy)
            print(faults["errors"])
            ```
        """
        path = "/admin/policies/validate"
        call = ApiCall("validate_policy", "POST", path, read_as(PolicyValidation), _body(policy))
        return await self._transport.send(call)

    @awaited  # sync:
    async def delete_policy(self, name: str) -> None:
        """Take a policy out of force. Operation `delete_policy`.

        Args:
            name: The policy's name.

        Raises:
            NotFoundError: There is no such policy.
            ConflictError: The policy belongs to a file of the gateway.
            InvalidRequestError: The name is empty, a dot segment, or holds control characters.

        Example:
            ```python
            policy = {"name": "readers", "rules": [{"effect": "allow", "actions": ["read:*"]}]}
            await client.apply_policy(policy)
            await client.delete_policy("readers")
            ```
        """
        path = f"/admin/policies/{segment('name', name)}"
        await self._transport.send(ApiCall("delete_policy", "DELETE", path, read_nothing, retryable=False))


def _name_of(policy: Mapping[str, object] | Policy | str) -> str:
    if isinstance(policy, Mapping):
        name = policy.get("name")
    else:
        found = _YAML_NAME.search(text_block("policy", policy))
        name = found and found["name"]
    if not name:
        raise InvalidRequestError("The policy has no name that can be read from it. Pass name as well.")
    return text("name", name)


def _body(policy: Mapping[str, object] | Policy | str) -> dict[str, Any]:
    if isinstance(policy, str):
        yaml = text_block("policy", policy)
        return {"content": yaml.encode(), "headers": {"Content-Type": "application/yaml"}}
    return {"json": mapping("policy", policy)}
