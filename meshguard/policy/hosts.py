"""Hosts and schemes of URLs; a value that two parsers could read differently has none."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

import idna

MAX_URL = 8_192
MAX_HOST = 253
MAX_LABEL = 63
MAX_PORT = 65_535

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\\s]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?!/)")
_AUTHORITY = re.compile(r"[^/?#]*")
_USER = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_PORT = re.compile(r"[0-9]*")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:0[xX][0-9a-fA-F]*|[0-9]+)")
_MAX_PARTS = 4
_WITH_HOSTS = frozenset({"file", "ftp", "http", "https", "ws", "wss"})


class HostError(ValueError):
    """A text is not a host, or not a URL with one; the message says why."""


class Url(NamedTuple):
    """What is compared of a URL; a bare host has no scheme."""

    host: str
    scheme: str | None


def read_url(text: str) -> Url:
    """Return the host and the scheme of a URL, or the host of a bare `host[:port]`.

    Raises:
        HostError: It has no host, or two parsers could read it differently.

    Example:
        >>> read_url("HTTPS://user@API.example.com.:8443/v1")
        Url(host='api.example.com', scheme='https')
        >>> read_url("http://0x7f.1/").host, read_url("[::ffff:127.0.0.1]:80").host
        ('127.0.0.1', '127.0.0.1')
    """
    if len(text) > MAX_URL:
        raise HostError(f"the text is longer than {MAX_URL:,} characters")
    if _UNSAFE.search(text):
        raise HostError("a URL with a backslash, a space or a control character means two things")
    found = _SCHEME.match(text)
    if found is None:
        if text.partition(":")[0].lower() in _WITH_HOSTS and ":" in text:
            raise HostError("the scheme is not followed by // and a host")
        return Url(_bare_ipv6(text) if _has_colons(text) else _host_and_port(text), None)
    authority = _authority(text[found.end() :])
    return Url(_host_and_port(_without_user(authority)), found[1].lower())


def _authority(rest: str) -> str:
    """Return what is before the path; RFC 1738 ends it at `/` only, later ones at `?` and `#` too."""
    found = _AUTHORITY.match(rest)
    authority = found[0] if found else ""
    if authority != rest.partition("/")[0] and "@" in rest[len(authority) :].partition("/")[0]:
        raise HostError("an @ after ? or # before the path means two hosts")
    return authority


def _without_user(authority: str) -> str:
    user, _, host = authority.rpartition("@")
    if not _USER.fullmatch(user):
        raise HostError("the user information of the URL means two hosts")
    return host


def _host_and_port(text: str) -> str:
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise HostError("the brackets of the host do not close")
        _check_port(port[1:])
        return _ipv6(address)
    host, _, port = text.partition(":")
    _check_port(port)
    return read_host(host)


def _has_colons(text: str) -> bool:
    return text.count(":") > 1 and not text.startswith("[")


def _check_port(port: str) -> None:
    if not _PORT.fullmatch(port) or len(port) > len(str(MAX_PORT)) or int(port or 0) > MAX_PORT:
        raise HostError("what follows the host is not a port")


def _bare_ipv6(text: str) -> str:
    before, _, last = text.rpartition(":")
    if last.isdecimal() and _is_ipv6(before):
        raise HostError("an IPv6 address without brackets and a port mean two hosts")
    return _ipv6(text)


def _is_ipv6(text: str) -> bool:
    try:
        _ipv6(text)
    except HostError:
        return False
    return True


def _ipv6(text: str) -> str:
    address, percent, zone = text.partition("%")
    if percent and not zone:
        raise HostError("the zone of the address is empty")
    try:
        parsed = IPv6Address(address)
    except AddressValueError:
        raise HostError("the host is not an IPv6 address") from None
    return str(parsed.ipv4_mapped or parsed)


def read_host(text: str) -> str:
    r"""Return a host in its one spelling: lower case, no trailing dot, ASCII, addresses in decimal.

    Raises:
        HostError: It is no host, or is read as two.

    Example:
        >>> read_host("B\u00fccher.example."), read_host("2130706433"), read_host("0177.1")
        ('xn--bcher-kva.example', '127.0.0.1', '127.0.0.1')
    """
    if not text:
        raise HostError("there is no host")
    if len(text) > MAX_HOST + 1:
        raise HostError(f"the host is longer than {MAX_HOST} characters")
    host = (text.lower() if text.isascii() else _mapped(text)).removesuffix(".")
    if _ENDS_IN_NUMBER.fullmatch(host):
        return _ipv4(host)
    name = ".".join(_label(label) for label in host.split("."))
    if len(name) > MAX_HOST:
        raise HostError(f"the host is longer than {MAX_HOST} characters")
    return name


def _mapped(text: str) -> str:
    try:
        return idna.uts46_remap(text, std3_rules=False)
    except UnicodeError:
        raise HostError("the host is not a valid internationalized name") from None


def _label(label: str) -> str:
    if len(label) > MAX_LABEL:
        raise HostError(f"a part of the host is longer than {MAX_LABEL} characters")
    if not label.isascii() or label.startswith("xn--"):
        label = _ascii_label(label)
    if not _LABEL.fullmatch(label):
        raise HostError("the host is not a name" if label else "a part of the host is empty")
    return label


def _ascii_label(label: str) -> str:
    try:
        found = idna.alabel(label).decode()
        older = label.encode("idna").decode() if not label.isascii() else found
    except UnicodeError:
        raise HostError("the host is not a valid internationalized name") from None
    if older != found:
        raise HostError("two versions of IDNA read the host differently")
    return found


def _ipv4(host: str) -> str:
    """Return an address as `inet_aton` and browsers read it: up to four numbers, the last fills the rest."""
    parts = host.split(".")
    if len(parts) > _MAX_PARTS or not all(_NUMBER.fullmatch(part) for part in parts):
        raise HostError("the host is neither a name nor an IPv4 address")
    numbers = [_number(part) for part in parts]
    *first, last = numbers
    if any(number > 0xFF for number in first) or last >= 256 ** (_MAX_PARTS + 1 - len(parts)):  # noqa: PLR2004
        raise HostError("a number of the IPv4 address is too large")
    value = last + sum(number << 8 * (3 - place) for place, number in enumerate(first))
    return str(IPv4Address(value))


def _number(text: str) -> int:
    try:
        if text.startswith("0x"):
            return int(text, 16)
        return int(text, 8) if len(text) > 1 and text.startswith("0") else int(text)
    except ValueError:
        raise HostError("a number of the IPv4 address is not octal") from None


class HostPattern:
    """A pattern of hosts: a host, or `*.` and a name for every name below it.

    Raises:
        HostError: It is neither; the message says what to write.

    Example:
        >>> HostPattern("*.Example.com").matches("api.example.com"), HostPattern("::1").matches("::1")
        (True, True)
        >>> HostPattern("*.example.com").matches("example.com")
        False
    """

    __slots__ = ("_host", "_suffix")

    def __init__(self, pattern: str) -> None:
        self._host = _pattern_host(pattern.removeprefix("*."))
        self._suffix = None
        if pattern.startswith("*."):
            if self._host.replace(".", "").isdecimal() or ":" in self._host:
                raise HostError("no name is below an address: write the address itself")
            self._suffix = f".{self._host}"

    def matches(self, host: str) -> bool:
        """Return whether a host, as `read_url` returns it, matches."""
        return host == self._host if self._suffix is None else host.endswith(self._suffix)


def _pattern_host(text: str) -> str:
    if "*" in text:
        raise HostError("`*` stands only at the beginning, as in `*.example.com`")
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    for sign, what in (("/", "no scheme and no path"), ("@", "no user"), ("\\", "no backslash")):
        if sign in text:
            raise HostError(f"write the host only, with {what}, such as `example.com`")
    if text.count(":") == 1:
        raise HostError("write the host without a port")
    return _ipv6(text) if ":" in text else read_host(text)


SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}")
