"""From a tool call to an action to a decision, failing closed; every adapter in `integrations` stands on it.

An adapter says what the framework is about to run (`ToolCall`), asks (`Guard.check`), and runs the tool only
if the decision allows; else it gives the model what `Guard.refuse` returns. Whatever goes wrong on the way is
a denial: an unreachable gateway, arguments that JSON can't represent, an agent without an identity, a mistake
in the user's own callables.
"""

from meshguard.guard.calls import Action, Client, Context, OnDeny, ToolCall, denial_message
from meshguard.guard.guard import Guard

__all__ = ["Action", "Client", "Context", "Guard", "OnDeny", "ToolCall", "denial_message"]
