"""`governed_tool`, the decorator for functions and tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool

from meshguard.integrations.langchain.published.functions import Function, wrap_function
from meshguard.integrations.langchain.published.permission import GuardResolver, OnDeny
from meshguard.integrations.langchain.published.tools import GovernedTool

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshguard.guard import Client


def governed_tool(
    action: str, client: Client | None = None, on_deny: OnDeny | None = None
) -> Callable[[Callable[..., Any] | BaseTool], Any]:
    """Check each call of a function or a tool before it runs.

    Works above and below LangChain's `@tool`. A parameter named `meshguard_decision` receives the decision;
    callers and models don't see it. A call with an argument that JSON can't represent raises. Policies don't
    see arguments annotated with `InjectedToolArg`.

    Args:
        action: The action, by convention `verb:object`.
        client: The client of the agent. By default, each call uses one made from `MESHGUARD_*`.
        on_deny: Called as `on_deny(error, *args, **kwargs)` for a denied call. Returns its result.

    Returns:
        A decorator for functions and coroutine functions. A tool becomes a `GovernedTool`.

    Raises:
        PolicyDeniedError: Raised by a denied call without `on_deny`.
        MeshGuardError: Raised by a call that could not be checked.

    Example:
        ```python
        from meshguard.langchain import governed_tool

        @governed_tool("read:contacts", client=client)
        def fetch_contacts(query: str) -> str:
            return f"{query}@example.com"

        print(fetch_contacts("ada"))
        ```
    """
    resolver = GuardResolver(client)

    def decorate(function: Callable[..., Any] | BaseTool) -> Any:
        if isinstance(function, BaseTool):
            return GovernedTool(function, action, client, on_deny)
        return wrap_function(Function(function), action, resolver, on_deny)

    return decorate
