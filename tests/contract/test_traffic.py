"""The traffic of the tests' gateways is held against the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from meshguard import MeshGuardClient
from meshguard.gateway import app
from tests.contract import faults
from tests.support import ADMIN_TOKEN, gateway_settings, running_app, running_gateway
from tests.traffic import OURS, Traffic


def test_what_our_client_sends_and_gets_is_as_the_contract_has_it(tmp_path: Path) -> None:
    traffic = Traffic()
    with (
        running_app(traffic.watch(app(gateway_settings(tmp_path)))) as url,
        MeshGuardClient(url, admin_token=ADMIN_TOKEN) as admin,
    ):
        agent = admin.create_agent("watched", tags=["a"])
        with MeshGuardClient(url, agent["token"]) as client:
            assert not client.check("read:contacts", "/crm/42").allowed
        admin.get_audit_log(limit=5, decision="deny")
        admin.revoke_agent(agent["id"])
    traffic.assert_conforms()
    assert traffic.exchanges == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.refusal_without_www_authenticate, "the header WWW-Authenticate is missing"),
        (faults.errors_in_another_shape, '"error" is a required property'),
    ],
)
def test_a_response_that_does_not_fit_fails_the_test(fault: Any, said: str, tmp_path: Path) -> None:
    traffic = Traffic()
    with running_app(traffic.watch(faults.Faulty(app(gateway_settings(tmp_path)), fault))) as url:
        httpx.get(f"{url}/admin/agents", trust_env=False)
    with pytest.raises(AssertionError, match=said):
        traffic.assert_conforms()


def test_a_request_of_our_client_to_what_is_no_operation_fails_the_test(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="there is no such operation"),
        running_gateway(tmp_path) as gateway,
    ):
        httpx.get(f"{gateway.url}/nothing", headers={"User-Agent": f"{OURS}1"}, trust_env=False)
