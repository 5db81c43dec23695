from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ValueTests")


@_attrs_define
class ValueTests:
    """Tests of `context.…` and `metadata.…`; all must hold.

    Attributes:
        equals (bool | float | str | Unset): A text, a number or a boolean (never null).
        in_ (list[bool | float | str] | Unset): Scalars, any of which may match.
        starts_with (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        ends_with (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        contains (bool | float | list[bool | float | str] | str | Unset): One part or member, or a list of them, any of
            which may match.
        matches (list[str] | str | Unset): One glob or a list of them, any of which may match.
        gt (float | str | Unset): A number or a text; a value of another type is an error.
        gte (float | str | Unset): A number or a text; a value of another type is an error.
        lt (float | str | Unset): A number or a text; a value of another type is an error.
        lte (float | str | Unset): A number or a text; a value of another type is an error.
        exists (bool | Unset): Whether there is a value.
        within (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        host (list[str] | str | Unset): One host or a list of them, any of which may match. The value is read as a URL
            or a bare `host[:port]`; one that
            two parsers could read differently is an error.
        scheme (list[str] | str | Unset): One scheme or a list of them, any of which may match; the value is read as
            with `host`.
        not_ (ValueTests | Unset): Tests of `context.…` and `metadata.…`; all must hold.
    """

    equals: bool | float | str | Unset = UNSET
    in_: list[bool | float | str] | Unset = UNSET
    starts_with: list[str] | str | Unset = UNSET
    ends_with: list[str] | str | Unset = UNSET
    contains: bool | float | list[bool | float | str] | str | Unset = UNSET
    matches: list[str] | str | Unset = UNSET
    gt: float | str | Unset = UNSET
    gte: float | str | Unset = UNSET
    lt: float | str | Unset = UNSET
    lte: float | str | Unset = UNSET
    exists: bool | Unset = UNSET
    within: list[str] | str | Unset = UNSET
    host: list[str] | str | Unset = UNSET
    scheme: list[str] | str | Unset = UNSET
    not_: ValueTests | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        equals: bool | float | str | Unset
        if isinstance(self.equals, Unset):
            equals = UNSET
        else:
            equals = self.equals

        in_: list[bool | float | str] | Unset = UNSET
        if not isinstance(self.in_, Unset):
            in_ = []
            for componentsschemas_policy_scalars_item_data in self.in_:
                componentsschemas_policy_scalars_item: bool | float | str
                componentsschemas_policy_scalars_item = (
                    componentsschemas_policy_scalars_item_data
                )
                in_.append(componentsschemas_policy_scalars_item)

        starts_with: list[str] | str | Unset
        if isinstance(self.starts_with, Unset):
            starts_with = UNSET
        elif isinstance(self.starts_with, list):
            starts_with = self.starts_with

        else:
            starts_with = self.starts_with

        ends_with: list[str] | str | Unset
        if isinstance(self.ends_with, Unset):
            ends_with = UNSET
        elif isinstance(self.ends_with, list):
            ends_with = self.ends_with

        else:
            ends_with = self.ends_with

        contains: bool | float | list[bool | float | str] | str | Unset
        if isinstance(self.contains, Unset):
            contains = UNSET
        elif isinstance(self.contains, list):
            contains = []
            for (
                componentsschemas_policy_part_or_parts_type_1_item_data
            ) in self.contains:
                componentsschemas_policy_part_or_parts_type_1_item: bool | float | str
                componentsschemas_policy_part_or_parts_type_1_item = (
                    componentsschemas_policy_part_or_parts_type_1_item_data
                )
                contains.append(componentsschemas_policy_part_or_parts_type_1_item)

        else:
            contains = self.contains

        matches: list[str] | str | Unset
        if isinstance(self.matches, Unset):
            matches = UNSET
        elif isinstance(self.matches, list):
            matches = self.matches

        else:
            matches = self.matches

        gt: float | str | Unset
        if isinstance(self.gt, Unset):
            gt = UNSET
        else:
            gt = self.gt

        gte: float | str | Unset
        if isinstance(self.gte, Unset):
            gte = UNSET
        else:
            gte = self.gte

        lt: float | str | Unset
        if isinstance(self.lt, Unset):
            lt = UNSET
        else:
            lt = self.lt

        lte: float | str | Unset
        if isinstance(self.lte, Unset):
            lte = UNSET
        else:
            lte = self.lte

        exists = self.exists

        within: list[str] | str | Unset
        if isinstance(self.within, Unset):
            within = UNSET
        elif isinstance(self.within, list):
            within = self.within

        else:
            within = self.within

        host: list[str] | str | Unset
        if isinstance(self.host, Unset):
            host = UNSET
        elif isinstance(self.host, list):
            host = self.host

        else:
            host = self.host

        scheme: list[str] | str | Unset
        if isinstance(self.scheme, Unset):
            scheme = UNSET
        elif isinstance(self.scheme, list):
            scheme = self.scheme

        else:
            scheme = self.scheme

        not_: dict[str, Any] | Unset = UNSET
        if not isinstance(self.not_, Unset):
            not_ = self.not_.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if equals is not UNSET:
            field_dict["equals"] = equals
        if in_ is not UNSET:
            field_dict["in"] = in_
        if starts_with is not UNSET:
            field_dict["startsWith"] = starts_with
        if ends_with is not UNSET:
            field_dict["endsWith"] = ends_with
        if contains is not UNSET:
            field_dict["contains"] = contains
        if matches is not UNSET:
            field_dict["matches"] = matches
        if gt is not UNSET:
            field_dict["gt"] = gt
        if gte is not UNSET:
            field_dict["gte"] = gte
        if lt is not UNSET:
            field_dict["lt"] = lt
        if lte is not UNSET:
            field_dict["lte"] = lte
        if exists is not UNSET:
            field_dict["exists"] = exists
        if within is not UNSET:
            field_dict["within"] = within
        if host is not UNSET:
            field_dict["host"] = host
        if scheme is not UNSET:
            field_dict["scheme"] = scheme
        if not_ is not UNSET:
            field_dict["not"] = not_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_equals(data: object) -> bool | float | str | Unset:
            if isinstance(data, Unset):
                return data
            return cast(bool | float | str | Unset, data)

        equals = _parse_equals(d.pop("equals", UNSET))

        _in_ = d.pop("in", UNSET)
        in_: list[bool | float | str] | Unset = UNSET
        if _in_ is not UNSET:
            in_ = []
            for componentsschemas_policy_scalars_item_data in _in_:

                def _parse_componentsschemas_policy_scalars_item(
                    data: object,
                ) -> bool | float | str:
                    return cast(bool | float | str, data)

                componentsschemas_policy_scalars_item = (
                    _parse_componentsschemas_policy_scalars_item(
                        componentsschemas_policy_scalars_item_data
                    )
                )

                in_.append(componentsschemas_policy_scalars_item)

        def _parse_starts_with(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_text_or_texts_type_1 = cast(list[str], data)

                return componentsschemas_policy_text_or_texts_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        starts_with = _parse_starts_with(d.pop("startsWith", UNSET))

        def _parse_ends_with(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_text_or_texts_type_1 = cast(list[str], data)

                return componentsschemas_policy_text_or_texts_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        ends_with = _parse_ends_with(d.pop("endsWith", UNSET))

        def _parse_contains(
            data: object,
        ) -> bool | float | list[bool | float | str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_part_or_parts_type_1 = []
                _componentsschemas_policy_part_or_parts_type_1 = data
                for (
                    componentsschemas_policy_part_or_parts_type_1_item_data
                ) in _componentsschemas_policy_part_or_parts_type_1:

                    def _parse_componentsschemas_policy_part_or_parts_type_1_item(
                        data: object,
                    ) -> bool | float | str:
                        return cast(bool | float | str, data)

                    componentsschemas_policy_part_or_parts_type_1_item = (
                        _parse_componentsschemas_policy_part_or_parts_type_1_item(
                            componentsschemas_policy_part_or_parts_type_1_item_data
                        )
                    )

                    componentsschemas_policy_part_or_parts_type_1.append(
                        componentsschemas_policy_part_or_parts_type_1_item
                    )

                return componentsschemas_policy_part_or_parts_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(bool | float | list[bool | float | str] | str | Unset, data)

        contains = _parse_contains(d.pop("contains", UNSET))

        def _parse_matches(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_glob_or_globs_type_1 = cast(list[str], data)

                return componentsschemas_policy_glob_or_globs_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        matches = _parse_matches(d.pop("matches", UNSET))

        def _parse_gt(data: object) -> float | str | Unset:
            if isinstance(data, Unset):
                return data
            return cast(float | str | Unset, data)

        gt = _parse_gt(d.pop("gt", UNSET))

        def _parse_gte(data: object) -> float | str | Unset:
            if isinstance(data, Unset):
                return data
            return cast(float | str | Unset, data)

        gte = _parse_gte(d.pop("gte", UNSET))

        def _parse_lt(data: object) -> float | str | Unset:
            if isinstance(data, Unset):
                return data
            return cast(float | str | Unset, data)

        lt = _parse_lt(d.pop("lt", UNSET))

        def _parse_lte(data: object) -> float | str | Unset:
            if isinstance(data, Unset):
                return data
            return cast(float | str | Unset, data)

        lte = _parse_lte(d.pop("lte", UNSET))

        exists = d.pop("exists", UNSET)

        def _parse_within(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_text_or_texts_type_1 = cast(list[str], data)

                return componentsschemas_policy_text_or_texts_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        within = _parse_within(d.pop("within", UNSET))

        def _parse_host(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_host_or_hosts_type_1 = cast(list[str], data)

                return componentsschemas_policy_host_or_hosts_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        host = _parse_host(d.pop("host", UNSET))

        def _parse_scheme(data: object) -> list[str] | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                componentsschemas_policy_scheme_or_schemes_type_1 = cast(
                    list[str], data
                )

                return componentsschemas_policy_scheme_or_schemes_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | str | Unset, data)

        scheme = _parse_scheme(d.pop("scheme", UNSET))

        _not_ = d.pop("not", UNSET)
        not_: ValueTests | Unset
        if isinstance(_not_, Unset):
            not_ = UNSET
        else:
            not_ = ValueTests.from_dict(_not_)

        value_tests = cls(
            equals=equals,
            in_=in_,
            starts_with=starts_with,
            ends_with=ends_with,
            contains=contains,
            matches=matches,
            gt=gt,
            gte=gte,
            lt=lt,
            lte=lte,
            exists=exists,
            within=within,
            host=host,
            scheme=scheme,
            not_=not_,
        )

        return value_tests
