"""What an entry of the audit log takes on PostgreSQL, in table, indexes and WAL, as a table.

A gateway decides and records over HTTP: questions without a context, then with one of two keys.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks._load import Connection
from tests.gateway.test_serve import SECRETS, served
from tests.servers import PostgreSQL, postgresql
from tests.support import admin_client

CONNECTIONS = 64
POLICY = "{name: contacts-readers, rules: [{name: reads, effect: allow, actions: ['read:*']}]}"
CONTEXT = {"customer": "c-1", "purpose": "support"}
SIZES = """
SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid)), (SELECT count(*) FROM audit_entries)
FROM pg_partition_tree('audit_entries') WHERE isleaf
"""


def question(token: str, resource: str, context: dict[str, str]) -> bytes:
    """Return the bytes of a request for one decision."""
    content = {"action": "read:contacts", "resource": resource} | ({"context": context} if context else {})
    body = json.dumps(content).encode()
    head = (
        "POST /api/v1/pdp/evaluate HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def ask(port: int, token: str, entries: int, context: dict[str, str]) -> None:
    """Ask for decisions over some connections at once."""

    async def one(number: int) -> None:
        connection = Connection(port)
        for count in range(entries // CONNECTIONS):
            status, _ = await connection.ask(question(token, f"contacts/{number}-{count}", context))
            assert status == 200  # noqa: PLR2004
        await connection.close()

    await asyncio.gather(*map(one, range(CONNECTIONS)))


def measure(server: PostgreSQL, folder: Path, entries: int, context: dict[str, str]) -> tuple[float, ...]:
    """Return the bytes of an entry in the table, in its indexes, and in the WAL."""
    url = server.new_database()
    database = url.rpartition("/")[2]
    with served(folder, RATE_LIMIT_RPM="0", DATABASE_URL=url, **SECRETS) as (_, gateway):
        with admin_client(gateway) as admin:
            headers = {"Content-Type": "application/yaml"}
            admin.put("/admin/policies/contacts-readers", content=POLICY, headers=headers)
            token = admin.post("/admin/agents", json={"name": "support-agent"}).json()["token"]
        start = server.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
        asyncio.run(ask(int(gateway.rpartition(":")[2]), token, entries, context))
        [(wal,)] = server.execute(f"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{start}')")
    table, indexes, rows = server.execute(SIZES, database)[0]
    return float(table / rows), float(indexes / rows), float(wal / rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    entries = parser.parse_args().entries

    print("| bytes of an entry | table | indexes | together | WAL |\n|---|---:|---:|---:|---:|")
    settings = {"full_page_writes": "off", "autovacuum": "off", "max_wal_size": "16GB"}
    with tempfile.TemporaryDirectory() as folder, postgresql(**settings) as server:
        for name, context in (("without a context", {}), ("with a context of two keys", CONTEXT)):
            table, indexes, wal = measure(server, Path(folder), entries, context)
            print(f"| {name} | {table:.0f} | {indexes:.0f} | {table + indexes:.0f} | {wal:.0f} |")


if __name__ == "__main__":
    main()
