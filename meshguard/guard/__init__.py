"""From a tool call to an action to a decision, failing closed. Every adapter in `integrations` builds on it.

An adapter describes the call that the framework is about to make (`ToolCall`), checks it (`Guard.check`), and
runs the tool only if the decision allows it. Otherwise the model receives `Guard.denial_result`. Every error
on the way denies the call: an unreachable gateway, arguments that JSON can't represent, an agent without an
identity, an error in the user's own functions.
"""

from meshguard.guard.calls import Action, Client, Context, OnDeny, Resource, ToolCall, denial_message
from meshguard.guard.guard import Guard

__all__ = ["Action", "Client", "Context", "Guard", "OnDeny", "Resource", "ToolCall", "denial_message"]
