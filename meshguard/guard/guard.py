"""The guard: decides about tool calls, failing closed."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from meshguard._wire.decisions import check, raise_if_denied
from meshguard._wire.pending import decides
from meshguard.client import MeshGuardClient
from meshguard.exceptions import ConfigurationError, MeshGuardError
from meshguard.guard.actions import Actions, Resources
from meshguard.guard.arguments import PreparedCheck, UndecidableError, exact, parse, snapshot
from meshguard.guard.calls import Action, Client, Context, OnDeny, Resource, ToolCall, denial_message
from meshguard.guard.clients import CallOptions, ClientPool, identities
from meshguard.guard.listing import could_be_allowed
from meshguard.guard.names import KnownNames
from meshguard.types import CheckRequest, PolicyDecision

_log = logging.getLogger("meshguard")


class Guard:
    """Decides about tool calls under the policies of a gateway.

    A guard can be used from many threads, tasks and event loops at once.

    Args:
        client: The client of the agent, a `MeshGuardClient` or an `AsyncMeshGuardClient`. The guard creates
            the other kind with the same settings when a framework needs it. By default, one made from
            `MESHGUARD_*`.
        action_map: Maps tool names to actions. An action may be a template that is filled with arguments of
            the call, such as `"read:{path}"`, or a function of the call; if the function returns None,
            `default_action` applies. A name is matched exactly first, then by its letters and digits only:
            `"Send Email"` matches `send_email`.
        default_action: The action of every other tool. `{tool}` stands for its name.
        resource: The resource of a call: the name of an argument (`"path"`), a template
            (`"{bucket}/{key}"`), or a function of the call that returns text or None. To give each tool its
            own, pass a mapping of tool names to these; other tools then have no resource. By default, calls
            have no resource.
        context: The context that policies see. `"args"`: `{"args": …, "tool": …}`, with `framework` and
            `agent` if they are known. Numbers are exact; an argument that JSON can't represent denies the
            call. A function returns the context itself. None: no context.
        on_deny: The result of a denied call. `"message"`: a sentence for the model. `"raise"`: a
            `PolicyDeniedError`, if the framework lets errors through. A function returns the result itself.
            By default a sentence, except for plain functions, which raise.
        on_error: The result of a call that could not be checked. `"deny"`: it is denied. `"raise"`: the error
            is raised. Adapters for frameworks that swallow errors deny the call in either case.
        agents: Identities of the framework's agents: maps their names to tokens or clients. A call by any
            other agent is denied. A call without an agent uses `client`.

    Raises:
        ConfigurationError: A setting is not valid.

    Example:
        ```python
        from meshguard.guard import Guard, ToolCall

        guard = Guard(client, action_map={"search_contacts": "read:contacts"}, resource={"read_file": "path"})
        call = ToolCall("search_contacts", {"query": "Ada"})
        decision = guard.check(call)
        print("Ada" if decision.allowed else guard.denial_result(call, decision))
        ```
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        action_map: Mapping[str, Action] | None = None,
        default_action: str = "execute:{tool}",
        resource: Resource | Mapping[str, Resource] | None = None,
        context: Context | None = "args",
        on_deny: OnDeny | None = None,
        on_error: Literal["deny", "raise"] = "deny",
        agents: Mapping[str, str | Client] | None = None,
    ) -> None:
        _check_choice("context", context, {"args", None})
        _check_choice("on_deny", on_deny, {"message", "raise", None})
        if on_error not in ("deny", "raise"):
            raise ConfigurationError('on_error must be "deny" or "raise".')
        self._actions = Actions(action_map or {}, default_action)
        self._resources = Resources(resource)
        self._default_client = ClientPool(
            MeshGuardClient() if client is None else client, owned=client is None
        )
        self._agents = None if agents is None else identities(agents)
        self._agent_names = KnownNames("agents", "agent", agents or {})
        self._context = context
        self._on_deny = on_deny
        self._on_error = on_error

    def check(self, call: ToolCall) -> PolicyDecision:
        """Decide about a call.

        Operation `evaluate` (or `check_action` without a context). With `on_error="deny"` this never raises:
        a call that could not be checked is denied.

        Args:
            call: The call, exactly as it is about to be made.

        Returns:
            The decision. `degraded` is True if the guard denied the call without the gateway.

        Raises:
            MeshGuardError: The call could not be checked, and `on_error` is `"raise"`. Errors in functions of
                the user are raised too in this case.

        Example:
            ```python
            from meshguard.guard import Guard, ToolCall

            if Guard(client).check(ToolCall("delete_records")).allowed:
                print("deleted")
            ```
        """
        try:
            prepared = self._prepare(call)
            pool, options = self._identity(call)
            return prepared.confirm(pool.sync().with_options(**options).check(**prepared.request))
        except Exception as error:  # noqa: BLE001 - a call that can't be checked is denied
            return self._undecided(call, error)

    @decides
    async def acheck(self, call: ToolCall) -> PolicyDecision:
        """As `check`, without blocking the event loop.

        Args:
            call: The call, exactly as it is about to be made.

        Returns:
            The decision. `degraded` is True if the guard denied the call without the gateway.

        Raises:
            MeshGuardError: The call could not be checked, and `on_error` is `"raise"`. Errors in functions of
                the user are raised too in this case.
        """
        try:
            prepared = self._prepare(call)
            pool, options = self._identity(call)
            client = await pool.asynchronous()
            return prepared.confirm(await client.with_options(**options).check(**prepared.request))
        except Exception as error:  # noqa: BLE001 - a call that can't be checked is denied
            return self._undecided(call, error)

    def denial_for(self, call: ToolCall) -> str | None:
        """Check a call, for frameworks that run the tool if a hook fails. This method never raises.

        Args:
            call: The call, exactly as it is about to be made.

        Returns:
            None if the call is allowed; otherwise `safe_denial_text`.
        """
        try:
            decision = self.check(call)
        except Exception as error:  # noqa: BLE001 - with on_error="raise"
            decision = _denial(call, error)
        return None if decision.allowed else self.safe_denial_text(call, decision)

    async def adenial_for(self, call: ToolCall) -> str | None:
        """As `denial_for`, without blocking the event loop.

        Args:
            call: The call, exactly as it is about to be made.

        Returns:
            None if the call is allowed; otherwise `safe_denial_text`.
        """
        try:
            decision = await self.acheck(call)
        except Exception as error:  # noqa: BLE001 - with on_error="raise"
            decision = _denial(call, error)
        return None if decision.allowed else self.safe_denial_text(call, decision)

    def denial_result(
        self, call: ToolCall, decision: PolicyDecision, *, default: Literal["message", "raise"] = "message"
    ) -> Any:
        """Return the result of a denied call, as `on_deny` defines it.

        Args:
            call: The denied call.
            decision: Its decision.
            default: The value of `on_deny` if the guard has none: `"raise"` where no model reads the result.

        Returns:
            A sentence for the model, or the result of the `on_deny` function.

        Raises:
            PolicyDeniedError: `on_deny` is `"raise"`.
        """
        if (self._on_deny or default) == "raise":
            raise_if_denied(decision)
        if callable(self._on_deny):
            return self._on_deny(call, decision)
        return denial_message(call, decision)

    def denial_text(self, call: ToolCall, decision: PolicyDecision) -> str:
        """As `denial_result`, always as text, for frameworks that let errors through.

        Args:
            call: The denied call.
            decision: Its decision.

        Returns:
            A sentence for the model, or the result of the `on_deny` function as text.

        Raises:
            PolicyDeniedError: `on_deny` is `"raise"`.
        """
        if self._on_deny == "raise":
            raise_if_denied(decision)
        return self.safe_denial_text(call, decision)

    def safe_denial_text(self, call: ToolCall, decision: PolicyDecision) -> str:
        """As `denial_text`, for frameworks that must not see an error. This method never raises.

        Args:
            call: The denied call.
            decision: Its decision.

        Returns:
            A sentence for the model, or the result of the `on_deny` function as text.
        """
        try:
            result = self._on_deny(call, decision) if callable(self._on_deny) else None
            return denial_message(call, decision) if result is None else _text(result)
        except Exception as error:  # noqa: BLE001 - an error in it must not let the tool run
            _log.warning("on_deny failed for the tool %s: %s", call.tool, type(error).__name__)
            return denial_message(call, decision)

    def check_names(self, *, tools: Iterable[str] | None = None, agents: Iterable[str] | None = None) -> None:
        """Warn about names in `action_map`, `resource` and `agents` that no tool or agent has.

        Adapters call this when they know the names. Each unknown name is logged once, in the log `meshguard`,
        with the nearest existing one.

        Args:
            tools: The names of all tools, if known.
            agents: The names of all agents, if known.
        """
        if tools is not None:
            known = list(tools)
            self._actions.names.add(known)
            self._resources.names.add(known)
        if agents is not None:
            self._agent_names.add(agents)

    async def avisible(self, calls: Sequence[ToolCall]) -> list[bool]:
        """Return which tools to show to a model: those that some arguments or times could make allowed.

        Operation `evaluate_batch` with explanations. `context.listing` is true, which tells these entries
        from calls in the audit log. Functions in `action_map` receive a call without arguments; if one fails,
        its tool is hidden. A tool whose action is a template is shown, because its action depends on the
        arguments.

        Args:
            calls: A call without arguments for each tool.

        Returns:
            For each call, whether to list its tool. All False if the gateway is unreachable.

        Raises:
            MeshGuardError: The tools could not be checked, and `on_error` is `"raise"`. Errors in functions
                of `action_map` are raised too in this case.
        """
        try:
            pool, options = self._one_identity(calls)
            client = await pool.asynchronous()
            requests = [self._listing(call) for call in calls]
            sent = [request for request in requests if not isinstance(request, bool)]
            decisions = iter(await client.with_options(**options).check_many(sent))
            return [
                request if isinstance(request, bool) else could_be_allowed(next(decisions))
                for request in requests
            ]
        except Exception as error:  # noqa: BLE001 - a tool that can't be checked is hidden
            return self._unlisted(calls, error)

    def close(self) -> None:
        """Close the connections that the guard opened outside event loops."""
        for pool in self._pools():
            pool.close()

    async def aclose(self) -> None:
        """Close the connections that the guard opened in this event loop and outside event loops.

        `asyncio.run` closes those of its event loop automatically.
        """
        for pool in self._pools():
            await pool.aclose()

    def _pools(self) -> Iterable[ClientPool]:
        named = self._agents.values() if self._agents else ()
        return [self._default_client, *(pool for pool in named if isinstance(pool, ClientPool))]

    def _prepare(self, call: ToolCall) -> PreparedCheck:
        arguments = parse(call.arguments)
        is_text = isinstance(call.arguments, str | bytes)
        is_sent = is_text or self._context == "args"
        seen: Mapping[Any, object] = exact("argument", arguments) if is_sent else snapshot(arguments)
        parsed = replace(call, arguments=arguments)
        request = {
            "action": self._actions.of(parsed, seen),
            "resource": self._resources.of(parsed, seen),
            "context": self._context_of(parsed, seen),
        }
        return PreparedCheck(request, None if is_text else arguments, seen)

    def _context_of(self, call: ToolCall, seen: Mapping[Any, object]) -> Any:
        if not callable(self._context):
            return self._context and _facts(call, seen)
        context = self._context(call)
        return exact("member of the context", context) if isinstance(context, Mapping) else context

    def _identity(self, call: ToolCall) -> tuple[ClientPool, CallOptions]:
        options: CallOptions = {"trace_id": _trace_id(call.run_id)}
        if self._agents is None or call.agent is None:
            return self._default_client, options
        identity = self._agents.get(call.agent)
        if identity is None:
            raise ConfigurationError(
                f"The agent {call.agent!r} has no identity. Add its token or client to `agents`."
            )
        if isinstance(identity, ClientPool):
            return identity, options
        return self._default_client, {**options, "agent_token": identity}

    def _one_identity(self, calls: Sequence[ToolCall]) -> tuple[ClientPool, CallOptions]:
        if len({call.agent for call in calls}) > 1:
            raise ConfigurationError("Tools of several agents can't be listed together. List each agent's.")
        return self._identity(calls[0] if calls else ToolCall(""))

    def _listing(self, call: ToolCall) -> CheckRequest | bool:
        """The request about a tool, or whether to list it without one."""
        if self._actions.depends_on_arguments(call):
            return True
        try:
            action = self._actions.of(replace(call, arguments={}), {})
            check(action)  # raises for an action that would spoil the whole batch
        except Exception as error:
            if self._on_error == "raise":
                raise
            _log.warning(
                "The tool %r is not listed, because its action is unknown: %s",
                call.tool,
                type(error).__name__,
            )
            return False
        return {"action": action, "context": {"listing": True, "tool": call.tool}, "explain": True}

    def _undecided(self, call: ToolCall, error: Exception) -> PolicyDecision:
        if self._on_error == "raise":
            raise error
        return _denial(call, error)

    def _unlisted(self, calls: Sequence[ToolCall], error: Exception) -> list[bool]:
        if self._on_error == "raise":
            raise error
        _log.warning("No tool is listed, because the check failed: %s", type(error).__name__)
        return [False] * len(calls)


