"""What an adapter adds to a tool call beside the decision itself, as a Markdown table.

Each framework runs the agent of its conformance tests with a scripted model that makes many calls of one
tool, once governed and once not (or, where the framework takes long to call any hook, with one that does
nothing), in rounds that take turns. The client answers at once, so that what is left
is the adapter and the guard: reading the call, finding the action, making the context, choosing the identity.
Processor time is measured, since other work on the machine disturbs it least.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import _idle_hooks
from meshguard import AsyncMeshGuardClient, MeshGuardClient, PolicyDecision
from meshguard.guard import Guard, ToolCall
from meshguard.guard.clients import ClientPool
from meshguard.testing.conformance import LOOKUP, AdapterConformance, Call, Script
from tests.environments import ADAPTERS, ROOT, adapter_environment

TURNS, CALLS, ROUNDS = 8, 200, 15  # some frameworks end a run after ten turns
HOOKS = {  # where a framework calls the adapter, and whether it hands over what runs the tool
    "langchain": (
        "meshguard.integrations.langchain.middleware",
        "MeshGuardMiddleware",
        "wrap_tool_call",
        True,
    ),
    "google_adk": ("meshguard.integrations.google_adk", "MeshGuardPlugin", "before_tool_callback", False),
    "pydantic_ai": (
        "meshguard.integrations.pydantic_ai",
        "MeshGuardCapability",
        "before_tool_execute",
        False,
    ),
    "crewai": ("meshguard.integrations.crewai", "_Hooks", "before", False),
    "claude_agent": ("meshguard.integrations.claude_agent", "_Session", "decide", False),
}
SLOW = {"claude_agent", "crewai"}  # a run of theirs takes seconds
OVER_HTTP = {"session"}  # whose way to the server is not that of its ungoverned twin
MARK = "figures: "  # frameworks print, too
NOWHERE = "http://127.0.0.1:9"
ALLOWED = PolicyDecision(allowed=True, action="execute:lookup", decision="allow")
HARNESSES = {  # the framework's conformance tests, governed and without a hook (or with an idle one)
    "functions": ("tests.adapters.test_functions", "TestFunctions", "WithoutTheHook"),
    "langchain": ("tests.adapters.test_langchain", "TestLangChain", "WithoutTheHook"),
    "langgraph": ("tests.adapters.test_langchain", "TestToolNode", "NodeWithoutTheHook"),
    "openai_agents": ("tests.adapters.test_openai_agents", "TestOpenAIAgents", "WithoutTheHook"),
    "pydantic_ai": ("tests.adapters.test_pydantic_ai", "TestPydanticAI", "WithoutTheHook"),
    "google_adk": ("tests.adapters.test_google_adk", "TestGoogleADK", "WithoutTheHook"),
    "mcp server": ("tests.adapters.test_mcp", "TestMCPServer", "ServerWithoutTheHook"),
    "mcp client": ("tests.adapters.test_mcp", "TestMCPClients", "ClientsWithoutTheHook"),
    "fastmcp": ("tests.adapters.test_fastmcp", "TestFastMCPServer", "WithoutTheHook"),
    "crewai": ("tests.adapters.crewai.test_crewai", "TestCrewAI", "WithoutTheHook"),
    "claude_agent": ("tests.adapters.claude_agent.test_claude_agent", "TestClaudeAgent", "WithoutTheHook"),
}


class Instant(MeshGuardClient):
    """A client that has its answer ready."""

    def check(self, *_: Any, **__: Any) -> PolicyDecision:
        """Allow."""
        return ALLOWED

    def check_many(self, requests: Iterable[Any]) -> list[PolicyDecision]:
        """Allow all."""
        return [ALLOWED for _ in requests]


class InstantAsync(AsyncMeshGuardClient):
    """The same, awaited."""

    async def check(self, *_: Any, **__: Any) -> PolicyDecision:
        """Allow."""
        return ALLOWED

    async def check_many(self, requests: Iterable[Any]) -> list[PolicyDecision]:
        """Allow all."""
        return [ALLOWED for _ in requests]


def instant_guard() -> Guard:
    """A guard both of whose clients answer at once."""
    both = ClientPool(InstantAsync(NOWHERE, "token"))
    both._sync = Instant(NOWHERE, "token")  # noqa: SLF001 - it would make a client that asks
    guard = Guard(Instant(NOWHERE, "token"))
    guard._default_client = both  # noqa: SLF001
    return guard


def seconds(adapter: type[AdapterConformance], mode: str) -> float:
    """How long a tool call takes in a run of many."""
    calls = [Call("lookup", {"query": f"Ada {number}"}) for number in range(CALLS)]
    turns = [calls[start::TURNS] for start in range(TURNS)]
    script = Script(instant_guard(), turns, mode)
    gc.collect()
    gc.disable()
    start = time.process_time()
    told = adapter().run(script)
    took = time.process_time() - start
    gc.enable()
    if len(script.ran) != CALLS or len(told) != CALLS:
        raise RuntimeError(f"{len(script.ran)} of {CALLS} calls ran")
    return took / CALLS


def added(framework: str) -> dict[str, tuple[float, float]]:
    """For each mode the microseconds of an ungoverned call, and what governing adds: medians."""
    module_name, governed_name, bare_name = HARNESSES[framework]
    module = importlib.import_module(module_name)
    governed = getattr(module, governed_name)
    idle = getattr(_idle_hooks, framework, None)
    bare = idle() if idle else getattr(module, bare_name)
    results = {}
    for mode in [mode for mode in governed.modes if mode not in OVER_HTTP]:
        count = 4 if framework in SLOW else ROUNDS
        rounds = [(seconds(bare, mode), seconds(governed, mode)) for _ in range(count)][1:]
        base = statistics.median(before for before, _ in rounds)
        more = statistics.median(after - before for before, after in rounds)
        results[mode] = (base * 1e6, more * 1e6)
    return results


def hook_alone(framework: str) -> float:
    """Microseconds of the adapter's hook, called again and again with what the framework once gave it."""
    module_name, owner_name, name, has_handler = HOOKS[framework]
    owner = getattr(importlib.import_module(module_name), owner_name)
    original, seen = getattr(owner, name), []

    def remembering(*args: Any, **kwargs: Any) -> Any:
        seen.append((args, kwargs))
        return original(*args, **kwargs)

    setattr(owner, name, remembering)
    tests, governed_name, _ = HARNESSES[framework]
    adapter = getattr(importlib.import_module(tests), governed_name)
    adapter().run(Script(instant_guard(), [[LOOKUP]], adapter.modes[0]))
    args, kwargs = seen[0]
    if has_handler:
        args = (*args[:-1], lambda _: None)
    return asyncio.run(_repeated(lambda: original(*args, **kwargs)))


