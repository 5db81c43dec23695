from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.trust_tier import TrustTier, check_trust_tier
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.tag_tests import TagTests
    from ..models.text_tests import TextTests
    from ..models.time_tests import TimeTests
    from ..models.trust_tier_tests import TrustTierTests
    from ..models.value_tests import ValueTests


T = TypeVar("T", bound="Conditions")


@_attrs_define
class Conditions:
    """Subjects and their tests; all must hold. Beside the subjects named here, `context.<dotted path>` and
    `metadata.<dotted path>` are subjects. A bare value stands for `equals`, a bare list for `in`; for `tags` both
    mean "has any of".

        Attributes:
            resource (list[str] | str | TextTests | Unset): A text, a list of texts, or tests of a text.
            action (list[str] | str | TextTests | Unset): A text, a list of texts, or tests of a text.
            agent_id (list[str] | str | TextTests | Unset): A text, a list of texts, or tests of a text.
            agent_name (list[str] | str | TextTests | Unset): A text, a list of texts, or tests of a text.
            trust_tier (list[TrustTier] | TrustTier | TrustTierTests | Unset): A trust tier, a list of trust tiers, or tests
                of a trust tier.
            tags (list[str] | str | TagTests | Unset): A tag, a list of tags, or tests of the tags.
            time (TimeTests | Unset): Tests of the time of the decision, in UTC; all must hold. `after` is from that moment
                on, `before` is up to
                but not at it.
            any_ (list[Conditions] | Unset): Conditions, at least one of which must hold.
            all_ (list[Conditions] | Unset): Conditions, all of which must hold.
    """

    resource: list[str] | str | TextTests | Unset = UNSET
    action: list[str] | str | TextTests | Unset = UNSET
    agent_id: list[str] | str | TextTests | Unset = UNSET
    agent_name: list[str] | str | TextTests | Unset = UNSET
    trust_tier: list[TrustTier] | TrustTier | TrustTierTests | Unset = UNSET
    tags: list[str] | str | TagTests | Unset = UNSET
    time: TimeTests | Unset = UNSET
    any_: list[Conditions] | Unset = UNSET
    all_: list[Conditions] | Unset = UNSET
    additional_properties: dict[
        str, bool | float | list[bool | float | str] | str | ValueTests
    ] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.tag_tests import TagTests  # noqa: PLC0415
        from ..models.text_tests import TextTests  # noqa: PLC0415
        from ..models.value_tests import ValueTests  # noqa: PLC0415

        resource: dict[str, Any] | list[str] | str | Unset
        if isinstance(self.resource, Unset):
            resource = UNSET
        elif isinstance(self.resource, list):
            resource = self.resource

        elif isinstance(self.resource, TextTests):
            resource = self.resource.to_dict()
        else:
            resource = self.resource

        action: dict[str, Any] | list[str] | str | Unset
        if isinstance(self.action, Unset):
            action = UNSET
        elif isinstance(self.action, list):
            action = self.action

        elif isinstance(self.action, TextTests):
            action = self.action.to_dict()
        else:
            action = self.action

        agent_id: dict[str, Any] | list[str] | str | Unset
        if isinstance(self.agent_id, Unset):
            agent_id = UNSET
        elif isinstance(self.agent_id, list):
            agent_id = self.agent_id

        elif isinstance(self.agent_id, TextTests):
            agent_id = self.agent_id.to_dict()
        else:
            agent_id = self.agent_id

        agent_name: dict[str, Any] | list[str] | str | Unset
        if isinstance(self.agent_name, Unset):
            agent_name = UNSET
        elif isinstance(self.agent_name, list):
            agent_name = self.agent_name

        elif isinstance(self.agent_name, TextTests):
            agent_name = self.agent_name.to_dict()
        else:
            agent_name = self.agent_name

        trust_tier: dict[str, Any] | list[str] | str | Unset
        if isinstance(self.trust_tier, Unset):
            trust_tier = UNSET
        elif isinstance(self.trust_tier, str):
            trust_tier = self.trust_tier
        elif isinstance(self.trust_tier, list):
            trust_tier = []
            for componentsschemas_policy_trust_tiers_item_data in self.trust_tier:
                componentsschemas_policy_trust_tiers_item: str = (
                    componentsschemas_policy_trust_tiers_item_data
                )
                trust_tier.append(componentsschemas_policy_trust_tiers_item)

        else:
            trust_tier = self.trust_tier.to_dict()

        tags: dict[str, Any] | list[str] | str | Unset
        if isinstance(self.tags, Unset):
            tags = UNSET
        elif isinstance(self.tags, list):
            tags = self.tags

        elif isinstance(self.tags, TagTests):
            tags = self.tags.to_dict()
        else:
            tags = self.tags

        time: dict[str, Any] | Unset = UNSET
        if not isinstance(self.time, Unset):
            time = self.time.to_dict()

        any_: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.any_, Unset):
            any_ = []
            for any_item_data in self.any_:
                any_item = any_item_data.to_dict()
                any_.append(any_item)

        all_: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.all_, Unset):
            all_ = []
            for all_item_data in self.all_:
                all_item = all_item_data.to_dict()
                all_.append(all_item)

        field_dict: dict[str, Any] = {}
        for prop_name, prop in self.additional_properties.items():
            if isinstance(prop, list):
                field_dict[prop_name] = []
                for componentsschemas_policy_scalars_item_data in prop:
                    componentsschemas_policy_scalars_item: bool | float | str
                    componentsschemas_policy_scalars_item = (
                        componentsschemas_policy_scalars_item_data
                    )
                    field_dict[prop_name].append(componentsschemas_policy_scalars_item)

            elif isinstance(prop, ValueTests):
                field_dict[prop_name] = prop.to_dict()
            else:
                field_dict[prop_name] = prop

        field_dict.update({})
        if resource is not UNSET:
            field_dict["resource"] = resource
        if action is not UNSET:
            field_dict["action"] = action
        if agent_id is not UNSET:
            field_dict["agentId"] = agent_id
        if agent_name is not UNSET:
            field_dict["agentName"] = agent_name
        if trust_tier is not UNSET:
            field_dict["trustTier"] = trust_tier
        if tags is not UNSET:
            field_dict["tags"] = tags
        if time is not UNSET:
            field_dict["time"] = time
        if any_ is not UNSET:
            field_dict["any"] = any_
        if all_ is not UNSET:
            field_dict["all"] = all_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.tag_tests import TagTests  # noqa: PLC0415
        from ..models.text_tests import TextTests  # noqa: PLC0415
        from ..models.time_tests import TimeTests  # noqa: PLC0415
        from ..models.trust_tier_tests import TrustTierTests  # noqa: PLC0415
        from ..models.value_tests import ValueTests  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_resource(data: object) -> list[str] | str | TextTests | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_text_condition_type_1 = cast(list[str], data)

                return componentsschemas_text_condition_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_text_condition_type_2 = TextTests.from_dict(data)

                return componentsschemas_text_condition_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | TextTests | Unset, data)

        resource = _parse_resource(d.pop("resource", UNSET))

        def _parse_action(data: object) -> list[str] | str | TextTests | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_text_condition_type_1 = cast(list[str], data)

                return componentsschemas_text_condition_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_text_condition_type_2 = TextTests.from_dict(data)

                return componentsschemas_text_condition_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | TextTests | Unset, data)

        action = _parse_action(d.pop("action", UNSET))

        def _parse_agent_id(data: object) -> list[str] | str | TextTests | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_text_condition_type_1 = cast(list[str], data)

                return componentsschemas_text_condition_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_text_condition_type_2 = TextTests.from_dict(data)

                return componentsschemas_text_condition_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | TextTests | Unset, data)

        agent_id = _parse_agent_id(d.pop("agentId", UNSET))

        def _parse_agent_name(data: object) -> list[str] | str | TextTests | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_text_condition_type_1 = cast(list[str], data)

                return componentsschemas_text_condition_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_text_condition_type_2 = TextTests.from_dict(data)

                return componentsschemas_text_condition_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | TextTests | Unset, data)

        agent_name = _parse_agent_name(d.pop("agentName", UNSET))

        def _parse_trust_tier(
            data: object,
        ) -> list[TrustTier] | TrustTier | TrustTierTests | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                componentsschemas_trust_tier_condition_type_0 = check_trust_tier(data)

                return componentsschemas_trust_tier_condition_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_trust_tier_condition_type_1 = []
                _componentsschemas_trust_tier_condition_type_1 = data
                for (
                    componentsschemas_policy_trust_tiers_item_data
                ) in _componentsschemas_trust_tier_condition_type_1:
                    componentsschemas_policy_trust_tiers_item = check_trust_tier(
                        componentsschemas_policy_trust_tiers_item_data
                    )

                    componentsschemas_trust_tier_condition_type_1.append(
                        componentsschemas_policy_trust_tiers_item
                    )

                return componentsschemas_trust_tier_condition_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_trust_tier_condition_type_2 = TrustTierTests.from_dict(
                data
            )

            return componentsschemas_trust_tier_condition_type_2

        trust_tier = _parse_trust_tier(d.pop("trustTier", UNSET))

        def _parse_tags(data: object) -> list[str] | str | TagTests | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_tag_condition_type_1 = cast(list[str], data)

                return componentsschemas_tag_condition_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_tag_condition_type_2 = TagTests.from_dict(data)

                return componentsschemas_tag_condition_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | TagTests | Unset, data)

        tags = _parse_tags(d.pop("tags", UNSET))

        _time = d.pop("time", UNSET)
        time: TimeTests | Unset
        if isinstance(_time, Unset):
            time = UNSET
        else:
            time = TimeTests.from_dict(_time)

        _any_ = d.pop("any", UNSET)
        any_: list[Conditions] | Unset = UNSET
        if _any_ is not UNSET:
            any_ = []
            for any_item_data in _any_:
                any_item = Conditions.from_dict(any_item_data)

                any_.append(any_item)

        _all_ = d.pop("all", UNSET)
        all_: list[Conditions] | Unset = UNSET
        if _all_ is not UNSET:
            all_ = []
            for all_item_data in _all_:
                all_item = Conditions.from_dict(all_item_data)

                all_.append(all_item)

        conditions = cls(
            resource=resource,
            action=action,
            agent_id=agent_id,
            agent_name=agent_name,
            trust_tier=trust_tier,
            tags=tags,
            time=time,
            any_=any_,
            all_=all_,
        )

        additional_properties = {}
        for prop_name, prop_dict in d.items():

            def _parse_additional_property(
                data: object,
            ) -> bool | float | list[bool | float | str] | str | ValueTests:
                try:
                    if not isinstance(data, list):
                        raise TypeError()
                    componentsschemas_value_condition_type_1 = []
                    _componentsschemas_value_condition_type_1 = data
                    for (
                        componentsschemas_policy_scalars_item_data
                    ) in _componentsschemas_value_condition_type_1:

                        def _parse_componentsschemas_policy_scalars_item(
                            data: object,
                        ) -> bool | float | str:
                            return cast(bool | float | str, data)

                        componentsschemas_policy_scalars_item = (
                            _parse_componentsschemas_policy_scalars_item(
                                componentsschemas_policy_scalars_item_data
                            )
                        )

                        componentsschemas_value_condition_type_1.append(
                            componentsschemas_policy_scalars_item
                        )

                    return componentsschemas_value_condition_type_1
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_value_condition_type_2 = ValueTests.from_dict(
                        data
                    )

                    return componentsschemas_value_condition_type_2
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                return cast(
                    bool | float | list[bool | float | str] | str | ValueTests, data
                )

            additional_property = _parse_additional_property(prop_dict)

            additional_properties[prop_name] = additional_property

        conditions.additional_properties = additional_properties
        return conditions

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(
        self, key: str
    ) -> bool | float | list[bool | float | str] | str | ValueTests:
        return self.additional_properties[key]

    def __setitem__(
        self,
        key: str,
        value: bool | float | list[bool | float | str] | str | ValueTests,
    ) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
