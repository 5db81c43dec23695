from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.context import Context
    from ..models.policy import Policy
    from ..models.test_agent import TestAgent


T = TypeVar("T", bound="TestPoliciesRequest")


@_attrs_define
class TestPoliciesRequest:
    """The question, and who is to be asking. Exactly one of `agentId` and `agent` is given.

    Attributes:
        action (str): What an agent wants to do, by convention `verb:object`. Any text of 1 to 2,048 characters without
            control
            characters; compared by code point, and case matters.
        agent_id (str | Unset): A stored agent.
        agent (TestAgent | Unset): An imagined agent.
        resource (str | Unset): What the action is done to, without control characters. Often a path or an id.
        context (Context | Unset): Facts about this one request, such as the arguments of the tool call, for conditions
            to look at.
        policy (str | Unset): 1 to 128 letters, digits, dots, underscores and hyphens.
        candidate (Policy | Unset): What agents may do. A policy is in force whole or not at all.
        candidate_text (str | Unset): The same as YAML 1.2 or JSON text; not together with `candidate`.
    """

    action: str
    agent_id: str | Unset = UNSET
    agent: TestAgent | Unset = UNSET
    resource: str | Unset = UNSET
    context: Context | Unset = UNSET
    policy: str | Unset = UNSET
    candidate: Policy | Unset = UNSET
    candidate_text: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        action = self.action

        agent_id = self.agent_id

        agent: dict[str, Any] | Unset = UNSET
        if not isinstance(self.agent, Unset):
            agent = self.agent.to_dict()

        resource = self.resource

        context: dict[str, Any] | Unset = UNSET
        if not isinstance(self.context, Unset):
            context = self.context.to_dict()

        policy = self.policy

        candidate: dict[str, Any] | Unset = UNSET
        if not isinstance(self.candidate, Unset):
            candidate = self.candidate.to_dict()

        candidate_text = self.candidate_text

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "action": action,
            }
        )
        if agent_id is not UNSET:
            field_dict["agentId"] = agent_id
        if agent is not UNSET:
            field_dict["agent"] = agent
        if resource is not UNSET:
            field_dict["resource"] = resource
        if context is not UNSET:
            field_dict["context"] = context
        if policy is not UNSET:
            field_dict["policy"] = policy
        if candidate is not UNSET:
            field_dict["candidate"] = candidate
        if candidate_text is not UNSET:
            field_dict["candidateText"] = candidate_text

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.context import Context  # noqa: PLC0415
        from ..models.policy import Policy  # noqa: PLC0415
        from ..models.test_agent import TestAgent  # noqa: PLC0415

        d = dict(src_dict)
        action = d.pop("action")

        agent_id = d.pop("agentId", UNSET)

        _agent = d.pop("agent", UNSET)
        agent: TestAgent | Unset
        if isinstance(_agent, Unset):
            agent = UNSET
        else:
            agent = TestAgent.from_dict(_agent)

        resource = d.pop("resource", UNSET)

        _context = d.pop("context", UNSET)
        context: Context | Unset
        if isinstance(_context, Unset):
            context = UNSET
        else:
            context = Context.from_dict(_context)

        policy = d.pop("policy", UNSET)

        _candidate = d.pop("candidate", UNSET)
        candidate: Policy | Unset
        if isinstance(_candidate, Unset):
            candidate = UNSET
        else:
            candidate = Policy.from_dict(_candidate)

        candidate_text = d.pop("candidateText", UNSET)

        test_policies_request = cls(
            action=action,
            agent_id=agent_id,
            agent=agent,
            resource=resource,
            context=context,
            policy=policy,
            candidate=candidate,
            candidate_text=candidate_text,
        )

        return test_policies_request
