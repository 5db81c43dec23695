"""Tools and functions that are decided on, each by itself; what is not allowed raises."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import Field, PrivateAttr

from meshguard.guard.arguments import own_copy
from meshguard.guard.names import KnownNames
from meshguard.integrations.langchain.calls import is_tool_call, tool_call, tool_result
from meshguard.integrations.langchain.functions import Function, governed
from meshguard.integrations.langchain.permission import Asked, OnDeny, apermitted, bound, permitted

if TYPE_CHECKING:
    from meshguard.exceptions import PolicyDeniedError
    from meshguard.guard import Client, ToolCall


def governed_tool(
    action: str, client: Client | None = None, on_deny: OnDeny | None = None
) -> Callable[[Callable[..., Any] | BaseTool], Any]:
    """Have each call of a function, or of a tool, decided on before it runs.

    Works above and below LangChain's `@tool`. A parameter `meshguard_decision` gets the decision; neither
    callers nor models see it. A call with an argument that JSON can't represent raises; an argument annotated
    with `InjectedToolArg` is not checked.

    Args:
        action: What the function does, by convention `verb:object`.
        client: Whom to ask, and as which agent; made of `MESHGUARD_*` at the call when left out.
        on_deny: Called as `on_deny(error, *args, **kwargs)` in place of a denied call; what it returns is the
            result.

    Returns:
        A decorator for a function or a coroutine function; of a tool it makes a `GovernedTool`.

    Raises:
        PolicyDeniedError: At a call that is denied, when there is no `on_deny`.
        MeshGuardError: At a call for which no decision can be had.

    Example:
        ```python
        from meshguard.langchain import governed_tool

        @governed_tool("read:contacts", client=client)
        def fetch_contacts(query: str) -> str:
            return f"{query}@example.com"

        print(fetch_contacts("ada"))
        ```
    """
    asked = Asked(client)

    def decorate(function: Callable[..., Any] | BaseTool) -> Any:
        if isinstance(function, BaseTool):
            return GovernedTool(function, action, client, on_deny)
        return governed(Function(function), action, asked, on_deny)

    return decorate


_SETTABLE = tuple(BaseTool.model_fields.keys() - {"args_schema"})


class GovernedTool(BaseTool):
    """A tool that is decided on at each call, and else is the tool that it wraps.

    Keeps the schema, injected arguments, artifacts, callbacks and all other fields of a LangChain tool. Of
    any other object with `run` (and `arun`) it makes a LangChain tool.

    In an agent a denial ends the run with the error, as LangChain does with errors of tools; to tell the
    model instead, give `on_deny`, or leave the tool as it is and use `MeshGuardMiddleware`.

    Args:
        tool: The tool.
        action: What it does, by convention `verb:object`.
        client: Whom to ask, and as which agent; made of `MESHGUARD_*` at the call when left out.
        on_deny: Called in place of a denied call, with the error and what the tool would have got: the
            arguments of `run`, or the input of `invoke`. What it returns is the result.

    Attributes:
        tool: The tool.
        action: Its action.
        client: Who is asked.
        on_deny: What is called in place of a denied call.
        name: The tool's name.
        description: The tool's description.

    Raises:
        ConfigurationError: The client can't be used.
        TypeError: What is wrapped has no `run`.

    Example:
        ```python
        from meshguard.langchain import GovernedTool

        governed_search = GovernedTool(tool=search, action="read:web_search", client=client)
        print(governed_search.run("MeshGuard AI governance"))
        ```
    """

    tool: Any = Field(exclude=True)
    action: str
    on_deny: OnDeny | None = Field(default=None, exclude=True)
    _asked: Asked = PrivateAttr()
    _wrapped: BaseTool = PrivateAttr()

    def __init__(
        self, tool: Any, action: str, client: Client | None = None, on_deny: OnDeny | None = None
    ) -> None:
        wrapped = as_tool(tool)
        fields = {name: getattr(wrapped, name) for name in BaseTool.model_fields} | _schema_of(wrapped)
        super().__init__(**fields, tool=tool, action=action, on_deny=on_deny)
        self._asked = Asked(client)
        self._wrapped = wrapped

    @property
    def client(self) -> Client:
        """Who is asked."""
        return self._asked.client

    @property
    def _meshguard_action(self) -> str:
        return self.action

    @property
    def func(self) -> Callable[..., Any] | None:
        """The tool's function, governed; `ToolNode` reads its annotations to know what to inject."""
        return self._governed("func")

    @property
    def coroutine(self) -> Callable[..., Any] | None:
        """The tool's coroutine function, governed."""
        return self._governed("coroutine")

    @property
    def args(self) -> dict[str, Any]:
        """What the model sees of the arguments."""
        return self._wrapped.args

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        """The schema of the tool's input, injected arguments included.

        Args:
            config: As LangChain gives it.

        Returns:
            A pydantic model.
        """
        return self._wrapped.get_input_schema(config)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the tool if policy allows; `batch` and `stream` come here, too.

        Args:
            input: Text, arguments by name, or a tool call as models make it.
            config: As LangChain gives it.
            kwargs: As the tool takes them.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied, and there is no `on_deny`.
            MeshGuardError: No decision can be had.
        """
        input = self._own(input)  # noqa: A001
        return permitted(
            self._asked.guard,
            self._call(input, config),
            lambda _: self._current().invoke(input, config, **kwargs),
            self._on_deny_of(input),
        )

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the tool if policy allows; as `invoke`, without blocking the event loop.

        Args:
            input: Text, arguments by name, or a tool call as models make it.
            config: As LangChain gives it.
            kwargs: As the tool takes them.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied, and there is no `on_deny`.
            MeshGuardError: No decision can be had.
        """
        input = self._own(input)  # noqa: A001
        return await apermitted(
            self._asked.guard,
            self._call(input, config),
            lambda _: self._current().ainvoke(input, config, **kwargs),
            self._on_deny_of(input),
        )

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool if policy allows.

        Args:
            args: As the tool's own `run` takes them.
            kwargs: As the tool's own `run` takes them.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied, and there is no `on_deny`.
            MeshGuardError: No decision can be had.
        """
        target = self._runner()
        args, kwargs = self._own_direct(args, kwargs)
        return permitted(
            self._asked.guard,
            self._direct_call(target.run, args, kwargs),
            lambda _: target.run(*args, **kwargs),
            bound(self.on_deny, *args, **kwargs),
        )

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool if policy allows; as `run`, without blocking the event loop.

        Args:
            args: As the tool's own `arun` takes them.
            kwargs: As the tool's own `arun` takes them.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied, and there is no `on_deny`.
            MeshGuardError: No decision can be had.
        """
        target = self._runner()
        args, kwargs = self._own_direct(args, kwargs)
        return await apermitted(
            self._asked.guard,
            self._direct_call(target.arun, args, kwargs),
            lambda _: target.arun(*args, **kwargs),
            bound(self.on_deny, *args, **kwargs),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool if policy allows; as `run`."""
        return self.run(*args, **kwargs)

    def _run(self, **arguments: Any) -> Any:
        return self.invoke(arguments)

    def _governed(self, attribute: str) -> Callable[..., Any] | None:
        function = getattr(self.tool, attribute, None)
        return function and governed(Function(function, self.name), self.action, self._asked, self.on_deny)

    def _current(self) -> BaseTool:
        """The wrapped tool with the fields that were changed here, such as `handle_tool_error`."""
        wrapped = self._wrapped
        changed = {
            name: value for name in _SETTABLE if (value := getattr(self, name)) != getattr(wrapped, name)
        }
        return wrapped.model_copy(update=changed) if changed else wrapped

    def _runner(self) -> Any:
        return self._current() if self._wrapped is self.tool else self.tool

    def _call(self, tool_input: Any, config: RunnableConfig | None) -> ToolCall:
        known = {"action": self.action}
        if is_tool_call(tool_input):
            known["call_id"], tool_input = tool_input["id"], tool_input["args"]
        return tool_call(self.name, self._visible(tool_input), ensure_config(config), **known)

    def _direct_call(
        self, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ToolCall:
        if self._wrapped is self.tool:
            return self._call(args[0] if args else kwargs.get("tool_input"), kwargs.get("config"))
        return Function(method, self.name).call(self.action, args, kwargs)

    def _own(self, tool_input: Any) -> Any:
        """The input with a copy of what is checked, which is what runs; what is injected stays shared."""
        if is_tool_call(tool_input):
            return {**tool_input, "args": self._own(tool_input["args"])}
        if not isinstance(tool_input, Mapping):
            return tool_input
        return {**tool_input, **own_copy(self._visible(tool_input))}

    def _own_direct(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._wrapped is not self.tool:  # an object with `run` may take anything; Guard.check compares
            return args, kwargs
        if args:
            return (self._own(args[0]), *args[1:]), kwargs
        return args, {
            **kwargs,
            **({"tool_input": self._own(kwargs["tool_input"])} if "tool_input" in kwargs else {}),
        }

    def _visible(self, arguments: Any) -> Any:
        """The arguments by name, without those that the framework injects: they are not the model's."""
        if isinstance(arguments, str):
            return {next(iter(self.args), "input"): arguments}
        if not isinstance(arguments, Mapping):
            return arguments
        return self._wrapped._filter_injected_args(dict(arguments))  # noqa: SLF001 - LangChain has no public way

    def _on_deny_of(self, tool_input: Any) -> Callable[[PolicyDeniedError], Any] | None:
        if self.on_deny is None or not is_tool_call(tool_input):
            return bound(self.on_deny, tool_input)
        on_deny = self.on_deny
        return lambda error: tool_result(on_deny(error, self._visible(tool_input["args"])), tool_input)


class GovernedToolkit:
    """Makes governed tools of many tools at once.

    Args:
        tools: The tools.
        client: Whom to ask, and as which agent; made of `MESHGUARD_*` at the call when left out.
        action_map: Tool name to action.
        default_action: The action of every other tool.
        on_deny: As in `GovernedTool`.

    Attributes:
        tools: The tools.
        client: Who is asked.
        action_map: Tool name to action.
        default_action: The action of every other tool.
        on_deny: What is called in place of a denied call.

    Raises:
        ConfigurationError: The client can't be used.

    Example:
        ```python
        from meshguard.langchain import GovernedToolkit

        toolkit = GovernedToolkit(tools=[search], client=client, action_map={"web_search": "read:web_search"})
        print([tool.action for tool in toolkit.get_tools()])
        ```
    """

    def __init__(
        self,
        tools: Sequence[Any],
        client: Client | None = None,
        action_map: Mapping[str, str] | None = None,
        default_action: str = "execute:tool",
        on_deny: OnDeny | None = None,
    ) -> None:
        self.tools = tools
        self.action_map: Mapping[str, str] = action_map or {}
        self.default_action = default_action
        self.on_deny = on_deny
        self._asked = Asked(client)
        KnownNames("action_map", "tool", self.action_map).add(map(_name, tools))

    @property
    def client(self) -> Client:
        """Who is asked."""
        return self._asked.client

    def get_action(self, tool: Any) -> str:
        """Say what a tool does.

        Args:
            tool: A tool.

        Returns:
            Its action.
        """
        return self.action_map.get(_name(tool), self.default_action)

    def get_tools(self) -> list[GovernedTool]:
        """Make the governed tools.

        Returns:
            One for each of the tools, in order.

        Raises:
            TypeError: One of the tools has no `run`.
        """
        return [self._governed(tool) for tool in self.tools]

    def _governed(self, tool: Any) -> GovernedTool:
        governed = GovernedTool(tool, self.get_action(tool), on_deny=self.on_deny)
        governed._asked = self._asked  # noqa: SLF001 - all share the connections of one guard
        return governed


def _name(tool: Any) -> str:
    return getattr(tool, "name", None) or type(tool).__name__


def as_tool(tool: Any) -> BaseTool:
    """A LangChain tool of anything that runs."""
    if isinstance(tool, BaseTool):
        return tool
    if not callable(getattr(tool, "run", None)):
        raise TypeError("A governed tool has `run`; for a function use the decorator governed_tool.")
    description = getattr(tool, "description", None) or inspect.getdoc(tool.run) or _name(tool)
    return StructuredTool.from_function(
        tool.run, getattr(tool, "arun", None), name=_name(tool), description=description
    )


def _schema_of(tool: BaseTool) -> dict[str, Any]:
    """The schema of a `Tool` without one, which LangChain knows by its class alone."""
    if not isinstance(tool, Tool) or tool.args_schema is not None:
        return {}
    text = {"__arg1": {"title": "__arg1", "type": "string"}}
    return {"args_schema": {"type": "object", "properties": text, "required": ["__arg1"]}}
