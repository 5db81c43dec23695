"""A victim's checks while the gateway is attacked in every way at once: correct, and how slow?

A victim asks at a fixed rate, first in peace and then under attack, and knows the right answers. Each request
is due at a fixed moment, and its time counts from then. The attackers are an agent with a token and clients
without one, on other loopback addresses, in a process of lower priority (`nice`), for all share the machine's
cores. Meanwhile policy files change, and the audit log is verified. An ASGI application that does nothing is
asked as often as the gateway, at the same time: what it takes is the machine's and the victim's own share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from benchmarks._bare import bare_application
from benchmarks._hostile_requests import BATCH, EVALUATE
from benchmarks._load import ROOT, free_port, stopped

RATE = 20  # requests of the victim a second
LIMIT = 3_000  # decisions a minute for each agent: more than the victim needs, for victim and attacker alike
CONNECTIONS = 4  # of the victim
TIMEOUT = 30.0  # seconds, of the victim
NICE = 10
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
PAYMENTS = """
name: payments
appliesTo: {tags: [victim]}
rules:
  - {name: small, effect: allow, actions: ["pay:*"], conditions: {context.amount: {lte: 1000}}}
  - {name: large, effect: deny, actions: ["pay:*"], conditions: {context.amount: {gt: 1000}}}
