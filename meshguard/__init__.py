"""Govern what AI agents may do."""

__version__ = "0.2.0"
