from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from meshguard.gateway import Settings, SettingsError, load_settings
from tests.support import ADMIN_TOKEN, SECRET

NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, no `.env`."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"MESHGUARD_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def faults(**arguments: Any) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        load_settings(**{"jwt_secret": SECRET, "admin_token": ADMIN_TOKEN, **arguments})
    return list(refusal.value.faults)


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN)
    assert (settings.host, settings.port, settings.mode) == ("127.0.0.1", 3100, "enforce")
    assert settings.database_url.get_secret_value() == "sqlite:///meshguard.db"
    assert (settings.proxy_action, settings.rate_limit_rpm, settings.audit_retention_days) == (
        "declared",
        600,
        90,
    )
    assert (settings.metrics_enabled, settings.cors_origin, settings.proxy_target) == (False, None, None)


def test_a_gateway_without_secrets_is_told_all_that_is_missing_and_how_to_make_it() -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(port=70_000)
    said = list(refusal.value.faults)
    assert [fault.split(":")[0] for fault in said] == ["PORT", "JWT_SECRET", "ADMIN_TOKEN"]
    assert all("secrets.token_urlsafe(48)" in fault for fault in said[1:])


@pytest.mark.parametrize(
    "secret",
    [
        "short",
        "x" * 31,
        "a" * 64,
        "changeme-changeme-changeme-changeme",
        "your-secret-goes-here-1234567890-abc",
        "<put a long random secret here please>",
        "${JWT_SECRET_FROM_SOMEWHERE_ELSE_123}",
    ],
)
@pytest.mark.parametrize("name", ["jwt_secret", "admin_token", "jwt_secrets_old"])
def test_a_weak_secret_is_refused_and_not_shown(name: str, secret: str) -> None:
    (fault,) = faults(**{name: secret})
    assert fault.startswith(f"{name.upper()}: ")
    assert secret not in fault


def test_32_bytes_may_be_fewer_characters() -> None:
    load_settings(jwt_secret="éàüöäßñçøåœæþðłž", admin_token=ADMIN_TOKEN)


def test_the_admin_token_has_to_fit_a_header() -> None:
    assert faults(admin_token="é" + ADMIN_TOKEN)[0].startswith("ADMIN_TOKEN: must be printable ASCII")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mode": "off"}, "MODE"),
        ({"proxy_action": "none"}, "PROXY_ACTION"),
        ({"proxy_target": "ftp://x"}, "PROXY_TARGET"),
        ({"proxy_target": "http://user:pw@x"}, "PROXY_TARGET"),
        ({"policies_dir": "/nowhere/at/all"}, "POLICIES_DIR"),
        (
            {"database_url": "mysql://localhost/x"},
            "DATABASE_URL: must begin with sqlite:/// or postgresql://",
        ),
        ({"database_url": "postgresql://u:p@h:secret/x"}, "DATABASE_URL: must be a URL"),
        ({"database_url": "sqlite://"}, "DATABASE_URL: must name a file"),
        ({"database_url": "nonsense"}, "DATABASE_URL"),
        ({"rate_limit_storage": "redis://:pw@host:secret/0"}, "RATE_LIMIT_STORAGE: must be memory://"),
        ({"rate_limit_storage": "mongodb://localhost"}, "RATE_LIMIT_STORAGE: must be memory://"),
        ({"rate_limit_rpm": -1}, "RATE_LIMIT_RPM"),
        ({"agent_token_ttl": 0}, "AGENT_TOKEN_TTL"),
        ({"log_level": "loud"}, "LOG_LEVEL"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(arguments: dict[str, Any], said: str) -> None:
    assert any(fault.startswith(said) for fault in faults(**arguments))


def test_the_prefix_wins_and_an_argument_beats_both(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"jwt_secret": SECRET, "admin_token": ADMIN_TOKEN}
    monkeypatch.setenv("PORT", "1")
    assert load_settings(**secrets).port == 1
    monkeypatch.setenv("MESHGUARD_PORT", "2")
    assert load_settings(**secrets).port == 2
    assert load_settings(**secrets, port=3).port == 3
    assert load_settings(**secrets, port=None).port == 2


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHGUARD_PORT", "")
    monkeypatch.setenv("POLICIES_DIR", "")
    settings = load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN)
    assert (settings.port, settings.policies_dir) == (3100, None)


def test_a_dotenv_file_is_read_below_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"JWT_SECRET={SECRET}\nADMIN_TOKEN={ADMIN_TOKEN}\nPORT=1\nMODE=Audit\n")
    monkeypatch.setenv("PORT", "2")
    settings = load_settings()
    assert (settings.port, settings.mode) == (2, "audit")
    assert settings.jwt_secret.get_secret_value() == SECRET


def test_every_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "HOST": "::1",
        "PORT": "0",
        "MODE": "audit",
        "JWT_SECRET": SECRET,
        "JWT_SECRETS_OLD": f"{SECRET}1, {SECRET}2",
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "AGENT_TOKEN_TTL": "60",
        "PROXY_TARGET": "http://localhost:1",
        "PROXY_ACTION": "both",
        "PROXY_TIMEOUT": "1.5",
        "PROXY_MAX_BODY": "1",
        "PROXY_AUTHORIZATION": "Bearer x",
        "POLICIES_DIR": str(tmp_path),
        "DATABASE_URL": "sqlite:///x.db",
        "AUDIT_RETENTION_DAYS": "1",
        "AUDIT_PARTITION": "Day",
        "SNAPSHOT_MAX_AGE": "5",
        "REQUEST_TIMEOUT": "9",
        "MAX_CONNECTIONS": "7",
        "WORKERS": "2",
        "AUDIT_CONTEXT_KEYS": "amount, order.id",
        "RATE_LIMIT_RPM": "0",
        "RATE_LIMIT_STORAGE": "memory://x",
        "EXPLAIN_TO_AGENTS": "true",
        "CORS_ORIGIN": "https://x",
        "METRICS_ENABLED": "true",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "JSON",
    }
    assert sorted(values) == sorted(NAMES)
    defaults = load_settings(jwt_secret=f"{SECRET}0", admin_token=f"{ADMIN_TOKEN}0")
    for name, value in values.items():
        monkeypatch.setenv(f"MESHGUARD_{name}", value)
    settings = load_settings()
    unchanged = {name for name in Settings.model_fields if getattr(settings, name) == getattr(defaults, name)}
    assert unchanged == set()


def test_settings_hide_their_secrets_and_survive_a_pickle() -> None:
    settings = load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN, jwt_secrets_old=f"{SECRET}1")
    assert SECRET not in repr(settings)
    assert ADMIN_TOKEN not in str(settings)
    assert pickle.loads(pickle.dumps(settings)) == settings
