"""A policy that allows what was recorded, and nothing else."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 100  # of 128; a suffix may follow


def suggest_policy(actions: Iterable[str], agent: str) -> str:
    """Return a policy as YAML that allows exactly these actions, with a rule for each kind.

    Args:
        actions: At least one action, such as `read:contacts`.
        agent: The agent's name; the policy gets it too.
    """
    by_kind: dict[str, set[str]] = {}
    for action in actions:
        kind = _name(action.partition(":")[0])
        by_kind.setdefault(f"{kind}-exactly" if "*" in action else kind, set()).add(action)
    rules = [_rule(name, sorted(names)) for name, names in sorted(by_kind.items())]
    yaml = YAML(pure=True)
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096  # an action stays on its line
    text = StringIO()
    yaml.dump({"name": _name(agent), "rules": rules}, text)
    return text.getvalue()


def _rule(name: str, actions: list[str]) -> dict[str, object]:
    rule: dict[str, object] = {"name": name, "effect": "allow", "actions": actions}
    if any("*" in action for action in actions):  # a pattern, which would allow more than was recorded
        rule["conditions"] = {"action": {"in": list(actions)}}
    return rule


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("-", text).strip("-.")[:_MAX_NAME] or "recorded"
