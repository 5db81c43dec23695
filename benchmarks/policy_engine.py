"""How long one decision takes, by number of rules, beside other engines with equivalent rules.

Each rule allows one action of its own; the request is for the last one. "condition" adds one condition on an
amount to every rule. `scripts/bench policy_engine` installs the other engines. Prints a Markdown table.
"""

import argparse
import gc
import importlib.metadata
import importlib.util
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import TypeAlias

SIZES = (1, 100, 1_000, 10_000)
SECONDS = 2.0
PRECISE = 100
MOST = 20_000
LEAST = 20
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)

Loaded: TypeAlias = tuple[Callable[[], bool], float]  # how to decide, and the seconds it took to load


def meshguard(
    size: int, *, condition: bool, pattern: str = "read:item{}", action: str = "read:item{}"
) -> Loaded:
    from meshguard.policy import Agent, PolicyEngine, Request, load_policy  # noqa: PLC0415

    extra = {"conditions": {"context.amount": {"lte": 100}}} if condition else {}
    rules = [{"effect": "allow", "actions": [pattern.format(number)], **extra} for number in range(size)]
    parts = [rules[start : start + 500] for start in range(0, size, 500)]
    policies = [load_policy({"name": f"part-{number}", "rules": part}) for number, part in enumerate(parts)]
    start = time.perf_counter()
    engine = PolicyEngine(policies)
    compiled = time.perf_counter() - start
    agent = Agent("agent_1", "helper", "verified", ["support"])

    def decide() -> bool:
        request = Request(action.format(size - 1), None, {"amount": 5})
        return engine.decide(agent, request, now=NOW).allowed

    return decide, compiled


# a pattern for each rule, and an action that the last one matches
SHAPES = {
    "exact actions": ("read:item{}", "read:item{}"),
    "prefixes": ("item{}:*", "item{}:read"),
    "suffixes": ("*:item{}", "read:item{}"),
    "general patterns": ("item{}:*:x*", "item{}:read:xyz"),
    "a part in the middle": ("*:item{}:*", "read:item{}:x"),
}


def agent_governance_toolkit(size: int, *, condition: bool) -> Loaded:
    library = import_module("agentmesh.governance.policy")

    extra = " and data.amount <= 100" if condition else ""
    start = time.perf_counter()
    rules = [
        library.PolicyRule(
            name=f"rule {number}", condition=f"action.type == 'read:item{number}'{extra}", action="allow"
        )
        for number in range(size)
    ]
    engine = library.PolicyEngine()
    engine.load_policy(library.Policy(name="items", agents=["*"], rules=rules, default_action="deny"))
    compiled = time.perf_counter() - start
    return (
        lambda: (
            engine.evaluate(
                "did:mesh:1", {"action": {"type": f"read:item{size - 1}"}, "data": {"amount": 5}}
            ).allowed
        ),
        compiled,
    )


def cedar(size: int, *, condition: bool) -> Loaded:
    library = import_module("cedarpy")

    extra = " when { context.amount <= 100 }" if condition else ""
    text = "\n".join(
        f'permit(principal, action == Action::"read:item{number}", resource){extra};'
        for number in range(size)
    )
    start = time.perf_counter()
    policies, entities = library.PolicySet.from_str(text), library.Entities.from_json_str("[]")
    compiled = time.perf_counter() - start

    def decide() -> bool:
        request = {
            "principal": 'Agent::"agent_1"',
            "action": f'Action::"read:item{size - 1}"',
            "resource": 'Item::"1"',
            "context": {"amount": 5},
        }
        return bool(library.is_authorized(request, policies, entities).allowed)

    return decide, compiled


CASBIN_MODEL = """
[request_definition]
r = sub, obj, act, amount
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && r.sub == p.sub
"""


def casbin(size: int, *, condition: bool) -> Loaded:
    library = import_module("casbin")

    model = library.Model()
    model.load_model_from_text(CASBIN_MODEL.strip() + (" && r.amount <= 100" if condition else ""))
    start = time.perf_counter()
    enforcer = library.Enforcer(model)
    enforcer.add_policies([["agent_1", "item", f"read:item{number}"] for number in range(size)])
    compiled = time.perf_counter() - start
    return lambda: enforcer.enforce("agent_1", "item", f"read:item{size - 1}", 5), compiled


ENGINES = {
    "meshguard": (meshguard, "ruamel", "ruamel.yaml"),
    "agent-governance-toolkit-core": (agent_governance_toolkit, "agentmesh", "agent-governance-toolkit-core"),
    "cedarpy, pre-parsed": (cedar, "cedarpy", "cedarpy"),
    "pycasbin": (casbin, "casbin", "pycasbin"),
}


def measure(decide: Callable[[], bool]) -> list[float]:
    """The times of single decisions, in microseconds."""
    assert decide() is True
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(times) < LEAST or (len(times) < MOST and time.perf_counter() < until):
        start = time.perf_counter_ns()
        decide()
        times.append((time.perf_counter_ns() - start) / 1_000)
    return times


def microseconds(value: float) -> str:
    return f"{value:,.1f}" if value < PRECISE else f"{value:,.0f}"


def row(name: str, make: Callable[..., Loaded], size: int, *, condition: bool) -> list[str]:
    decide, compiled = make(size, condition=condition)
    gc.collect()
    gc.disable()
    times = measure(decide)
    gc.enable()
    tail = statistics.quantiles(times, n=100)[98]
    cells = [name, f"{size:,}", "yes" if condition else "no", microseconds(statistics.median(times))]
    return [*cells, microseconds(tail), f"{compiled * 1_000:,.1f}"]


def versions(packages: Iterable[str]) -> str:
    return ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = parser.parse_args().sizes
    warnings.simplefilter("ignore")
    installed = {name: engine for name, engine in ENGINES.items() if importlib.util.find_spec(engine[1])}
    packages = versions(package for _, _, package in installed.values())
    print(f"Python {platform.python_version()}, {platform.machine()}; {packages}\n")
    print("| engine | rules | condition | p50 µs | p99 µs | load ms |")
    print("|---|---:|---|---:|---:|---:|")
    for condition in (False, True):
        for size in sizes:
            for name, (make, _, _) in installed.items():
                print("| " + " | ".join(row(name, make, size, condition=condition)) + " |", flush=True)
    by_shape(sizes)


def by_shape(sizes: Iterable[int]) -> None:
    print("\n| meshguard, by the shape of actions | rules | condition | p50 µs | p99 µs | load ms |")
    print("|---|---:|---|---:|---:|---:|")
    for name, (pattern, action) in SHAPES.items():
        for size in sizes:
            make = partial(meshguard, pattern=pattern, action=action)
            print("| " + " | ".join(row(name, make, size, condition=False)) + " |", flush=True)


if __name__ == "__main__":
    main()
