"""The policy language is of use without the client and what that needs."""

import subprocess
import sys

PROGRAM = """
import sys
from datetime import UTC, datetime

sys.modules |= dict.fromkeys(["httpx", "attrs", "attr", "meshguard_api"])
from meshguard.policy import Agent, PolicyEngine, Request, load_policy

text = "name: a\\nrules: [{effect: allow, actions: [read:*]}]"
engine = PolicyEngine([load_policy(text)])
agent = Agent("agent_1", "helper", "verified")
print(engine.decide(agent, Request("read:mail"), now=datetime.now(UTC)).decision)
ours = {name.split(".")[1] for name in sys.modules if name.startswith("meshguard.")}
print(sorted(ours))
"""


def test_the_policy_language_loads_no_client() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["allow", "['explanation_text', 'policy']", ""]
