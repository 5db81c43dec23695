"""Policies as callers pass them: mappings, JSON or YAML text, or files."""

from __future__ import annotations

import json
import re
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshguard._wire.requests import mapping, text, text_block
from meshguard.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshguard.types import PolicySource

_NAME = re.compile(
    r"""^(?:name|"name"|'name')[ \t]*:(?:[ \t]+|[ \t]*(?:\#.*)?\n[ \t]+)
    (["']?)(?P<name>[A-Za-z0-9._-]{1,128})\1[ \t]*(?:\#.*)?\r?$""",
    re.MULTILINE | re.VERBOSE,
)
_FLOW_NAME = re.compile(
    r"""\s*\{\s*(?:name|"name"|'name')\s*:\s*(["']?)(?P<name>[A-Za-z0-9._-]{1,128})\1\s*[,}]"""
)


def document(policy: PolicySource) -> Mapping[str, object] | str:
    """Return a policy as a mapping or as its text."""
    if isinstance(policy, PathLike):
        return text_block("policy", _contents(Path(policy)))
    return text_block("policy", policy) if isinstance(policy, str) else mapping("policy", policy)


def body(policy: Mapping[str, object] | str) -> dict[str, Any]:
    """Return the options of a call with the policy as its body."""
    if not isinstance(policy, str):
        return {"json": policy}
    kind = "yaml" if _parse_json(policy) is None else "json"
    return {"content": policy.encode(), "headers": {"Content-Type": f"application/{kind}"}}


def name_of(policy: Mapping[str, object] | str) -> str:
    """Return the name that a policy gives itself."""
    fields = _parse_json(policy) if isinstance(policy, str) else policy
    if fields is not None:
        name = fields.get("name")
    else:
        found = _FLOW_NAME.match(str(policy)) or _NAME.search(str(policy))
        name = found and found["name"]
    if name:
        return text("name", name)
    if isinstance(policy, str) and policy.endswith((".yaml", ".yml", ".json")):
        raise InvalidRequestError("Cannot read the policy: a str is its text. Pass pathlib.Path for a file.")
    raise InvalidRequestError(
        "Cannot read the policy's name: no `name` at its top level was recognized. Add it, or pass name."
    )


def _parse_json(policy: str) -> dict[str, Any] | None:
    if not policy.lstrip().startswith("{"):
        return None
    try:
        value: dict[str, Any] = json.loads(policy)
    except (ValueError, RecursionError):
        return None
    return value


def _contents(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequestError(
            f"Cannot read the policy file {path}: {error.strerror}. Check the path."
        ) from None
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"Cannot read the policy file {path}: it is not UTF-8 text. Convert it."
        ) from None
