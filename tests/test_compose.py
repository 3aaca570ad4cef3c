"""docker/compose.yml: by its own schema and by our rules; what docker/init.sh makes fits it."""

import importlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aicd_core.settings import Settings
from settings_classes import settings_classes

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = YAML(typ="safe").load((DOCKER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
sys.path.insert(0, str(ROOT / "scripts"))
table = importlib.import_module("make_settings_table")


def known_variables() -> set[str]:
    """Of every setting of every package that is here."""
    files = [path for top in ("packages", "apps") for path in (ROOT / top).rglob("settings.py")]
    return {
        table.variable(name, field) for kind in settings_classes(files) for name, field in kind.model_fields.items()
    }


def source_of(mount: str) -> str:
    return mount.partition(":")[0]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """docker/ as it is after docker/init.sh."""
    place = tmp_path / "docker"
    shutil.copytree(DOCKER, place, ignore=shutil.ignore_patterns("secrets", ".env", "acme"))
    subprocess.run([place / "init.sh", "aicd.example.com"], check=True, capture_output=True)
    return place


def test_it_is_what_the_compose_specification_says():
    command = [ROOT / ".venv/bin/check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_bounded_and_watched(name: str):
    service = SERVICES[name]
    why = service.get("x-why", {})
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert "network_mode" not in service
    assert service["security_opt"][0] == "no-new-privileges:true"
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "healthcheck" in service or why.get("healthcheck")
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert service["image"].rpartition(":")[2] not in {"latest", service["image"]}
    assert all(
        mount.endswith(":ro") for mount in service["volumes" if "volumes" in service else "x"] if mount[0] in "./"
    )
    assert "docker.sock" not in str(service)


def test_only_the_proxy_can_be_reached_and_reaches_the_api_alone():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.pop("proxy") == ["80:8080", "443:8443"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert SERVICES["proxy"]["networks"] == ["front"]
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {"proxy", "api"}
    assert COMPOSE["networks"]["data"] == {"internal": True}
    stores = {name for name in ("postgres", "redis", "qdrant") if SERVICES[name]["networks"] == ["data"]}
    assert stores == {"postgres", "redis", "qdrant"}


def test_stores_that_hold_something_have_a_volume_and_redis_forgets_nothing():
    for name in ("postgres", "redis", "qdrant", "worker", "backup", "prometheus", "grafana", "loki", "tempo"):
        volumes = {source_of(mount) for mount in SERVICES[name]["volumes"]}
        assert volumes & set(COMPOSE["volumes"]), name
    lines = (DOCKER / "redis/redis.conf").read_text().splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction"} <= set(lines)


def test_every_variable_is_a_setting_and_every_setting_can_be_set():
    known = known_variables()
    examples = [*DOCKER.glob("*.env.example"), DOCKER / "compose.yml"]
    named = {word for path in examples for word in table.re.findall(r"\bAICD_[A-Z_]+\b", path.read_text())}
    assert named - known == set()
    shown = (DOCKER / ".env.example").read_text() + (ROOT / "docs/secrets.md").read_text()
    assert {f"AICD_{name.upper()}" for name in Settings.model_fields} - set(
        table.re.findall(r"\bAICD_\w+\b", shown)
    ) == set()


def test_what_is_mounted_is_there(installed: Path):
    missing = [
        (name, source)
        for name, service in SERVICES.items()
        for source in map(source_of, service.get("volumes", ()))
        if source.startswith("./") and not (installed / source).exists()
    ]
    assert not missing
    for service in SERVICES.values():
        for source in map(source_of, service.get("volumes", ())):
            assert source.startswith(("./", "/var/lib/docker/containers")) or source in COMPOSE["volumes"]


def test_init_makes_secrets_that_fit_together_and_keeps_them(installed: Path, monkeypatch: pytest.MonkeyPatch):
    secrets = installed / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    made = {path: path.read_text() for path in secrets.rglob("*") if path.is_file()}
    assert made
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in made), "each container's own user reads them"
    assert "DOMAIN=aicd.example.com\n" in (installed / ".env").read_text()
    subprocess.run([installed / "init.sh", "other.example.com"], check=True, capture_output=True)
    assert {path: path.read_text() for path in secrets.rglob("*") if path.is_file()} == made
    known = known_variables()
    for service in ("api", "worker", "migrate", "backup"):
        unknown = {path.name for path in (secrets / service).iterdir()} - {name.lower() for name in known}
        assert not unknown - {"aicd_qdrant_api_key"}
        for name in [name for name in os.environ if name.startswith("AICD_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AICD_SECRETS_DIR", str(secrets / service))
        settings = Settings.load()
        if service == "backup":
            assert settings.backup_password is not None
            assert (settings.backup_database_url or "").startswith("postgresql://aicd_backup:")
        elif service == "migrate":
            password = (secrets / "postgres/postgres_password").read_text()
            assert settings.migration_database_url == f"postgresql://postgres:{password}@postgres:5432/aicd"
            assert settings.database_url is None
        else:
            password = (secrets / "postgres/app_password").read_text()
            assert settings.database_url == f"postgresql://aicd_app:{password}@postgres:5432/aicd"
            assert settings.migration_database_url is None
            assert settings.secret_keys is not None
            assert settings.redis_url is not None
            assert (
                settings.redis_url.split("@")[0].removeprefix("redis://:")
                in (secrets / "redis/password.conf").read_text()
            )
