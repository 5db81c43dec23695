"""Faults of `Idempotency-Key`."""

from tests.mutation.fault import Fault

_FILE = "meshguard/gateway/idempotency.py"
_TESTS = "tests/gateway/test_idempotency.py::"

FAULTS: tuple[Fault, ...] = (
    Fault(
        name="a key is looked up before other gateways are locked out",
        file=_FILE,
        right="""        number = store.begin_change(connection)
        earlier = key.recall(connection, now, gateway.tokens) if key else None
""",
        wrong="""        earlier = key.recall(connection, now, gateway.tokens) if key else None
        number = store.begin_change(connection)
""",
        promise="Of simultaneous requests with one key, one creates.",
        tests=(f"{_TESTS}test_simultaneous_requests_create_one",),
    ),
    Fault(
        name="a replay is committed as a change",
        file=_FILE,
        right="            return Change(earlier, applied=gateway.sync.refresh, is_undone=True)\n",
        wrong="            create(connection, number)\n            return Change(earlier)\n",
        promise="A repeated request creates nothing.",
        tests=(f"{_TESTS}test_a_repeated_request_gets_the_first_response",),
    ),
    Fault(
        name="a key stands for every request",
        file=_FILE,
        right="if not hmac.compare_digest(row.request, self.request):",
        wrong="if False:",
        promise="A key with another body or path is a 409.",
        tests=(
            f"{_TESTS}test_a_key_with_another_body_is_409",
            f"{_TESTS}test_a_key_at_another_path_is_409",
        ),
    ),
    Fault(
        name="the path is no part of the request",
        file=_FILE,
        right='["request", request.operation.id, request.path, body]',
        wrong='["request", request.operation.id, body]',
        promise="A key with another path is a 409.",
        tests=(f"{_TESTS}test_a_key_at_another_path_is_409",),
    ),
    Fault(
        name="a key never expires",
        file=_FILE,
        right="if row is None or row.created_at <= now - LIFETIME:",
        wrong="if row is None:",
        promise="A key is kept for 24 hours.",
        tests=(f"{_TESTS}test_a_key_is_kept_for_a_day",),
    ),
    Fault(
        name="maintenance removes every key",
        file=_FILE,
        right="where(_key.created_at <= before)",
        wrong="where(_key.created_at <= before + LIFETIME)",
        promise="Keys younger than 24 hours stay.",
        tests=(f"{_TESTS}test_maintenance_removes_old_keys",),
    ),
    Fault(
        name="keys of all credentials are one set",
        file=_FILE,
        right="return hmac.new(credential, _LABEL + canonical(value)",
        wrong='return hmac.new(b"key", _LABEL + canonical(value)',
        promise="A key belongs to the credential it came with.",
        tests=(f"{_TESTS}test_a_key_belongs_to_its_credential",),
    ),
    Fault(
        name="another token is shown instead of the first",
        file="meshguard/gateway/auth.py",
        right="            if hmac.compare_digest(again.hash, token_hash):\n",
        wrong="            if again.hash:\n",
        promise="A replayed token is the first one, or there is none.",
        tests=(
            f"{_TESTS}test_a_key_outlives_a_restart_and_a_new_secret",
            f"{_TESTS}test_a_token_of_a_lost_secret_is_409",
        ),
    ),
)
