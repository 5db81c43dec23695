"""A gateway with the policy of the conformance kit, and an agent of it in the environment."""

from collections.abc import Iterator

import pytest

from meshguard.testing import conformance


@pytest.fixture(scope="module")
def world() -> Iterator[conformance.World]:
    with conformance.world() as made:
        yield made


@pytest.fixture
def environ(world: conformance.World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """MESHGUARD_* as a user has set them, for a new agent; its id."""
    with world.agent("documented") as (client, agent_id):
        monkeypatch.setenv("MESHGUARD_GATEWAY_URL", world.gateway.url)
        monkeypatch.setenv("MESHGUARD_AGENT_TOKEN", str(client.agent_token))
        monkeypatch.setenv("MESHGUARD_ADMIN_TOKEN", world.gateway.admin_token)
        yield agent_id
