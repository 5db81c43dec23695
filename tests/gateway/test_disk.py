"""What health and metrics say about the disk of the database."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from meshguard.gateway import disk, store
from meshguard.gateway.disk import Disk
from tests.gateway.conftest import Lab

WARNING = re.compile(r"only (\d+) MiB are free on the disk of the database")


def metric(lab: Lab, name: str) -> float:
    text = lab.admin.get("/metrics").text
    found = re.search(rf"^meshguard_database_{name}_bytes (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("gateway.db*"))


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_metrics_show_the_files_and_the_free_space(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = open_lab(metrics_enabled=True)
    before = size(tmp_path)
    shown = metric(lab, "size")
    assert 0 < before <= shown <= size(tmp_path)
    assert metric(lab, "disk_free") == pytest.approx(free(tmp_path), rel=0.2)


def test_metrics_of_postgresql_are_not_numbers(
    open_lab: Callable[..., Lab], request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres").new_database()
    lab = open_lab(metrics_enabled=True, database_url=url)
    assert str(metric(lab, "size")) == str(metric(lab, "disk_free")) == "nan"
    assert lab.admin.get("/health").json()["checks"]["audit"] == "ok"


def test_health_warns_of_little_room(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LITTLE", 0)
    assert lab.admin.get("/health").json()["checks"]["audit"] == "ok"
    monkeypatch.setattr(disk, "LITTLE", 2**62)
    health = lab.admin.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    warned = WARNING.fullmatch(health.json()["checks"]["audit"])
    assert warned
    assert int(warned[1]) == pytest.approx(free(tmp_path) / 2**20, rel=0.2)


def test_an_unknown_disk_is_no_problem(tmp_path: Path) -> None:
    engine = store.open_database(f"sqlite:///{tmp_path}/gone/gateway.db")
    found = Disk(engine)
    assert (found.free(), found.used(), found.problem) == (None, 0, None)
    engine.dispose()
    engine = store.open_database("sqlite://")
    found = Disk(engine)
    assert (found.free(), found.used(), found.problem) == (None, None, None)
    engine.dispose()


@pytest.mark.parametrize("difference", [-1, 0, 1])
def test_the_warning_begins_below_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: int
) -> None:
    engine = store.open_database(f"sqlite:///{tmp_path}/gateway.db")
    found = Disk(engine)
    monkeypatch.setattr(found, "free", lambda: disk.LITTLE + difference)
    assert (found.problem is not None) == (difference < 0)
    engine.dispose()
