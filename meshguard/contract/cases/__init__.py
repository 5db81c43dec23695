"""What the contract says in prose, a case for each sentence: its name says it, its docstring the rule."""

from meshguard.contract.cases import agents, audit, decisions, http, policies, proxy, tracing
from meshguard.contract.cases.case import Case, cases_of

ALL: tuple[Case, ...] = tuple(
    case
    for module in (http, tracing, decisions, agents, policies, audit, proxy)
    for case in cases_of(module.__name__)
)