async def _repeated(hook: Callable[[], Any]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(CALLS):
            result = hook()
            if inspect.isawaitable(result):
                await result
        rounds.append((time.process_time() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def measured(framework: str, *arguments: str) -> Any:
    """What this module says of a framework, in the environment of the framework."""
    python = adapter_environment(framework) if framework in ADAPTERS else ROOT / ".venv/bin/python"
    command = [str(python), "-m", "benchmarks.adapter_overhead", *arguments, framework]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith(MARK))[len(MARK) :])


def guard_alone() -> float:
    """Microseconds of `Guard.check` with a client that answers at once."""
    guard = instant_guard()
    call = ToolCall("lookup", {"query": "Ada"}, framework="none", run_id="run-1")
    return _per_call(lambda: guard.check(call))


def _per_call(function: Callable[[], Any]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            function()
        rounds.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print the table, or, for one framework, the figures of its modes as JSON."""
    if len(sys.argv) > 1:
        figures = hook_alone(sys.argv[2]) if sys.argv[1] == "--hook" else added(sys.argv[1])
        print(MARK + json.dumps(figures))
        return
    print(f"`Guard.check` alone, its client answering at once: {guard_alone():.0f} µs\n")
    print("| framework | mode | a call, not governed | added |\n|---|---|---:|---:|")
    for framework in HARNESSES:
        for mode, (base, more) in measured(framework).items():
            print(f"| {framework} | {mode} | {base:.0f} µs | {more:.0f} µs |")
    print("\n| the hook by itself | |\n|---|---:|")
    for framework in HOOKS:
        print(f"| {framework} | {measured(framework, '--hook'):.0f} µs |")


if __name__ == "__main__":
    main()
