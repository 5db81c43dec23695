"""Faults of times, of policies that are not objects, and of proxied calls of the generated client."""

from tests.mutation.fault import Fault

_GENERATED = "tests/contract/test_generated_client.py::"

FAULTS = (
    Fault(
        name="milliseconds are not padded",
        file="meshguard/gateway/clock.py",
        right="{moment % 1000:03}Z",
        wrong="{moment % 1000}Z",
        promise="The gateway writes times in one format.",
        tests=("tests/gateway/test_agents.py::test_times_have_one_format",),
    ),
    Fault(
        name="null is validated as a policy",
        file="meshguard/gateway/policies.py",
        right="if not _may_be_object(text):",
        wrong="if not text:",
        promise="Only an object is a policy.",
        tests=("tests/gateway/test_policies.py::test_only_an_object_is_a_policy",),
    ),
    Fault(
        name="an upstream's 403 is parsed as a denial",
        file="generated/meshguard_api/api/proxy/proxy_get.py",
        right='response.headers.get("X-MeshGuard-Decision") == "allow"',
        wrong='response.headers.get("X-MeshGuard-Decision") == "deny"',
        promise="The generated client returns an upstream's response as bytes.",
        tests=(_GENERATED + "test_an_upstream_error_is_bytes",),
    ),
    Fault(
        name="a large policy is searched by its named conditions alone",
        file="meshguard/gateway/schema_errors.py",
        right=' and "patternProperties" not in schema',
        wrong="",
        promise="A value that does not fit its schema is rejected, however large it is.",
        tests=("tests/gateway/test_policies.py::test_a_large_invalid_candidate_is_rejected",),
    ),
)
