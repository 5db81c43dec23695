from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.policy_trust_tier import PolicyTrustTier, check_policy_trust_tier
from ..types import UNSET, Unset

T = TypeVar("T", bound="TrustTierTests")


@_attrs_define
class TrustTierTests:
    """Tests of `trustTier`; all must hold.

    Attributes:
        equals (PolicyTrustTier | Unset): A trust tier; `untrusted` is read as `unverified`.
        in_ (list[PolicyTrustTier] | Unset):
        exists (bool | Unset):
        not_ (TrustTierTests | Unset): Tests of `trustTier`; all must hold.
    """

    equals: PolicyTrustTier | Unset = UNSET
    in_: list[PolicyTrustTier] | Unset = UNSET
    exists: bool | Unset = UNSET
    not_: TrustTierTests | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        equals: str | Unset = UNSET
        if not isinstance(self.equals, Unset):
            equals = self.equals

        in_: list[str] | Unset = UNSET
        if not isinstance(self.in_, Unset):
            in_ = []
            for in_item_data in self.in_:
                in_item: str = in_item_data
                in_.append(in_item)

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
        equals: PolicyTrustTier | Unset
        if isinstance(_equals, Unset):
            equals = UNSET
        else:
            equals = check_policy_trust_tier(_equals)

        _in_ = d.pop("in", UNSET)
        in_: list[PolicyTrustTier] | Unset = UNSET
        if _in_ is not UNSET:
            in_ = []
            for in_item_data in _in_:
                in_item = check_policy_trust_tier(in_item_data)

                in_.append(in_item)

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
