"""The async client: the source of the sync one, which scripts/unasync makes of it."""
