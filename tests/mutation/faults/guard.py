"""Faults of the guard, and of what it sends of arguments."""

from tests.mutation.fault import Fault

_JSON = "tests/unit/test_exact_json.py::"
_ARGUMENTS = "tests/unit/test_guard_arguments.py::"
_GUARD = "tests/unit/test_guard.py::"
_LISTING = "tests/unit/test_guard_listing.py::"
_TEMPLATES = "tests/unit/test_guard_templates.py::"
_VALUES = "tests/adapters/test_argument_values.py::"
_ADK = "tests/adapters/test_google_adk.py::"

_EXACT = "No argument disappears or is rounded on its way to a policy."
_SAME = "What was checked is what runs."
_CLOSED = "No decision is a denial."
_WHO = "A call is decided under the identity of the agent that makes it."
_FILLED = "A value that fills a template stays in its part, or the call is denied."
_LISTED = "A tool is listed only if some arguments could make it allowed."
_WARNED = "A name in a setting that nothing has is warned of."


def _fault(name: str, file: str, right: str, wrong: str, promise: str, *tests: str) -> Fault:
    return Fault(name, f"meshguard/{file}", right, wrong, promise, tests)


EXACT_JSON = (
    _fault(
        "infinite floats are sent",
        "exact_json.py",
        (
            "    if not math.isfinite(number):\n"
            "        raise InexactError(_NOT_FINITE)\n"
            "    return float.__repr__"
        ),
        "    return float.__repr__",
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "an infinite number of a text becomes text",
        "exact_json.py",
        "    if math.isinf(number):\n        return number\n",
        "    if math.isinf(number):\n        return Unreadable(text)\n",
        _EXACT,
        _ARGUMENTS + "test_a_text_with_two_meanings_is_denied_by_name",
    ),
    _fault(
        "decimals are rounded to floats",
        "exact_json.py",
        'return Encoded(Decimal.__str__(number) if number else "0")',
        "return float(number)",
        _EXACT,
        _ARGUMENTS + "test_an_argument_arrives_exactly",
    ),
    _fault(
        "decimals beyond floats are sent",
        "exact_json.py",
        "math.isinf(approximate) or (number and not approximate)",
        "math.isnan(approximate)",
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "a number of a text is rounded",
        "exact_json.py",
        "number if Decimal(repr(number)) == Decimal(text) else WrittenNumber(text)",
        "number",
        _EXACT,
        _JSON + "test_a_number_of_a_text_stays_as_it_was_written",
    ),
    _fault(
        "fractions are cut off",
        "exact_json.py",
        "    if rest != 1:\n        raise InexactError",
        "    if rest == 0:\n        raise InexactError",
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "an enum that is two numbers is one of them",
        "exact_json.py",
        "(type(value) is base and plain(member) == value)",
        "type(value) is base",
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "a subclass tells its own number",
        "exact_json.py",
        "return int.__repr__(number)",
        "return repr(number)",
        _EXACT,
        _ARGUMENTS + "test_an_argument_arrives_exactly",
    ),
    _fault(
        "a model hides its fields",
        "exact_json.py",
        "((name, value.__dict__[name]) for name in names)",
        "value.model_dump().items()",
        _EXACT,
        _ARGUMENTS + "test_an_argument_arrives_exactly",
    ),
    _fault(
        "a number as a key becomes text",
        "exact_json.py",
        (
            "    if not isinstance(key, str):\n"
            '        raise InexactError("a key that is not text")\n'
            "    name = _sound(str.__str__(key))"
        ),
        "    name = _sound(str(key))",
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "two keys with one text are one",
        "exact_json.py",
        "    if name in known:\n",
        "    if name in ():\n",
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "a key of a text may come twice",
        "exact_json.py",
        "    if len(members) == len(pairs):\n",
        "    if pairs:\n",
        _EXACT,
        _ARGUMENTS + "test_a_text_with_two_meanings_is_denied_by_name",
    ),
    _fault(
        "half a surrogate pair passes",
        "exact_json.py",
        'r"[\\ud800-\\udfff]"',
        'r"[\\ud800]{2}"',
        _EXACT,
        _JSON + "test_a_value_without_a_json_value_is_an_error",
    ),
    _fault(
        "a shared value is written without end",
        "exact_json.py",
        "        if self._left < 0:\n",
        "        if self._left is None:\n",
        "The work for one argument is bounded.",
        _JSON + "test_a_value_without_a_json_value_is_an_error[too long]",
    ),
    _fault(
        "depth has no limit",
        "exact_json.py",
        "if len(self._inside) >= MAX_DEPTH:",
        "if len(self._inside) >= 10 * MAX_DEPTH:",
        "The work for one argument is bounded.",
        _JSON + "test_depth_has_a_limit",
    ),
    _fault(
        "an inexact member of a context is omitted",
        "_wire/decisions.py",
        ('        raise InvalidRequestError(\n            f"Cannot send the context: its member'),
        (
            "        return {}\n"
            "        raise InvalidRequestError(\n"
            '            f"Cannot send the context: its member'
        ),
        _EXACT,
        _ARGUMENTS + "test_a_context_without_json_is_an_error_that_names_the_member",
    ),
)
GUARD = (
    _fault(
        "arguments without JSON are not looked for",
        "guard/guard.py",
        'is_sent = is_text or self._context == "args"',
        "is_sent = is_text",
        _EXACT,
        _VALUES + "test_a_value_without_json_is_never_allowed",
    ),
    _fault(
        "a text is trusted where policies do not see it",
        "guard/guard.py",
        'is_sent = is_text or self._context == "args"',
        'is_sent = self._context == "args"',
        _EXACT,
        _ARGUMENTS + "test_a_text_with_two_meanings_is_denied_by_name",
    ),
    _fault(
        "the reason does not name the argument",
        "guard/guard.py",
        "        return error.reason\n",
        '        return "no decision"\n',
        _EXACT,
        _ARGUMENTS + "test_an_argument_without_a_json_value_is_denied_by_name",
    ),
    _fault(
        "arguments may change during the check",
        "guard/arguments.py",
        "snapshot(self.arguments) != self.snapshot",
        "self.arguments is None",
        _SAME,
        _ARGUMENTS + "test_arguments_that_change_during_the_check_are_denied",
    ),
    _fault(
        "1 and true are the same argument",
        "guard/arguments.py",
        "return snapshot(one) == snapshot(other)",
        "return one == other",
        _SAME,
        _ADK + "test_arguments_that_are_equal_but_not_the_same_are_decided_on_again",
    ),
    _fault(
        "what cannot be decided is allowed",
        "guard/guard.py",
        "        allowed=False,\n",
        "        allowed=True,\n",
        _CLOSED,
        _GUARD + "test_no_decision_is_a_denial",
    ),
    _fault(
        "a refusal turns an error into an allow",
        "guard/guard.py",
        (
            "            decision = await self.acheck(call)\n"
            '        except Exception as error:  # noqa: BLE001 - with on_error="raise"\n'
            "            decision = _denial(call, error)"
        ),
        (
            "            decision = await self.acheck(call)\n"
            "        except Exception:  # noqa: BLE001\n"
            "            return None"
        ),
        _CLOSED,
        _GUARD + "test_an_error_is_a_refusal_sync_and_async",
    ),
    _fault(
        "a sync refusal turns an error into an allow",
        "guard/guard.py",
        (
            "            decision = self.check(call)\n"
            '        except Exception as error:  # noqa: BLE001 - with on_error="raise"\n'
            "            decision = _denial(call, error)"
        ),
        (
            "            decision = self.check(call)\n"
            "        except Exception:  # noqa: BLE001\n"
            "            return None"
        ),
        _CLOSED,
        _GUARD + "test_an_error_is_a_refusal_sync_and_async",
    ),
    _fault(
        "a mistake in on_deny reaches the framework",
        "guard/guard.py",
        '            _log.warning("on_deny failed for the tool %s: %s", call.tool, type(error).__name__)\n',
        "            raise error\n",
        _CLOSED,
        _GUARD + "test_a_mistake_in_on_deny_reaches_no_framework_that_would_swallow_it",
    ),
    _fault(
        "a stranger acts as the guard's own client",
        "guard/guard.py",
        "        if self._agents is None or call.agent is None:\n",
        "        if self._agents is None or self._agents.get(call.agent) is None:\n",
        _WHO,
        _GUARD + "test_a_stranger_is_denied_where_agents_have_identities",
    ),
    _fault(
        "every agent acts as the guard's own client",
        "guard/guard.py",
        '{**options, "agent_token": identity}',
        "options",
        _WHO,
        _GUARD + "test_a_named_agent_is_decided_on_under_its_own_token",
    ),
    _fault(
        "tools of several agents are listed as the first one's",
        "guard/guard.py",
        "if len({call.agent for call in calls}) > 1:",
        "if not calls and len(calls) > 1:",
        _WHO,
        _LISTING + "test_the_tools_of_several_agents_are_not_listed_as_those_of_one",
    ),
    _fault(
        "the other client trusts the environment",
        "guard/clients.py",
        '        "trust_env": transport.trusts_env,\n',
        "",
        "The guard's other client has the very settings of the first.",
        _GUARD + "test_the_other_client_goes_through_a_proxy_of_the_environment_only_if_the_first_does",
    ),
    _fault(
        "the other client does not require TLS",
        "guard/clients.py",
        '        "on_unavailable": config.on_unavailable,\n',
        "",
        "The guard's other client has the very settings of the first.",
        _GUARD + "test_the_other_client_has_the_very_settings",
    ),
    _fault(
        "an error lists all tools",
        "guard/guard.py",
        "return [False] * len(calls)",
        "return [True] * len(calls)",
        _LISTED,
        _LISTING + "test_nothing_is_listed_while_nobody_can_be_asked",
    ),
    _fault(
        "what the gateway says is conditional is ignored",
        "guard/listing.py",
        "return decision.allowed or bool(decision.conditional)",
        "return decision.allowed",
        _LISTED,
        _LISTING + "test_a_gateway_that_says_what_is_conditional_is_believed",
    ),
    _fault(
        "an explanation beats what the gateway says",
        "guard/listing.py",
        "if decision.allowed or decision.conditional is not None:",
        "if decision.allowed or decision.conditional:",
        _LISTED,
        _LISTING + "test_a_gateway_that_says_what_is_conditional_is_believed",
    ),
    _fault(
        "a word is taken for a conditional denial",
        "_wire/decisions.py",
        'conditional=conditional if isinstance(conditional := body.get("conditional"), bool) else None',
        'conditional=body.get("conditional")',
        _LISTED,
        _ARGUMENTS + "test_what_is_conditional_is_read",
    ),
    _fault(
        "names are never compared",
        "guard/names.py",
        "            if spelled not in self._known:\n",
        "            if not spelled:\n",
        _WARNED,
        _LISTING + "test_a_name_that_no_tool_has_is_warned_of_once_with_the_nearest",
    ),
)
TEMPLATES = (
    _fault(
        "a value may contain separators and wildcards",
        "guard/templates.py",
        'r"[*:\\\\%?#]"',
        'r"[*]{9}"',
        _FILLED,
        _TEMPLATES + "test_a_value_outside_its_part_is_denied",
    ),
    _fault(
        "a value may climb out of its folder",
        "guard/templates.py",
        '    if {"", ".", ".."} & set(relative.split("/")):\n',
        '    if {""} & set(relative.split("/")):\n',
        _FILLED,
        _TEMPLATES + "test_a_filled_action_stays_in_its_folder",
    ),
    _fault(
        "an absolute path may follow a folder",
        "guard/templates.py",
        'value if before.endswith("/") else value.removeprefix("/")',
        'value.removeprefix("/")',
        _FILLED,
        _TEMPLATES + "test_a_value_contains_no_neighboring_separator",
    ),
    _fault(
        "a value may contain the separator that follows it",
        "guard/templates.py",
        "    if after and after[0] in value:\n",
        "    if after and after in value * 0:\n",
        _FILLED,
        _TEMPLATES + "test_a_value_contains_no_neighboring_separator",
    ),
    _fault(
        "a missing argument fills with nothing",
        "guard/templates.py",
        "        if value is None or problem:\n",
        (
            "        if placeholder.name not in arguments:\n"
            '            return ""\n'
            "        if value is None or problem:\n"
        ),
        _FILLED,
        _TEMPLATES + "test_an_unusable_argument_is_denied_by_name",
    ),
    _fault(
        "a list fills a template as its text",
        "guard/templates.py",
        '    if value.text.startswith(("[", "{", "n")):\n        return None\n',
        '    if value.text.startswith(("[", "{", "n")):\n        return value.text\n',
        _FILLED,
        _TEMPLATES + "test_an_unusable_argument_is_denied_by_name",
    ),
    _fault(
        "a composed resource takes values as they are",
        "guard/templates.py",
        "verbatim and len(self._parts) == 1",
        "verbatim",
        _FILLED,
        _TEMPLATES + "test_a_filled_resource_stays_in_its_part",
    ),
    _fault(
        "the resource is never sent",
        "guard/guard.py",
        '"resource": self._resources.of(parsed, seen)',
        '"resource": None',
        "Policies see the resource of a call.",
        _TEMPLATES + "test_the_resource_comes_from_the_call",
    ),
)
FAULTS = (*EXACT_JSON, *GUARD, *TEMPLATES)
