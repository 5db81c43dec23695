from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.action_count import ActionCount
    from ..models.agent_count import AgentCount


T = TypeVar("T", bound="AuditStats")


@_attrs_define
class AuditStats:
    """Decisions of a period, counted. Admin entries don't count.

    Attributes:
        total (int): All decisions.
        allowed (int): Those that allowed.
        denied (int): Those that denied.
        would_deny (int): Those that allowed only because of mode `audit`.
        period (str): The period that was counted.
        top_denied (list[ActionCount]): The ten actions denied most often.
        top_agents (list[AgentCount]): The ten agents that asked most often.
    """

    total: int
    allowed: int
    denied: int
    would_deny: int
    period: str
    top_denied: list[ActionCount]
    top_agents: list[AgentCount]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        total = self.total

        allowed = self.allowed

        denied = self.denied

        would_deny = self.would_deny

        period = self.period

        top_denied = []
        for top_denied_item_data in self.top_denied:
            top_denied_item = top_denied_item_data.to_dict()
            top_denied.append(top_denied_item)

        top_agents = []
        for top_agents_item_data in self.top_agents:
            top_agents_item = top_agents_item_data.to_dict()
            top_agents.append(top_agents_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "total": total,
                "allowed": allowed,
                "denied": denied,
                "wouldDeny": would_deny,
                "period": period,
                "topDenied": top_denied,
                "topAgents": top_agents,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.action_count import ActionCount  # noqa: PLC0415
        from ..models.agent_count import AgentCount  # noqa: PLC0415

        d = dict(src_dict)
        total = d.pop("total")

        allowed = d.pop("allowed")

        denied = d.pop("denied")

        would_deny = d.pop("wouldDeny")

        period = d.pop("period")

        top_denied = []
        _top_denied = d.pop("topDenied")
        for top_denied_item_data in _top_denied:
            top_denied_item = ActionCount.from_dict(top_denied_item_data)

            top_denied.append(top_denied_item)

        top_agents = []
        _top_agents = d.pop("topAgents")
        for top_agents_item_data in _top_agents:
            top_agents_item = AgentCount.from_dict(top_agents_item_data)

            top_agents.append(top_agents_item)

        audit_stats = cls(
            total=total,
            allowed=allowed,
            denied=denied,
            would_deny=would_deny,
            period=period,
            top_denied=top_denied,
            top_agents=top_agents,
        )

        audit_stats.additional_properties = d
        return audit_stats

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
