"""One module a framework, each thin: the hook it has, a `ToolCall` made of it, and its form of a denial."""
