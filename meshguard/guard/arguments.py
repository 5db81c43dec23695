"""The arguments of a call: parsed, encoded exactly, and compared."""

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
    """A call can't be checked, because of its arguments.

    Attributes:
        reason: The reason, for the model. It names the argument and never contains its value.
    """

    def __init__(
        self,
        reason: str,
        advice: str = "Pass JSON values, or select what policies see with Guard(context=…).",
    ) -> None:
        super().__init__(f"Cannot check the call: {reason}. {advice}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """A request to the gateway, and the arguments at that time."""

    request: dict[str, Any]
    arguments: Mapping[str, Any] | None
    snapshot: Mapping[Any, object]

    def confirm(self, decision: PolicyDecision) -> PolicyDecision:
        """Return the decision if the arguments are still the same.

        Raises:
            UndecidableError: The decision allows arguments that have changed since.
        """
        if decision.allowed and self.arguments is not None and snapshot(self.arguments) != self.snapshot:
            raise UndecidableError("the arguments changed while the call was checked")
        return decision


def parse(arguments: Mapping[str, Any] | str | bytes | None) -> Mapping[str, Any]:
    """Return the arguments by name.

    Raises:
        UndecidableError: They are not an object, or contain a name twice.
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
            f"the arguments of the tool call contain {exact_json.shown(arguments.key)} twice"
        )
    if not isinstance(arguments, Mapping):
        raise UndecidableError("the arguments of the tool call are not an object")
    return arguments


def exact(kind: str, members: Mapping[str, Any]) -> dict[str, exact_json.Encoded]:
    """Return members of the arguments or of the context as encoded JSON.

    Raises:
        UndecidableError: A member has no exact JSON value.
    """
    try:
        return exact_json.encode_members(members)
    except exact_json.InexactError as error:
        raise UndecidableError(
            f"the {kind} {error.name} contains {error.cause}, which has no exact JSON value"
        ) from None


def snapshot(arguments: Mapping[Any, Any]) -> dict[Any, object]:
    """Return the JSON values of arguments; the identity of a value that JSON can't represent."""
    return {name: _fingerprint(value) for name, value in arguments.items()}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether arguments have the same JSON values. 1, 1.0 and true are different."""
    return snapshot(one) == snapshot(other)


def private_copy(value: T) -> T:
    """Return a copy that other code can't change; the value itself if it can't be copied."""
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - classes may raise anything; Guard.check compares afterwards
        return value


def _fingerprint(value: object) -> object:
    try:
        return exact_json.Encoded(exact_json.encode(value))
    except exact_json.InexactError:
        return id(value)
