"""How long a page of the audit log takes at 10,000 and at 1,000,000 entries, as a Markdown table.

First page, and one from the middle, of 50 entries, for each filter; medians over the gateway's own queries.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, insert

from meshguard.gateway import audit_log, store
from meshguard.gateway.audit import Chain, Row, new_row
from meshguard.gateway.audit_log import Filters, Position

START = 1_795_340_000_000
STEP = 40  # milliseconds from one entry to the next
REPEATS = 30


def row(number: int, chance: random.Random) -> Row:
    return new_row(
        timestamp=START + number * STEP,
        trace_id=f"trace-{number // 5}",
        kind="decision" if chance.randrange(50) else "admin",
        agent_id=f"agent_{number % 100}",
        agent_name=f"bot {number % 100}",
        trust_tier="verified",
        action=f"{'read' if number % 3 else 'write'}:object-{number % 40}",
        decision="allow" if chance.randrange(50) else "deny",
        policy="support" if number % 2 else "billing",
        rule="rule",
        reason='Rule "rule" of policy "support" allows it.',
        latency_ms=0.1,
    )


def fill(engine: Engine, count: int) -> None:
    chance = random.Random(count)
    chain = Chain.new()
    for start in range(0, count, 10_000):
        rows = [row(number, chance) for number in range(start, min(start + 10_000, count))]
        chain = chain.extend(rows, 1)
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(insert(store.audit_entries), rows)


def filters(count: int) -> dict[str, Filters]:
    middle = START + count // 2 * STEP
    return {
        "none": Filters(),
        "decision": Filters(decision="deny"),
        "agent": Filters(agent="agent_7"),
        "agent's name": Filters(agent="bot 7"),
        "action": Filters(action="read:object-7"),
        "action `write:*`": Filters(action="write:*"),
        "action `*-7`": Filters(action="*-7"),
        "traceId": Filters(trace_id=f"trace-{count // 10}"),
        "policy": Filters(policy="billing"),
        "kind": Filters(kind="admin"),
        "from": Filters(since=middle),
        "to": Filters(until=middle),
    }


def took(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        started = perf_counter()
        call()
        times.append(perf_counter() - started)
    return statistics.median(times) * 1000


def page(engine: Engine, chosen: Filters, below: Position | None) -> None:
    with engine.begin() as connection:
        audit_log.read_page(connection, chosen, 50, below)


def pages(engine: Engine, count: int) -> dict[str, tuple[float, float]]:
    middle = Position(START + count // 2 * STEP, count // 2)
    found = {}
    for name, chosen in filters(count).items():
        found[name] = (
            took(partial(page, engine, chosen, None)),
            took(partial(page, engine, chosen, middle)),
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, nargs=2, default=(10_000, 1_000_000))
    few, many = parser.parse_args().entries
    tables = []
    for count in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            engine = store.open_database(f"sqlite:///{Path(folder)}/log.db")
            store.migrate(engine)
            fill(engine, count)
            tables.append(pages(engine, count))
            if count == many:
                with engine.begin() as connection:
                    started = perf_counter()
                    audit_log.count_decisions(connection, START + (count * STEP) - 86_400_000)
                    counted = perf_counter() - started
            engine.dispose()
    print(f"| filter | first page, {few:,} | {many:,} | ratio | middle page, {few:,} | {many:,} | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in tables[0]:
        cells = []
        for place in (0, 1):
            small, large = tables[0][name][place], tables[1][name][place]
            cells.append(f"{small:.2f} ms | {large:.2f} ms | {large / small:.1f}")
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nCounting the decisions of a day (`stats`) at {many:,} entries: {counted:.2f} s.")


if __name__ == "__main__":
    main()
