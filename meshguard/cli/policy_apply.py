"""Applying policies to a gateway: the plan, its diff, and all changes or none."""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from meshguard import MeshGuardError, NotFoundError
from meshguard.cli.errors import CommandError, code_of
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.output import tracked, write, write_note
from meshguard.cli.policy_files import load_all
from meshguard.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from meshguard import MeshGuardClient

Document = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A policy that differs from the active one; `before` is None for a new policy."""

    name: str
    before: Document | None
    after: Document

    def diff(self) -> list[str]:
        """Return the difference as lines of a unified diff."""
        old = [] if self.before is None else to_yaml(self.before).splitlines()
        header = (self.name if old else "/dev/null", self.name)
        return list(difflib.unified_diff(old, to_yaml(self.after).splitlines(), *header, lineterm=""))


@dataclass(frozen=True)
class Plan:
    """The changes of `policy apply`, and the names of the policies that stay as they are."""

    changes: list[Change]
    unchanged: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        changes = [
            {
                "name": change.name,
                "change": "created" if change.before is None else "updated",
                "diff": "\n".join(change.diff()),
            }
            for change in self.changes
        ]
        return {"changes": changes, "unchanged": self.unchanged}


def to_yaml(document: Document) -> str:
    """Return a policy as YAML; what could control a terminal is escaped."""
    text = _dump(document, unicode=True)
    is_safe = all(char.isprintable() or char == "\n" for char in text)
    return text if is_safe else _dump(document, unicode=False)


def _dump(document: Document, *, unicode: bool) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.allow_unicode = unicode
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def make_plan(client: MeshGuardClient, paths: Sequence[Path]) -> Plan:
    """Load and validate policies, and compare them with the active ones.

    Args:
        client: An administrator's client.
        paths: Files and folders.

    Raises:
        CommandError: A policy is invalid, or has no file; the gateway is not changed.
    """
    loaded = load_all(paths)
    names = loaded.keys() & {policy["name"] for policy in client.list_policies()}
    # The list has an id for every policy and rule; only this call returns a policy as it was applied.
    active: dict[str, Document] = {name: _document(client.get_policy(name)) for name in names}
    changes = [
        Change(name, active.get(name), document)
        for name, document in loaded.items()
        if active.get(name) != document
    ]
    _validate(client, changes)
    return Plan(changes, [name for name, document in loaded.items() if active.get(name) == document])


def _document(policy: Any) -> Document:
    return {key: value for key, value in policy.items() if value is not None}


def _validate(client: MeshGuardClient, changes: Iterable[Change]) -> None:
    errors: list[str] = []
    for change in tracked(changes, "Validating"):
        found = client.validate_policy(change.after)
        errors += [f"{change.name}: {error['path']}: {error['message']}" for error in found["errors"]]
        for warning in found["warnings"]:
            write_note(f"⚠ {change.name}: {warning['path']}: {warning['message']}")
    if errors:
        raise CommandError(
            f"Cannot apply the policies: {'; '.join(errors)}. Nothing was changed.", ExitCode.NO
        )


def write_plan(plan: Plan) -> None:
    """Write the changes as diffs."""
    for change in plan.changes:
        for line in change.diff():
            write(line, _style(line))
    for name in plan.unchanged:
        write(f"= {name} is active already", "dim")


def _style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def apply_plan(client: MeshGuardClient, plan: Plan) -> None:
    """Apply all changes; when one fails, restore the policies that were active before.

    Args:
        client: An administrator's client.
        plan: The changes.

    Raises:
        CommandError: A policy was not applied; the message names the policies that could not be restored.
    """
    tried: list[Change] = []
    try:
        for change in tracked(plan.changes, "Applying", len(plan.changes)):
            tried.append(change)
            client.apply_policy(change.after)
    except (MeshGuardError, KeyboardInterrupt) as error:
        lost = _restore(client, tried)
        raise _failure(tried[-1].name, error, lost) from None


def write_applied(plan: Plan) -> None:
    """Write the policies that were applied."""
    for change in plan.changes:
        write(f"✓ {'Created' if change.before is None else 'Updated'} {change.name}")


def _restore(client: MeshGuardClient, changes: list[Change]) -> list[str]:
    """Undo changes, the last one first, and return the names of those that stayed."""
    lost = []
    for change in reversed(changes):
        try:
            if change.before is not None:
                client.apply_policy(change.before)
            else:
                client.delete_policy(change.name)
        except NotFoundError:
            continue  # it was not created
        except MeshGuardError:
            lost.append(change.name)
    return lost


def _failure(name: str, error: BaseException, lost: list[str]) -> CommandError:
    if isinstance(error, MeshGuardError):
        cause, code = str(error), code_of(error)
    else:
        cause, code = "Interrupted.", ExitCode.INTERRUPTED
    state = "No policy was changed."
    if lost:
        names = ", ".join(printable(name) for name in lost)
        state = (
            f"Not restored: {names}. Compare them with `meshguard policy show NAME`, and apply them again."
        )
    return CommandError(f"Cannot apply {printable(name)}: {cause} {state}", code)
