"""`meshguard contract` against a gateway of its own: scripts/contract [--store postgres] [OPTION …]."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.environments import clean_environ
from tests.gateway.test_serve import SECRETS, serving
from tests.servers import postgresql
from tests.support import ADMIN_TOKEN, running_app

STORES = ("sqlite", "postgres")
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@contextmanager
def upstream(status: int = 200) -> Iterator[str]:
    """Run a service that answers whatever it is asked with one status; gives its URL."""

    async def answer(_: Request) -> JSONResponse:
        return JSONResponse({"upstream": True}, status)

    with running_app(Starlette(routes=[Route("/{path:path}", answer, methods=_METHODS)])) as url:
        yield url


@contextmanager
def own_gateway(folder: Path, store: str = "sqlite") -> Iterator[str]:
    """Run `meshguard serve` with an upstream and without a rate limit; gives its URL."""
    with ExitStack() as stack:
        flags = ["--proxy-target", stack.enter_context(upstream()), "--rate-limit-rpm", "0", "--metrics"]
        if store == "postgres":
            flags += ["--database-url", stack.enter_context(postgresql()).new_database()]
        _, url = stack.enter_context(serving(folder, flags, SECRETS, stderr=None))
        yield url


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/contract", epilog="Further options are those of: meshguard contract --help"
    )
    parser.add_argument("--store", choices=STORES, default="sqlite", help="the store of the gateway")
    chosen, options = parser.parse_known_args()
    with (
        tempfile.TemporaryDirectory(prefix="meshguard-contract-") as folder,
        own_gateway(Path(folder), chosen.store) as url,
    ):
        command = [sys.executable, "-m", "meshguard.cli", "contract", url, *options]
        environ = clean_environ(MESHGUARD_ADMIN_TOKEN=ADMIN_TOKEN)
        return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
