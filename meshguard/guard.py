"""From a tool call to an action to a decision, failing closed; every adapter in `integrations` stands on it.

An adapter says what the framework is about to run (`ToolCall`), asks (`Guard.check`), and runs the tool only
if the decision allows; else it gives the model what `Guard.refuse` returns. Whatever goes wrong on the way is
a denial: an unreachable gateway, arguments that can't be read, an agent without an identity, a mistake in the
user's own callables.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from meshguard._wire import decisions
from meshguard.async_client import AsyncMeshGuardClient
from meshguard.client import MeshGuardClient
from meshguard.config import Secret, secret
from meshguard.exceptions import ConfigurationError, InvalidRequestError, MeshGuardError
from meshguard.types import CheckRequest, PolicyDecision

__all__ = ["Action", "Client", "Context", "Guard", "OnDeny", "ToolCall", "denial_message"]

_log = logging.getLogger("meshguard")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as the framework is about to make it.

    Attributes:
        tool: The tool's name, as the framework knows it.
        arguments: The arguments by name, or the JSON text of an object as a model wrote it. They don't show
            in a repr, since they hold personal data.
        call_id: The framework's id of the call.
        framework: The framework, such as `langchain`.
        agent: The framework's name of the agent that calls; chooses the identity (`Guard(agents=…)`).
        run_id: The framework's id of the run; becomes the trace id of the decision.
        action: The action, where it is known already; else the guard finds it.

    Example:
        ```python
        from meshguard.guard import ToolCall

        call = ToolCall("send_email", {"to": "ada@example.com"}, framework="mine")
        print(call.tool)
        ```
    """

    tool: str
    arguments: Mapping[str, Any] | str | bytes | None = field(default=None, repr=False)
    call_id: str | None = None
    framework: str | None = None
    agent: str | None = None
    run_id: str | None = None
    action: str | None = None


