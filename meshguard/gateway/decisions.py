"""May this agent do that? The one place that decides, and the one that records."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from meshguard.gateway import telemetry
from meshguard.gateway.audit import Row, new_row
from meshguard.gateway.auth import unauthorized
from meshguard.gateway.clock import milliseconds
from meshguard.gateway.http import NO_STORE, RawHeaders, Request, Response, json_response
from meshguard.gateway.json_body import JsonError, parse_json
from meshguard.gateway.problems import Detail, Problem, invalid
from meshguard.gateway.sharing import computing
from meshguard.gateway.store import to_json
from meshguard.policy import Decision, InvalidRequest
from meshguard.policy import Request as Question
from meshguard.policy.work import MAX_TESTS, MAX_TEXT, MAX_VALUES, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshguard.gateway.audit_context import ContextKeeper
    from meshguard.gateway.clock import Clock
    from meshguard.gateway.gateway import Gateway
    from meshguard.gateway.limits import RateLimit
    from meshguard.gateway.metrics import Metrics
    from meshguard.gateway.snapshot import Agent, Current, Snapshot
    from meshguard.gateway.turns import Turns
    from meshguard.gateway.writer import Writer
    from meshguard.policy.nearest import Hint


_MANY = 50  # decisions of a batch that keep two threads computing for long
EXPLANATIONS = 4  # as much work as so many explanations at most is done for one request
_META = b"x-meshguard-meta"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, and whether its answer is to say more of how it came about."""

    question: Question
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision under the gateway's mode, with its audit entry.

    Args:
        question: What was asked.
        decision: What the policies say.
        allowed: Whether the agent may; true in mode `audit`.
        row: The entry, durable once it is recorded.
        conditional: Whether what is denied could be allowed in another case; None when that was not asked.
        hint: What comes nearest to allowing a denied action, for the agent to see.
    """

    question: Question
    decision: Decision
    allowed: bool
    row: Row
    conditional: bool | None = None
    hint: str | None = None

    @property
    def word(self) -> str:
        """The decision as a word."""
        return "allow" if self.allowed else "deny"


class Decisions:
    """Decides and records, whichever door a request came in by."""

    def __init__(
        self,
        *,
        mode: str,
        current: Current,
        writer: Writer,
        limit: RateLimit,
        metrics: Metrics | None,
        context: ContextKeeper,
        clock: Clock,
        turns: Turns,
        explain: bool,
    ) -> None:
        self._mode = mode
        self._current = current
        self._writer = writer
        self._limit = limit
        self._metrics = metrics
        self._context = context
        self._clock = clock
        self._turns = turns
        self._explain = explain

    async def ask(self, agent: Agent, asked: Sequence[Asked], trace_id: str, **about: Any) -> list[Verdict]:
        """Decide all questions of one request; nothing is recorded yet.

        Args:
            agent: Who asks.
            asked: The questions.
            trace_id: The trace they belong to.
            **about: More for the audit entries, by column.

        Raises:
            Problem: 401, when the agent was revoked while its request came in; 429, when these are too many
                for a minute; 503, when the agents and policies at hand may have been overtaken. Then none is
                decided.
        """
        self._present(agent)
        await self._limit.take(agent.record.id, len(asked))
        work = Work(EXPLANATIONS * MAX_TESTS, EXPLANATIONS * MAX_VALUES, EXPLANATIONS * MAX_TEXT)
        verdicts = []
        turn = self._turns.begin()
        for number, one in enumerate(asked):
            if number and (turn.is_over or (one.explain and self._explain)):
                await turn.pause()
            verdicts.append(self._decide(agent, one, trace_id, about, work))
        await self._limit.charge(agent.record.id, work.requests)
        return verdicts

    def _present(self, agent: Agent) -> tuple[Snapshot, Agent]:
        """Return the snapshot and the agent as they are now; both may have changed since the last wait."""
        snapshot = self._current.confirmed()
        found = snapshot.agents.get(agent.record.id)
        if found is None or found.record.status != "active":
            raise unauthorized()
        return snapshot, found

    def _decide(
        self, agent: Agent, asked: Asked, trace_id: str, about: dict[str, Any], work: Work
    ) -> Verdict:
        started = perf_counter()
        now = self._clock()
        question = asked.question
        snapshot, agent = self._present(agent)
        moment = datetime.fromtimestamp(now, UTC)
        explain = work.part() if asked.explain and self._explain else False
        decision = snapshot.engine.decide(agent.subject, question, now=moment, explain=explain)
        would_deny = self._mode == "audit" and not decision.allowed
        allowed = decision.allowed or would_deny
        find_hint = partial(snapshot.engine.hint, agent.subject, question, now=moment)
        row = new_row(
            timestamp=milliseconds(now),
            trace_id=trace_id,
            kind="decision",
            agent_id=agent.record.id,
            agent_name=agent.record.name,
            trust_tier=agent.record.trust_tier,
            action=question.action,
            resource=question.resource,
            decision="allow" if allowed else "deny",
            would_deny=1 if would_deny else None,
            policy=decision.policy,
            rule=decision.rule,
            reason=decision.reason,
            # Without values: of a context the log keeps what the settings name.
            hint=None if decision.allowed else _text(find_hint(values=False)),
            context=self._context.keep(question.context),
            latency_ms=round((perf_counter() - started) * 1000, 3),
            **about,
        )
        conditional = None
        if asked.explain:
            could_allow = snapshot.engine.could_allow
            conditional = not allowed and could_allow(agent.subject, question, now=moment)
        hint = _text(find_hint()) if self._explain and not allowed else None
        return Verdict(question, decision, allowed, row, conditional, hint)

    async def record(self, verdicts: Sequence[Verdict], status: int | None) -> None:
        """Return when the verdicts are durable; only then may anything be answered or forwarded.

        Args:
            verdicts: What was decided for one request.
            status: The HTTP status that the gateway will answer; None when the request is forwarded.

        Raises:
            Problem: 503, when they can't be made durable.
        """
        for verdict in verdicts:
            verdict.row["status"] = status
        await self._writer.record([verdict.row for verdict in verdicts])
        telemetry.decided(verdicts)
        if self._metrics:
            for verdict in verdicts:
                self._metrics.count_decision(verdict.word, verdict.decision.errors)


def _text(hint: Hint | None) -> str | None:
    return hint.text if hint else None


def question_of(action: str, resource: str | None, context: dict[str, Any] | None = None) -> Question:
    """Return a question to the policies.

    Raises:
        Problem: 400, when the text can't be evaluated.
    """
    try:
        return Question(action, resource, context)
    except InvalidRequest as error:
        raise invalid(Detail(error.path, error.message)) from None


def context_in_header(request: Request) -> dict[str, Any] | None:
    """Return the context that the header `X-MeshGuard-Meta` holds; None without one.

    Raises:
        Problem: 400, when it is not a JSON object.
    """
    text = request.head.get(_META)
    if text is None:
        return None
    try:
        context = parse_json(text.encode("latin-1"))
    except JsonError as error:
        raise _invalid_meta(str(error)) from None
    if not isinstance(context, dict):
        raise _invalid_meta("send a JSON object")
    return context


def _invalid_meta(message: str) -> Problem:
    return invalid(Detail("/header/X-MeshGuard-Meta", message))


def _asked(body: dict[str, Any]) -> Asked:
    question = question_of(body["action"], body.get("resource"), body.get("context"))
    return Asked(question, body.get("explain", False))


async def check_action(gateway: Gateway, request: Request) -> Response:
    """Operation `check_action`."""
    action, resource = request.headers["X-MeshGuard-Action"], request.headers.get("X-MeshGuard-Resource")
    question = question_of(action, resource, context_in_header(request))
    with telemetry.deciding(question.action):
        verdicts = await gateway.decisions.ask(request.caller, [Asked(question)], request.trace_id)
        verdict = verdicts[0]
        await gateway.decisions.record(verdicts, 200 if verdict.allowed else 403)
    if not verdict.allowed:
        return denial(verdict)
    return _answer(verdict, gateway.settings.mode)


async def evaluate(gateway: Gateway, request: Request) -> Response:
    """Operation `evaluate`."""
    body = await request.json()
    if (context := context_in_header(request)) is not None:
        if "context" in body:
            raise _invalid_meta("the body has a context too; send one of them")
        body["context"] = context
    asked = _asked(body)
    with telemetry.deciding(asked.question.action):
        verdicts = await gateway.decisions.ask(request.caller, [asked], request.trace_id)
        await gateway.decisions.record(verdicts, 200)
    return _answer(verdicts[0], gateway.settings.mode)


async def evaluate_batch(gateway: Gateway, request: Request) -> Response:
    """Operation `evaluate_batch`."""
    if _META in request.head:
        raise _invalid_meta("a batch has a context in each of its requests; send it there")
    asked = [_asked(body) for body in (await request.json())["requests"]]
    with telemetry.deciding(), computing() if len(asked) > _MANY else nullcontext():
        verdicts = await gateway.decisions.ask(request.caller, asked, request.trace_id)
        await gateway.decisions.record(verdicts, 200)
    agent_id = (b"x-meshguard-agent-id", request.caller.record.id.encode())
    texts, turn = [], gateway.turns.begin()
    for verdict in verdicts:
        if turn.is_over:
            await turn.pause()
        texts.append(to_json(_wire(verdict, gateway.settings.mode)))
    return Response(200, f'{{"decisions":[{",".join(texts)}]}}'.encode(), (agent_id, *NO_STORE))


def _answer(verdict: Verdict, mode: str) -> Response:
    return json_response(_wire(verdict, mode), headers=(*decision_headers(verdict), *NO_STORE))


def decision_headers(verdict: Verdict) -> RawHeaders:
    """Return the response headers that tell of a decision."""
    decided = (b"x-meshguard-decision", verdict.word.encode())
    agent_id = (b"x-meshguard-agent-id", verdict.row["agent_id"].encode())
    policy = verdict.decision.policy
    return (decided, (b"x-meshguard-policy", policy.encode()), agent_id) if policy else (decided, agent_id)


def denial(verdict: Verdict) -> Response:
    """Return the 403 of a denied action, `Denial` of openapi.yaml."""
    reason = verdict.decision.reason
    body = {"error": "forbidden", "message": reason, **_about(verdict)}
    if verdict.hint:
        body["hint"] = verdict.hint
    return json_response(body, 403, (*decision_headers(verdict), *NO_STORE))


def _wire(verdict: Verdict, mode: str) -> dict[str, Any]:
    """Return `Decision` of openapi.yaml."""
    body = {"decision": verdict.word, "allowed": verdict.allowed, "mode": mode, **_about(verdict)}
    if verdict.row["would_deny"]:
        body["wouldDeny"] = True
    if verdict.conditional is not None:
        body["conditional"] = verdict.conditional
    if verdict.decision.explanation:
        body["explanation"] = verdict.decision.explanation
    return body


def _about(verdict: Verdict) -> dict[str, Any]:
    """Return what both tell; what is absent is left out."""
    decision, question = verdict.decision, verdict.question
    about = {
        "action": question.action,
        "reason": decision.reason,
        "traceId": verdict.row["trace_id"],
        "auditId": verdict.row["id"],
        "resource": question.resource,
        "policy": decision.policy,
        "rule": decision.rule,
    }
    return {name: value for name, value in about.items() if value is not None}
