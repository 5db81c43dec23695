"""The JSON body of a response, and whether it has the expected types."""

from __future__ import annotations

import json
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin, get_type_hints, is_typeddict

from meshguard.config import Secret
from meshguard.types import AgentFields, AuditEntry, CreatedAgent, Health, IssuedToken, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx


def parse_object(response: httpx.Response) -> dict[str, Any] | None:
    """Return the body if it is a JSON object; a token in it is hidden in its repr."""
    try:
        body = as_object(json.loads(response.content))
    except (ValueError, RecursionError):
        return None
    if body is None:
        return None
    return body | {"token": Secret(token)} if isinstance(token := body.get("token"), str) else body


def as_object(value: Any) -> dict[str, Any] | None:
    """Return a value if it is a JSON object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """Return a value if it is a JSON array."""
    return cast("list[object]", value) if isinstance(value, list) else None


def string(value: Any) -> str | None:
    """Return a value if it is a string."""
    return value if isinstance(value, str) else None


def find_mismatch(expected: Any, value: Any, path: str = "") -> str | None:
    """Describe where a JSON value differs from a type: a `TypedDict`, or what those consist of."""
    if expected is object:
        return None
    if get_origin(expected) is UnionType:
        mismatches = [find_mismatch(choice, value, path) for choice in get_args(expected)]
        return mismatches[0] if all(mismatches) else None
    if get_origin(expected) is list and (members := as_list(value)) is not None:
        item = get_args(expected)[0]
        return _first(find_mismatch(item, member, f"{path}/{at}") for at, member in enumerate(members))
    if is_typeddict(expected) and (fields := as_object(value)) is not None:
        return _find_field_mismatch(expected, fields, path)
    plain = (int, float) if expected is float else get_origin(expected) or expected
    fits = (
        not is_typeddict(expected) and isinstance(value, plain) and isinstance(value, bool) == (plain is bool)
    )
    return None if fits else f"{path or '/'} is not of type {getattr(expected, '__name__', expected)}"


def _find_field_mismatch(expected: Any, value: Mapping[str, Any], path: str) -> str | None:
    required: frozenset[str] = expected.__required_keys__
    if missing := _NEEDED.get(expected, required) - value.keys():
        return f"{path}/{min(missing)} is missing"
    return _first(
        find_mismatch(field, value[name], f"{path}/{name}")
        for name, field in _fields(expected).items()
        if name in value
    )


def _first(mismatches: Iterable[str | None]) -> str | None:
    return next(filter(None, mismatches), None)


# Gateways that are older than the contract omit some of what it requires; these fields are indispensable.
_NEEDED: dict[Any, frozenset[str]] = {
    AgentFields: frozenset({"id", "name", "trustTier"}),
    AuditEntry: frozenset({"timestamp", "action", "decision"}),
    CreatedAgent: frozenset({"id", "token"}),
    Health: frozenset({"status"}),
    IssuedToken: frozenset({"id", "token"}),
    Rule: frozenset(),
}
_fields = cache(get_type_hints)
