"""Which errors say that the database is at fault, rather than what it was given."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

# The beginnings of PostgreSQL's error codes: connection, authorization, no resources, intervention, I/O, and
# being read-only.
_OUTAGES = ("08", "28", "53", "57", "58", "XX", "25006", "55P03")
_TIMEOUTS = ("57014", "55P03")  # a statement or a lock that took too long
_SQLITE_OUTAGES = (
    "SQLITE_BUSY",
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_LOCKED",
    "SQLITE_NOTADB",
    "SQLITE_PROTOCOL",
    "SQLITE_READONLY",
)


def is_outage(error: BaseException) -> bool:
    """Return whether other jobs would fail as well."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    code = _code(error)
    if code.startswith("SQLITE_"):
        return code.startswith(_SQLITE_OUTAGES)
    if code:
        return code.startswith(_OUTAGES)
    # A broken connection has no code; neither has a failure to connect.
    return type(_original(error)).__name__ in {"OperationalError", "InterfaceError"}


def is_timeout(error: BaseException) -> bool:
    """Return whether the job has already waited for all the time that there is."""
    return _code(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", *_TIMEOUTS))


def _original(error: BaseException) -> BaseException:
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _code(error: BaseException) -> str:
    original = _original(error)
    return str(getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None) or "")
