"""The policy gateway as an ASGI service; needs the extra `gateway`."""

from meshguard.gateway.app import app
from meshguard.gateway.settings import Settings, SettingsError, load_settings

__all__ = ["Settings", "SettingsError", "app", "load_settings"]
