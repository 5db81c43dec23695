from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.trust_tier import TrustTier, check_trust_tier
from ..types import UNSET, Unset

T = TypeVar("T", bound="TrustTierTests")


@_attrs_define
class TrustTierTests:
    """Tests of `trustTier`; all must hold.

    Attributes:
        equals (TrustTier | Unset): How far an agent is trusted, low to high: `unverified`, `verified`, `trusted`,
            `privileged`. `untrusted` is
            read as `unverified`.
        in_ (list[TrustTier] | Unset): Trust tiers, any of which may match.
        exists (bool | Unset): Whether there is a value.
        not_ (TrustTierTests | Unset): Tests of `trustTier`; all must hold.
    """

    equals: TrustTier | Unset = UNSET
    in_: list[TrustTier] | Unset = UNSET
    exists: bool | Unset = UNSET
    not_: TrustTierTests | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        equals: str | Unset = UNSET
        if not isinstance(self.equals, Unset):
            equals = self.equals

        in_: list[str] | Unset = UNSET
        if not isinstance(self.in_, Unset):
            in_ = []
            for componentsschemas_policy_trust_tiers_item_data in self.in_:
                componentsschemas_policy_trust_tiers_item: str = (
                    componentsschemas_policy_trust_tiers_item_data
                )
                in_.append(componentsschemas_policy_trust_tiers_item)

        exists = self.exists

        not_: dict[str, Any] | Unset = UNSET
        if not isinstance(self.not_, Unset):
            not_ = self.not_.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if equals is not UNSET:
            field_dict["equals"] = equals
        if in_ is not UNSET:
            field_dict["in"] = in_
        if exists is not UNSET:
            field_dict["exists"] = exists
        if not_ is not UNSET:
            field_dict["not"] = not_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _equals = d.pop("equals", UNSET)
        equals: TrustTier | Unset
        if isinstance(_equals, Unset):
            equals = UNSET
        else:
            equals = check_trust_tier(_equals)

        _in_ = d.pop("in", UNSET)
        in_: list[TrustTier] | Unset = UNSET
        if _in_ is not UNSET:
            in_ = []
            for componentsschemas_policy_trust_tiers_item_data in _in_:
                componentsschemas_policy_trust_tiers_item = check_trust_tier(
                    componentsschemas_policy_trust_tiers_item_data
                )

                in_.append(componentsschemas_policy_trust_tiers_item)

        exists = d.pop("exists", UNSET)

        _not_ = d.pop("not", UNSET)
        not_: TrustTierTests | Unset
        if isinstance(_not_, Unset):
            not_ = UNSET
        else:
            not_ = TrustTierTests.from_dict(_not_)

        trust_tier_tests = cls(
            equals=equals,
            in_=in_,
            exists=exists,
            not_=not_,
        )

        return trust_tier_tests
