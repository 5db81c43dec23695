from __future__ import annotations

import pickle
import re
import stat
from pathlib import Path
from typing import Any

import pytest

import meshguard
from meshguard.gateway import Settings, SettingsError, load_settings
from meshguard.gateway.backup import sqlite_file
from meshguard.gateway.settings import database_url
from meshguard.gateway.store import open_database
from meshguard.testing import running_gateway
from tests.support import ADMIN_TOKEN, SECRET

NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, no `.env`."""
    for name in (*NAMES, "DB_PATH"):
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
    assert settings.database_url.get_secret_value().endswith("/meshguard/meshguard.db")
    assert (settings.proxy_action, settings.rate_limit_rpm, settings.audit_retention_days) == (
        "declared",
        600,
        90,
    )
    assert (settings.metrics_enabled, settings.cors_origin, settings.proxy_target) == (False, None, None)


def test_the_database_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    url = database_url()
    assert url == f"sqlite:///{tmp_path}/data/meshguard/meshguard.db"
    assert not (tmp_path / "data").exists()
    engine = open_database(url)
    with engine.connect():
        pass
    engine.dispose()
    folder = tmp_path / "data" / "meshguard"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "meshguard.db").stat().st_mode) == 0o600


def test_a_database_of_an_earlier_version_is_still_used(tmp_path: Path) -> None:
    (tmp_path / "meshguard.db").touch()
    assert database_url() == "sqlite:///meshguard.db"


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
        "kJ3hG5fD7sA9pO1iU3yT5rE7wQ9zX1c",  # 31 bytes, and nothing else wrong with it
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


def test_the_published_documentations_names_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = {"jwt_secret": SECRET, "admin_token": ADMIN_TOKEN}
    for prefix in ("", "MESHGUARD_"):
        for path in ("data/x.db", f"{tmp_path}/x.db"):
            monkeypatch.setenv(f"{prefix}DB_PATH", path)
            monkeypatch.setenv(f"{prefix}LOG_LEVEL", "warn")
            settings = load_settings(**secrets)
            assert settings.database_url.get_secret_value() == f"sqlite:///{path}"
            assert settings.log_level == "warning"
            assert sqlite_file(database_url()) == Path(path)
    assert load_settings(**secrets, log_level="WARN").log_level == "warning"
    assert (
        load_settings(**secrets, database_url="sqlite:///y.db")
        .database_url.get_secret_value()
        .endswith("y.db")
    )


def test_db_path_is_read_from_dotenv_below_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"JWT_SECRET={SECRET}\nADMIN_TOKEN={ADMIN_TOKEN}\nDB_PATH=a.db\n")
    assert load_settings().database_url.get_secret_value() == "sqlite:///a.db"
    monkeypatch.setenv("DB_PATH", "b.db")
    assert load_settings().database_url.get_secret_value() == "sqlite:///b.db"


@pytest.mark.parametrize("prefix", ["", "MESHGUARD_"])
def test_two_databases_are_one_too_many(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv(f"{prefix}DB_PATH", "a.db")
    monkeypatch.setenv(f"{prefix}DATABASE_URL", "sqlite:///b.db")
    assert faults() == ["DB_PATH: DATABASE_URL is set too, to another database; keep one of the two"]
    monkeypatch.setenv(f"{prefix}DATABASE_URL", "sqlite:///a.db")
    load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN)


def test_the_prefix_wins_between_the_two_names_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"jwt_secret": SECRET, "admin_token": ADMIN_TOKEN}
    monkeypatch.setenv("DB_PATH", "a.db")
    monkeypatch.setenv("MESHGUARD_DATABASE_URL", "sqlite:///b.db")
    assert load_settings(**secrets).database_url.get_secret_value() == "sqlite:///b.db"
    monkeypatch.delenv("MESHGUARD_DATABASE_URL")
    monkeypatch.delenv("DB_PATH")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///b.db")
    monkeypatch.setenv("MESHGUARD_DB_PATH", "a.db")
    assert load_settings(**secrets).database_url.get_secret_value() == "sqlite:///a.db"


def test_db_path_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PATH", "sqlite:///a.db")
    assert faults() == ["DB_PATH: must be the path of a file; use DATABASE_URL for a URL"]


def misspellings(name: str) -> set[str]:
    """Each with one character missing, doubled, or in the place of its neighbor."""
    dropped = {name[:at] + name[at + 1 :] for at in range(len(name))}
    doubled = {name[:at] + name[at] + name[at:] for at in range(len(name))}
    swapped = {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)}
    return (dropped | doubled | swapped) - {name, ""}


def test_no_misspelled_setting_is_ignored_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Over all settings: each is rejected, or logged with the nearest name."""
    tried, ignored = 0, []
    for name in NAMES:
        for wrong in misspellings(name):
            caplog.clear()
            monkeypatch.setenv(f"MESHGUARD_{wrong}", "1")
            try:
                load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN)
                said = caplog.text
            except SettingsError as error:
                said = str(error)
            monkeypatch.delenv(f"MESHGUARD_{wrong}")
            tried += 1
            if f"MESHGUARD_{wrong}" not in said or f"MESHGUARD_{name}" not in said:
                ignored.append(wrong)
    assert tried > 500
    assert ignored == []


