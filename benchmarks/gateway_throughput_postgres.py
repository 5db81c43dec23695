"""The same as gateway_throughput, with the log in PostgreSQL: a server of its own, on disk, fsync on.

`wrk`, gateway and PostgreSQL share the machine's cores.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    given = parser.parse_args()
    sys.path.append(str(Path(__file__).parents[1]))
    from benchmarks.gateway_throughput import measure  # noqa: PLC0415 - needs the path
    from tests.servers import postgresql  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, postgresql(fsync="on") as server:
        os.environ["MESHGUARD_DATABASE_URL"] = server.new_database()
        measure(Path(folder), given.rounds, given.seconds)


if __name__ == "__main__":
    main()
