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
    """The methods that ask for decisions."""

    @decides  # sync:
    async def check(
        self,
        action: str,
        resource: str | None = None,
        *,
        context: Mapping[str, object] | None = None,
        explain: bool = False,
    ) -> PolicyDecision:
        """Ask whether an action is allowed.

        Operation `check_action`, or `evaluate` when there is a context, an explanation is wanted, or a value
        is more than a header can carry.

        Args:
            action: What is to be done, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: What it is to be done to; up to 8,192 characters.
            context: Facts about this one request for conditions to look at, such as the tool call's
                arguments; anything that JSON can say.
            explain: Whether `decision.explanation` is to say how the decision came about.

        Returns:
            The decision, also when it denies.

        Raises:
            InvalidRequestError: A value is empty or holds control characters, or the gateway refuses it.

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
        """Ask for many decisions at once.

        Operation `evaluate_batch`, in batches of 1,000. Each decision has an audit entry of its own.

        Args:
            requests: Actions, or mappings of `action`, `resource`, `context` and `explain`, in any mixture.

        Returns:
            A decision for each request, in their order.

        Raises:
            InvalidRequestError: A request is not sound; nothing is sent if that can be told before.
            PolicyDeniedError: The gateway denies the batch as a whole.

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
        """Go on only if an action is allowed.

        Operations `check_action` and `evaluate`, as in `check`.

        Args:
            action: What is to be done, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: What it is to be done to; up to 8,192 characters.
            context: Facts about this one request for conditions to look at.

        Returns:
            The decision, which allows.

        Raises:
            PolicyDeniedError: The action is denied.
            InvalidRequestError: A value is empty or holds control characters, or the gateway refuses it.

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
        """Run a block, or a function, only if an action is allowed.

        With `async with`, the decision is made on entering the block. As a decorator, a decision is made at
        each call, before the function runs. Operations `check_action` and `evaluate`, as in `check`.

        An async generator function is decided on when its first item is asked for.

        Args:
            action: What is to be done, by convention `verb:object`; 1 to 2,048 characters of any language.
            resource: What it is to be done to; up to 8,192 characters.
            context: Facts about this one request for conditions to look at.

        Returns:
            A context manager that gives the decision, and a decorator; it can be used again and again.

        Raises:
            TypeError: On decorating: the function is not async; it belongs to `MeshGuardClient`.
            PolicyDeniedError: On entering or calling: the action is denied. All errors of `enforce` may be
                raised there.

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
