"""Requests made up from the schema: schemathesis, all its checks, and what it has to know of this contract.

Hooks leave out the few requests about which a schema can't say whether they are valid, and say why. One check
is off for `get_agent`: "use after free" takes a DELETE for the end of a resource, but a revoked agent's record
stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import schemathesis
from schemathesis.config import SchemathesisConfig

from meshguard.contract.document import location
from meshguard.policy import PolicyLoadError, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POLICY_OPERATIONS = {"apply_policy", "test_policies"}
_HUGE = 20_000  # characters; the loader limits how many keys and values a YAML text has, a schema can't
_KEPT_AFTER_DELETE = {
    "include-operation-id": "get_agent",
    "checks": {"use_after_free": {"enabled": False}},
}


def contract_schema(headers_for: Callable[[str], Mapping[str, str]], **config: Any) -> Any:
    """Return the contract as a schema of schemathesis, with the hooks that it needs.

    Args:
        headers_for: Gives the headers of a credential, `agentToken` or `adminToken`.
        **config: Further configuration of schemathesis, such as `{"base-url": ...}`.

    Returns:
        The schema: parametrize a test with it, give it an `app`, or run the engine on it.
    """
    settings = SchemathesisConfig.from_dict({"operations": [_KEPT_AFTER_DELETE], **config})
    schema = schemathesis.openapi.from_path(location(), config=settings)
    schema.auth(refresh_interval=None)(_credentials(headers_for))
    schema.hook(filter_path_parameters)
    schema.hook(filter_case)
    return schema


def _credentials(headers_for: Callable[[str], Mapping[str, str]]) -> type:
    class Credentials:
        """The credential that the operation declares."""

        def get(self, case: Any, _: schemathesis.AuthContext) -> Mapping[str, str]:
            options = case.operation.definition.raw.get("security", [])
            return {
                name: text for option in options for name, text in headers_for(next(iter(option))).items()
            }

        def set(self, case: Any, data: Mapping[str, str], _: schemathesis.AuthContext) -> None:
            case.headers.update(data)

    return Credentials


def filter_path_parameters(_: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> bool:
    """Leave out paths that are percent-encoded twice: what they decode to says whether they are refused."""
    return not re.search("%[0-9A-Fa-f]{2}", str((path_parameters or {}).get("path")))


def filter_case(_: schemathesis.HookContext, case: Any) -> bool:
    """Leave out policies of which a schema can't say whether they are valid.

    Such as rules that share a name, or a time window that is empty; and YAML that is no object, which
    `validate_policy` answers with 200. That schema and loader agree on the rest is tested with the loader.
    """
    operation = case.operation.definition.raw["operationId"]
    if operation == "validate_policy":
        return case.media_type != "application/yaml" or isinstance(case.body, dict)
    if operation not in _POLICY_OPERATIONS or case.meta.generation.mode.is_negative:
        return True
    policy = case.body if operation == "apply_policy" else case.body.get("candidate")
    return policy is None or (_loads(policy) and len(repr(policy)) < _HUGE)


def _loads(policy: Any) -> bool:
    try:
        load_policy(policy)
    except PolicyLoadError:
        return False
    return True
