from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.gateway.problems import Problem
from meshguard.gateway.upstream_path import encode, normalise


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("api/users", "api/users"),
        ("api//users/", "api/users/"),
        ("//api", "api"),
        ("a b/é", "a b/é"),
        ("...", "..."),
        (".well-known/x", ".well-known/x"),
        ("50%25", "50%25"),
        ("a:b", "a:b"),
    ],
)
def test_a_path_has_one_spelling(path: str, normal: str) -> None:
    assert normalise(path) == normal


@pytest.mark.parametrize(
    "path",
    [
        "..",
        ".",
        "a/../b",
        "a/./b",
        "a/..",
        "%2e%2e/x",
        "a/%2e./b",
        "%252e%252e/x",
        "%25252e/x",
        "a/..;x=1/b",
        "a/.. /b",
        "a/..  ",
        "a/. /b",
        "a/ ../b",
        "a/..%20/b",
        "a/%2e%2e%2520;x/b",
        "a\\b",
        "a%5cb",
        "a\x00b",
        "a%0ab",
        "a\r\nb",
        "a\x85b",
        "http://evil/",
        "/http://evil/",
        "http%3a//evil",
        "%25" * 1 + "25" * 20 + "41",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(Problem) as refusal:
        normalise(path)
    assert refusal.value.status == 400


@given(st.text(max_size=40))
def test_whatever_passes_stays_below_the_upstream_and_is_its_own_normal_form(path: str) -> None:
    try:
        normal = normalise(path)
    except Problem as refusal:
        assert refusal.status == 400  # noqa: PT017
        return
    assert not normal.startswith("/")
    assert not {".", ".."} & set(normal.split("/"))
    assert normalise(normal) == normal


def test_every_spelling_is_forwarded_the_same() -> None:
    assert encode("a b/é?#%") == "a%20b/%C3%A9%3F%23%25"
