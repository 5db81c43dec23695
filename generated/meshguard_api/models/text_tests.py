from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="TextTests")


@_attrs_define
class TextTests:
    """Tests of `resource`, `action`, `agentId` and `agentName`; all must hold.

    Attributes:
        equals (str | Unset): A text.
        in_ (list[str] | Unset): Texts, any of which may match.
        starts_with (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        ends_with (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        contains (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        matches (list[str] | str | Unset): One glob or a list of them, any of which may match.
        gt (str | Unset): A text.
        gte (str | Unset): A text.
        lt (str | Unset): A text.
        lte (str | Unset): A text.
        exists (bool | Unset): Whether there is a value.
        within (list[str] | str | Unset): One text or a list of them, any of which may match; none of them empty.
        host (list[str] | str | Unset): One host or a list of them, any of which may match. The value is read as a URL
            or a bare `host[:port]`; one that
            two parsers could read differently is an error.
        scheme (list[str] | str | Unset): One scheme or a list of them, any of which may match; the value is read as
            with `host`.
        not_ (TextTests | Unset): Tests of `resource`, `action`, `agentId` and `agentName`; all must hold.
    """

    equals: str | Unset = UNSET
    in_: list[str] | Unset = UNSET
    starts_with: list[str] | str | Unset = UNSET
    ends_with: list[str] | str | Unset = UNSET
    contains: list[str] | str | Unset = UNSET
    matches: list[str] | str | Unset = UNSET
    gt: str | Unset = UNSET
    gte: str | Unset = UNSET
    lt: str | Unset = UNSET
    lte: str | Unset = UNSET
    exists: bool | Unset = UNSET
    within: list[str] | str | Unset = UNSET
    host: list[str] | str | Unset = UNSET
    scheme: list[str] | str | Unset = UNSET
    not_: TextTests | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        equals = self.equals

        in_: list[str] | Unset = UNSET
        if not isinstance(self.in_, Unset):
            in_ = self.in_

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

        contains: list[str] | str | Unset
        if isinstance(self.contains, Unset):
            contains = UNSET
        elif isinstance(self.contains, list):
            contains = self.contains

        else:
            contains = self.contains

        matches: list[str] | str | Unset
        if isinstance(self.matches, Unset):
            matches = UNSET
        elif isinstance(self.matches, list):
            matches = self.matches

        else:
            matches = self.matches

        gt = self.gt

        gte = self.gte

        lt = self.lt

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
        equals = d.pop("equals", UNSET)

        in_ = cast(list[str], d.pop("in", UNSET))

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

        def _parse_contains(data: object) -> list[str] | str | Unset:
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

        gt = d.pop("gt", UNSET)

        gte = d.pop("gte", UNSET)

        lt = d.pop("lt", UNSET)

        lte = d.pop("lte", UNSET)

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
        not_: TextTests | Unset
        if isinstance(_not_, Unset):
            not_ = UNSET
        else:
            not_ = TextTests.from_dict(_not_)

        text_tests = cls(
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

        return text_tests
