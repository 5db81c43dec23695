"""Durability under `kill -9`: three times, or more: `KILLS=50 scripts/test tests/gateway/test_kill.py`."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Thread

import httpx

from tests.gateway.conftest import check
from tests.gateway.test_serve import SECRETS, agent_of, served
from tests.support import admin_client, until

KILLS = int(os.environ.get("KILLS", "3"))
CONNECTIONS = 8


class Load:
    """Clients that ask without a pause, and note each decision that they receive."""

    def __init__(self, url: str, headers: httpx.Headers) -> None:
        self.received: list[str] = []
        self._url, self._headers = url, headers
        self._threads = [Thread(target=self._ask, args=(number,)) for number in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, trust_env=False) as client:
            for count in range(1_000_000):
                try:
                    answer = check(client, f"read:{number}/{count}").json()
                except (httpx.TransportError, ValueError):
                    return
                if "auditId" not in answer:
                    return
                self.received.append(answer["auditId"])

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)


def recorded(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM audit_entries")}


def is_whole(url: str) -> bool:
    with admin_client(url, timeout=120) as admin:
        return bool(admin.get("/admin/audit/verify").json()["valid"])


def test_every_decision_that_was_received_survives_a_kill_under_load(tmp_path: Path) -> None:
    chance = random.Random(4)
    received: set[str] = set()
    for _ in range(KILLS):
        with served(tmp_path, "--rate-limit-rpm", "0", **SECRETS) as (process, url):
            assert is_whole(url)
            with agent_of(url) as agent:
                load = Load(url, agent.headers)
            goal = chance.randrange(20, 400)
            assert until(lambda load=load, goal=goal: len(load.received) >= goal, 60)
            os.killpg(process.pid, signal.SIGKILL)
            load.join()
        received.update(load.received)
        assert received <= recorded(tmp_path / "meshguard.db")
    with served(tmp_path, **SECRETS) as (_, url):
        assert is_whole(url)
    assert len(received) >= 20 * KILLS


def test_two_gateways_that_start_on_one_new_file_at_once_write_whole_chains(tmp_path: Path) -> None:
    running = [served(tmp_path, "--rate-limit-rpm", "0", **SECRETS) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        urls = [url for _, url in pool.map(lambda gateway: gateway.__enter__(), running)]
        try:
            agents = list(pool.map(agent_of, urls))
            loads = [Load(url, agent.headers) for url, agent in zip(urls, agents, strict=True)]
            assert until(lambda: all(len(load.received) >= 100 for load in loads), 60)
            assert all(is_whole(url) for url in urls)
        finally:
            for gateway in running:
                gateway.__exit__(None, None, None)
    for load, agent in zip(loads, agents, strict=True):
        load.join()
        agent.close()
        assert set(load.received) <= recorded(tmp_path / "meshguard.db")


def test_a_stop_answers_or_refuses_what_is_under_way(tmp_path: Path) -> None:
    with served(tmp_path, "--rate-limit-rpm", "0", **SECRETS) as (process, url):
        with agent_of(url) as agent:
            load = Load(url, agent.headers)
        assert until(lambda: len(load.received) >= 50, 60)
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)
        load.join()
    assert set(load.received) <= recorded(tmp_path / "meshguard.db")
