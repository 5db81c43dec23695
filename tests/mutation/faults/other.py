"""Faults of the contract tests, the command line, backups, telemetry, the log and routing."""

from tests.mutation.fault import Fault

_PRODUCT = "tests/contract/test_contract_product.py::"
_EXCHANGE = "tests/contract/test_exchange.py::"
_TELEMETRY = "tests/gateway/test_telemetry.py::"
_LOGS = "tests/gateway/test_logs.py::"
_CLI = "tests/gateway/test_audit_cli.py::"
_HTTP = "tests/gateway/test_http.py::"

_SHOWN = "Findings of the contract tests show no credential."
_CONFORMS = "What does not fit openapi.yaml is a finding."
_EVIDENCE = "The contract tests take only positive evidence for an allowance or a denial."
_TOLD = "Spans and logs tell kinds, never contents."

CONTRACT = (
    Fault(
        name="a bearer token is shown",
        file="meshguard/contract/exchange.py",
        right='_BEARER.sub(r"\\1$AGENT_TOKEN", text)',
        wrong="text",
        promise=_SHOWN,
        tests=(_EXCHANGE + "test_no_credential_is_shown",),
    ),
    Fault(
        name="the admin token is shown",
        file="meshguard/contract/exchange.py",
        right='_ADMIN = re.compile(r"(?i)(x-admin-token: )',
        wrong='_ADMIN = re.compile(r"(X-Admin-Token: )',
        promise=_SHOWN,
        tests=(_EXCHANGE + "test_no_credential_is_shown",),
    ),
    Fault(
        name="a token in a body is shown",
        file="meshguard/contract/exchange.py",
        right='return _JWT.sub("$AGENT_TOKEN", text)',
        wrong="return text",
        promise=_SHOWN,
        tests=(_EXCHANGE + "test_no_credential_is_shown",),
    ),
    Fault(
        name="a report prints what it was given",
        file="meshguard/contract/report.py",
        right="return without_secrets(",
        wrong="return str(",
        promise=_SHOWN,
        tests=(_EXCHANGE + "test_no_credential_is_shown",),
    ),
    Fault(
        name="a gateway steers the terminal of its tester",
        file="meshguard/contract/report.py",
        right='char if char.isprintable() or char == "\\n" else',
        wrong="char if char else",
        promise="What a gateway sent does not steer the terminal.",
        tests=(_EXCHANGE + "test_what_a_gateway_sent_does_not_steer_the_terminal",),
    ),
    Fault(
        name="skipped cases count as broken ones do",
        file="meshguard/contract/report.py",
        right="return not self.having(Verdict.BROKEN)",
        wrong="return not self.having(Verdict.SKIPPED)",
        promise="A gateway with a broken case does not conform.",
        tests=(_PRODUCT + "test_a_finding_shows_what_was_sent_what_came_and_the_rule_but_no_credential",),
    ),
    Fault(
        name="an undeclared status fits",
        file="meshguard/contract/document.py",
        right='return [f"status {exchange.status} is not declared"]',
        wrong="return []",
        promise=_CONFORMS,
        tests=(_EXCHANGE + "test_a_response_that_does_not_fit_is_found",),
    ),
    Fault(
        name="a required header may be missing",
        file="meshguard/contract/document.py",
        right='if value is None and header.get("required"):',
        wrong="if False:",
        promise=_CONFORMS,
        tests=(_EXCHANGE + "test_a_response_that_does_not_fit_is_found",),
    ),
    Fault(
        name="any content type fits",
        file="meshguard/contract/document.py",
        right='elif "*/*" not in content:',
        wrong="elif not content:",
        promise=_CONFORMS,
        tests=(_EXCHANGE + "test_a_response_that_does_not_fit_is_found",),
    ),
    Fault(
        name="a body that is not JSON fits",
        file="meshguard/contract/document.py",
        right='            yield f"it is no {kind}"\n            return',
        wrong="            return",
        promise=_CONFORMS,
        tests=(_EXCHANGE + "test_a_response_that_does_not_fit_is_found",),
    ),
    Fault(
        name="a request without a credential fits",
        file="meshguard/contract/document.py",
        right="if wanted[scheme] not in names:",
        wrong="if not wanted[scheme]:",
        promise=_CONFORMS,
        tests=(_EXCHANGE + "test_a_request_that_does_not_fit_is_found",),
    ),
    Fault(
        name="a proxied response is any response",
        file="meshguard/contract/document.py",
        right='if self.is_proxy and exchange.header("x-meshguard-decision") == "allow":',
        wrong="if self.is_proxy or exchange.status > 400:",
        promise=_CONFORMS,
        tests=(_EXCHANGE + "test_a_response_that_does_not_fit_is_found",),
    ),
    Fault(
        name="a decision without `allowed` allows",
        file="meshguard/contract/subject.py",
        right='found = expect_fields(expect(exchange, OK), decision="allow", allowed=True)',
        wrong='found = expect_fields(expect(exchange, OK), decision="allow")',
        promise=_EVIDENCE,
        tests=(_EXCHANGE + "test_only_positive_evidence_is_an_allowance",),
    ),
    Fault(
        name="an allowance that would deny allows",
        file="meshguard/contract/subject.py",
        right='if found.get("wouldDeny"):',
        wrong='if found.get("wouldDeny") is None:',
        promise=_EVIDENCE,
        tests=(_EXCHANGE + "test_only_positive_evidence_is_an_allowance",),
    ),
    Fault(
        name="any other status denies",
        file="meshguard/contract/subject.py",
        right="if exchange.status == FORBIDDEN:",
        wrong="if exchange.status != OK:",
        promise=_EVIDENCE,
        tests=(_EXCHANGE + "test_only_positive_evidence_is_a_denial",),
    ),
    Fault(
        name="an expected absence is not checked",
        file="meshguard/contract/subject.py",
        right="        if found.get(name) != value:",
        wrong="        if value and found.get(name) != value:",
        promise="The contract tests' expectations are exact.",
        tests=(_EXCHANGE + "test_expectations_are_exact",),
    ),
    Fault(
        name="a refused admin token is no reason to stop",
        file="meshguard/contract/subject.py",
        right="if listed.status_code == UNAUTHORIZED:",
        wrong="if listed.status_code == NOT_FOUND:",
        promise="A gateway that can't be tested is not reported as tested.",
        tests=(_PRODUCT + "test_a_gateway_that_cannot_be_tested_is_no_finding",),
    ),
)