"""
READS = "{name: reads, rules: [{name: reads, effect: allow, actions: ['read:*']}]}"


@dataclass
class Secrets:
    """What only the administrator knows."""

    jwt: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    admin: str = field(default_factory=lambda: secrets.token_urlsafe(48))


@dataclass
class Gateway:
    """A gateway that runs, and its policy files."""

    port: int
    folder: Path
    secrets: Secrets

    def admin(self, timeout: float = 60.0) -> httpx.Client:
        headers = {"X-Admin-Token": self.secrets.admin}
        transport = httpx.HTTPTransport(retries=10)
        url = f"http://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, headers=headers, transport=transport, timeout=timeout)

    def new_agent(self, name: str, *tags: str) -> str:
        """Return the token of a new agent."""
        with self.admin() as admin:
            made = admin.post("/admin/agents", json={"name": name, "tags": tags}).raise_for_status()
            return str(made.json()["token"])


@contextmanager
def gateway(
    folder: Path, keys: Secrets, upstream_port: int, database_url: str, limit: int
) -> Iterator[Gateway]:
    """Run `meshguard serve`."""
    port = free_port()
    names = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in names if name in os.environ} | {
        "MESHGUARD_PORT": str(port),
        "MESHGUARD_JWT_SECRET": keys.jwt,
        "MESHGUARD_ADMIN_TOKEN": keys.admin,
        "MESHGUARD_DATABASE_URL": database_url,
        "MESHGUARD_POLICIES_DIR": str(folder / "policies"),
        "MESHGUARD_PROXY_TARGET": f"http://127.0.0.1:{upstream_port}",
        "MESHGUARD_PROXY_TIMEOUT": "5",
        "MESHGUARD_RATE_LIMIT_RPM": str(limit),
    }
    with (folder / "log").open("a") as log:
        command = [sys.executable, "-m", "meshguard.cli", "serve"]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        with stopped(process):
            if not process.stdout or "http://" not in process.stdout.readline():
                sys.exit((folder / "log").read_text()[:2_000])
            yield Gateway(port, folder, keys)


@dataclass
class Seen:
    """What the victim saw: seconds of each answer, and what was wrong."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    entries: dict[str, str] = field(default_factory=dict)

    def milliseconds(self, part: float) -> float:
        """Return a percentile."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1_000 if ordered else 0.0


AMOUNTS = (
    "0",
    "1",
    "999.99",
    "1000",
    "1e3",
    "1000.0",
    "1000.01",
    "1001",
    "5000",
    "1e9",
    '"1"',
    "null",
    "-5",
    "[1]",
)


def is_allowed(amount: str) -> bool:
    """Return the right answer; only numbers can be compared with one."""
    return bool(re.fullmatch(r"[-+.\de]+", amount)) and Decimal(amount) <= 1_000  # noqa: PLR2004


class Victim:
    """An agent whose answers are known."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        lines = f"POST {EVALUATE} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n"
        self._head = f"{lines}Content-Type: application/json\r\n"
        self._number = 0

    async def ask_for(self, seconds: float) -> Seen:
        """Ask at the fixed rate."""
        seen, due, start = Seen(), iter(range(round(RATE * seconds))), perf_counter()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds + TIMEOUT):
                await asyncio.gather(*(self._ask_on(seen, due, start) for _ in range(CONNECTIONS)))
        if never := len(list(due)):
            seen.errors["never asked"] += never
            seen.seconds += [TIMEOUT] * never
        return seen

    async def _ask_on(self, seen: Seen, due: Iterator[int], start: float) -> None:
        connection = None
        try:
            for turn in due:
                moment = start + turn / RATE
                await asyncio.sleep(max(0.0, moment - perf_counter()))
                try:
                    async with asyncio.timeout(TIMEOUT):
                        connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
                        reusable = await self._ask(seen, *connection)
                except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    seen.errors[type(error).__name__] += 1
                    reusable = False
                seen.seconds.append(perf_counter() - moment)
                if connection and not reusable:
                    await _leave(connection[1])
                    connection = None
        finally:
            if connection:
                await _leave(connection[1])

    async def _ask(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once; whether the connection may be used again."""
        self._number += 1
        trace, amount = f"victim-{self._number}", random.choice(AMOUNTS)
        body = f'{{"action":"pay:invoice","context":{{"amount":{amount}}}}}'.encode()
        lines = f"X-MeshGuard-Trace-ID: {trace}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((self._head + lines).encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        answer = await reader.readexactly(int(length[1]) if length else 0)
        if head[9:12] != b"200":
            seen.errors[head[9:12].decode()] += 1
        else:
            self._judge(seen, trace, amount, json.loads(answer))
        return b"connection: close" not in head.lower()

    def _judge(self, seen: Seen, trace: str, amount: str, decision: dict[str, Any]) -> None:
        expected = "allow" if is_allowed(amount) else "deny"
        found = (decision.get("traceId"), decision.get("decision"), decision.get("allowed"))
        if found != (trace, expected, expected == "allow"):
            seen.wrong.append(f"{trace}, {amount}: {decision}")
        seen.entries[str(decision.get("auditId"))] = expected


class Bystander(Victim):
    """Asks an application that does nothing."""

    def _judge(self, *_: object) -> None:
        """Expect nothing of the answer."""


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def write_policies(folder: Path, teams: int) -> None:
    """Write the victim's policy, and others that make explanations long."""
    folder.mkdir()
    (folder / "payments.yaml").write_text(PAYMENTS)
    (folder / "reads.yaml").write_text(READS)
    for team in range(teams):
        rules = [
            {
                "effect": "allow",
                "actions": [f"team{team}:item{n}:*", f"*:x{n}:*"],
                "conditions": {"context.n": {"gt": n}},
            }
            for n in range(20)
        ]
        (folder / f"team{team}.json").write_text(json.dumps({"name": f"team{team}", "rules": rules}))


async def change_policies(folder: Path) -> None:
    """Change a file twice a second; each fourth time it is broken for a while."""
    number = 0
    while True:
        number += 1
        broken = number % 4 == 0
        content = "{name: changing, rules: [{" if broken else READS.replace("reads,", f"changing{number},")
        (folder / "next").write_text(content)
        (folder / "next").rename(folder / "changing.yaml")
        await asyncio.sleep(0.5)


async def verify_log(running: Gateway, after: float) -> str:
    """Verify the whole log once."""
    await asyncio.sleep(after)
    started = perf_counter()
    result = await asyncio.to_thread(verification, running)
    return f"{result['entries']:,} entries, {perf_counter() - started:.1f} s, valid: {result['valid']}"


def verification(running: Gateway) -> dict[str, Any]:
    """Return what the gateway says of its log."""
    with running.admin(timeout=600) as admin:
        result: dict[str, Any] = admin.get("/admin/audit/verify").raise_for_status().json()
        return result


def fill_log(running: Gateway, entries: int) -> None:
    """Record decisions, so that a verification takes its time."""
    token = running.new_agent("filler")
    body = {"requests": [{"action": "read:x"}] * min(entries, 1_000)}
    with running.admin() as client:
        for _ in range(0, entries, 1_000):
            client.post(BATCH, json=body, headers={"Authorization": f"Bearer {token}"}).raise_for_status()


@dataclass
class Report:
    """What was measured."""

    quiet: Seen
    attacked: Seen
    bare_quiet: Seen
    bare_attacked: Seen
    attacks: dict[str, dict[str, Any]]
    verified: str
    missing: int
    valid: bool

    def breaches(self) -> list[str]:
        """Return the attacks that got through."""
        return [breach for kind in self.attacks.values() for breach in kind["breaches"]]


async def run_attack(
    running: Gateway, upstream_port: int, bare_port: int, quiet: float, seconds: float
) -> Report:
    """Measure in peace and under attack."""
    bystander = Bystander(bare_port, "none")
    victim = Victim(running.port, running.new_agent("victim", "victim"))
    attacker = running.new_agent("attacker")
    in_peace, bare_quiet = await asyncio.gather(victim.ask_for(quiet), bystander.ask_for(quiet))
    command = ["nice", "-n", str(NICE), sys.executable, "-m", "benchmarks._attackers"]
    arguments = [str(running.port), str(upstream_port), str(seconds)]
    process = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
        [*command, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with stopped(process):
        assert process.stdin
        assert process.stdout
        process.stdin.write(attacker + "\n")
        process.stdin.flush()
        await asyncio.to_thread(process.stdout.readline)
        changes = asyncio.create_task(change_policies(running.folder / "policies"))
        verifying = asyncio.create_task(verify_log(running, seconds / 3))
        attacked, bare = await asyncio.gather(victim.ask_for(seconds), bystander.ask_for(seconds))
        found = await asyncio.to_thread(process.stdout.read)
        verified = await verifying
        changes.cancel()
        await asyncio.gather(changes, return_exceptions=True)
    missing = len(missing_entries(running, in_peace.entries | attacked.entries))
    valid = (await asyncio.to_thread(verification, running))["valid"]
    return Report(in_peace, attacked, bare_quiet, bare, json.loads(found), verified, missing, valid)


def missing_entries(running: Gateway, answered: dict[str, str]) -> dict[str, str]:
    """Return the answers that the audit log does not have as they were given."""
    missing = dict(answered)
    query = {"kind": "decision", "action": "pay:invoice"}
    with (
        running.admin(timeout=600) as admin,
        admin.stream("GET", "/admin/audit/export", params=query) as lines,
    ):
        for line in lines.raise_for_status().iter_lines():
            entry = json.loads(line)
            if missing.get(entry["id"]) == entry["decision"]:
                del missing[entry["id"]]
    return missing


def table(report: Report) -> str:
    """Return the tables of docs/performance.md."""
    lines = ["| the victim | checks | wrong | errors | p50 ms | p99 ms |", "|---|---:|---:|---:|---:|---:|"]
    rows = {
        "in peace": report.quiet,
        "under attack": report.attacked,
        "a bare application, in peace": report.bare_quiet,
        "a bare application, under attack": report.bare_attacked,
    }
    for name, seen in rows.items():
        counts = f"{len(seen.seconds):,} | {len(seen.wrong)} | {seen.errors.total()}"
        lines.append(f"| {name} | {counts} | {seen.milliseconds(0.5):.1f} | {seen.milliseconds(0.99):.1f} |")
    ratio = report.attacked.milliseconds(0.99) / (report.quiet.milliseconds(0.99) or 1)
    errors = ", ".join(f"{number} x {name}" for name, number in report.attacked.errors.items())
    lines += [
        f"\np99 under attack / in peace: {ratio:.1f} (target: below 10). Errors: {errors or 'none'}.",
        f"Verified meanwhile: {report.verified}. Answers without their entry: {report.missing}.",
        f"The log is valid afterwards: {report.valid}.\n",
        "| attack | tried | got through | answers |",
        "|---|---:|---:|---|",
    ]
    for kind, found in report.attacks.items():
        answers = ", ".join(f"{number:,} x {answer}" for answer, number in found["answers"].items())
        lines.append(f"| {kind} | {found['sent']:,} | {len(found['breaches'])} | {answers} |")
    return "\n".join(lines)


def measure(folder: Path, *, seconds: float, quiet: float, entries: int, database_url: str = "") -> Report:
    """Start a gateway with a filled log, measure, and stop it."""
    keys, upstream_port, bare_port = Secrets(), free_port(), free_port()
    url = database_url or f"sqlite:///{folder}/gateway.db"
    write_policies(folder / "policies", teams=40)
    with gateway(folder, keys, upstream_port, url, limit=0) as running:
        fill_log(running, entries)
    with (
        bare_application(bare_port),
        gateway(folder, keys, upstream_port, url, limit=LIMIT) as running,
    ):
        return asyncio.run(run_attack(running, upstream_port, bare_port, quiet, seconds))


def main() -> None:
    """Measure and print; exits with 1 if an answer was wrong, lost, or an attack got through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--quiet", type=float, default=1.0, help="minutes in peace before")
    parser.add_argument("--entries", type=int, default=50_000, help="in the log before")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = ""
        if given.store == "postgres":
            from tests.servers import postgresql  # noqa: PLC0415 - its packages are not needed for SQLite

            url = stack.enter_context(postgresql(fsync="on")).new_database()
        report = measure(
            folder,
            seconds=given.minutes * 60,
            quiet=given.quiet * 60,
            entries=given.entries,
            database_url=url,
        )
    print(table(report))
    sys.exit(
        bool(
            report.attacked.wrong
            or report.quiet.wrong
            or report.missing
            or report.breaches()
            or not report.valid
        )
    )


if __name__ == "__main__":
    main()
