"""The test suite for adapters. Its central promise: the body of a denied tool never runs.

Subclass `AdapterConformance`, drive your framework with a scripted model, and let pytest collect the class:

```python
from meshguard.testing.conformance import AdapterConformance, Script


class TestMyAdapter(AdapterConformance):
    modes = ("sync",)

    def run(self, script: Script) -> list[str]:
        tools = my_framework.tools(script.functions())
        ...  # let the model make the calls in script.turns; return their results, in order
```

`failures(TestMyAdapter)` runs the same checks without pytest and returns the names of those that fail. Remove
your hook to see the suite fail.
"""

from meshguard.testing.conformance.script import DELETE, LARGE, LOOKUP, SMALL, Call, Script
from meshguard.testing.conformance.suite import AdapterConformance, failures
from meshguard.testing.conformance.worlds import World, world

__all__ = [
    "DELETE",
    "LARGE",
    "LOOKUP",
    "SMALL",
    "AdapterConformance",
    "Call",
    "Script",
    "World",
    "failures",
    "world",
]