GATEWAY = (
    Fault(
        name="a path that no operation has succeeds",
        file="meshguard/gateway/routing.py",
        right='raise Problem(404, "Nothing answers',
        wrong='raise Problem(405, "Nothing answers',
        promise="A path that no operation has is a 404.",
        tests=(_HTTP + "test_unknown_paths_are_answered_404_in_the_one_shape",),
    ),
    Fault(
        name="a parameter takes in the path below it",
        file="meshguard/gateway/routing.py",
        right='f"(?P<{name}>[^/]+)"',
        wrong='f"(?P<{name}>.+)"',
        promise="Only the proxy's path has more than one segment.",
        tests=(_HTTP + "test_a_path_parameter_is_one_segment",),
    ),
    Fault(
        name="any method is the first one",
        file="meshguard/gateway/routing.py",
        right="operation = methods.get(method)",
        wrong="operation = methods.get(method) or next(iter(methods.values()))",
        promise="A method that an operation does not declare is a 405.",
        tests=(_HTTP + "test_undeclared_methods_are_answered_405_with_allow",),
    ),
    Fault(
        name="spans record the text of exceptions",
        file="meshguard/gateway/telemetry.py",
        right="record_exception=False",
        wrong="record_exception=True",
        promise=_TOLD,
        tests=(_TELEMETRY + "test_a_failed_span_tells_no_text",),
    ),
    Fault(
        name="spans name methods that no operation has",
        file="meshguard/gateway/telemetry.py",
        right='method if method in _METHODS else "_OTHER"',
        wrong="method",
        promise=_TOLD,
        tests=(_TELEMETRY + "test_what_no_operation_answers_is_told_without_its_path_and_method",),
    ),
    Fault(
        name="the agent's own trace reaches the upstream beside the gateway's",
        file="meshguard/gateway/telemetry.py",
        right='pair[0].decode("latin-1") not in _TRACE_HEADERS',
        wrong='pair[0].decode("latin-1") in pair[0].decode("latin-1")',
        promise="A forwarded request continues one trace.",
        tests=(_TELEMETRY + "test_the_trace_of_any_caller_goes_on_to_the_upstream",),
    ),
    Fault(
        name="decisions are not counted",
        file="meshguard/gateway/telemetry.py",
        right='_decisions.add(1, {"meshguard.decision": verdict.word})',
        wrong='_decisions.add(1, {"meshguard.decision": "allow"})',
        promise="Metrics count decisions by what was decided.",
        tests=(_TELEMETRY + "test_metrics_count_decisions_and_time_requests",),
    ),
    Fault(
        name="text lines show the text of exceptions",
        file="meshguard/gateway/logs.py",
        right='"\\n  ".join([link["type"], *link["stack"]]) for link in _chain(ei[1])',
        wrong='"\\n  ".join([link["type"], str(ei[1]), *link["stack"]]) for link in _chain(ei[1])',
        promise="A failure is logged by its type and stack, without its text and variables.",
        tests=(_LOGS + "test_an_exception_is_told_by_type_and_stack_without_text_or_variables",),
    ),
    Fault(
        name="JSON lines omit the cause of an exception",
        file="meshguard/gateway/logs.py",
        right='return {**first, "causes": causes} if causes else first',
        wrong="return first",
        promise="The log names what an exception came from.",
        tests=(_LOGS + "test_an_exception_in_json_names_its_causes",),
    ),
    Fault(
        name="a line feed in a message begins a line of the log",
        file="meshguard/gateway/logs.py",
        right="return json.dumps({name: value for name, value in line.items() if value is not None})",
        wrong="return json.dumps({k: v for k, v in line.items() if v is not None}).replace('\\\\n', '\\n')",
        promise="A line of the log is one JSON object, whatever the message.",
        tests=(_LOGS + "test_a_line_is_one_json_object_whatever_the_message",),
    ),
)