def _denial(call: ToolCall, error: Exception) -> PolicyDecision:
    expected = isinstance(error, MeshGuardError)
    _log.warning(
        "The tool %r was denied, because the check failed: %s",
        call.tool,
        error if expected else type(error).__name__,
        exc_info=None if expected else error,
    )
    return PolicyDecision(
        allowed=False,
        action=call.tool,
        decision="deny",
        reason=_reason(error),
        trace_id=getattr(error, "trace_id", None) or _trace_id(call.run_id),
        degraded=True,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UndecidableError):
        return error.reason
    return f"no decision was possible ({type(error).__name__})"


def _facts(call: ToolCall, arguments: Mapping[str, object]) -> dict[str, Any]:
    facts = {"args": arguments, "tool": call.tool, "framework": call.framework, "agent": call.agent}
    return {name: value for name, value in facts.items() if value is not None}


def _check_choice(name: str, value: object, choices: set[str | None]) -> None:
    if not callable(value) and value not in choices:
        words = ", ".join("None" if choice is None else f'"{choice}"' for choice in choices)
        raise ConfigurationError(f"{name} must be a function or one of {words}.")


def _trace_id(run_id: str | None) -> str | None:
    if run_id is None or re.fullmatch(r"[!-~]{1,128}", run_id):
        return run_id
    return hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()


def _text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, default=str, ensure_ascii=False)
