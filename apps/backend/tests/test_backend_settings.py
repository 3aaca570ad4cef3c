"""Where the server's settings come from, and which it does not start with."""

from pathlib import Path
from typing import Any

import pytest

from aicd_backend.production import refuse_unsafe
from aicd_backend.server import main
from aicd_backend.settings import BackendSettings
from aicd_core.errors import InvalidInputError
from aicd_core.settings import Settings

KEY = "k1:3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="
SAFE: dict[str, Any] = {
    "env": "production",
    "database_url": "postgresql://aicd_app:Jc9dKx2@db/aicd",
    "system_database_url": "postgresql://aicd_system:Qm4tUz8@db/aicd",
    "secret_keys": KEY,
    "signing_keys": KEY,
    "origins": ("https://app.example.com",),
}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AICD_DATABASE_URL", "AICD_SYSTEM_DATABASE_URL", "AICD_AGENT", "AICD_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_secret_may_be_a_file_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write(tmp_path / "secrets", aicd_database_url="postgresql://file\n", aicd_agent="from-file")
    monkeypatch.setenv("AICD_SECRETS_DIR", str(folder))
    monkeypatch.setenv("AICD_AGENT", "from-environment")
    for kind in (Settings, BackendSettings):
        loaded = kind.load()
        assert (loaded.database_url, loaded.agent) == ("postgresql://file", "from-environment")


def test_a_folder_of_secrets_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AICD_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(InvalidInputError, match="AICD_SECRETS_DIR"):
        Settings.load()


def test_the_server_alone_reads_a_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('AICD_AGENT="from-dotenv"\nOTHER=1\nAICD_ORIGINS=https://a.test,https://b.test\n')
    served = BackendSettings.load()
    assert (served.agent, served.origins) == ("from-dotenv", ("https://a.test", "https://b.test"))
    assert Settings.load().agent == "dummy"
    monkeypatch.setenv("AICD_AGENT", "from-environment")
    assert BackendSettings.load().agent == "from-environment"


def test_what_is_safe_starts_in_production() -> None:
    refuse_unsafe(BackendSettings(**SAFE))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"database_url": None}, "AICD_DATABASE_URL is not set"),
        ({"system_database_url": None}, "AICD_SYSTEM_DATABASE_URL is not set"),
        ({"database_url": "postgresql://aicd_app:Postgres@db/aicd"}, "AICD_DATABASE_URL has a password"),
        ({"redis_url": "redis://:changeme@cache"}, "AICD_REDIS_URL has a password"),
        ({"migration_database_url": "postgresql://x@db/aicd"}, "AICD_MIGRATION_DATABASE_URL is set"),
        ({"secret_keys": None}, "AICD_SECRET_KEYS is not set"),
        ({"signing_keys": "k1:" + "A" * 43 + "="}, "AICD_SIGNING_KEYS has a key, 'k1', that is not random"),
        ({"secret_keys": f"{KEY},k2:changeme"}, "AICD_SECRET_KEYS has a key, 'k2'"),
        ({"origins": ("http://app.example.com",)}, "AICD_ORIGINS has http://app.example.com"),
        ({"cookie_secure": False, "public_url": "http://localhost:8080"}, "AICD_COOKIE_SECURE is false"),
        ({"public_url": "http://api.example.com"}, "AICD_PUBLIC_URL is http://api.example.com"),
        ({"local_repositories": True}, "AICD_LOCAL_REPOSITORIES"),
        ({"trusted_proxies": ("10.0.0.0/8", "0.0.0.0/0")}, "AICD_TRUSTED_PROXIES trusts everybody"),
        ({"trusted_proxies": ("*",)}, "AICD_TRUSTED_PROXIES trusts everybody"),
        ({"github_webhook_secret": "changeme"}, "AICD_GITHUB_WEBHOOK_SECRET"),
    ],
)
def test_what_is_unsafe_does_not_start_in_production(change: dict[str, Any], told: str) -> None:
    settings = BackendSettings(**{**SAFE, **change})
    with pytest.raises(InvalidInputError) as refused:
        refuse_unsafe(settings)
    assert refused.value.message.count("\n- ") == 1
    assert told in refused.value.message
    assert "Jc9dKx2" not in refused.value.message
    refuse_unsafe(BackendSettings(**{**SAFE, **change, "env": "development"}))


def test_the_server_says_all_that_is_wrong_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AICD_ENV", "production")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in ("AICD_DATABASE_URL", "AICD_SECRET_KEYS", "AICD_SIGNING_KEYS"))
