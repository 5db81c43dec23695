"""Getting started: `meshguard run`, `init` and the development gateway."""

from tests.mutation.fault import Fault

_RUN = "tests/cli/test_run.py::"
_INIT = "tests/cli/test_init.py::"
_DEV = "tests/cli/test_dev.py::"

FAULTS = (
    Fault(
        name="a program gets the administrator's token",
        file="meshguard/cli/program.py",
        right="if name not in _WITHHELD}",
        wrong="if name}",
        promise="A program under `meshguard run` gets no secret of an administrator.",
        tests=(_RUN + "test_the_program_gets_no_secret_of_an_administrator",),
    ),
    Fault(
        name="the exit code of a program is lost",
        file="meshguard/cli/program.py",
        right="    return code if code >= 0 else 128 - code\n",
        wrong="    return 0\n",
        promise="`meshguard run` exits with the program's code.",
        tests=(_RUN + "test_a_program_runs_under_the_policies_of_its_folder",),
    ),
    Fault(
        name="a suggested pattern allows more than was seen",
        file="meshguard/cli/suggestion.py",
        right='        rule["conditions"] = {"action": {"in": list(actions)}}\n',
        wrong="        pass\n",
        promise="A suggested policy allows exactly what was recorded.",
        tests=("tests/cli/test_suggestion.py::test_a_suggestion_allows_exactly_what_was_seen",),
    ),
    Fault(
        name="secrets of init are open to other users",
        file="meshguard/cli/init.py",
        right="_OWNER_ONLY = 0o600",
        wrong="_OWNER_ONLY = 0o644",
        promise="Only its owner can read the `.env` that `meshguard init` writes.",
        tests=(_INIT + "test_the_secrets_are_readable_by_their_owner_only",),
    ),
    Fault(
        name="init overwrites a policy",
        file="meshguard/cli/init.py",
        right="        if file.exists():\n",
        wrong="        if file.is_symlink():\n",
        promise="`meshguard init` never changes an existing policy.",
        tests=(_INIT + "test_an_existing_file_is_never_overwritten",),
    ),
    Fault(
        name="a revoked agent stays the development agent",
        file="meshguard/cli/dev_gateway.py",
        right="    return response.status_code == httpx.codes.BAD_REQUEST\n",
        wrong="    return True\n",
        promise="`serve --dev` replaces an agent whose token no longer works.",
        tests=(_DEV + "test_a_revoked_agent_is_replaced_at_the_next_start",),
    ),
    Fault(
        name="git may add the development secrets",
        file="meshguard/cli/dev_state.py",
        right='            ignore.write_text("*\\n", encoding="utf-8")\n',
        wrong="            pass\n",
        promise="Git never adds `.meshguard/`.",
        tests=(_DEV + "test_a_state_survives_the_file",),
    ),
)
