"""`meshguard contract`: our own gateway passes, on both stores, and a gateway with a fault does not."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from meshguard.contract.report import Finding, Verdict
from meshguard.contract.run import examine
from meshguard.gateway import app
from tests.contract import faults
from tests.contract.own_gateway import STORES, upstream
from tests.environments import ROOT, clean_environ
from tests.servers import free_port
from tests.support import ADMIN_TOKEN, gateway_settings, running_app, running_gateway

FAULTS: dict[str, Any] = {
    "a denial says so in its headers": faults.denial_without_decision_header,
    "a 401 names the scheme in www authenticate": faults.refusal_without_www_authenticate,
    "unknown body fields are refused": faults.unknown_fields_taken,
    "a revoked agent is refused at once everywhere": faults.cached_decisions(),
    "a new token ends the earlier one at once": faults.cached_decisions(),
    "a trace id is repeated in header body and audit entry": faults.trace_not_repeated,
    "a bad trace id is refused": faults.bad_trace_taken,
    "a request id is repeated on decisions": faults.request_id_not_repeated,
    "a request id is repeated on errors too": faults.request_id_not_repeated,
    "a denied action is answered with 403 and the reason": faults.denial_answered_with_bare_200,
    "each decision has its entry before the answer is sent": faults.entries_missing,
    "pages do not shift while entries arrive": faults.repeated_entry(),
    "an unknown path is answered with 404 in the error shape": faults.errors_in_another_shape,
    "a missing or wrong admin token is answered with 401": faults.open_admin_side(ADMIN_TOKEN),
    "a refused policy leaves the old one in force": faults.broken_policy_removes_the_old_one,
    "to revoke a revoked agent is no error": faults.second_revocation_is_not_found,
    "a batch is decided in order": faults.batch_in_reverse(),
    "a repeated request with a key creates nothing": faults.key_ignored,
    "times have one format": faults.times_with_an_offset,
    "a document that is not an object is not a policy": faults.null_is_an_invalid_policy,
    "decisions and secrets are not to be cached": faults.decisions_may_be_cached,
    "the log verifies": faults.log_claims_to_be_broken,
    "the export holds what the list holds oldest first": faults.export_newest_first,
}


EXAMPLES = settings().max_examples // 20  # 5; the nightly job has more of its own


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=False)


def contract(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("meshguard.cli", "contract", *arguments)


def faulty_gateway(folder: Path, fault: faults.Fault) -> AbstractContextManager[str]:
    return running_app(faults.Faulty(app(gateway_settings(folder, rate_limit_rpm=0)), fault))


def broken(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.name, finding.wrong) for finding in findings if finding.verdict is Verdict.BROKEN]


@pytest.mark.parametrize("store", STORES)
def test_our_gateway_passes_over_a_socket_and_nothing_is_left_behind(store: str) -> None:
    options = ("--store", store, "--examples", str(EXAMPLES), "--quick", "--json")
    done = run("tests.contract.own_gateway", *options)
    # The tests send wrong admin tokens, and the gateway says so.
    assert [
        line for line in done.stderr.splitlines() if "admin token guessed from 127.0.0.1" not in line
    ] == []
    report = json.loads(done.stdout)
    assert [finding for finding in report["findings"] if finding["verdict"] == "broken"] == []
    assert (done.returncode, report["conforms"], report["leftBehind"]) == (0, True, [])
    assert report["totals"]["operations"] == 31
    skipped = [finding["wrong"] for finding in report["findings"] if finding["verdict"] == "skipped"]
    assert {reason.partition(",")[0] for reason in skipped} == {"the gateway is in mode enforce"}


@pytest.mark.parametrize("has_upstream", [False, True])
def test_our_gateway_passes_in_mode_audit_though_the_upstream_fails(
    has_upstream: bool, tmp_path: Path
) -> None:
    with (
        upstream(503) as target,
        running_gateway(
            tmp_path, rate_limit_rpm=0, mode="audit", proxy_target=target if has_upstream else None
        ) as gateway,
    ):
        done = contract(gateway.url, "--admin-token", ADMIN_TOKEN, "--examples", "1", "--quick", "--json")
    verdicts = {finding["name"]: finding["verdict"] for finding in json.loads(done.stdout)["findings"]}
    assert [name for name, verdict in verdicts.items() if verdict == "broken"] == []
    assert verdicts["in mode audit nothing is denied but told"] == "holds"
    assert verdicts["an answer of the upstream is marked as its own"] == (
        "holds" if has_upstream else "skipped"
    )


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_seeded_fault_is_caught_by_the_sentence_it_breaks(sentence: str, tmp_path: Path) -> None:
    with running_app(
        faults.Faulty(app(gateway_settings(tmp_path, rate_limit_rpm=0)), FAULTS[sentence])
    ) as url:
        report = examine(url, ADMIN_TOKEN, only=sentence)
    assert not report.conforms
    assert sentence in [name for name, _ in broken(report.findings)]


def test_a_finding_shows_what_was_sent_what_came_and_the_rule_but_no_credential(tmp_path: Path) -> None:
    with running_app(
        faults.Faulty(
            app(gateway_settings(tmp_path, rate_limit_rpm=0)), faults.denial_without_decision_header
        )
    ) as url:
        done = contract(url, "--admin-token", ADMIN_TOKEN, "--only", "a denial says so in its headers")
    assert done.returncode == 1
    assert "the header X-MeshGuard-Decision is missing" in done.stdout
    assert "curl -i" in done.stdout
    assert "authorization: Bearer $AGENT_TOKEN" in done.stdout
    assert "403 Forbidden" in done.stdout
    assert "response Denied, headers" in done.stdout
    assert ADMIN_TOKEN not in done.stdout
    assert "eyJ" not in done.stdout


def test_a_gateway_that_cannot_be_tested_is_no_finding(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        refused = contract(gateway.url, "--admin-token", "wrong", "--only", "the log verifies")
    unreachable = contract(f"http://127.0.0.1:{free_port()}", "--admin-token", ADMIN_TOKEN)
    without = contract("http://127.0.0.1:1")
    for done, code, reason in (
        (refused, 3, "refuses"),
        (unreachable, 3, "can't be reached"),
        (without, 2, "--admin-token"),
    ):
        assert (done.returncode, done.stdout) == (code, "")
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