Client = MeshGuardClient | AsyncMeshGuardClient
Action = str | Callable[[ToolCall], str | None]
Context = Literal["args"] | Callable[[ToolCall], Mapping[str, Any] | None]
OnDeny = Literal["message", "raise"] | Callable[[ToolCall, PolicyDecision], Any]


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
            and `agent`; an argument that JSON can't say is left out, so that no condition on it holds. A
            function: what it returns. None: nothing.
        on_deny: What a denied call gives in place of a result. `"message"`: a sentence for the model.
            `"raise"`: a `PolicyDeniedError`, where the framework lets errors out. A function: what it
            returns.
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
        print("Ada" if decision.allowed else guard.refuse(call, decision))
        ```
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        action_map: Mapping[str, Action] | None = None,
        default_action: str = "execute:{tool}",
        context: Context | None = "args",
        on_deny: OnDeny = "message",
        on_error: Literal["deny", "raise"] = "deny",
        agents: Mapping[str, str | Client] | None = None,
    ) -> None:
        _check_choice("context", context, {"args", None})
        _check_choice("on_deny", on_deny, {"message", "raise"})
        if on_error not in ("deny", "raise"):
            raise ConfigurationError('on_error must be "deny" or "raise".')
        self._default_client = _Pair(MeshGuardClient() if client is None else client, owned=client is None)
        self._agents = None if agents is None else _identities(agents)
        self._actions = _Actions(action_map or {}, default_action)
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
            request = self._request(call)
            pair, options = self._identity(call)
            return pair.sync().with_options(**options).check(**request)
        except Exception as error:  # noqa: BLE001 - what can't be decided is denied
            return self._undecided(call, error)

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
            request = self._request(call)
            pair, options = self._identity(call)
            client = await pair.asynchronous()
            return await client.with_options(**options).check(**request)
        except Exception as error:  # noqa: BLE001 - what can't be decided is denied
            return self._undecided(call, error)

    def refused(self, call: ToolCall) -> str | None:
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
        return None if decision.allowed else self.refusal(call, decision)

    async def arefused(self, call: ToolCall) -> str | None:
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
        return None if decision.allowed else self.refusal(call, decision)

    def refuse(self, call: ToolCall, decision: PolicyDecision) -> Any:
        """What a denied call gives in place of a result, as `on_deny` says.

        Args:
            call: The call that was denied.
            decision: The decision that denied it.

        Returns:
            A sentence for the model, or what the function given as `on_deny` returns.

        Raises:
            PolicyDeniedError: `on_deny` is `"raise"`.
        """
        if self._on_deny == "raise":
            decisions.raise_if_denied(decision)
        if callable(self._on_deny):
            return self._on_deny(call, decision)
        return denial_message(call, decision)

    def refuse_as_text(self, call: ToolCall, decision: PolicyDecision) -> str:
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
            decisions.raise_if_denied(decision)
        return self.refusal(call, decision)

    def refusal(self, call: ToolCall, decision: PolicyDecision) -> str:
        """As `refuse_as_text`, for frameworks that must not see an error.

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
            pair, options = self._one_identity(calls)
            client = await pair.asynchronous()
            requests = [self._listing(call) for call in calls]
            found = iter(await client.with_options(**options).check_many(filter(None, requests)))
            return [request is not None and _could_be_allowed(next(found)) for request in requests]
        except Exception as error:  # noqa: BLE001 - what can't be decided is not shown
            return self._unlisted(calls, error)

    def close(self) -> None:
        """Close the connections that the guard itself opened outside event loops."""
        for pair in self._pairs():
            pair.close()

    async def aclose(self) -> None:
        """Close the connections that the guard itself opened, in this event loop and outside of any.

        Those in an event loop are closed with it, too, where it ends as under `asyncio.run`.
        """
        for pair in self._pairs():
            await pair.aclose()

    def _pairs(self) -> Iterable[_Pair]:
        named = self._agents.values() if self._agents else ()
        return [self._default_client, *(pair for pair in named if isinstance(pair, _Pair))]

    def _request(self, call: ToolCall) -> dict[str, Any]:
        parsed = replace(call, arguments=_parsed(call.arguments))
        return {"action": self._actions.of(parsed), "context": self._context_of(parsed)}

    def _context_of(self, call: ToolCall) -> Mapping[str, Any] | None:
        return self._context(call) if callable(self._context) else self._context and _facts(call)

    def _identity(self, call: ToolCall) -> tuple[_Pair, dict[str, str | None]]:
        options = {"trace_id": _trace_id(call.run_id)}
        if self._agents is None or call.agent is None:
            return self._default_client, options
        identity = self._agents.get(call.agent)
        if identity is None:
            raise ConfigurationError(
                f"The agent {call.agent!r} has no identity: give its token or client in `agents`."
            )
        if isinstance(identity, _Pair):
            return identity, options
        return self._default_client, {**options, "agent_token": identity}

    def _one_identity(self, calls: Sequence[ToolCall]) -> tuple[_Pair, dict[str, str | None]]:
        if len({call.agent for call in calls}) > 1:
            raise ConfigurationError("Tools are listed for one agent at a time.")
        return self._identity(calls[0] if calls else ToolCall(""))

    def _listing(self, call: ToolCall) -> CheckRequest | None:
        """What to ask about a tool; nothing if its action can't be had without arguments."""
        try:
            action = self._actions.of(replace(call, arguments={}))
            decisions.check(action)  # raises for one that can't be sent, which would spoil the whole batch
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


def denial_message(call: ToolCall, decision: PolicyDecision) -> str:
    """The sentence that tells a model of a denial.

    Args:
        call: The call that was denied.
        decision: The decision that denied it.

    Returns:
        One line.

    Example:
        ```python
        from meshguard import PolicyDecision
        from meshguard.guard import ToolCall, denial_message

        denied = PolicyDecision(False, "delete:records", "deny", reason="Nobody deletes records.")
        print(denial_message(ToolCall("delete_records"), denied))
        ```
    """
    reason = " ".join((decision.reason or "policy does not allow it").split())
    end = "" if reason.endswith((".", "!", "?")) else "."
    return f"MeshGuard denied the tool call {call.tool} (action {decision.action}): {reason}{end}"


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
        reason=f"no decision could be had ({type(error).__name__})",
        trace_id=getattr(error, "trace_id", None) or _trace_id(call.run_id),
        degraded=True,
    )


class _Actions:
    """Finds the action of a call."""

    def __init__(self, action_map: Mapping[str, Action], default_action: str) -> None:
        if not isinstance(default_action, str) or not default_action:
            raise ConfigurationError('default_action must be text, such as "execute:{tool}".')
        self._exact: dict[str, Action] = dict(action_map)
        self._default = default_action
        self._normalised: dict[str, Action] = {}
        for tool, action in self._exact.items():
            if not isinstance(tool, str) or not (callable(action) or (isinstance(action, str) and action)):
                raise ConfigurationError("action_map must map tool names to actions, or to functions.")
            known = self._normalised.setdefault(_normalised(tool), action)
            if known != action:
                raise ConfigurationError(
                    f"action_map has two actions for names that differ from {tool!r} only in spelling."
                )

    def of(self, call: ToolCall) -> str:
        """The action of a call."""
        if call.action is not None:
            return call.action
        action = self._exact.get(call.tool) or self._normalised.get(_normalised(call.tool))
        made = action(call) if callable(action) else action
        return self._default.replace("{tool}", call.tool) if made is None else made


class _Pair:
    """The two clients of one identity: one that waits, and for each event loop one that awaits."""

    def __init__(self, client: Client, *, owned: bool = False) -> None:
        if not isinstance(client, Client):
            raise ConfigurationError("A client must be a MeshGuardClient or an AsyncMeshGuardClient.")
        self._given = client
        self._owned = owned
        self._sync: MeshGuardClient | None = client if isinstance(client, MeshGuardClient) else None
        self._async: dict[asyncio.AbstractEventLoop, tuple[AsyncMeshGuardClient, AsyncGenerator[Any]]] = {}
        self._lock = threading.Lock()

    def sync(self) -> MeshGuardClient:
        """The client that waits."""
        if self._sync is None:
            with self._lock:
                self._sync = self._sync or MeshGuardClient(**_settings(self._given))
        return self._sync

    async def asynchronous(self) -> AsyncMeshGuardClient:
        """The client that awaits; connections can't move from one event loop to another."""
        if isinstance(self._given, AsyncMeshGuardClient):
            return self._given
        loop = asyncio.get_running_loop()
        if loop not in self._async:
            for closed in [other for other in tuple(self._async) if other.is_closed()]:
                self._async.pop(closed, None)
            lifetime = self._lifetime(loop)
            self._async[loop] = await anext(lifetime), lifetime
        return self._async[loop][0]

    async def _lifetime(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[AsyncMeshGuardClient]:
        """A client until its event loop ends: `asyncio.run` and its like close the generators of theirs."""
        async with AsyncMeshGuardClient(**_settings(self._given)) as client:
            try:
                yield client
            finally:
                self._async.pop(loop, None)

    def close(self) -> None:
        """Close what was made here and waits."""
        if self._sync is not None and (self._owned or self._sync is not self._given):
            self._sync.close()

    async def aclose(self) -> None:
        """Close what was made here, but for clients of other event loops."""
        self.close()
        _, lifetime = self._async.get(asyncio.get_running_loop(), (None, None))
        if lifetime is not None:
            await lifetime.aclose()


def _settings(client: Client) -> dict[str, Any]:
    transport = client._transport  # noqa: SLF001 - the twin has the very settings
    if not transport.has_own_http_client:
        raise ConfigurationError(
            "The client has an http_client of its own, of which no twin can be made: give the guard "
            "an AsyncMeshGuardClient for async tools, and a MeshGuardClient for sync ones."
        )
    config = transport.config
    return {
        "gateway_url": config.gateway_url,
        "agent_token": config.agent_token,
        "timeout": config.timeout,
        "trace_id": config.trace_id,
        "max_retries": config.max_retries,
        "on_unavailable": config.on_unavailable,
        "require_tls": config.require_tls,
        "trust_env": transport.trusts_env,
    }


def _identities(agents: Mapping[str, str | Client]) -> dict[str, Secret | _Pair]:
    return {name: _identity(value) for name, value in agents.items()}


def _identity(value: str | Client) -> Secret | _Pair:
    identity = _Pair(value) if isinstance(value, Client) else secret(value)
    if identity is None:
        raise ConfigurationError("agents must map each name to a token or to a client.")
    return identity


def _check_choice(name: str, value: object, choices: set[str | None]) -> None:
    if not callable(value) and value not in choices:
        words = ", ".join("None" if choice is None else f'"{choice}"' for choice in choices)
        raise ConfigurationError(f"{name} must be a function or one of {words}.")


def _normalised(tool: str) -> str:
    return re.sub(r"[\W_]+", "_", tool.casefold()).strip("_")


def _parsed(arguments: Mapping[str, Any] | str | bytes | None) -> Mapping[str, Any]:
    if arguments is None or arguments in ("", b""):
        return {}
    if isinstance(arguments, str | bytes):
        try:
            arguments = json.loads(arguments, object_pairs_hook=_unambiguous, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise InvalidRequestError("The arguments of the tool call are not sound JSON.") from None
    if not isinstance(arguments, Mapping):
        raise InvalidRequestError("The arguments of the tool call are not an object.")
    return arguments


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that comes twice: the tool might read the other value than the policy."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key comes twice")
    return members


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _facts(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments if isinstance(call.arguments, Mapping) else {}
    sayable = ((name, _as_json(value)) for name, value in arguments.items())
    facts = {
        "args": {name: value for name, value in sayable if value is not _UNSAYABLE},
        "tool": call.tool,
        "framework": call.framework,
        "agent": call.agent,
    }
    return {name: value for name, value in facts.items() if value is not None}


_UNSAYABLE = object()


def _as_json(value: Any) -> Any:
    """What the gateway will see of an argument, or `_UNSAYABLE`; models are seen by their fields."""
    dump = getattr(value, "model_dump", None)
    try:
        value = dump(mode="json") if dump and not isinstance(value, type) else value
        json.dumps(value, allow_nan=False)
    except Exception:  # noqa: BLE001 - the user's own classes raise what they like
        return _UNSAYABLE
    return value


def _trace_id(run_id: str | None) -> str | None:
    if run_id is None or re.fullmatch(r"[!-~]{1,128}", run_id):
        return run_id
    return hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()


def _could_be_allowed(decision: PolicyDecision) -> bool:
    """Whether the arguments, or the time, could turn the decision into permission."""
    if decision.allowed or decision.explanation is None:
        return decision.allowed
    policies = [policy for policy in decision.explanation.get("policies", ()) if policy.get("applies")]
    rules = [rule for policy in policies for rule in policy.get("rules", ())]
    if any(
        rule.get("effect") == "deny" and not _can_be(rule.get("conditions"), wanted=False) for rule in rules
    ):
        return False
    allows = any(
        rule.get("effect") == "allow" and _can_be(rule.get("conditions"), wanted=True) for rule in rules
    )
    by_default = all(policy.get("defaultEffect") == "allow" for policy in policies)
    return allows or bool(policies and by_default)


def _can_be(test: Mapping[str, Any] | None, *, wanted: bool) -> bool:
    """Whether explained conditions can come out as wanted for some arguments; having none always holds."""
    if test is None:
        return wanted
    name, parts = str(test.get("test")), test.get("parts")
    if not parts:
        return name.startswith(("context.", "time ")) or test.get("value") == str(wanted).lower()
    if name == "not":
        return _can_be(parts[0], wanted=not wanted)
    enough = all if (name == "all") is wanted else any
    return enough(_can_be(part, wanted=wanted) for part in parts)


def _text(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, default=str, ensure_ascii=False)
