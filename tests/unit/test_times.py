"""The times that gateways write."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard import Agent, InvalidResponseError, MeshGuardClient
from meshguard._wire.times import parse_time

from .conftest import Gateway
from .test_admin import AGENT

TIME = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SAME = [
    *("2026-11-22T09:30:00Z", "2026-11-22T09:30:00.000Z", "2026-11-22t09:30:00z", "2026-11-22 09:30:00Z"),
    *("2026-11-22T09:30:00+00:00", "2026-11-22T09:30:00-00:00", "2026-11-22T10:30:00+01:00"),
    *(
        "2026-11-22 10:30:00+0100",
        "2026-11-22T01:30:00.0-08:00",
        "2026-11-22 09:30:00",
        "2026-11-22T09:30:00,0Z",
    ),
]
UNREADABLE = [
    *(
        "",
        "now",
        "2026-11-22",
        "09:30:00",
        "2026-11-22T09:30Z",
        "2026-13-22T09:30:00Z",
        "2026-02-30T09:30:00Z",
    ),
    *(
        "2026-11-22T24:00:01Z",
        "2026-11-22T09:30:60Z",
        "2026-11-22T09:30:00.Z",
        "2026-11-22T09:30:00.0123456789Z",
    ),
    *("2026-11-22T09:30:00+25:00", "2026-11-22T09:30:00 Z", "20261122T093000Z", "2026-W47-7T09:30:00Z"),
    *(
        "٢٠٢٦-11-22T09:30:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-11-22T09:30:00Z\n",
    ),
]


@pytest.mark.parametrize("text", SAME)
def test_times_of_other_gateways_are_read(text: str) -> None:
    assert parse_time(text) == TIME
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize("digits", range(10))
def test_a_fraction_may_have_nine_digits(digits: int) -> None:
    fraction = "987654321"[:digits]
    text = f"2026-11-22T09:30:00{'.' if digits else ''}{fraction}Z"
    assert parse_time(text) == TIME + timedelta(microseconds=int(fraction[:6].ljust(6, "0")))


@pytest.mark.parametrize("text", UNREADABLE)
def test_other_text_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


@given(
    st.text()
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})")
)
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        assert parse_time(text).tzinfo is UTC
    except ValueError:
        return


@pytest.mark.parametrize("name", ["createdAt", "updatedAt"])
@pytest.mark.parametrize("value", [*UNREADABLE, 5, {}])
def test_an_agent_with_an_unreadable_time_is_an_error(
    gateway: Gateway, client: MeshGuardClient, name: str, value: Any
) -> None:
    gateway.answers({**AGENT, name: value})
    with pytest.raises(InvalidResponseError, match=name):
        client.get_agent("agent_1")


def test_an_absent_time_is_none(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({"id": "a", "name": "b", "trustTier": "verified"})
    assert client.get_agent("a") == Agent("a", "b", "verified", created_at=None, updated_at=None)


def test_documented_dictionaries_keep_the_text(gateway: Gateway, client: MeshGuardClient) -> None:
    gateway.answers({**AGENT, "token": "t", "createdAt": "2026-11-22 10:30:00+0100"})
    assert client.create_agent("bot")["createdAt"] == "2026-11-22 10:30:00+0100"
