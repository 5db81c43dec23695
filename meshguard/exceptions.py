"""What can go wrong, as one tree; no other exception leaves a method of the clients.

```
MeshGuardError                  base class; also raised for rejections that match no class below
├── ConfigurationError          a setting is wrong, or the client is closed
├── AuthenticationError         the token is missing, wrong or expired (401)
├── PolicyDeniedError           policy denies the action (403 with a denial; not every 403 is one)
├── NotFoundError               there is nothing under this id or name (404)
├── ConflictError               the state of the object does not permit the change (409)
├── InvalidRequestError         the request is invalid (400), or too large (413)
├── RateLimitError              too many requests (429)
├── GatewayError                the gateway failed (5xx)
├── GatewayUnavailableError     the gateway can't be reached, or did not respond in time
├── InvalidResponseError        the response is not a gateway's
└── UpstreamError               the service behind the proxy returned an error status
```

Every error can be pickled and copied with all its fields.
"""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from meshguard.types import ErrorDetail, Explanation, PolicyDecision

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "GatewayError",
    "GatewayUnavailableError",
    "InvalidRequestError",
    "InvalidResponseError",
    "MeshGuardError",
    "NotFoundError",
    "PolicyDeniedError",
    "RateLimitError",
    "UpstreamError",
]


class MeshGuardError(Exception):
    """The root of all errors of this package.

    Attributes:
        status_code: The HTTP status of the response; None without one.
        trace_id: Ties the error to the gateway's log and audit entries; None without a response.
        code: The gateway's code for the error, such as `rate_limited`, or None.
        request_id: The ID of the request that failed; None when none was sent.
        response: The response, with its body and without credentials; None when there was none.

    Example:
        ```python
        from meshguard import MeshGuardError

        try:
            client.enforce("delete:database")
        except MeshGuardError as error:
            print(f"{error} (status {error.status_code}, trace {error.trace_id})")
        ```
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        trace_id: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(*([message] if message else []))
        self.status_code = status_code
        self.trace_id = trace_id
        self.code = code
        self.request_id: str | None = None
        self.response: httpx.Response | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConfigurationError(MeshGuardError):
    """A setting is wrong, or the client is used after it was closed; nothing was sent."""


class AuthenticationError(MeshGuardError):
    """The token is missing, wrong, expired or revoked."""


class PolicyDeniedError(MeshGuardError):
    """Policy denies the action.

    Attributes:
        action: The denied action.
        resource: The resource of the action, or None.
        policy: The policy that decided, or None when none matched.
        rule: The rule that decided, or None when none matched.
        reason: Why, in one sentence.
        decision: The whole decision, or None when the error was made without one.
        explanation: How the decision was made, if that was requested.

    Example:
        ```python
        from meshguard import PolicyDeniedError

        try:
            client.enforce("delete:database")
        except PolicyDeniedError as error:
            print(f"{error.action}: {error.reason}")
        ```
    """

    def __init__(
        self,
        action: str,
        policy: str | None = None,
        rule: str | None = None,
        reason: str | None = None,
        *,
        resource: str | None = None,
        decision: PolicyDecision | None = None,
        status_code: int | None = None,
        trace_id: str | None = None,
        code: str | None = None,
    ) -> None:
        self.action = action
        self.resource = resource
        self.policy = policy
        self.rule = rule
        self.reason: str = reason or "Access denied by policy"
        self.decision = decision
        self.explanation: Explanation | None = None if decision is None else decision.explanation
        by_policy = f" by policy '{policy}'" if policy else ""
        by_rule = f" (rule: {rule})" if rule else ""
        super().__init__(
            f"Action '{action}' denied{by_policy}{by_rule}: {self.reason}",
            status_code=status_code,
            trace_id=trace_id,
            code=code,
        )


class NotFoundError(MeshGuardError):
    """There is nothing under this id, name or path."""


class ConflictError(MeshGuardError):
    """The state of the object does not permit the change; a revoked agent stays revoked, for example."""


class InvalidRequestError(MeshGuardError):
    """The request is rejected: by the gateway, or before it was sent (`status_code` is None then).

    A body larger than the gateway takes (413) is an invalid request too.

    Attributes:
        details: Every error found: a list of `{"path": "/trustTier", "message": "..."}`.
    """

    def __init__(
        self,
        message: str = "",
        *,
        details: Sequence[ErrorDetail] = (),
        status_code: int | None = None,
        trace_id: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, trace_id=trace_id, code=code)
        self.details: list[ErrorDetail] = list(details)


class RateLimitError(MeshGuardError):
    """Too many requests.

    Attributes:
        retry_after: Seconds to wait before the next attempt, or None when the gateway does not say.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | None = None,
        status_code: int | None = None,
        trace_id: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, trace_id=trace_id, code=code)
        self.retry_after = retry_after


class GatewayError(MeshGuardError):
    """The gateway failed (5xx); nothing was allowed."""


class GatewayUnavailableError(MeshGuardError):
    """The gateway can't be reached, dropped the connection, or did not respond in time."""


class InvalidResponseError(MeshGuardError):
    """The response is not a gateway's; something in between may have sent it."""


class UpstreamError(MeshGuardError):
    """The service behind the proxy returned an error status; the gateway had allowed the request.

    Attributes:
        response: The upstream's response, read to its end.
    """

    response: httpx.Response

    def __init__(
        self,
        message: str = "",
        *,
        response: httpx.Response,
        status_code: int | None = None,
        trace_id: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, trace_id=trace_id, code=code)
        # The base class allows None, this one never does.
        self.response = response  # pyright: ignore[reportIncompatibleVariableOverride]
