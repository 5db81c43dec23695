"""Decisions: what an agent may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from meshguard._async.base import ClientBase
from meshguard._wire import decisions
from meshguard._wire.pending import awaited, decides
from meshguard.governed import AsyncGoverned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshguard.types import CheckRequest, PolicyDecision


class Decisions(ClientBase):
    """The methods that check actions against policies."""

    @decides  # sync:
    async def check(
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
            decision = await client.check("write:refund", "order-1041", context={"amount": 40})
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
        return await self._transport.send(call)

    @decides  # sync:
    async def check_many(self, requests: Iterable[str | CheckRequest]) -> list[PolicyDecision]:
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
            decisions = await client.check_many(requests)
            print([decision.allowed for decision in decisions])
            ```
        """
        batches = decisions.check_many(requests, on_unavailable=self._transport.config.on_unavailable)
        return [decision for batch in batches for decision in await self._transport.send(batch)]

    @awaited  # sync:
    async def enforce(
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
                await client.enforce("delete:database")
            except PolicyDeniedError as error:
                print(f"Denied: {error.reason}")
            ```
        """
        return decisions.raise_if_denied(await self.check(action, resource, context=context))

    def govern(
        self, action: str, resource: str | None = None, *, context: Mapping[str, object] | None = None
    ) -> AsyncGoverned[Self]:
        """Run a block or a function only if an action is allowed. Takes the arguments of `check`.

        `async with` enforces the action before the block runs, a decorated function on every call before its
        body runs.

        Returns:
            A reusable context manager and decorator. `async with` gives the decision.

        Raises:
            TypeError: Either the client or the decorated function is asynchronous, and the other isn't.

        Example:
            ```python
            from meshguard import PolicyDeniedError

            @client.govern("write:email")
            async def send_email(to: str) -> str:
                return f"sent to {to}"

            try:
                async with client.govern("write:email") as decision:
                    print("allowed", decision.trace_id)
                await send_email("ada@example.com")
            except PolicyDeniedError as error:
                print(error)
            ```
        """
        return AsyncGoverned(self, action, resource, lambda: self.enforce(action, resource, context=context))