def test_a_misspelled_setting_is_rejected_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHGUARD_POLICES_DIR", "policies")
    monkeypatch.setenv("meshguard_proxy_acton", "derived")
    assert faults() == [
        "MESHGUARD_POLICES_DIR: is not a setting; did you mean MESHGUARD_POLICIES_DIR?",
        "MESHGUARD_PROXY_ACTON: is not a setting; did you mean MESHGUARD_PROXY_ACTION?",
    ]


def test_an_unknown_name_that_resembles_none_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As Kubernetes sets them for a service called meshguard."""
    monkeypatch.setenv("MESHGUARD_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("MESHGUARD_EMPTY", "")
    load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN)
    assert [message.partition(" is ")[0] for message in caplog.messages] == ["MESHGUARD_SERVICE_HOST"]
    assert "10.0.0.1" not in caplog.text


def test_the_names_that_other_parts_read_are_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = Path(meshguard.__file__).parent
    used = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r"(?<!_)MESHGUARD_([A-Z_]+[A-Z])", path.read_text())
    }
    assert {"GATEWAY_URL", "AGENT_TOKEN"} <= used
    for name in used - {"SERVICE_HOST"}:
        if name not in NAMES:
            monkeypatch.setenv(f"MESHGUARD_{name}", "x")
    load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN)
    assert caplog.messages == []


def test_names_in_dotenv_are_looked_at_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = f"JWT_SECRET={SECRET}\nADMIN_TOKEN={ADMIN_TOKEN}\n"
    (tmp_path / ".env").write_text(f"{values}MODEL=large\nPOLICES_DIR=policies\nOTHER_PROGRAMS_KEY=1\n")
    load_settings()
    assert caplog.messages == [
        "POLICES_DIR in .env is not a setting and is ignored; the nearest is POLICIES_DIR."
    ]
    (tmp_path / ".env").write_text(f"{values}MESHGUARD_POLICES_DIR=policies\n")
    with pytest.raises(SettingsError, match="did you mean MESHGUARD_POLICIES_DIR"):
        load_settings()


def test_an_argument_that_is_no_setting_is_rejected() -> None:
    assert faults(polices_dir="x", port=0) == ["polices_dir: is not a setting; did you mean policies_dir?"]
    assert faults(polices_dir=None) == ["polices_dir: is not a setting; did you mean policies_dir?"]
    with (
        pytest.raises(SettingsError, match="is not a setting; did you mean rate_limit_rpm"),
        running_gateway(rate_limit_rmp=1),
    ):
        pass


def test_an_unknown_name_does_not_stop_the_commands_on_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHGUARD_POLICES_DIR", "policies")
    assert database_url().endswith("/meshguard/meshguard.db")
    monkeypatch.setenv("MESHGUARD_DATABASE_ULR", "sqlite:///other.db")
    with pytest.raises(SettingsError, match="did you mean MESHGUARD_DATABASE_URL"):
        database_url()


def test_a_token_lives_for_30_days_by_default() -> None:
    assert load_settings(jwt_secret=SECRET, admin_token=ADMIN_TOKEN).agent_token_ttl == 30 * 24 * 3600
