from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.context import Context


T = TypeVar("T", bound="EvaluateRequest")


@_attrs_define
class EvaluateRequest:
    """A question to the gateway.

    Attributes:
        action (str): What an agent wants to do, by convention `verb:object`. Any text of 1 to 2,048 characters without
            control
            characters; compared by code point, and case matters.
        resource (str | Unset): What the action is done to, without control characters. Often a path or an id.
        context (Context | Unset): Facts about this one request, such as the arguments of the tool call, for conditions
            to look at.
        explain (bool | Unset): Whether to explain the decision; not explained by default.
    """

    action: str
    resource: str | Unset = UNSET
    context: Context | Unset = UNSET
    explain: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        action = self.action

        resource = self.resource

        context: dict[str, Any] | Unset = UNSET
        if not isinstance(self.context, Unset):
            context = self.context.to_dict()

        explain = self.explain

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "action": action,
            }
        )
        if resource is not UNSET:
            field_dict["resource"] = resource
        if context is not UNSET:
            field_dict["context"] = context
        if explain is not UNSET:
            field_dict["explain"] = explain

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.context import Context  # noqa: PLC0415

        d = dict(src_dict)
        action = d.pop("action")

        resource = d.pop("resource", UNSET)

        _context = d.pop("context", UNSET)
        context: Context | Unset
        if isinstance(_context, Unset):
            context = UNSET
        else:
            context = Context.from_dict(_context)

        explain = d.pop("explain", UNSET)

        evaluate_request = cls(
            action=action,
            resource=resource,
            context=context,
            explain=explain,
        )

        return evaluate_request
