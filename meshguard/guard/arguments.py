"""The arguments of a call: read, encoded exactly, and compared."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from meshguard import exact_json
from meshguard.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from meshguard.types import PolicyDecision

T = TypeVar("T")


class UndecidableError(InvalidRequestError):
    """A call can't be checked, since what policies should see of it has no exact JSON value.

    Attributes:
        reason: Why, for the model; it names the argument, never its value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The call can't be checked: {reason}. "
            "Call it with JSON values, or choose what policies see with Guard(context=…)."
        )
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Question:
    """What a client is asked about a call, and the arguments as they were then."""

    request: dict[str, Any]
    arguments: Mapping[str, Any] | None
    seen: Mapping[Any, object]

    def confirm(self, decision: PolicyDecision) -> PolicyDecision:
        """Return a decision about arguments that are still the same.

        Raises:
            UndecidableError: It allows arguments that were changed in the meantime.
        """
        if decision.allowed and self.arguments is not None and looks(self.arguments) != self.seen:
            raise UndecidableError("the arguments changed while the call was checked")
        return decision


def read(arguments: Mapping[str, Any] | str | bytes | None) -> Mapping[str, Any]:
    """Return the arguments by name.

    Raises:
        UndecidableError: They are not an object, or have a name twice.
    """
    if arguments is None or arguments in ("", b""):
        return {}
    if isinstance(arguments, str | bytes):
        try:
            arguments = exact_json.decode(arguments)
        except ValueError:
            raise UndecidableError("the arguments of the tool call are not valid JSON") from None
    if isinstance(arguments, exact_json.Unreadable) and arguments.key is not None:
        raise UndecidableError(
            f"the argument {exact_json.shown(arguments.key)} comes twice in the arguments of the tool call"
        )
    if not isinstance(arguments, Mapping):
        raise UndecidableError("the arguments of the tool call are not an object")
    return arguments


def exact(kind: str, members: Mapping[str, Any]) -> dict[str, exact_json.Encoded]:
    """Return members of the arguments or the context as they are sent.

    Raises:
        UndecidableError: One has no exact JSON value.
    """
    try:
        return exact_json.encode_members(members)
    except exact_json.InexactError as error:
        raise UndecidableError(
            f"the {kind} {error.name} holds {error.cause}, which has no exact JSON value"
        ) from None


def looks(arguments: Mapping[Any, Any]) -> dict[Any, object]:
    """Return what arguments look like: their JSON values; for the others which object they are."""
    return {name: _look(value) for name, value in arguments.items()}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether arguments have the same JSON values; 1, 1.0 and true are three."""
    return looks(one) == looks(other)


def private_copy(value: T) -> T:
    """Return a copy that no one else can change; the value itself if it can't be copied."""
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - classes raise what they like; Guard.check compares afterwards
        return value


def _look(value: object) -> object:
    try:
        return exact_json.Encoded(exact_json.encode(value))
    except exact_json.InexactError:
        return id(value)
