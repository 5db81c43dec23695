# Made from meshguard/_async/decisions.py by scripts/unasync; edit that file.
"""Decisions: what an agent may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from meshguard._sync.base import ClientBase
from meshguard._wire import decisions
from meshguard.governed import Governed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshguard.types import CheckRequest, PolicyDecision


class Decisions(ClientBase):
    """The methods that check actions against policies."""

    def check(
        self,
        action: str,
        resource: str | None = None,
        *,
        context: Mapping[str, object] | None = None,
        explain: bool = False,
    ) -> PolicyDecision:
        """Return the decision on an action. Operation `check_action` or `evaluate`.

        Args:
            action: The action, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: The object of the action; up to 8,192 characters.
            context: Facts about this request that conditions test, such as the arguments of a tool call;
                anything with an exact JSON value.
            explain: Explain the decision in `decision.explanation`.

        Returns:
            The decision, even when it denies.

        Raises:
            InvalidRequestError: An argument is empty, contains control characters or has no JSON value.

        Example:
            ```python
            decision = client.check("write:refund", "order-1041", context={"amount": 40})
            print(decision.allowed, decision.reason)
            ```
        """
        call = decisions.check(
            action,
            resource,
            context=context,
            explain=explain,
            on_unavailable=self._transport.config.on_unavailable,
        )
        return self._transport.send(call)

    def check_many(self, requests: Iterable[str | CheckRequest]) -> list[PolicyDecision]:
        """Return the decisions on any number of actions. Operation `evaluate_batch`.

        The requests are sent in batches of 1,000. Each decision has its own audit entry.

        Args:
            requests: Actions, or mappings with the arguments of `check`; they can be mixed.

        Returns:
            One decision for each request, in the same order.

        Raises:
            InvalidRequestError: A request is invalid; nothing is sent when that is detected beforehand.
            PolicyDeniedError: The gateway denies the whole batch.

        Example:
            ```python
            requests = ["read:contacts", {"action": "read:file", "resource": "/etc/passwd"}]
            decisions = client.check_many(requests)
            print([decision.allowed for decision in decisions])
            ```
        """
        batches = decisions.check_many(requests, on_unavailable=self._transport.config.on_unavailable)
        return [decision for batch in batches for decision in self._transport.send(batch)]

    def enforce(
        self, action: str, resource: str | None = None, *, context: Mapping[str, object] | None = None
    ) -> PolicyDecision:
        """Return the decision on an action, or raise when it denies. Takes the arguments of `check`.

        Returns:
            The decision, which allows the action.

        Raises:
            PolicyDeniedError: The action is denied.

        Example:
            ```python
            from meshguard import PolicyDeniedError

            try:
                client.enforce("delete:database")
            except PolicyDeniedError as error:
                print(f"Denied: {error.reason}")
            ```
        """
        return decisions.raise_if_denied(self.check(action, resource, context=context))

    def govern(
        self, action: str, resource: str | None = None, *, context: Mapping[str, object] | None = None
    ) -> Governed[Self]:
        """Run a block or a function only if an action is allowed. Takes the arguments of `check`.

        `with` enforces the action before the block runs, a decorated function on every call before its
        body runs.

        Returns:
            A reusable context manager and decorator. `with` gives the decision.

        Raises:
            TypeError: Either the client or the decorated function is asynchronous, and the other isn't.

        Example:
            ```python
            from meshguard import PolicyDeniedError

            @client.govern("write:email")
            def send_email(to: str) -> str:
                return f"sent to {to}"

            try:
                with client.govern("write:email") as decision:
                    print("allowed", decision.trace_id)
                send_email("ada@example.com")
            except PolicyDeniedError as error:
                print(error)
            ```
        """
        return Governed(self, action, resource, lambda: self.enforce(action, resource, context=context))
