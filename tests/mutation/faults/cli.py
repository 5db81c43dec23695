"""Faults of the command line."""

from tests.mutation.fault import Fault

_COMMANDS = "tests/cli/test_commands.py::"
_CONNECTION = "tests/cli/test_connection.py::"
_APPLY = "tests/cli/test_policy_apply.py::"

FAULTS = (
    Fault(
        name="a denial exits with 0",
        file="meshguard/cli/decisions.py",
        right="""    outcome = _decide(ctx, action, resource, _object(context), agent, explain=False)
    if as_json:
        write_json(outcome.fields)
    else:
        _write_outcome(outcome)
    raise typer.Exit(ExitCode.OK if outcome.allowed else ExitCode.NO)""",
        wrong="""    outcome = _decide(ctx, action, resource, _object(context), agent, explain=False)
    if as_json:
        write_json(outcome.fields)
    else:
        _write_outcome(outcome)
    raise typer.Exit(ExitCode.OK)""",
        promise="`meshguard check` exits with 1 when the action is denied.",
        tests=(_COMMANDS + "test_a_denial_exits_with_1",),
    ),
    Fault(
        name="a token of a profile goes to another gateway",
        file="meshguard/cli/connection.py",
        right="tokens = by_rank if _is_of(profile, url) else environment",
        wrong="tokens = by_rank",
        promise="A token of a profile is sent only to the gateway of that profile.",
        tests=(_CONNECTION + "test_a_profile_token_is_sent_to_its_gateway_only",),
    ),
    Fault(
        name="others may read the profiles",
        file="meshguard/cli/private_files.py",
        right='if os.name == "posix" and found.st_mode & _OTHERS:',
        wrong='if os.name != "posix":',
        promise="A file with tokens that others can read is not used.",
        tests=(
            _CONNECTION + "test_only_the_owner_can_read_profiles",
            "tests/cli/test_env.py::test_nothing_is_printed_from_an_unusable_file",
        ),
    ),
    Fault(
        name="config shows tokens",
        file="meshguard/cli/config.py",
        right="return _HIDDEN if key in TOKENS else value",
        wrong="return value",
        promise="`meshguard config show` shows no token.",
        tests=(_CONNECTION + "test_tokens_are_never_shown",),
    ),
    Fault(
        name="a failed apply leaves policies behind",
        file="meshguard/cli/policy_apply.py",
        right="        lost = _restore(client, tried)\n",
        wrong="        lost: list[str] = []\n",
        promise="`meshguard policy apply` applies all policies or none.",
        tests=(_APPLY + "test_a_failure_midway_restores_the_earlier_policies",),
    ),
    Fault(
        name="apply does not ask",
        file="meshguard/cli/output.py",
        right="    if yes or not is_interactive():\n        return\n",
        wrong="    if not yes or not is_interactive():\n        return\n",
        promise="On a terminal, `meshguard policy apply` asks before it changes anything.",
        tests=(_APPLY + "test_a_person_is_asked",),
    ),
    Fault(
        name="a shell runs what a token holds",
        file="meshguard/cli/env.py",
        right='typer.echo(f"export {name}={shlex.quote(value)}")',
        wrong="typer.echo(f'export {name}=\"{value}\"')",
        promise="`eval` of `meshguard env` sets variables and runs nothing.",
        tests=("tests/cli/test_env.py::test_a_shell_evaluates_the_lines",),
    ),
    Fault(
        name="CSV holds formulas",
        file="meshguard/cli/audit_formats.py",
        right="if isinstance(value, str) and value.startswith(_FORMULA):",
        wrong='if isinstance(value, str) and value.startswith("\\0"):',
        promise="No text of an audit entry is a formula in a spreadsheet.",
        tests=(_COMMANDS + "test_csv_has_no_formulas",),
    ),
    Fault(
        name="JSON controls the terminal",
        file="meshguard/cli/text.py",
        right='return char if char.isprintable() or char == "\\n" else json.dumps(char)[1:-1]',
        wrong="return char",
        promise="JSON that commands print has no control characters.",
        tests=(_COMMANDS + "test_what_an_agent_wrote_cannot_control_a_terminal",),
    ),
)
