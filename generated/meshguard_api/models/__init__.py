"""Contains all the data models used in inputs/outputs"""

from .action_count import ActionCount
from .agent import Agent
from .agent_count import AgentCount
from .agent_list import AgentList
from .agent_status_filter import AgentStatusFilter
from .applies_to import AppliesTo
from .audit_context import AuditContext
from .audit_context_fingerprints import AuditContextFingerprints
from .audit_context_values import AuditContextValues
from .audit_entry import AuditEntry
from .audit_entry_changes import AuditEntryChanges
from .audit_head import AuditHead
from .audit_page import AuditPage
from .audit_stats import AuditStats
from .audit_tombstone import AuditTombstone
from .audit_verification import AuditVerification
from .broken_entry import BrokenEntry
from .conditions import Conditions
from .context import Context
from .create_agent_request import CreateAgentRequest
from .created_agent import CreatedAgent
from .deciding_rule import DecidingRule
from .decision import Decision
from .delegation import Delegation
from .denial import Denial
from .effect import Effect
from .error import Error
from .error_detail import ErrorDetail
from .evaluate_batch_request import EvaluateBatchRequest
from .evaluate_batch_result import EvaluateBatchResult
from .evaluate_request import EvaluateRequest
from .explained_policy import ExplainedPolicy
from .explained_rule import ExplainedRule
from .explained_test import ExplainedTest
from .explanation import Explanation
from .export_audit_entries_decision import ExportAuditEntriesDecision
from .export_audit_entries_kind import ExportAuditEntriesKind
from .gateway_info import GatewayInfo
from .get_audit_stats_period import GetAuditStatsPeriod
from .health import Health
from .health_checks import HealthChecks
from .invalid_request_error import InvalidRequestError
from .issued_token import IssuedToken
from .list_audit_entries_decision import ListAuditEntriesDecision
from .list_audit_entries_kind import ListAuditEntriesKind
from .metadata import Metadata
from .policy import Policy
from .policy_document import PolicyDocument
from .policy_list import PolicyList
from .policy_validation import PolicyValidation
from .rate_limit_error import RateLimitError
from .rule import Rule
from .tag_tests import TagTests
from .test_agent import TestAgent
from .test_policies_request import TestPoliciesRequest
from .tested_decision import TestedDecision
from .text_tests import TextTests
from .time_tests import TimeTests
from .time_tests_weekdays_item import TimeTestsWeekdaysItem
from .trust_tier import TrustTier
from .trust_tier_tests import TrustTierTests
from .update_agent_request import UpdateAgentRequest
from .upstream_query import UpstreamQuery
from .value_tests import ValueTests

__all__ = (
    "ActionCount",
    "Agent",
    "AgentCount",
    "AgentList",
    "AgentStatusFilter",
    "AppliesTo",
    "AuditContext",
    "AuditContextFingerprints",
    "AuditContextValues",
    "AuditEntry",
    "AuditEntryChanges",
    "AuditHead",
    "AuditPage",
    "AuditStats",
    "AuditTombstone",
    "AuditVerification",
    "BrokenEntry",
    "Conditions",
    "Context",
    "CreateAgentRequest",
    "CreatedAgent",
    "DecidingRule",
    "Decision",
    "Delegation",
    "Denial",
    "Effect",
    "Error",
    "ErrorDetail",
    "EvaluateBatchRequest",
    "EvaluateBatchResult",
    "EvaluateRequest",
    "ExplainedPolicy",
    "ExplainedRule",
    "ExplainedTest",
    "Explanation",
    "ExportAuditEntriesDecision",
    "ExportAuditEntriesKind",
    "GatewayInfo",
    "GetAuditStatsPeriod",
    "Health",
    "HealthChecks",
    "InvalidRequestError",
    "IssuedToken",
    "ListAuditEntriesDecision",
    "ListAuditEntriesKind",
    "Metadata",
    "Policy",
    "PolicyDocument",
    "PolicyList",
    "PolicyValidation",
    "RateLimitError",
    "Rule",
    "TagTests",
    "TestAgent",
    "TestedDecision",
    "TestPoliciesRequest",
    "TextTests",
    "TimeTests",
    "TimeTestsWeekdaysItem",
    "TrustTier",
    "TrustTierTests",
    "UpdateAgentRequest",
    "UpstreamQuery",
    "ValueTests",
)
