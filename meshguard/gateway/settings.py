"""The settings of a gateway: arguments, environment, `.env`."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path  # noqa: TC003 - pydantic resolves it at run time
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from meshguard.gateway.data_folder import default_database_url
from meshguard.gateway.setting_names import (
    DB_PATH,
    PREFIX,
    UnknownNames,
    names_of_environment,
    names_of_file,
)

_log = logging.getLogger("meshguard.gateway")

MIN_SECRET_BYTES = 32
_MIN_DISTINCT_CHARACTERS = 10
_COMMAND = 'python -c "import secrets; print(secrets.token_urlsafe(48))"'
_PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "your-",
    "your_",
    "example",
    "secret-key",
)


class SettingsError(ValueError):
    """The gateway can't start with these settings.

    Args:
        faults: One sentence for each fault, beginning with the setting's name.
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(faults))


_S = TypeVar("_S", bound=BaseSettings)


def _names(name: str) -> AliasChoices:
    return AliasChoices(f"MESHGUARD_{name}", name)


class DatabaseSettings(BaseSettings):
    """The store; all that the commands on the database need."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    database_url: SecretStr = Field(
        default_factory=lambda: SecretStr(default_database_url()), validation_alias=_names("DATABASE_URL")
    )
    audit_partition: Literal["month", "day"] = Field("month", validation_alias=_names("AUDIT_PARTITION"))

    @field_validator("audit_partition", mode="before")
    @classmethod
    def _lower_span(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _is_supported_database(cls, url: SecretStr) -> SecretStr:
        try:
            parsed = make_url(url.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError("must be a URL such as sqlite:///meshguard.db or postgresql://…") from None
        if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
            if not find_spec("psycopg"):
                raise ValueError("needs one more package: pip install 'meshguard[postgres]'")
        elif parsed.get_backend_name() != "sqlite":
            raise ValueError("must begin with sqlite:/// or postgresql://")
        elif not parsed.database or parsed.database == ":memory:":
            raise ValueError("must name a file, such as sqlite:///meshguard.db; the audit log has to last")
        return url


class Settings(DatabaseSettings):
    """What a gateway can be told (docs: "Settings of the gateway").

    Each setting is read from the environment and `.env` under its upper-case name, or under that name with
    the prefix `MESHGUARD_`, which wins. Arguments beat both. Empty values count as unset.

    Use `load_settings` to get one `SettingsError` with every fault.
    """

    host: str = Field("127.0.0.1", validation_alias=_names("HOST"))
    port: int = Field(3100, ge=0, le=65535, validation_alias=_names("PORT"))
    mode: Literal["enforce", "audit"] = Field("enforce", validation_alias=_names("MODE"))
    jwt_secret: SecretStr = Field(SecretStr(""), validation_alias=_names("JWT_SECRET"))
    jwt_secrets_old: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), validation_alias=_names("JWT_SECRETS_OLD")
    )
    admin_token: SecretStr = Field(SecretStr(""), validation_alias=_names("ADMIN_TOKEN"))
    agent_token_ttl: int = Field(
        2_592_000, ge=1, le=3_153_600_000, validation_alias=_names("AGENT_TOKEN_TTL"), description="seconds"
    )
    proxy_target: str | None = Field(None, validation_alias=_names("PROXY_TARGET"))
    proxy_action: Literal["declared", "derived", "both"] = Field(
        "declared", validation_alias=_names("PROXY_ACTION")
    )
    proxy_timeout: float = Field(
        30.0, gt=0, le=3600, validation_alias=_names("PROXY_TIMEOUT"), description="seconds"
    )
    proxy_max_body: int = Field(
        10_485_760, ge=0, validation_alias=_names("PROXY_MAX_BODY"), description="bytes"
    )
    proxy_authorization: SecretStr | None = Field(None, validation_alias=_names("PROXY_AUTHORIZATION"))
    policies_dir: Path | None = Field(None, validation_alias=_names("POLICIES_DIR"))
    audit_retention_days: int = Field(
        90, ge=0, le=36_500, validation_alias=_names("AUDIT_RETENTION_DAYS"), description="0 keeps all"
    )
    audit_context_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (), max_length=32, validation_alias=_names("AUDIT_CONTEXT_KEYS"), description="dotted"
    )
    snapshot_max_age: float = Field(
        10.0, ge=1, le=3600, validation_alias=_names("SNAPSHOT_MAX_AGE"), description="seconds"
    )
    workers: int = Field(1, ge=1, le=1024, validation_alias=_names("WORKERS"), description="processes")
    request_timeout: float = Field(
        30.0, ge=1, le=60, validation_alias=_names("REQUEST_TIMEOUT"), description="seconds"
    )
    max_connections: int = Field(
        1024, ge=1, le=65_536, validation_alias=_names("MAX_CONNECTIONS"), description="for each worker"
    )
    rate_limit_rpm: int = Field(600, ge=0, validation_alias=_names("RATE_LIMIT_RPM"), description="0 is off")
    rate_limit_storage: SecretStr = Field(
        SecretStr("memory://"), validation_alias=_names("RATE_LIMIT_STORAGE")
    )
    explain_to_agents: bool = Field(False, validation_alias=_names("EXPLAIN_TO_AGENTS"))
    cors_origin: str | None = Field(None, validation_alias=_names("CORS_ORIGIN"))
    metrics_enabled: bool = Field(False, validation_alias=_names("METRICS_ENABLED"))
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=_names("LOG_LEVEL")
    )
    log_format: Literal["text", "json"] = Field("text", validation_alias=_names("LOG_FORMAT"))

    @field_validator("mode", "proxy_action", "log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _expand(cls, value: object) -> object:
        """Accept the published documentation's `warn`."""
        return "warning" if isinstance(value, str) and value.lower() == "warn" else value

    @field_validator("jwt_secrets_old", "audit_context_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("jwt_secret", "admin_token")
    @classmethod
    def _is_strong(cls, secret: SecretStr) -> SecretStr:
        _refuse_weak(secret.get_secret_value())
        return secret

    @field_validator("jwt_secrets_old")
    @classmethod
    def _are_strong(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            _refuse_weak(secret.get_secret_value())
        return secrets

    @field_validator("admin_token", "proxy_authorization")
    @classmethod
    def _fits_a_header(cls, secret: SecretStr | None) -> SecretStr | None:
        text = secret.get_secret_value() if secret else ""
        if not (text.isascii() and text.isprintable() and text == text.strip()):
            raise ValueError("must be printable ASCII without spaces at its ends, since a header carries it")
        return secret

    @field_validator("proxy_target")
    @classmethod
    def _is_base_url(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be a URL such as http://127.0.0.1:8000")
            if parts.username or parts.query or parts.fragment:
                raise ValueError(
                    "must have neither credentials (use PROXY_AUTHORIZATION), query nor fragment"
                )
        return url

    @field_validator("policies_dir")
    @classmethod
    def _is_directory(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_dir():
            raise ValueError(f"{path} is not a directory")
        return path

    @field_validator("rate_limit_storage")
    @classmethod
    def _is_supported_storage(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            is_url = parts.port is None or parts.port > 0
        except ValueError:
            is_url = False
        if not is_url or parts.scheme not in {"memory", "redis", "rediss"}:
            raise ValueError("must be memory:// or redis://<host>:<port>/<number>")
        if parts.scheme != "memory" and not find_spec("redis"):
            raise ValueError("needs one more package: pip install 'meshguard[redis]'")
        return url

    @model_validator(mode="before")
    @classmethod
    def _require_secrets(cls, values: Any) -> Any:
        """Let the secrets' own checks speak when they are not set at all."""
        for name in ("jwt_secret", "admin_token"):
            if not {name, name.upper(), f"MESHGUARD_{name.upper()}"} & values.keys():
                values[name] = ""
        return values


def load_settings(**arguments: Any) -> Settings:
    """Read the settings. A name that is not a setting is rejected or, if it resembles none, logged.

    Args:
        **arguments: Values that beat the environment, by field name of `Settings`; None counts as unset.

    Returns:
        The checked settings.

    Raises:
        SettingsError: With every fault.
    """
    unknown = UnknownNames(_setting_names(Settings), _setting_names(Settings))
    settings = _loaded(Settings, arguments, unknown)
    for warning in unknown.warnings:
        _log.warning("%s", warning)
    return settings


def load_database_settings(**arguments: Any) -> DatabaseSettings:
    """Read the settings of the store alone; other misspelled settings do not matter to it.

    Args:
        **arguments: Values that beat the environment, by field name; None counts as unset.

    Raises:
        SettingsError: With every fault.
    """
    unknown = UnknownNames(_setting_names(DatabaseSettings), _setting_names(Settings))
    return _loaded(DatabaseSettings, arguments, unknown)


def _setting_names(kind: type[BaseSettings]) -> list[str]:
    return [name.upper() for name in kind.model_fields]


def _loaded(kind: type[_S], arguments: dict[str, Any], unknown: UnknownNames) -> _S:
    given = {name: value for name, value in arguments.items() if value is not None or name.startswith("_")}
    file = names_of_file(arguments.get("_env_file", kind.model_config.get("env_file")))
    environment = names_of_environment()
    unknown.check_arguments(name for name in arguments if not name.startswith("_"))
    unknown.check_environment(environment)
    unknown.check_file(file)
    faults = list(unknown.errors)
    if "database_url" not in given:
        try:
            given |= _url_of_path(file | environment)
        except ValueError as error:
            faults.append(f"{DB_PATH}: {error}")
    try:
        settings = kind(**given)
    except ValidationError as error:
        raise SettingsError([*faults, *(_sentence(dict(fault)) for fault in error.errors())]) from None
    if faults:
        raise SettingsError(faults)
    return settings


def _url_of_path(names: dict[str, str]) -> dict[str, str]:
    """Return the database URL that the setting `DB_PATH` stands for, unless `DATABASE_URL` comes first."""
    for prefix in (PREFIX, ""):
        url, path = names.get(f"{prefix}DATABASE_URL"), names.get(f"{prefix}{DB_PATH}")
        if path:
            if "://" in path or "?" in path:
                raise ValueError("must be the path of a file; use DATABASE_URL for a URL")
            ours = URL.create("sqlite", database=path).render_as_string()
            if url and url != ours:
                raise ValueError("DATABASE_URL is set too, to another database; keep one of the two")
            return {"database_url": ours}
        if url:
            return {}
    return {}


def database_url() -> str:
    """Return the setting `DATABASE_URL` alone, for commands that need no secrets.

    Example:
        >>> database_url().startswith("sqlite:///")
        True
    """
    return load_database_settings().database_url.get_secret_value()


def _refuse_weak(secret: str) -> None:
    fault = _weakness(secret)
    if fault:
        raise ValueError(f"{fault}; make a good one with: {_COMMAND}")


def _weakness(secret: str) -> str | None:
    if not secret:
        return "is not set"
    if len(secret.encode()) < MIN_SECRET_BYTES:
        return f"has fewer than {MIN_SECRET_BYTES} bytes"
    if any(word in secret.lower() for word in _PLACEHOLDERS) or secret[0] in "<$":
        return "is a placeholder"
    if len(set(secret)) < _MIN_DISTINCT_CHARACTERS:
        return "is too easy to guess"
    return None


def _sentence(fault: dict[str, Any]) -> str:
    name = str(fault["loc"][0]).upper().removeprefix("MESHGUARD_") if fault["loc"] else "settings"
    return f"{name}: {fault['msg'].removeprefix('Value error, ')}"