COMMANDS = (
    Fault(
        name="what an agent wrote steers the terminal",
        file="meshguard/cli/text.py",
        right='"\\N{REPLACEMENT CHARACTER}" for char in str(text))',
        wrong="char for char in str(text))",
        promise="What an agent wrote does not steer the terminal of anyone who reads the audit log.",
        tests=(_CLI + "test_what_an_agent_wrote_does_not_steer_the_terminal",),
    ),
    Fault(
        name="an export overwrites a file",
        file="meshguard/cli/audit.py",
        right="if not is_stdout and not force and (file.exists() or heads.exists()):",
        wrong="if not is_stdout and not force and file.exists() and heads.is_dir():",
        promise="An export overwrites no file unless it is told to.",
        tests=(_CLI + "test_a_filtered_export_has_no_heads_and_a_file_is_not_overwritten",),
    ),
    Fault(
        name="a broken log exits with 0",
        file="meshguard/cli/audit.py",
        right="    if not found.valid:\n        if not as_json:",
        wrong="    if found.valid is None:\n        if not as_json:",
        promise="`audit verify` fails when the log is broken.",
        tests=(_CLI + "test_verify_names_the_first_broken_entry",),
    ),
    Fault(
        name="an anchor is not compared",
        file="meshguard/cli/audit.py",
        right='found, note = client.verify_audit_log(anchors), ""',
        wrong='found, note = client.verify_audit_log(), ""',
        promise="An anchor finds a cut of entries and heads together.",
        tests=(
            _CLI + "test_an_anchor_finds_a_cut_of_entries_and_heads_together",
            _CLI + "test_an_anchor_finds_a_chain_that_was_written_anew_or_is_gone",
        ),
    ),
    Fault(
        name="others can read a backup",
        file="meshguard/gateway/backup.py",
        right="create_private(part)",
        wrong="part.touch(0o644)",
        promise="Only its owner can read a backup.",
        tests=(_CLI + "test_a_backup_of_a_running_gateway_is_restored_whole",),
    ),
    Fault(
        name="restore overwrites a database",
        file="meshguard/gateway/backup.py",
        right="if database.exists() and not overwrite:",
        wrong="if database.is_dir() and not overwrite:",
        promise="Restore overwrites no database unless it is told to.",
        tests=(_CLI + "test_restore_refuses_what_a_gateway_runs_on_and_what_would_be_lost",),
    ),
    Fault(
        name="restore replaces a database that a gateway runs on",
        file="meshguard/gateway/backup.py",
        right='target.execute("PRAGMA locking_mode = EXCLUSIVE")',
        wrong="source.backup(target)",
        promise="Restore refuses a database that a gateway runs on, and leaves it as it was.",
        tests=(_CLI + "test_restore_refuses_what_a_gateway_runs_on_and_what_would_be_lost",),
    ),
    Fault(
        name="anything is a backup",
        file="meshguard/gateway/backup.py",
        right="    if not sound:\n",
        wrong="    if sound is None:\n",
        promise="Only a sound MeshGuard database is restored.",
        tests=(_CLI + "test_what_is_no_backup_is_not_restored",),
    ),
    Fault(
        name="--dev listens anywhere",
        file="meshguard/cli/server.py",
        right="if dev and not _is_loopback(settings.host):",
        wrong="if dev and not settings.host:",
        promise="`--dev` listens on loopback only.",
        tests=("tests/gateway/test_serve.py::test_dev_never_listens_beyond_loopback",),
    ),
)

FAULTS = CONTRACT + GATEWAY + COMMANDS
