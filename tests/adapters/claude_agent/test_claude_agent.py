"""Claude Code itself, with a scripted model, under the kit, broken on purpose, and its own traps."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from claude_agent_sdk import (
    AgentDefinition,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    HookMatcher,
    PermissionResultAllow,
    SdkMcpTool,
    ToolPermissionContext,
    create_sdk_mcp_server,
    query,
    tool,
)

from meshguard import MeshGuardClient
from meshguard.guard import Guard, ToolCall
from meshguard.integrations import claude_agent as adapter
from meshguard.integrations.claude_agent import governed_options
from meshguard.testing import claude
from meshguard.testing.claude import ScriptedClaude, scripted_claude
from meshguard.testing.conformance import (
    DELETE,
    LARGE,
    LOOKUP,
    SMALL,
    AdapterConformance,
    Call,
    Script,
    World,
)
from tests.adapters.meanwhile import meanwhile
from tests.adapters.pages import run_docstrings, run_example, run_page
from tests.adapters.sabotage import assert_noticed_as_letting_errors_out, assert_noticed_as_ungoverned
from tests.environments import ROOT

SCHEMAS: dict[str, dict[str, type]] = {
    "lookup": {"query": str},
    "transfer": {"amount": int, "to": str},
    "delete_records": {"table": str},
}
PREFIX = "mcp__desk__"
ACTIONS = {f"{PREFIX}{name}": f"execute:{name}" for name in SCHEMAS}


def tools_of(script: Script) -> list[SdkMcpTool[Any]]:
    return [_tool(function) for function in script.functions()]


def _tool(function: Callable[..., str]) -> SdkMcpTool[Any]:
    @tool(function.__name__, function.__doc__ or "", SCHEMAS[function.__name__])
    async def body(arguments: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": function(**arguments)}]}

    return body


def options_of(model: ScriptedClaude, tools: list[SdkMcpTool[Any]], **more: Any) -> ClaudeAgentOptions:
    given: dict[str, Any] = {
        "mcp_servers": {"desk": create_sdk_mcp_server("desk", tools=tools)},
        "allowed_tools": ["mcp__desk", "Bash", "Agent"],
        "setting_sources": [],
        "env": dict(model.env),
        "cwd": model.env["HOME"],
    }
    return ClaudeAgentOptions(**{**given, **more})


def written(call: Call) -> tuple[str, Mapping[str, Any] | str]:
    return (f"{PREFIX}{call.tool}", call.arguments)


async def ask(options: ClaudeAgentOptions) -> None:
    async for _ in query(prompt="Go.", options=options):
        pass


async def converse(options: ClaudeAgentOptions) -> None:
    async with ClaudeSDKClient(options) as client:
        await client.query("Go.")
        async for _ in client.receive_response():
            pass


class TestClaudeAgent(AdapterConformance):
    """Each run is a process of Claude Code with tools of this process."""

    modes: ClassVar[Sequence[str]] = ("query", "client")
    texts = False  # Claude Code parses them, and runs the tool with what the hook has seen
    # Only sub-agents have names: see test_a_sub_agent_acts_under_its_own_identity.
    # Claude Code asks all hooks at once, so that arguments that are changed are decided on besides those of
    # the model: see the tests on changed arguments.
    raises = False  # Claude Code takes no error from a hook
    prefix = PREFIX

    def govern(self, guard: Guard, options: ClaudeAgentOptions) -> ClaudeAgentOptions:
        return governed_options(guard, options)

    def run(self, script: Script) -> list[str]:
        turns = [[written(call) for call in turn] for turn in script.turns]
        with scripted_claude(turns) as model:
            options = self.govern(script.guard, options_of(model, tools_of(script)))
            self.finish(script.guard, {"query": ask, "client": converse}[script.mode](options))
        return [
            model.told[f"call-{number}-{index}"]
            for number, turn in enumerate(turns)
            for index in range(len(turn))
        ]


class WithoutTheHook(TestClaudeAgent):
    modes = ("query",)

    def govern(self, guard: Guard, options: ClaudeAgentOptions) -> ClaudeAgentOptions:  # noqa: ARG002
        return options


class WithErrorsLetOut(TestClaudeAgent):
    """The guard raises, the hook lets it out, and Claude Code is not told to block then."""

    modes = ("query",)

    def govern(self, guard: Guard, options: ClaudeAgentOptions) -> ClaudeAgentOptions:
        guard._on_error = "raise"

        async def careless(given: Any, *_: Any) -> Any:
            call = ToolCall(given["tool_name"], given["tool_input"], run_id=given["session_id"])
            decision = await guard.acheck(call)
            return (
                {}
                if decision.allowed
                else adapter._denied("PreToolUse", guard.safe_denial_text(call, decision))
            )

        options.hooks = {"PreToolUse": [HookMatcher(hooks=[careless])]}
        return options


def test_the_kit_notices_that_nothing_is_governed() -> None:
    assert_noticed_as_ungoverned(WithoutTheHook)


def test_the_kit_notices_that_errors_come_out() -> None:
    assert_noticed_as_letting_errors_out(WithErrorsLetOut)


def play(
    guard: Guard, turns: Sequence[Sequence[Call]], subagents: Any = None, **more: Any
) -> tuple[Script, dict[str, str]]:
    """Run a session under the guard; what ran, and what the model was told."""
    script = Script(guard, turns, "query")
    with scripted_claude([[written(call) for call in turn] for turn in turns], subagents) as model:
        options = governed_options(guard, options_of(model, tools_of(script), **more))
        AdapterConformance().finish(guard, ask(options))
    return script, model.told


def test_a_guard_that_raises_denies(world: World) -> None:
    with MeshGuardClient(world.gateway.url, "not-a-token", trust_env=False) as client:
        script, told = play(Guard(client, on_error="raise"), [[LOOKUP]])
    assert script.ran == []
    assert "no decision was possible (AuthenticationError)" in told["call-0-0"]


def test_a_hook_that_fails_altogether_blocks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> Any:
        raise KeyError("a mistake")

    monkeypatch.setattr(Guard, "adenial_for", fail)
    with world.agent("failing") as (client, _):
        script, told = play(Guard(client), [[LOOKUP]])
    assert script.ran == []
    assert "block" in told["call-0-0"]


def changing(arguments: Mapping[str, Any]) -> HookMatcher:
    """A hook of the user's that puts arguments in place of the model's, and allows."""

    async def change(*_: Any) -> Any:
        return {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "allow",
                "updatedInput": dict(arguments),
            }
        }

    return HookMatcher(hooks=[change])


@pytest.mark.parametrize(
    ("call", "changed", "ran", "decisions"),
    [
        (SMALL, LARGE, [], ["allow", "deny"]),
        (LARGE, SMALL, [], ["deny", "allow"]),
        (SMALL, Call("transfer", {"amount": 20, "to": "Ada"}), [20], ["allow", "allow"]),
    ],
    ids=["to-denied", "to-allowed", "both-allowed"],
)
def test_arguments_that_another_hook_changes_are_decided_on_too(
    world: World, call: Call, changed: Call, ran: list[int], decisions: list[str]
) -> None:
    assert isinstance(changed.arguments, Mapping)
    with world.agent("changed") as (client, agent_id):
        guard = Guard(client, action_map=ACTIONS)
        script, _ = play(guard, [[call]], hooks={"PreToolUse": [changing(changed.arguments)]})
    assert [arguments["amount"] for _, arguments in script.ran] == ran
    assert sorted(entry["decision"] for entry in world.decisions(agent_id)) == sorted(decisions)


@pytest.mark.parametrize(("amount", "ran"), [(20, [20]), (1000, [])])
def test_arguments_that_can_use_tool_changes_are_decided_on_too(
    world: World, amount: int, ran: list[int]
) -> None:
    async def permit(_: str, arguments: dict[str, Any], __: Any) -> PermissionResultAllow:
        return PermissionResultAllow(updated_input={**arguments, "amount": amount})

    with world.agent("permitting") as (client, agent_id):
        guard = Guard(client, action_map=ACTIONS)
        script, told = play(guard, [[SMALL]], can_use_tool=permit, allowed_tools=[])
    assert [arguments["amount"] for _, arguments in script.ran] == ran
    assert ("denied" in told["call-0-0"]) is not bool(ran)
    assert len({entry.get("traceId") for entry in world.decisions(agent_id)}) == 1
    assert len(world.decisions(agent_id)) == 2


@pytest.mark.parametrize(("amount", "ran"), [(20, [20]), (1000, [])])
def test_arguments_that_a_permission_hook_changes_are_decided_on_too(
    world: World, amount: int, ran: list[int]
) -> None:
    async def permit(given: Any, *_: Any) -> Any:
        decision = {"behavior": "allow", "updatedInput": {**given["tool_input"], "amount": amount}}
        return {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}

    with world.agent("requesting") as (client, _):
        guard = Guard(client, action_map=ACTIONS)
        hooks = {"PermissionRequest": [HookMatcher(hooks=[permit])]}
        script, told = play(guard, [[SMALL]], hooks=hooks, allowed_tools=[])
    assert [arguments["amount"] for _, arguments in script.ran] == ran
    assert ("denied" in told["call-0-0"]) is not bool(ran)


def test_permission_rules_of_the_user_still_hold(world: World) -> None:
    with world.agent("ruled") as (client, agent_id):
        script, told = play(
            Guard(client, action_map=ACTIONS), [[LOOKUP]], disallowed_tools=[f"{PREFIX}lookup"]
        )
    assert script.ran == []
    assert "denied" not in told["call-0-0"]
    assert world.decisions(agent_id) == []


def test_a_built_in_tool_is_decided_on(world: World, tmp_path: Path) -> None:
    with (
        world.agent("shell") as (client, agent_id),
        scripted_claude([[("Bash", {"command": f"touch {tmp_path}/denied"})]]) as model,
    ):
        guard = Guard(client)
        asyncio.run(_ask_and_close(guard, governed_options(guard, options_of(model, []))))
    assert list(tmp_path.iterdir()) == []
    assert "action execute:Bash" in model.told["call-0-0"]
    assert [entry["action"] for entry in world.decisions(agent_id)] == ["execute:Bash"]


async def _ask_and_close(guard: Guard, options: ClaudeAgentOptions) -> None:
    await ask(options)
    await guard.aclose()


def test_a_sub_agent_acts_under_its_own_identity(world: World) -> None:
    start = Call("Agent", {"description": "Tidy", "prompt": "Tidy up.", "subagent_type": "archivist"})
    definition = AgentDefinition(description="Archives.", prompt="You archive.", background=False)
    rule = {"effect": "allow", "actions": ["execute:Agent"]}
    world.admin.apply_policy({"name": "sub-agents", "rules": [rule]})
    with (
        world.agent("main") as (client, main_id),
        world.agent("archivist", ["archivist"]) as (archivist, archivist_id),
        scripted_claude(
            [[(start.tool, start.arguments)], [written(DELETE)]], {"Tidy up.": [[written(DELETE)]]}
        ) as model,
    ):
        guard = Guard(client, action_map=ACTIONS, agents={"archivist": archivist})
        script = Script(guard, [], "query")
        options = options_of(model, tools_of(script), agents={"archivist": definition})
        AdapterConformance().finish(guard, ask(governed_options(guard, options)))
        guard.close()
    assert script.ran == [("delete_records", DELETE.arguments)]
    assert [entry["decision"] for entry in world.decisions(archivist_id)] == ["allow"]
    decided = {entry["action"]: entry["decision"] for entry in world.decisions(main_id)}
    assert decided == {"execute:Agent": "allow", "execute:delete_records": "deny"}
    entries = [*world.decisions(main_id), *world.decisions(archivist_id)]
    assert len({entry.get("traceId") for entry in entries}) == 1


def test_a_sub_agent_that_nobody_knows_may_do_nothing(world: World) -> None:
    start = ("Agent", {"description": "Look", "prompt": "Look up.", "subagent_type": "stranger"})
    definition = AgentDefinition(description="Looks.", prompt="You look.", background=False)
    with (
        world.agent("main") as (client, _),
        scripted_claude([[start]], {"Look up.": [[written(LOOKUP)]]}) as model,
    ):
        guard = Guard(client, action_map={**ACTIONS, "Agent": "execute:lookup"}, agents={"clerk": client})
        script = Script(guard, [], "query")
        options = options_of(model, tools_of(script), agents={"stranger": definition})
        AdapterConformance().finish(guard, ask(governed_options(guard, options)))
    assert script.ran == []
    assert "denied" in model.told["Look up.-call-0-0"]


def test_the_given_options_stay_as_they_are(world: World) -> None:
    with world.agent("unchanged") as (client, _):
        options = ClaudeAgentOptions(hooks={"PreToolUse": [changing({})]})
        governed_options(Guard(client), options)
    assert options.hooks is not None
    assert len(options.hooks["PreToolUse"]) == 1


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    run_example("claude_agent", tmp_path)


def test_the_page_runs() -> None:
    assert run_page("claude_agent").names["options"].hooks["PreToolUse"]


def test_the_docstrings_run(world: World, environ: str) -> None:
    with MeshGuardClient() as client, scripted_claude([[written(LOOKUP)], [written(DELETE)]]) as scripted:
        guarded = Script(Guard(client), [], "query")
        assert run_docstrings(adapter, client=client, options=options_of(scripted, tools_of(guarded))) == 1
    assert run_docstrings(claude) == 1
    decided = {(entry["action"], entry["decision"]) for entry in world.decisions(environ)}
    assert decided >= {("execute:mcp__desk__delete_records", "deny")}


def test_the_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "agents" / "claude_agent_agent.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "denied" in done.stdout


async def _prompts() -> AsyncIterator[dict[str, Any]]:
    yield {"type": "user", "message": {"role": "user", "content": "Go."}, "parent_tool_use_id": None}


def test_prompts_that_are_streamed_are_governed(world: World) -> None:
    with world.agent("streaming") as (client, _), scripted_claude([[written(DELETE)]]) as model:
        guard = Guard(client, action_map=ACTIONS)
        script = Script(guard, [], "query")
        options = options_of(model, tools_of(script), include_partial_messages=True)

        async def stream() -> None:
            async for _ in query(prompt=_prompts(), options=governed_options(guard, options)):
                pass

        AdapterConformance().finish(guard, stream())
    assert script.ran == []
    assert "denied" in model.told["call-0-0"]


async def call_directly(options: ClaudeAgentOptions, call: Call) -> Any:
    """What `can_use_tool` says of a call, and what Claude Code would run: the arguments that it sent."""
    assert options.can_use_tool is not None
    arguments = dict(call.arguments)  # type: ignore[arg-type]
    context = ToolPermissionContext(tool_use_id="call-1")
    result = await options.can_use_tool(f"{PREFIX}{call.tool}", arguments, context)
    return result, arguments


@pytest.mark.parametrize("returned", ["nothing", "the same"])
def test_arguments_that_can_use_tool_changes_in_place_are_decided_on_or_stay(
    world: World, returned: str
) -> None:
    async def permit(_: str, arguments: dict[str, Any], __: Any) -> PermissionResultAllow:
        arguments["amount"] = 1000
        return PermissionResultAllow(updated_input=None if returned == "nothing" else arguments)

    with world.agent("permitting") as (client, _):
        guard = Guard(client, action_map=ACTIONS)
        options = governed_options(guard, ClaudeAgentOptions(can_use_tool=permit))
        result, sent = AdapterConformance().finish(guard, call_directly(options, SMALL))
    assert sent == SMALL.arguments
    assert isinstance(result, PermissionResultAllow) is (returned == "nothing")


def test_arguments_that_can_use_tool_retypes_are_decided_on(world: World) -> None:
    async def permit(_: str, arguments: dict[str, Any], __: Any) -> PermissionResultAllow:
        return PermissionResultAllow(updated_input={**arguments, "amount": 10.0})

    with world.agent("retyping") as (client, agent_id):
        guard = Guard(client, action_map=ACTIONS)
        options = governed_options(guard, ClaudeAgentOptions(can_use_tool=permit))
        AdapterConformance().finish(guard, call_directly(options, SMALL))
        assert len(world.decisions(agent_id)) == 1


def test_what_can_use_tool_changes_after_the_decision_is_not_sent(world: World) -> None:
    kept: list[dict[str, Any]] = []

    async def permit(_: str, arguments: dict[str, Any], __: Any) -> PermissionResultAllow:
        kept.append({**arguments, "amount": 20})
        return PermissionResultAllow(updated_input=kept[0])

    with (
        world.agent("interrupted") as (client, _),
        meanwhile(world.gateway.url, lambda: kept[0].update(amount=1000)) as url,
        MeshGuardClient(url, client.agent_token, trust_env=False) as through,
    ):
        guard = Guard(through, action_map=ACTIONS)
        options = governed_options(guard, ClaudeAgentOptions(can_use_tool=permit))
        result, _ = AdapterConformance().finish(guard, call_directly(options, SMALL))
    assert kept[0]["amount"] == 1000
    assert result.updated_input["amount"] == 20


def hook_input(call: Call) -> Any:
    return {
        "hook_event_name": "PreToolUse",
        "session_id": "s",
        "tool_name": f"{PREFIX}{call.tool}",
        "tool_input": dict(call.arguments),  # type: ignore[arg-type]
    }


def test_a_hook_that_changes_what_it_is_given_changes_neither_arguments_nor_agent(world: World) -> None:
    async def change(given: Any, *_: Any) -> Any:
        given["agent_type"] = "archivist"
        given["tool_input"]["table"] = "nothing"
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": {"table": "customers"}}}

    with world.agent("main") as (client, main_id), world.agent("archivist", ["archivist"]) as (archivist, _):
        guard = Guard(client, action_map=ACTIONS, agents={"archivist": archivist})
        options = governed_options(
            guard, ClaudeAgentOptions(hooks={"PreToolUse": [HookMatcher(hooks=[change])]})
        )
        assert options.hooks is not None
        hook = options.hooks["PreToolUse"][0].hooks[0]
        given = hook_input(DELETE)
        output: Any = AdapterConformance().finish(guard, hook(given, None, {"signal": None}))
        assert output["hookSpecificOutput"]["permissionDecision"] == "deny"
        assert given == hook_input(DELETE)
        assert [entry["decision"] for entry in world.decisions(main_id)] == ["deny"]


def test_what_a_hook_changes_after_the_decision_is_not_sent(world: World) -> None:
    updated = {"amount": 20, "to": "Ada"}

    async def change(*_: Any) -> Any:
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": updated}}

    with (
        world.agent("interrupted") as (client, _),
        meanwhile(world.gateway.url, lambda: updated.update(amount=1000)) as url,
        MeshGuardClient(url, client.agent_token, trust_env=False) as through,
    ):
        guard = Guard(through, action_map=ACTIONS)
        hooks: Any = {"PreToolUse": [HookMatcher(hooks=[change])]}
        options = governed_options(guard, ClaudeAgentOptions(hooks=hooks))
        assert options.hooks is not None
        hook = options.hooks["PreToolUse"][0].hooks[0]
        output: Any = AdapterConformance().finish(guard, hook(hook_input(SMALL), None, {"signal": None}))
    assert updated["amount"] == 1000
    assert output["hookSpecificOutput"]["updatedInput"]["amount"] == 20
