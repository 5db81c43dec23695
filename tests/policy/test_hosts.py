"""Hosts and schemes: every spelling is the same host, and what two parsers read differently is an error."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshguard.policy import PolicyLoadError, load_policy
from meshguard.policy.hosts import HostError, HostPattern, read_host, read_url
from tests.policy.test_language import value_of

API = {"resource": {"host": ["api.example.com", "*.example.org"]}}
HTTPS = {"resource": {"scheme": "https"}}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "HTTPS://API.Example.COM",
        "https://api.example.com.:443/v1?q=a@b#c",
        "https://user:pass%40word@api.example.com/",
        "wss://api.example.com",
        "api.example.com",
        "api.example.com:8443",
        "https://www.example.org/",
        "https://a.b.EXAMPLE.org./",
        "https://\uff41pi.example.com/",
        "https://api\u3002example\uff0ecom/",
    ],
)
def test_spelling_does_not_matter(url: str) -> None:
    assert value_of(API, url) is True
    assert value_of({"context.url": API["resource"]}, context={"url": url}) is True


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/",
        "https://api.example.com.evil.test/",
        "https://evil.test/api.example.com",
        "https://evilexample.org",
        "https://api.example.com@evil.test/",
        "https://evil.test/?https://api.example.com",
        "https://evil.test/@api.example.com",
        "https://192.0.2.1/",
    ],
)
def test_another_host_is_another(url: str) -> None:
    assert value_of(API, url) is False


AMBIGUOUS = [
    "",
    " https://api.example.com/",
    "https://api.example.com/\u00a0",
    "https://evil.test\\@api.example.com/",
    "https:\\\\api.example.com\\",
    "https://a@evil.test@api.example.com/",
    "https://evil.test#@api.example.com/",
    "https://evil.test?@api.example.com/",
    "https://[evil]@api.example.com/",
    "https:///api.example.com/",
    "https:/api.example.com/",
    "https:api.example.com",
    "https:443",
    "//api.example.com/",
    "/api.example.com/",
    "api.example.com/v1",
    "user@api.example.com",
    "mailto:user@api.example.com",
    "javascript:alert(1)",
    "data:text/plain,x",
    "file:///etc/passwd",
    "https://",
    "https://:443/",
    "https://user@/",
    "https://api.example.com:x/",
    "https://api.example.com:99999/",
    "https://api.example.com:-1/",
    "https://api.example.com:\uff18\uff10/",
    "https://api%2eexample.com/",
    "https://api..example.com/",
    "https://api.example.com../",
    "https://.example.com/",
    "https://-api.example.com/",
    "https://api.ex ample.com/",
    "https://api,example.com/",
    f"https://{'a' * 64}.example.com/",
    f"https://{'a.' * 127}example.com/",
    "https://fa\u00df.example.com/",
    "https://\u03b2\u03cc\u03bb\u03bf\u03c2.example.com/",
    "https://a\u200db.example.com/",
    "https://\u1e9e.example.com/",
    "https://i\u2764.example.com/",
    "https://xn--a.example.com/",
    "https://xn--.example.com/",
    "https://\u2100.example.com/",
    "https://api.example.com\uff0fx",
    "https://evil\uff20api.example.com/",
    "https://1.2.3.4.5/",
    "https://256.0.0.1/",
    "https://1.2.3.256/",
    "https://0x100000000/",
    "https://09.0.0.1/",
    "https://1..2/",
    "https://a.0x/",
    "https://example.7/",
    "https://[::1/",
    "https://::1/x",
    "https://[::1]x/",
    "https://[::1]:x/",
    "https://[api.example.com]/",
    "https://[1.2.3.4]/",
    "https://[::1%]/",
    "https://[::ffff:127.0.0.1.5]/",
    "::1:80",
    "https://a:b:c/",
    "https://" + "a" * 9_000,
]


@pytest.mark.parametrize("url", AMBIGUOUS, ids=lambda url: ascii(url[:40]))
def test_a_value_that_two_parsers_read_differently_is_an_error(url: str) -> None:
    assert value_of({"context.url": API["resource"]}, context={"url": url}) == "error"
    assert value_of({"context.url": {"not": API["resource"]}}, context={"url": url}) == "error"
    assert value_of({"context.url": HTTPS["resource"]}, context={"url": url}) == "error"


@pytest.mark.parametrize("char", [chr(code) for code in (*range(33), *range(127, 161))], ids=ascii)
def test_a_control_character_anywhere_is_an_error(char: str) -> None:
    for url in (
        f"{char}https://a.example.org",
        f"https://a{char}.example.org",
        f"https://a.example.org/{char}",
    ):
        assert value_of({"context.url": API["resource"]}, context={"url": url}) == "error"


LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "\uff11\uff12\uff17.0.0.1",
]


@pytest.mark.parametrize("spelling", LOOPBACK)
@pytest.mark.parametrize("pattern", ["127.0.0.1", "0x7f.1", "::ffff:127.0.0.1", "[::ffff:7f00:1]"])
def test_every_spelling_of_an_address_is_that_address(spelling: str, pattern: str) -> None:
    written = spelling if ":" in spelling and "[" not in spelling else f"http://u@{spelling}:80/x"
    assert value_of({"resource": {"host": pattern}}, written) is True
    assert value_of({"resource": {"host": pattern}}, spelling) is True
    assert value_of({"resource": {"host": "127.0.0.2"}}, spelling) is False


@pytest.mark.parametrize(
    "spelling", ["[::1]", "[::1%eth0]", "[::1%25eth0]:80", "[0:0::0:1]", "::1", "[::0.0.0.1]"]
)
def test_zones_and_zeros_of_an_address_do_not_matter(spelling: str) -> None:
    assert value_of({"resource": {"host": "::1"}}, spelling) is True


@given(
    st.integers(0, 2**32 - 1), st.lists(st.sampled_from("doxX"), min_size=4, max_size=4), st.integers(1, 4)
)
def test_any_mixture_of_bases_is_the_same_address(number: int, bases: list[str], parts: int) -> None:
    octets = list(number.to_bytes(4, "big"))
    numbers = [*octets[: parts - 1], int.from_bytes(octets[parts - 1 :], "big")]
    written: dict[str, Callable[[int], str]] = {
        "d": str,
        "o": "0{:o}".format,
        "x": "0x{:x}".format,
        "X": "0X{:X}".format,
    }
    text = ".".join(written[base](part) for base, part in zip(bases, numbers, strict=False))
    assert read_host(text) == str(ipaddress.IPv4Address(number))


@given(
    st.text("ab.-@:/?#[]%\\ \t\u3002\uff0f\u00df1x0", max_size=25),
    st.sampled_from(["", "http://", "x:", "//"]),
)
def test_a_host_that_is_read_is_the_one_that_the_standard_library_reads(rest: str, start: str) -> None:
    text = start + rest
    try:
        url = read_url(text)
    except HostError:
        return
    parts = urlsplit(text if "://" in text else f"//{text}")
    assert parts.hostname is not None
    assert read_host(parts.hostname.strip("[]")) == url.host if ":" not in parts.hostname else True
    assert HostPattern(url.host).matches(url.host)
    assert read_url(url.host if ":" not in url.host else f"[{url.host}]").host == url.host


def test_schemes_go_without_case_and_a_bare_host_has_none() -> None:
    assert value_of(HTTPS, "HTTPS://a.example/") is True
    assert value_of({"resource": {"scheme": ["WSS", "Https"]}}, "https://a.example/") is True
    assert value_of(HTTPS, "http://a.example/") is False
    assert value_of(HTTPS, "a.example:443") == "error"


@pytest.mark.parametrize(
    ("test", "pattern", "advice"),
    [
        ("host", "https://api.example.com/v1", "did you mean `api.example.com`"),
        ("host", "api.example.com:443", "did you mean `api.example.com`"),
        ("host", "api.example.com/", "no path"),
        ("host", "user@example.com", "no user"),
        ("host", "*", "`*.example.com`"),
        ("host", "*example.com", "`*.example.com`"),
        ("host", "api.*", "`*.example.com`"),
        ("host", "**.example.com", "`*.example.com`"),
        ("host", "*.*.example.com", "`*.example.com`"),
        ("host", "*.192.0.2.1", "write the address itself"),
        ("host", "*.::1", "write the address itself"),
        ("host", "a..b", "empty"),
        ("host", "fa\u00df.example", "IDNA"),
        ("host", "1.2.3.4.5", "IPv4"),
        ("scheme", "https://", "such as `https`"),
        ("scheme", "https:", "such as `https`"),
        ("scheme", "*", "such as `https`"),
    ],
)
def test_a_pattern_that_can_match_nothing_is_rejected(test: str, pattern: str, advice: str) -> None:
    policy: dict[str, Any] = {
        "name": "p",
        "rules": [{"effect": "deny", "actions": ["*"], "conditions": {"resource": {test: [pattern]}}}],
    }
    with pytest.raises(PolicyLoadError) as refused:
        load_policy(policy)
    assert [fault.path for fault in refused.value.faults] == [f"/rules/0/conditions/resource/{test}/0"]
    assert advice in refused.value.faults[0].message
