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
from meshguard.guard.arguments import Question, UndecidableError, exact, looks, read
from meshguard.guard.calls import Action, Client, Context, OnDeny, ToolCall, denial_message
from meshguard.guard.clients import CallOptions, ClientPool, identities
from meshguard.guard.listing import could_be_allowed
from meshguard.guard.names import Actions, KnownNames
from meshguard.types import CheckRequest, PolicyDecision

_log = logging.getLogger("meshguard")


class Guard:
    """Decides about tool calls under the policies of a gateway.

    One guard serves many threads, tasks and event loops at once.

    Args:
        client: Whom to ask, and as which agent. A `MeshGuardClient` or an `AsyncMeshGuardClient`: the guard
            makes the other of the two, with the same settings, when the framework needs it. Made from
            `MESHGUARD_*` when left out.
        action_map: Tool name to action, or to a function that makes the action of the call. A name is looked
            up as it is, then without regard to case and to what is no letter or digit, so that `"Send Email"`
            finds `send_email`. A function that returns None leaves the call to `default_action`.
        default_action: The action of every other tool; `{tool}` stands for its name.
        context: What policies may look at. `"args"`: `{"args": …, "tool": …}` and, where known, `framework`
            and `agent`. Numbers are exact; a call with an argument that JSON can't represent is denied. A
            function: what it returns, which must be JSON too. None: nothing.
        on_deny: What a denied call gives in place of a result. `"message"`: a sentence for the model.
            `"raise"`: a `PolicyDeniedError`, where the framework lets errors out. A function: what it
            returns. By default a sentence, except from functions, which raise.
        on_error: What happens when no decision can be had. `"deny"`: the call is denied. `"raise"`: the error
            is raised; an adapter for a framework that swallows errors denies all the same.
        agents: Identities for the framework's own agents: their names to a token or to a client. A call by
            an agent that is not in it is denied; a call that names no agent is `client`'s.

    Raises:
        ConfigurationError: A setting can't be used; the message says what to do.

    Example:
        ```python
        from meshguard.guard import Guard, ToolCall

        guard = Guard(client, action_map={"search_contacts": "read:contacts"})
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
        context: Context | None = "args",
        on_deny: OnDeny | None = None,
        on_error: Literal["deny", "raise"] = "deny",
        agents: Mapping[str, str | Client] | None = None,
    ) -> None:
        _check_choice("context", context, {"args", None})
        _check_choice("on_deny", on_deny, {"message", "raise", None})
        if on_error not in ("deny", "raise"):
            raise ConfigurationError('on_error must be "deny" or "raise".')
        self._default_client = ClientPool(
            MeshGuardClient() if client is None else client, owned=client is None
        )
        self._agents = None if agents is None else identities(agents)
        self._agent_names = KnownNames("agents", "agent", agents or {})
        self._actions = Actions(action_map or {}, default_action)
        self._context = context
        self._on_deny = on_deny
        self._on_error = on_error

    def check(self, call: ToolCall) -> PolicyDecision:
        """Decide about a call.

        Operation `evaluate` (or `check_action`, when `context` gives nothing). No decision is no permission:
        with `on_error="deny"` this never raises.

        Args:
            call: The call, as it is about to be made.

        Returns:
            The decision; `degraded` when it was made here for want of a gateway's.

        Raises:
            MeshGuardError: No decision can be had, and `on_error` is `"raise"`. What a function of
                `action_map` or `context` raises comes out then, too.

        Example:
            ```python
            from meshguard.guard import Guard, ToolCall

            if Guard(client).check(ToolCall("delete_records")).allowed:
                print("gone")
            ```
        """
        try:
            question = self._question(call)
            pool, options = self._identity(call)
            return question.confirm(pool.sync().with_options(**options).check(**question.request))
        except Exception as error:  # noqa: BLE001 - what can't be decided is denied
            return self._undecided(call, error)

    @decides
    async def acheck(self, call: ToolCall) -> PolicyDecision:
        """Decide about a call without blocking the event loop; else as `check`.

        Args:
            call: The call, as it is about to be made.

        Returns:
            The decision; `degraded` when it was made here for want of a gateway's.

        Raises:
            MeshGuardError: No decision can be had, and `on_error` is `"raise"`. What a function of
                `action_map` or `context` raises comes out then, too.
        """
        try:
            question = self._question(call)
            pool, options = self._identity(call)
            client = await pool.asynchronous()
            return question.confirm(await client.with_options(**options).check(**question.request))
        except Exception as error:  # noqa: BLE001 - what can't be decided is denied
            return self._undecided(call, error)

    def denial_for(self, call: ToolCall) -> str | None:
        """Decide about a call, for frameworks that run the tool if a hook fails; this never raises.

        Args:
            call: The call, as it is about to be made.

        Returns:
            None if it is allowed; else what to tell the model, as `refusal`.
        """
        try:
            decision = self.check(call)
        except Exception as error:  # noqa: BLE001 - with on_error="raise"
            decision = _denial(call, error)
        return None if decision.allowed else self.safe_denial_text(call, decision)

    async def adenial_for(self, call: ToolCall) -> str | None:
        """Decide about a call without blocking the event loop; else as `refused`.

        Args:
            call: The call, as it is about to be made.

        Returns:
            None if it is allowed; else what to tell the model, as `refusal`.
        """
        try:
            decision = await self.acheck(call)
        except Exception as error:  # noqa: BLE001 - with on_error="raise"
            decision = _denial(call, error)
        return None if decision.allowed else self.safe_denial_text(call, decision)

    def denial_result(
        self, call: ToolCall, decision: PolicyDecision, *, default: Literal["message", "raise"] = "message"
    ) -> Any:
        """What a denied call gives in place of a result, as `on_deny` says.

        Args:
            call: The call that was denied.
            decision: The decision that denied it.
            default: What `on_deny` is when the guard has none: `"raise"` where no model reads the result.

        Returns:
            A sentence for the model, or what the function given as `on_deny` returns.

        Raises:
            PolicyDeniedError: `on_deny` is `"raise"`.
        """
        if (self._on_deny or default) == "raise":
            raise_if_denied(decision)
        if callable(self._on_deny):
            return self._on_deny(call, decision)
        return denial_message(call, decision)

    def denial_text(self, call: ToolCall, decision: PolicyDecision) -> str:
        """As `refuse`, as text, for frameworks that take nothing else and let errors out.

        Args:
            call: The call that was denied.
            decision: The decision that denied it.

        Returns:
            A sentence for the model, or what the function given as `on_deny` returns, as text.

        Raises:
            PolicyDeniedError: `on_deny` is `"raise"`.
        """
        if self._on_deny == "raise":
            raise_if_denied(decision)
        return self.safe_denial_text(call, decision)

    def safe_denial_text(self, call: ToolCall, decision: PolicyDecision) -> str:
        """As `denial_text`, for frameworks that must not see an error.

        Args:
            call: The call that was denied.
            decision: The decision that denied it.

        Returns:
            A sentence for the model, or what the function given as `on_deny` returns, as text.
        """
        try:
            said = self._on_deny(call, decision) if callable(self._on_deny) else None
            return denial_message(call, decision) if said is None else _text(said)
        except Exception as error:  # noqa: BLE001 - a mistake in it must not let the tool run
            _log.warning("on_deny failed for the tool %s: %s", call.tool, type(error).__name__)
            return denial_message(call, decision)

    def check_names(self, *, tools: Iterable[str] | None = None, agents: Iterable[str] | None = None) -> None:
        """Warn of names in `action_map` and `agents` that no tool or agent has; for adapters that know them.

        Each name is warned of once, in the log `meshguard`, with the nearest one that exists.

        Args:
            tools: The names of all tools, where they are known.
            agents: The names of all agents, where they are known.
        """
        if tools is not None:
            self._actions.names.add(tools)
        if agents is not None:
            self._agent_names.add(agents)

    async def avisible(self, calls: Sequence[ToolCall]) -> list[bool]:
        """Which tools are worth showing to a model: those that some arguments or times could make allowed.

        Operation `evaluate_batch` with explanations, and with `context.listing` true, so that these entries
        can be told from calls in the audit log. A function in `action_map` gets a call without arguments; if
        it fails, its tool is not shown.

        Args:
            calls: A call without arguments for each tool.

        Returns:
            For each call whether its tool may be listed; all false when the gateway can't be asked.

        Raises:
            MeshGuardError: The gateway can't be asked, and `on_error` is `"raise"`. What a function of
                `action_map` raises comes out then, too.
        """
        try:
            pool, options = self._one_identity(calls)
            client = await pool.asynchronous()
            requests = [self._listing(call) for call in calls]
            decisions = iter(await client.with_options(**options).check_many(filter(None, requests)))
            return [request is not None and could_be_allowed(next(decisions)) for request in requests]
        except Exception as error:  # noqa: BLE001 - what can't be decided is not shown
            return self._unlisted(calls, error)

    def close(self) -> None:
        """Close the connections that the guard itself opened outside event loops."""
        for pool in self._pools():
            pool.close()

    async def aclose(self) -> None:
        """Close the connections that the guard itself opened, in this event loop and outside of any.

        Those in an event loop are closed with it, too, where it ends as under `asyncio.run`.
        """
        for pool in self._pools():
            await pool.aclose()

    def _pools(self) -> Iterable[ClientPool]:
        named = self._agents.values() if self._agents else ()
        return [self._default_client, *(pool for pool in named if isinstance(pool, ClientPool))]

    def _question(self, call: ToolCall) -> Question:
        arguments = read(call.arguments)
        is_text = isinstance(call.arguments, str | bytes)
        sent = is_text or self._context == "args"
        seen: Mapping[Any, object] = exact("argument", arguments) if sent else looks(arguments)
        parsed = replace(call, arguments=arguments)
        action = self._actions.of(parsed)
        context = (
            self._context_of(parsed) if callable(self._context) else self._context and _facts(call, seen)
        )
        return Question({"action": action, "context": context}, None if is_text else arguments, seen)

    def _context_of(self, call: ToolCall) -> Any:
        context = self._context(call) if callable(self._context) else None
        return exact("member of the context", context) if isinstance(context, Mapping) else context

    def _identity(self, call: ToolCall) -> tuple[ClientPool, CallOptions]:
        options: CallOptions = {"trace_id": _trace_id(call.run_id)}
        if self._agents is None or call.agent is None:
            return self._default_client, options
        identity = self._agents.get(call.agent)
        if identity is None:
            raise ConfigurationError(
                f"The agent {call.agent!r} has no identity: give its token or client in `agents`."
            )
        if isinstance(identity, ClientPool):
            return identity, options
        return self._default_client, {**options, "agent_token": identity}

    def _one_identity(self, calls: Sequence[ToolCall]) -> tuple[ClientPool, CallOptions]:
        if len({call.agent for call in calls}) > 1:
            raise ConfigurationError("Tools are listed for one agent at a time.")
        return self._identity(calls[0] if calls else ToolCall(""))

    def _listing(self, call: ToolCall) -> CheckRequest | None:
        """What to ask about a tool; nothing if its action can't be had without arguments."""
        try:
            action = self._actions.of(replace(call, arguments={}))
            check(action)  # raises for one that can't be sent, which would spoil the whole batch
        except Exception as error:
            if self._on_error == "raise":
                raise
            _log.warning(
                "The tool %r is not listed, for want of its action: %s", call.tool, type(error).__name__
            )
            return None
        return {"action": action, "context": {"listing": True, "tool": call.tool}, "explain": True}

    def _undecided(self, call: ToolCall, error: Exception) -> PolicyDecision:
        if self._on_error == "raise":
            raise error
        return _denial(call, error)

    def _unlisted(self, calls: Sequence[ToolCall], error: Exception) -> list[bool]:
        if self._on_error == "raise":
            raise error
        _log.warning("No tool is listed, since the gateway could not be asked: %s", type(error).__name__)
        return [False] * len(calls)


def _denial(call: ToolCall, error: Exception) -> PolicyDecision:
    expected = isinstance(error, MeshGuardError)
    _log.warning(
        "The tool %r was denied, since no decision could be had: %s",
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
    return f"no decision could be had ({type(error).__name__})"


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


def _text(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, default=str, ensure_ascii=False)
