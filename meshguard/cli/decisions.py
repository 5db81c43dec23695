"""`meshguard check` and `meshguard explain`: what an agent may do, and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshguard.cli.agent import find_agent
from meshguard.cli.app import App
from meshguard.cli.audit_formats import plain
from meshguard.cli.connection import open_client
from meshguard.cli.errors import CommandError
from meshguard.cli.exit_codes import ExitCode
from meshguard.cli.options import AsJson
from meshguard.cli.output import tracked, write, write_json, write_record, write_tree, write_wrapped
from meshguard.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshguard import MeshGuardClient, PolicyDecision

app = App()

_AUDIT_ID = re.compile(r"aud_([0-9a-f]{12})[0-9a-f]{20}")
_WINDOW = timedelta(minutes=1)  # between the time in an audit ID and that of its entry

Resource = Annotated[
    str | None, typer.Option("--resource", metavar="RESOURCE", help="What the action is done to.")
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="JSON", help="Facts for conditions: a JSON object.")
]
AgentOption = Annotated[
    str | None,
    typer.Option(
        "--agent", metavar="AGENT", help="Decide for this agent, as the administrator, and record nothing."
    ),
]


@dataclass(frozen=True)
class _Outcome:
    fields: dict[str, Any]

    @property
    def allowed(self) -> bool:
        return bool(self.fields["decision"] == "allow")


@app.command(gateway=True)
def check(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Such as read:contacts.")],
    resource: Resource = None,
    context: Context = None,
    agent: AgentOption = None,
    as_json: AsJson = False,
) -> None:
    """Check whether the agent may do something. Exit code 0: allowed; 1: denied.

    The agent is the one whose token is configured; the check is recorded like any other.

    Examples:
      $ meshguard check read:contacts
      $ meshguard check write:refund --context '{"amount": 40}'
      $ meshguard check delete:db --agent support-bot
    """
    outcome = _decide(ctx, action, resource, _object(context), agent, explain=False)
    if as_json:
        write_json(outcome.fields)
    else:
        _write_outcome(outcome)
    raise typer.Exit(ExitCode.OK if outcome.allowed else ExitCode.NO)


@app.command(gateway=True)
def explain(  # noqa: PLR0917 - typer calls it
    ctx: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="ACTION|AUDIT_ID", help="An action, or an entry of the audit log.")
    ],
    resource: Resource = None,
    context: Context = None,
    agent: AgentOption = None,
    as_json: AsJson = False,
) -> None:
    """Explain a decision: policies, rules and tests. Exit code 0: allowed; 1: denied.

    An action is checked now. An entry of the audit log is shown, and evaluated again with the active policies
    and the context values that were recorded.

    Examples:
      $ meshguard explain delete:db --agent support-bot
      $ meshguard explain aud_019a…
    """
    if subject.startswith("aud_"):
        outcome = _explain_entry(ctx, subject)
    else:
        outcome = _decide(ctx, subject, resource, _object(context), agent, explain=True)
    if as_json:
        write_json(outcome.fields)
    else:
        _write_outcome(outcome)
        _write_explanation(outcome)
    raise typer.Exit(ExitCode.OK if outcome.allowed else ExitCode.NO)


def _decide(
    ctx: typer.Context,
    action: str,
    resource: str | None,
    context: Mapping[str, object] | None,
    agent: str | None,
    *,
    explain: bool,
) -> _Outcome:
    with open_client(ctx) as client:
        if agent is None:
            return _Outcome(_fields(client.check(action, resource, context=context, explain=explain)))
        agent_id = find_agent(client, agent).id
        tested = client.test_policies(action, resource, agent=agent_id, context=context)
    fields = _fields(tested)
    if not explain:
        fields.pop("explanation", None)
    return _Outcome(fields)


def _fields(decision: PolicyDecision) -> dict[str, Any]:
    fields = {
        "decision": decision.decision,
        "allowed": decision.allowed,
        "action": decision.action,
        "resource": decision.resource,
        "policy": decision.policy,
        "rule": decision.rule,
        "reason": decision.reason,
        "wouldDeny": decision.would_deny or None,
        "auditId": decision.audit_id,
        "traceId": decision.trace_id,
        "explanation": decision.explanation,
    }
    return plain(fields)


def _explain_entry(ctx: typer.Context, audit_id: str) -> _Outcome:
    with open_client(ctx) as client:
        entry = plain(_entry(client, audit_id))
        if entry["kind"] == "decision" and "agentId" in entry and "explanation" not in entry:
            recorded = entry.get("context", {}).get("values")
            again = client.test_policies(
                entry["action"], entry.get("resource"), agent=entry["agentId"], context=recorded
            )
            entry["now"] = _fields(again)
    return _Outcome({**entry, "auditId": entry["id"]})


def _entry(client: MeshGuardClient, audit_id: str) -> Mapping[str, Any]:
    known = _AUDIT_ID.fullmatch(audit_id)
    window: dict[str, Any] = {}
    if known:
        time = datetime.fromtimestamp(int(known[1], 16) / 1000, UTC)
        window = {"since": time - _WINDOW, "until": time + _WINDOW}
    entries = client.iter_audit_log(kind="all", **window)
    for entry in tracked(entries, "Searching"):
        if entry["id"] == audit_id:
            found: Mapping[str, Any] = entry
            return found
    raise CommandError(
        f'No audit entry "{printable(audit_id)}". `meshguard audit list` shows the newest.', ExitCode.NO
    )


def _object(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CommandError(
            "Cannot use --context: it is not a JSON object. Use one such as '{\"amount\": 40}'."
        )
    return value


def _write_outcome(outcome: _Outcome) -> None:
    fields = outcome.fields
    by = " / ".join(fields[name] for name in ("policy", "rule") if fields.get(name))
    decision = "allow!" if fields.get("wouldDeny") else fields["decision"]
    write_record(
        [
            ("decision", decision),
            ("action", fields["action"]),
            ("resource", fields.get("resource")),
            ("agent", fields.get("agentName")),
            ("time", fields.get("timestamp")),
            ("rule", by),
            ("reason", fields.get("reason")),
            ("audit id", fields.get("auditId")),
            ("trace id", fields.get("traceId")),
        ]
    )


def _write_explanation(outcome: _Outcome) -> None:
    from meshguard.policy import render_explanation

    now = outcome.fields.get("now")
    explanation = (now or outcome.fields).get("explanation")
    if not explanation:
        return
    write()
    if now:
        write_wrapped(
            "Evaluated again with the active policies and the recorded context values:", style="bold"
        )
    write_tree(render_explanation(explanation))
