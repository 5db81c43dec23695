"""A value of a policy's source, its path, and where faults about it go."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from meshguard.policy import vocabulary as words
from meshguard.policy.faults import MAX_FAULTS, Fault, did_you_mean, pointer_part, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshguard.policy.source import Entry, Node

T = TypeVar("T")


class Place:
    """A value of the source, its path, and where faults about it go."""

    def __init__(self, node: Node, path: str, faults: list[Fault]) -> None:
        self.node = node
        self.path = path
        self._faults = faults

    def fault(self, message: str, *, key: str | None = None, at: Entry | None = None) -> None:
        """Note a fault here, or at a key of this object."""
        where = at or self.node
        path = self.path if key is None else f"{self.path}/{pointer_part(key)}"
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(path, message, None, where.line, where.column))

    def child(self, key: str | int, node: Node) -> Place:
        """Return the place of a member."""
        return Place(node, f"{self.path}/{pointer_part(str(key))}", self._faults)

    def scalar(self) -> object:
        """Return the scalar here; None, and a fault, for one that can't be taken as it stands."""
        if self.node.fault:
            self.fault(self.node.fault)
        return self.node.value

    def members(self, known: Iterable[str] | None, what: str) -> dict[str, Place] | None:
        """Return the members of the object here by key; with faults for unknown and doubled keys."""
        if self.node.entries is None:
            self.wrong_type("an object")
            return None
        found: dict[str, Place] = {}
        for entry in self.node.entries:
            if words.SURROGATE.search(entry.key):
                self.fault("a key with broken Unicode", at=entry)
            elif entry.key in found:
                self.fault(f"the key {quoted(entry.key)} is given twice", key=entry.key, at=entry)
            elif known is not None and entry.key not in known:
                hint = did_you_mean(entry.key, known)
                self.fault(f"{quoted(entry.key)} is not a key of {what}: {hint}", key=entry.key, at=entry)
            else:
                found[entry.key] = self.child(entry.key, entry.node)
        return found

    def list_of(self, read: Callable[[Place], T | None], limit: int = words.MAX_LIST) -> tuple[T, ...] | None:
        """Return the members of the list here, which must have one at least."""
        items = self.node.items
        if items is None:
            self.wrong_type("a list")
            return None
        if not 1 <= len(items) <= limit:
            self.fault("the list is empty" if not items else f"a list of more than {limit:,}")
            return None
        values = [read(self.child(index, item)) for index, item in enumerate(items)]
        return tuple(value for value in values if value is not None)

    def wrong_type(self, wanted: str) -> None:
        """Note that something else is wanted here."""
        if self.node.fault:
            self.fault(self.node.fault)
        else:
            self.fault(f"{wanted} is wanted here, not {_kind(self.node)}{_quoting_hint(self.node, wanted)}")

    def text(self, limit: int = words.MAX_TEXT, *, least: int = 0) -> str | None:
        """Return the text here, when its length is within limits and its Unicode sound."""
        value = self.node.value
        if not isinstance(value, str):
            self.wrong_type("a text")
        elif not least <= len(value) <= limit:
            self.fault("the text is empty" if not value else f"a text of more than {limit:,} characters")
        elif words.SURROGATE.search(value):
            self.fault("a text with broken Unicode")
        else:
            return value
        return None

    def line(self, limit: int = words.MAX_NAME, *, least: int = 1) -> str | None:
        """Return the text here, when it has no control characters either."""
        value = self.text(limit, least=least)
        if value is not None and words.CONTROL.search(value):
            self.fault("a text with control characters")
            return None
        return value

    def word(self, known: tuple[str, ...], what: str) -> str | None:
        """Return the text here, when it is one of the known words."""
        value = self.node.value
        if not isinstance(value, str):
            self.wrong_type("a text")
        elif value not in known:
            self.fault(f"{quoted(value)} is not {what}: {did_you_mean(value, known)}")
        else:
            return value
        return None

    def boolean(self) -> bool | None:
        """Return the boolean here."""
        if isinstance(self.node.value, bool):
            return self.node.value
        self.wrong_type("`true` or `false`")
        return None


def _kind(node: Node) -> str:
    if node.entries is not None:
        return "an object"
    if node.items is not None:
        return "a list"
    if node.value is None:
        return "nothing (null)"
    if isinstance(node.value, bool):
        return f"the boolean {quoted(str(node.value).lower())}"
    kind = "text" if isinstance(node.value, str) else "number"
    return f"the {kind} {quoted(node.value)}"


def _quoting_hint(node: Node, wanted: str) -> str:
    return ": put it in quotes" if wanted == "a text" and node.value is not None else ""
