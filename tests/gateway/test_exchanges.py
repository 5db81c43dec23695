"""A proxied exchange ends with the credential that it began with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import jwt
import pytest

from meshguard.gateway import gateway as gateway_module
from meshguard.gateway.exchanges import Exchanges
from tests.gateway.conftest import Lab
from tests.support import Clock, until

ALL = "{name: all, rules: [{effect: allow, actions: ['*']}]}"
EVENT = b"7\r\ndata: 0\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + EVENT


class Upstream:
    """Begins an endless stream, reads an endless upload, or never answers; knows whether it was left."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.left = threading.Event()
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.received = connection.recv(65_536)
            if b"/stream" in self.received:
                connection.sendall(STREAM)
            if b"/quick" in self.received:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                return
            self.asked.set()
            while piece := connection.recv(65_536):
                self.received += piece
        self.left.set()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with closing(Upstream()) as service:
        yield service


@pytest.fixture
def front(open_lab: Callable[..., Lab], upstream: Upstream) -> Callable[..., Lab]:
    def start(**settings: Any) -> Lab:
        lab = open_lab(proxy_target=upstream.url, **settings)
        lab.apply(ALL, "all")
        return lab

    return start


def begin(lab: Lab, token: str, path: str, *, upload: bool = False) -> socket.socket:
    host, port = lab.url.removeprefix("http://").split(":")
    method, framing = ("POST", "Transfer-Encoding: chunked\r\n") if upload else ("GET", "")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(
        f"{method} /proxy/{path} HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Bearer {token}\r\n{framing}\r\n".encode()
        + (b"4\r\npart\r\n" if upload else b"")
    )
    return connection


def rest_of(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return received


def cut_entries(lab: Lab) -> list[dict[str, Any]]:
    return [entry for entry in lab.entries(limit=1000) if entry["kind"] == "cut"]


KINDS = pytest.mark.parametrize("kind", ["stream", "upload", "silent"])


@KINDS
def test_revocation_cuts_an_exchange(
    front: Callable[..., Lab], upstream: Upstream, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    lab = front(metrics_enabled=True)
    agent = lab.create()
    with closing(begin(lab, agent["token"], kind, upload=kind == "upload")) as connection:
        assert upstream.asked.wait(10)
        assert not upstream.left.is_set()
        lab.admin.delete(f"/admin/agents/{agent['id']}")
        response = rest_of(connection)
    assert upstream.left.wait(10)
    if kind == "stream":
        assert response.endswith(EVENT)  # and no end of the body
    else:
        assert response.startswith(b"HTTP/1.1 401 ")
    assert until(lambda: len(cut_entries(lab)) == 1)
    (entry,) = cut_entries(lab)
    decided = next(entry for entry in lab.entries(kind="decision") if entry["agentId"] == agent["id"])
    same = ("traceId", "agentId", "action", "resource", "method", "path")
    assert {name: entry[name] for name in same} == {name: decided[name] for name in same}
    assert (entry["decision"], entry["reason"]) == ("deny", "The agent was revoked. The exchange was cut.")
    assert entry["status"] == (200 if kind == "stream" else 401)
    assert lab.entries(kind="cut") == [entry]
    assert "was cut: The agent was revoked." in caplog.text
    assert agent["token"] not in caplog.text
    assert "meshguard_exchanges_cut_total 1.0" in httpx.get(f"{lab.url}/metrics").text


def test_a_new_token_cuts_what_began_with_the_old_one(front: Callable[..., Lab], upstream: Upstream) -> None:
    lab = front()
    agent = lab.create()
    with closing(begin(lab, agent["token"], "stream")) as connection:
        assert upstream.asked.wait(10)
        lab.admin.post(f"/admin/agents/{agent['id']}/token")
        assert rest_of(connection).endswith(EVENT)
    assert until(lambda: len(cut_entries(lab)) == 1)
    assert cut_entries(lab)[0]["reason"].startswith("Its token was replaced or expired.")


def test_an_exchange_does_not_outlive_its_token(front: Callable[..., Lab], upstream: Upstream) -> None:
    clock = Clock()
    lab = front(clock=clock, agent_token_ttl=60)
    agent = lab.create()
    with closing(begin(lab, agent["token"], "stream")) as connection:
        assert upstream.asked.wait(10)
        clock.seconds = jwt.decode(agent["token"], options={"verify_signature": False})["exp"]
        assert rest_of(connection).endswith(EVENT)
    assert until(lambda: len(cut_entries(lab)) == 1)


def test_other_changes_of_an_agent_cut_nothing(front: Callable[..., Lab], upstream: Upstream) -> None:
    lab = front()
    agent, other = lab.create(), lab.create()
    with (
        closing(begin(lab, agent["token"], "stream")),
        closing(begin(lab, other["token"], "stream")) as ended,
    ):
        assert upstream.asked.wait(10)
        lab.admin.patch(f"/admin/agents/{agent['id']}", json={"trustTier": "trusted"})
        lab.apply("{name: all, rules: [{effect: deny, actions: ['*']}]}", "all")
        lab.admin.delete(f"/admin/agents/{other['id']}")
        rest_of(ended)  # by now the agents of all exchanges were looked at
        assert until(lambda: [entry["agentId"] for entry in cut_entries(lab)] == [other["id"]])


def test_a_revocation_at_another_gateway_cuts_too(open_lab: Callable[..., Lab], upstream: Upstream) -> None:
    here = open_lab(proxy_target=upstream.url)
    here.apply(ALL, "all")
    there = open_lab(database_url=here.settings.database_url.get_secret_value())
    agent = here.create()
    with closing(begin(here, agent["token"], "stream")) as connection:
        assert upstream.asked.wait(10)
        there.admin.delete(f"/admin/agents/{agent['id']}")
        assert rest_of(connection).endswith(EVENT)
    assert until(lambda: len(cut_entries(here)) == 1)


def test_doubt_about_revocations_cuts_after_the_snapshots_age(
    front: Callable[..., Lab], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = front(snapshot_max_age=1)
    agent = lab.create()
    with closing(begin(lab, agent["token"], "stream")) as connection:
        assert upstream.asked.wait(10)
        monkeypatch.setattr("meshguard.gateway.snapshot.Current.is_confirmed", False)
        assert rest_of(connection).endswith(EVENT)
        monkeypatch.undo()
    assert until(lambda: len(cut_entries(lab)) == 1)
    assert "could not tell" in cut_entries(lab)[0]["reason"]


def test_ended_exchanges_are_watched_no_more(
    front: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Exchanges] = []

    class Seen(Exchanges):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            watched.append(self)

    monkeypatch.setattr(gateway_module, "Exchanges", Seen)
    lab = front()
    agent = lab.create()
    client = lab.client(agent["token"])
    assert [client.get("/proxy/quick").text for _ in range(3)] == ["ok"] * 3
    assert until(lambda: not watched[0]._live)
    with closing(begin(lab, agent["token"], "stream")) as connection:
        assert b"200 OK" in connection.recv(100)
        assert len(watched[0]._live) == 1
        lab.admin.delete(f"/admin/agents/{agent['id']}")
        rest_of(connection)
    assert until(lambda: len(cut_entries(lab)) == 1)
    assert not watched[0]._live
