# Made from meshguard/_async/__init__.py by scripts/unasync; edit that file.
"""The client: the source of the sync one, which scripts/unasync makes of it."""
