"""Which headers pass through the proxy, whatever their spelling.

Servers and frameworks read header names in their own ways: CGI and WSGI turn `-` into `_`, and some turn
every other character into `_`. So names are compared with every character except letters and digits read as
`-`.
"""

from __future__ import annotations

from string import ascii_letters, digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEPT = (ascii_letters + digits).encode()
_CANONICAL = bytes(byte if byte in _KEPT else ord("-") for byte in range(256)).lower()

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    }
)

# What the gateway sets itself, or what only the gateway may see.
OWN = frozenset(
    {
        b"authorization",
        b"content-length",
        b"forwarded",
        b"host",
        b"traceparent",
        b"x-admin-token",
        b"x-trace-id",
    }
)
OWN_PREFIXES = (b"x-meshguard", b"x-forwarded")

# Another method than the one that was decided on.
METHODS = frozenset({b"-method", b"x-method", b"x-http-override"})
METHOD_PARTS = (
    b"method-override",
    b"override-method",
    b"http-method",
    b"original-method",
    b"rewrite-method",
    b"forwarded-method",
    b"tunneled-method",
)

# Another target than the one that was decided on.
TARGETS = frozenset(
    {
        b"alt-used",
        b"base-url",
        b"destination",
        b"path-info",
        b"request-uri",
        b"request-url",
        b"script-name",
        b"x-backend",
        b"x-backend-host",
        b"x-host",
        b"x-http-destinationurl",
        b"x-http-host-override",
        b"x-host-override",
        b"x-override-url",
        b"x-path",
        b"x-request-path",
        b"x-request-uri",
        b"x-request-url",
        b"x-script-name",
        b"x-uri",
        b"x-url",
        b"x-waws-unencoded-url",
    }
)
TARGET_PREFIXES = (
    b"http-",  # CGI's own names, such as HTTP_X_ORIGINAL_URL
    b"proxy-",
    b"x-accel-",
    b"x-arr-",
    b"x-envoy-",
    b"x-original-",
    b"x-proxy-",
    b"x-rewrite-",
    b"x-sendfile",
)

# An identity: an address, a person, or a certificate, as proxies and login services hand it on.
IDENTITIES = frozenset(
    {
        b"client-cert",
        b"client-cert-chain",
        b"eppn",
        b"from",
        b"on-behalf-of",
        b"sudo",
        b"x-act-as",
        b"x-anonymous-consumer",
        b"x-as-user",
        b"x-auth-email",
        b"x-auth-groups",
        b"x-auth-name",
        b"x-auth-roles",
        b"x-auth-subject",
        b"x-coming-from",
        b"x-email",
        b"x-forward-for",
        b"x-from",
        b"x-groups",
        b"x-on-behalf-of",
        b"x-roles",
        b"x-run-as",
        b"x-scope-orgid",
        b"x-subject",
        b"x-sudo",
    }
)
IDENTITY_PREFIXES = (
    b"ali-cdn-",
    b"authenticated-",
    b"cf-",
    b"client-cert-",
    b"fastly-",
    b"fly-",
    b"impersonate-",
    b"l5d-",
    b"mellon-",
    b"oidc-",
    b"remote-",
    b"shib-",
    b"ssl-",
    b"tailscale-",
    b"tls-",
    b"true-client",
    b"wl-proxy-",
    b"x-amzn-mtls-",
    b"x-amzn-oidc-",
    b"x-amzn-tls-",
    b"x-appengine-",
    b"x-auth-request-",
    b"x-auth-user",
    b"x-authenticated",
    b"x-authentik-",
    b"x-azure-",
    b"x-client-",
    b"x-cluster-client-",
    b"x-consumer-",
    b"x-credential-",
    b"x-goog-authenticated-",
    b"x-goog-iap-",
    b"x-identity",
    b"x-impersonate-",
    b"x-istio-",
    b"x-jwt-",
    b"x-ldap-",
    b"x-ms-client-principal",
    b"x-ms-token-",
    b"x-originating-",
    b"x-pomerium-",
    b"x-principal",
    b"x-real-",
    b"x-remote-",
    b"x-saml-",
    b"x-spiffe-",
    b"x-ssl-",
    b"x-sso-",
    b"x-tls-",
    b"x-user-id",
    b"x-vouch-",
    b"x-webauth-",
)
IDENTITY_ENDS = (
    b"-client-cert",
    b"-ip",
    b"-remote-addr",
    b"-user",
    b"-user-email",
    b"-user-groups",
    b"-user-id",
    b"-user-name",
    b"-user-roles",
    b"-userid",
    b"-username",
)

_NEVER = HOP_BY_HOP | OWN | METHODS | TARGETS | IDENTITIES
_NEVER_PREFIXES = OWN_PREFIXES + TARGET_PREFIXES + IDENTITY_PREFIXES


def canonical(name: bytes) -> bytes:
    """Return a header's name in the spelling that names are compared in."""
    return name.translate(_CANONICAL)


def reaches_upstream(name: bytes) -> bool:
    """Whether a header of the client is forwarded; the argument is a canonical name."""
    return not (
        name in _NEVER
        or name.startswith(_NEVER_PREFIXES)
        or name.endswith(IDENTITY_ENDS)
        or any(part in name for part in METHOD_PARTS)
    )


def reaches_client(name: bytes) -> bool:
    """Whether a header of the upstream is passed back; the argument is a canonical name."""
    return not (name in HOP_BY_HOP or name.startswith(b"x-meshguard"))


def named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the canonical names of the headers that `Connection` declares as hop-by-hop."""
    values = [value for name, value in headers if canonical(name) == b"connection"]
    return {canonical(token.strip()) for value in values for token in value.split(b",")}
