"""Faults of the adapters for agent frameworks."""

from tests.mutation.fault import Fault

_JSON = "tests/unit/test_exact_json.py::"
_FUNCTIONS = "tests/adapters/test_functions.py::"
_MEANWHILE = "tests/adapters/test_meanwhile.py::"
_NAMES = "tests/adapters/test_names.py::"
_ADK = "tests/adapters/test_google_adk.py::"
_OPENAI = "tests/adapters/test_openai_agents.py::"
_DOCUMENTED = "tests/adapters/test_langchain_documented.py::"
_CLAUDE = "tests/adapters/claude_agent/test_claude_agent.py::"

_SAME = "What was checked is what runs."
_CLOSED = "No decision is a denial."
_RAISES = "A denied function raises unless on_deny requests something else."
_WARNED = "A name in a setting that nothing has is warned of."
_COVERED = "What runs here and can't be governed is refused."


def _fault(name: str, file: str, right: str, wrong: str, promise: str, *tests: str) -> Fault:
    return Fault(name, f"meshguard/{file}", right, wrong, promise, tests)


FAULTS = (
    _fault(
        "a denied function returns a sentence",
        "integrations/functions.py",
        'guard.denial_result(call, decision, default="raise")',
        "guard.denial_result(call, decision)",
        _RAISES,
        _FUNCTIONS + "test_a_denied_function_raises_unless_on_deny_requests_something_else",
    ),
    _fault(
        "a denied coroutine runs",
        "integrations/functions.py",
        "        _raise_if_denied(guard, call, await guard.acheck(call))\n",
        "        await guard.acheck(call)\n",
        _CLOSED,
        _FUNCTIONS + "test_a_value_that_json_cannot_represent_pays_nothing[set-async]",
        _FUNCTIONS + "test_a_value_that_json_cannot_represent_pays_nothing[set-async generator]",
    ),
    _fault(
        "a generator runs before its check",
        "_wrapping.py",
        (
            "            checked = gate.check(args, kwargs)\n"
            "        except gate.handles as error:\n"
            "            yield"
        ),
        (
            "            first = list(body(*args, **kwargs))\n"
            "            checked = gate.check(args, kwargs)\n"
            "        except gate.handles as error:\n"
            "            del first\n"
            "            yield"
        ),
        _CLOSED,
        _FUNCTIONS + "test_a_value_that_json_cannot_represent_pays_nothing[set-generator]",
    ),
    _fault(
        "an async generator runs before its check",
        "_wrapping.py",
        "            checked = await gate.acheck(args, kwargs)\n        except gate.handles as error:\n",
        (
            "            first = [item async for item in body(*args, **kwargs)]\n"
            "            checked = await gate.acheck(args, kwargs)\n"
            "        except gate.handles as error:\n"
            "            del first\n"
        ),
        _CLOSED,
        _FUNCTIONS + "test_a_value_that_json_cannot_represent_pays_nothing[set-async generator]",
    ),
    _fault(
        "a governed function of LangChain runs when denied",
        "integrations/langchain/published/functions.py",
        "self._function.keywords(kwargs, raise_if_denied(self._resolver.guard.check(call)))",
        "self._function.keywords(kwargs, self._resolver.guard.check(call))",
        _CLOSED,
        _DOCUMENTED + "test_a_decorated_function_runs_if_policy_allows_and_else_raises",
    ),
    _fault(
        "LangChain runs shared arguments",
        "integrations/langchain/middleware.py",
        '"args": private_copy(call["args"])',
        '"args": call["args"]',
        _SAME,
        _MEANWHILE + "test_langchain_runs_what_was_checked",
    ),
    _fault(
        "a governed tool runs shared arguments",
        "integrations/langchain/published/tools.py",
        "return {**tool_input, **private_copy(self._visible(tool_input))}",
        "return tool_input",
        _SAME,
        _MEANWHILE + "test_a_governed_tool_runs_what_was_checked",
    ),
    _fault(
        "Pydantic AI runs shared arguments",
        "integrations/pydantic_ai.py",
        "        args = private_copy(args)\n",
        "",
        _SAME,
        _MEANWHILE + "test_pydantic_ai_runs_what_was_checked",
    ),
    _fault(
        "an MCP server runs shared arguments",
        "integrations/mcp.py",
        "        params.name, params.arguments = tool, arguments  # run the checked arguments\n",
        "",
        _SAME,
        _MEANWHILE + "test_an_mcp_server_runs_what_was_checked",
    ),
    _fault(
        "an MCP client sends shared arguments",
        "integrations/mcp.py",
        "        arguments = private_copy(arguments)\n",
        "",
        _SAME,
        _MEANWHILE + "test_an_mcp_client_sends_what_was_checked",
    ),
    _fault(
        "an MCP session sends shared arguments",
        "integrations/mcp.py",
        "            request = private_copy(request)\n",
        "",
        _SAME,
        _MEANWHILE + "test_an_mcp_session_sends_what_was_checked",
    ),
    _fault(
        "FastMCP runs shared arguments",
        "integrations/fastmcp.py",
        "context.message.model_copy(deep=True)",
        "context.message.model_copy()",
        _SAME,
        _MEANWHILE + "test_a_fastmcp_server_runs_what_was_checked",
    ),
    _fault(
        "OpenAI Agents run what a hook wrote meanwhile",
        "integrations/openai_agents.py",
        '        context.tool_call.arguments = cast("str", allowed.arguments)\n',
        "",
        _SAME,
        _MEANWHILE + "test_openai_agents_run_what_was_checked",
    ),
    _fault(
        "later hooks of OpenAI Agents write to the call",
        "integrations/openai_agents.py",
        "context.tool_call = context.tool_call.model_copy()",
        "pass",
        _SAME,
        _OPENAI + "test_a_hook_that_runs_after_the_decision_does_not_change_the_arguments",
    ),
    _fault(
        "any shell tool counts as hosted",
        "integrations/openai_agents.py",
        "(isinstance(tool, ShellTool) and not tool.executor)",
        "isinstance(tool, ShellTool)",
        _COVERED,
        _OPENAI + "test_what_runs_here_and_can_not_be_governed_is_refused",
    ),
    _fault(
        "agents behind a handoff are not governed",
        "integrations/openai_agents.py",
        "        yield _target(handoff) if isinstance(handoff, Handoff) else handoff\n",
        "        pass\n",
        _COVERED,
        _OPENAI + "test_a_handoff_object_leads_to_a_governed_agent",
    ),
    _fault(
        "ADK compares a shallow copy of the arguments",
        "integrations/google_adk.py",
        "        checked = private_copy(tool_args)\n        denial",
        "        checked = dict(tool_args)\n        denial",
        _SAME,
        _ADK + "test_arguments_that_are_changed_within_are_decided_on_again",
    ),
    _fault(
        "ADK does not look at what changed meanwhile",
        "integrations/google_adk.py",
        "if denial is None and not same(checked, tool_args):",
        "if denial is None and not tool_args:",
        _SAME,
        _MEANWHILE + "test_adk_decides_again_on_arguments_that_changed",
    ),
    _fault(
        "ADK's agents have the last word",
        "integrations/google_adk.py",
        "            _add_final_check(agent)\n",
        "",
        _SAME,
        _ADK + "test_arguments_that_an_agents_callback_changes_are_decided_on_again",
    ),
    _fault(
        "names of agents are not compared",
        "integrations/google_adk.py",
        "self._guard.check_names(tools=tools, agents=agents)",
        "self._guard.check_names(tools=tools)",
        _WARNED,
        _NAMES + "test_adk_warns_of_tools_and_agents",
    ),
    _fault(
        "names of tools are not compared",
        "integrations/langchain/middleware.py",
        "    hooks.guard.check_names(tools=node.tools_by_name)\n",
        "",
        _WARNED,
        _NAMES + "test_a_tool_node_warns_of_tools",
    ),
    _fault(
        "Claude shares arguments with can_use_tool",
        "integrations/claude_agent.py",
        "await inner(tool, deepcopy(arguments), context)",
        "await inner(tool, arguments, context)",
        _SAME,
        _CLAUDE + "test_arguments_that_can_use_tool_changes_in_place_are_decided_on_or_stay",
    ),
    _fault(
        "Claude shares its call with the user's hooks",
        "integrations/claude_agent.py",
        "deepcopy(await inner(deepcopy(given), use_id, context))",
        "deepcopy(await inner(given, use_id, context))",
        _SAME,
        _CLAUDE + "test_a_hook_that_changes_what_it_is_given_changes_neither_arguments_nor_agent",
    ),
)
