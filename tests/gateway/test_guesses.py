"""Wrong admin tokens: counted, logged, recorded, and whom they lock out."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard.gateway.auth import AdminToken
from meshguard.gateway.guesses import MAX_GUESSES, GuessReports, network_of, shown_address
from meshguard.gateway.problems import Problem
from tests.gateway.conftest import Lab, check
from tests.gateway.test_serve import SECRETS, agent_of, served
from tests.support import ADMIN_TOKEN, Clock, gateway_settings, until

WRONG = [f"wrong-{number}" for number in range(MAX_GUESSES)]


def guess(lab: Lab, *tokens: str) -> list[int]:
    return [
        httpx.get(f"{lab.url}/admin/agents", headers={"X-Admin-Token": token}).status_code for token in tokens
    ]


def recorded(lab: Lab) -> list[str]:
    return [entry["reason"] for entry in lab.entries(kind="admin") if entry["action"] == "admin:token.guess"]


def figures(lab: Lab) -> dict[str, float]:
    lines = httpx.get(f"{lab.url}/metrics").text.splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def test_a_guess_is_logged_counted_and_recorded(
    open_lab: Callable[..., Lab], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    lab = open_lab(monotonic=clock, metrics_enabled=True)
    assert guess(lab, *WRONG, *WRONG[:2], ADMIN_TOKEN) == [401] * 10 + [429] * 3
    clock.seconds += 60
    first, last = (
        "A wrong admin token.",
        "10 wrong admin tokens within a minute; locked out for the rest.",
    )
    assert until(lambda: recorded(lab) == [last, first])
    entry = next(entry for entry in lab.entries(kind="admin") if entry["action"] == "admin:token.guess")
    assert (entry["kind"], entry["decision"], entry["resource"]) == ("admin", "deny", "127.0.0.1")
    assert [message for message in caplog.messages if "guessed" in message] == [
        f"admin token guessed from 127.0.0.1: {first}",
        f"admin token guessed from 127.0.0.1: {last}",
    ]
    found = figures(lab)
    assert found['meshguard_admin_token_guesses_total{outcome="wrong"}'] == 10
    assert found['meshguard_admin_token_guesses_total{outcome="locked_out"}'] == 3
    assert lab.admin.get("/admin/audit/verify").json()["valid"] is True
    assert lab.admin.get("/admin/audit/stats").json()["total"] == 0
    shown = caplog.text + lab.admin.get("/admin/audit/export").text
    assert [token for token in (*WRONG, ADMIN_TOKEN) if token in shown] == []


def test_the_same_wrong_token_is_counted_and_recorded_once(
    open_lab: Callable[..., Lab], caplog: pytest.LogCaptureFixture
) -> None:
    lab = open_lab(metrics_enabled=True)
    assert guess(lab, *["old"] * 30) == [401] * 30
    assert until(lambda: len(recorded(lab)) == 1)
    assert figures(lab)['meshguard_admin_token_guesses_total{outcome="wrong"}'] == 30
    assert len([message for message in caplog.messages if "guessed" in message]) == 1


class Reports:
    """Stands for the gateway: keeps the rows that are to be recorded."""

    metrics = None
    clock = Clock()

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.writer = self

    async def record(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows


@pytest.mark.anyio
async def test_guesses_from_very_many_addresses_fill_neither_log_nor_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moment, gateway = Clock(), Reports()
    reports = GuessReports(gateway, moment)  # type: ignore[arg-type]
    admin_token = AdminToken(gateway_settings(tmp_path), moment, reports)
    for number in range(500):
        assert not admin_token.accepts("wrong", f"198.51.{number // 200}.{number % 200}")
    await reports.finish()
    assert len(gateway.rows) == len(caplog.records) == 20
    moment.seconds += 60
    assert not admin_token.accepts("wrong", "203.0.113.1")
    await reports.finish()
    assert gateway.rows[-1]["reason"] == "A wrong admin token; 480 earlier reports were omitted."
    assert gateway.rows[-1]["resource"] == "203.0.113.1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_guess_that_cannot_be_recorded_is_401_all_the_same(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise Problem(503, "")

    monkeypatch.setattr("meshguard.gateway.writer.Writer.record", fail)
    assert guess(lab, "wrong") == [401]
    assert until(lambda: "a guess of the admin token could not be recorded" in caplog.messages)


def test_invalid_agent_tokens_are_counted(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(metrics_enabled=True)
    for token in ("wrong", "a.b.c", ADMIN_TOKEN):
        assert check(lab.client(token), "read:x").status_code == 401
    assert httpx.get(f"{lab.url}/proxy/check").status_code == 401  # without any, it is not a guess
    assert figures(lab)["meshguard_agent_tokens_rejected_total"] == 3


MAPPED = ["::ffff:192.0.2.1", "::FFFF:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"]


def test_an_ipv4_address_has_one_network_in_every_form() -> None:
    assert {network_of(address) for address in MAPPED} == {"192.0.2.1"}
    assert {shown_address(address) for address in MAPPED} == {"192.0.2.1"}
    assert network_of("::ffff:192.0.2.2") == "192.0.2.2"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") == "2001:db8:0:1::/64"
    assert network_of("unknown") == "unknown"


def test_an_ipv4_client_does_not_lock_out_the_others_of_a_socket_for_both(tmp_path: Path) -> None:
    admin_token = AdminToken(gateway_settings(tmp_path), Clock())
    for token in WRONG:
        assert not admin_token.accepts(token, "::ffff:192.0.2.1")
    assert not admin_token.accepts(ADMIN_TOKEN, "::ffff:192.0.2.1")
    assert not admin_token.accepts(ADMIN_TOKEN, "192.0.2.1")
    locked_out = [
        number for number in range(2, 256) if not admin_token.accepts(ADMIN_TOKEN, f"::ffff:192.0.2.{number}")
    ]
    assert locked_out == []


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_a_gateway_on_all_addresses_locks_out_one_ipv4_client(tmp_path: Path) -> None:
    settings = {**SECRETS, "MESHGUARD_HOST": "::"}
    with served(tmp_path, **settings) as (_, url), agent_of(url.replace("[::]", "127.0.0.1")):
        port = httpx.URL(url).port

        def statuses(address: str, *tokens: str) -> list[int]:
            transport = httpx.HTTPTransport(local_address=address)
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, transport=transport, trust_env=False) as client:
                return [
                    client.get("/admin/agents", headers={"X-Admin-Token": token}).status_code
                    for token in tokens
                ]

        assert statuses("127.0.0.2", *WRONG, ADMIN_TOKEN) == [401] * 10 + [429]
        assert statuses("127.0.0.3", ADMIN_TOKEN) == [200]
