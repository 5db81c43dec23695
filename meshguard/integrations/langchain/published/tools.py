"""`GovernedTool`, a wrapper for one tool."""

from __future__ import annotations

# LangChain's own types are partly unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import Field, PrivateAttr

from meshguard.guard.arguments import private_copy
from meshguard.integrations.langchain.calls import is_tool_call, tool_call, tool_result
from meshguard.integrations.langchain.published.functions import Function, wrap_function
from meshguard.integrations.langchain.published.permission import (
    GuardResolver,
    OnDeny,
    arun_if_allowed,
    bind,
    run_if_allowed,
)

if TYPE_CHECKING:
    from meshguard.exceptions import PolicyDeniedError
    from meshguard.guard import Client, ToolCall

_SETTABLE = tuple(BaseTool.model_fields.keys() - {"args_schema"})


class GovernedTool(BaseTool):
    """A tool whose calls are checked before it runs.

    It keeps the schema, injected arguments, artifacts, callbacks and all other fields of a LangChain tool.
    Any other object with `run` (and `arun`) becomes a LangChain tool.

    In an agent, a denial ends the run with the error, as LangChain does for any error in a tool. To let the
    model continue, pass `on_deny`, or use the plain tool with `MeshGuardMiddleware`.

    Args:
        tool: The tool to wrap.
        action: The action of the tool, by convention `verb:object`.
        client: The client of the agent. By default, each call uses one made from `MESHGUARD_*`.
        on_deny: Called for a denied call, with the error and the arguments of `run` or the input of `invoke`.
            Returns the result of the call.

    Attributes:
        tool: The wrapped tool.
        action: Its action.
        client: The client of the agent.
        on_deny: The function that handles denied calls.
        name: The tool's name.
        description: The tool's description.

    Raises:
        ConfigurationError: The client is not valid.
        TypeError: The object to wrap has no `run`.

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
    _resolver: GuardResolver = PrivateAttr()
    _wrapped: BaseTool = PrivateAttr()

    def __init__(
        self, tool: Any, action: str, client: Client | None = None, on_deny: OnDeny | None = None
    ) -> None:
        wrapped = as_tool(tool)
        fields = {name: getattr(wrapped, name) for name in BaseTool.model_fields} | _schema_of(wrapped)
        super().__init__(**fields, tool=tool, action=action, on_deny=on_deny)
        self._resolver = GuardResolver(client)
        self._wrapped = wrapped

    @property
    def client(self) -> Client:
        """The client of the agent."""
        return self._resolver.client

    @property
    def _meshguard_action(self) -> str:
        return self.action

    @property
    def func(self) -> Callable[..., Any] | None:
        """The tool's function, governed. `ToolNode` reads its annotations to know what to inject."""
        return self._wrap("func")

    @property
    def coroutine(self) -> Callable[..., Any] | None:
        """The tool's coroutine function, governed."""
        return self._wrap("coroutine")

    @property
    def args(self) -> dict[str, Any]:
        """The arguments that the model sees."""
        return self._wrapped.args

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        """The schema of the tool's input, including injected arguments.

        Args:
            config: LangChain's configuration.

        Returns:
            A Pydantic model.
        """
        return self._wrapped.get_input_schema(config)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Run the tool if the call is allowed. `batch` and `stream` use this method.

        Args:
            input: Text, arguments by name, or a tool call from a model.
            config: LangChain's configuration.
            kwargs: Further arguments of the tool's method.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied and there is no `on_deny`.
            MeshGuardError: The call could not be checked.
        """
        input = self._detach(input)  # noqa: A001
        return run_if_allowed(
            self._resolver.guard,
            self._call(input, config),
            lambda: self._current().invoke(input, config, **kwargs),
            self._bind_on_deny(input),
        )

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """As `invoke`, without blocking the event loop.

        Args:
            input: Text, arguments by name, or a tool call from a model.
            config: LangChain's configuration.
            kwargs: Further arguments of the tool's method.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied and there is no `on_deny`.
            MeshGuardError: The call could not be checked.
        """
        input = self._detach(input)  # noqa: A001
        return await arun_if_allowed(
            self._resolver.guard,
            self._call(input, config),
            lambda: self._current().ainvoke(input, config, **kwargs),
            self._bind_on_deny(input),
        )

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool if the call is allowed.

        Args:
            args: The arguments of the tool's own `run`.
            kwargs: The keyword arguments of the tool's own `run`.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied and there is no `on_deny`.
            MeshGuardError: The call could not be checked.
        """
        target = self._runner()
        args, kwargs = self._detach_direct(args, kwargs)
        return run_if_allowed(
            self._resolver.guard,
            self._direct_call(target.run, args, kwargs),
            lambda: target.run(*args, **kwargs),
            bind(self.on_deny, *args, **kwargs),
        )

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """As `run`, without blocking the event loop.

        Args:
            args: The arguments of the tool's own `arun`.
            kwargs: The keyword arguments of the tool's own `arun`.

        Returns:
            The tool's result, or what `on_deny` returns.

        Raises:
            PolicyDeniedError: The call is denied and there is no `on_deny`.
            MeshGuardError: The call could not be checked.
        """
        target = self._runner()
        args, kwargs = self._detach_direct(args, kwargs)
        return await arun_if_allowed(
            self._resolver.guard,
            self._direct_call(target.arun, args, kwargs),
            lambda: target.arun(*args, **kwargs),
            bind(self.on_deny, *args, **kwargs),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As `run`."""
        return self.run(*args, **kwargs)

    def _run(self, **arguments: Any) -> Any:
        return self.invoke(arguments)

    def _wrap(self, attribute: str) -> Callable[..., Any] | None:
        function = getattr(self.tool, attribute, None)
        return function and wrap_function(
            Function(function, self.name), self.action, self._resolver, self.on_deny
        )

    def _current(self) -> BaseTool:
        """The wrapped tool with the fields that were set on this one, such as `handle_tool_error`."""
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

    def _detach(self, tool_input: Any) -> Any:
        """The input with a copy of the checked arguments, which then run. Injected arguments stay shared."""
        if is_tool_call(tool_input):
            return {**tool_input, "args": self._detach(tool_input["args"])}
        if not isinstance(tool_input, Mapping):
            return tool_input
        return {**tool_input, **private_copy(self._visible(tool_input))}

    def _detach_direct(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._wrapped is not self.tool:  # `run` may take anything; Guard.check compares
            return args, kwargs
        if args:
            return (self._detach(args[0]), *args[1:]), kwargs
        return args, {
            **kwargs,
            **({"tool_input": self._detach(kwargs["tool_input"])} if "tool_input" in kwargs else {}),
        }

    def _visible(self, arguments: Any) -> Any:
        """The model's arguments by name, without those that the framework injects."""
        if isinstance(arguments, str):
            return {next(iter(self.args), "input"): arguments}
        if not isinstance(arguments, Mapping):
            return arguments
        return self._wrapped._filter_injected_args(dict(arguments))  # noqa: SLF001 - no public way

    def _bind_on_deny(self, tool_input: Any) -> Callable[[PolicyDeniedError], Any] | None:
        if self.on_deny is None or not is_tool_call(tool_input):
            return bind(self.on_deny, tool_input)
        on_deny = self.on_deny
        return lambda error: tool_result(on_deny(error, self._visible(tool_input["args"])), tool_input)


def tool_name(tool: Any) -> str:
    """The tool's name, or that of its class."""
    return getattr(tool, "name", None) or type(tool).__name__


def as_tool(tool: Any) -> BaseTool:
    """Make a LangChain tool from an object with `run`."""
    if isinstance(tool, BaseTool):
        return tool
    if not callable(getattr(tool, "run", None)):
        raise TypeError("A governed tool needs a method `run`. Decorate functions with governed_tool.")
    description = getattr(tool, "description", None) or inspect.getdoc(tool.run) or tool_name(tool)
    return StructuredTool.from_function(
        tool.run, getattr(tool, "arun", None), name=tool_name(tool), description=description
    )


def _schema_of(tool: BaseTool) -> dict[str, Any]:
    """The schema of a `Tool` without one; LangChain derives it from the class."""
    if not isinstance(tool, Tool) or tool.args_schema is not None:
        return {}
    text = {"__arg1": {"title": "__arg1", "type": "string"}}
    return {"args_schema": {"type": "object", "properties": text, "required": ["__arg1"]}}
