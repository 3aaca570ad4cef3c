"""docker/compose.yml: by its own schema and by our rules; what docker/init.sh makes fits it."""

import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from aicd_cli.backing import open_repository
from aicd_cli.tracing import traced
from aicd_core.errors import InvalidInputError
from aicd_core.settings import Settings
from settings_classes import settings_classes

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = YAML(typ="safe").load((DOCKER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
sys.path.insert(0, str(ROOT / "scripts"))
NO_FIGURES = frozenset({"proxy", "migrate"})
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


def test_compose_itself_reads_it_with_what_init_makes(installed: Path):
    program = [ROOT / ".venv/bin/docker-compose", "--file", installed / "compose.yml", "--profile", "*", "config"]
    done = subprocess.run([*program, "--format", "json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no warning of a variable that is not set"
    assert json.loads(done.stdout)["services"].keys() == SERVICES.keys()
    (installed / ".env").unlink()
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode != 0
    assert ".env" in done.stderr


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
    places = {source_of(mount) for mount in service.get("tmpfs", ())}
    assert places <= {"/tmp", "/run/postgresql"}, "elsewhere it has a mode that its user cannot write with"


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


def test_whatever_of_ours_stays_is_read_by_prometheus_and_tells_its_traces_and_logs():
    scraped = {
        name.partition(":")[0]
        for job in yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())["scrape_configs"]
        for found in (*job.get("static_configs", ()), *job.get("dns_sd_configs", ()))
        for name in found.get("targets") or found["names"]
    } - {"localhost"}
    ours = {name for name, one in SERVICES.items() if one["image"].startswith("aicd-") and name not in NO_FIGURES}
    assert scraped == ours | {"alertmanager", "loki", "alloy", "tempo"}
    for name in scraped:
        assert "watch" in SERVICES[name]["networks"], name
    for name in ("api", "worker"):
        told = SERVICES[name]["environment"]["AICD_OTLP_ENDPOINT"]
        assert told == "${AICD_OTLP_ENDPOINT-http://tempo:4318}", "and an empty one in .env has it trace nothing"
    assert {one["logging"]["driver"] for one in SERVICES.values()} == {"json-file"}
    assert not any(one.get("tty") for one in SERVICES.values()), "JSON, one object a line"


def test_root_without_capabilities_writes_where_no_other_user_of_its_image_does():
    alloy = SERVICES["alloy"]
    assert (alloy["user"], alloy["cap_drop"]) == ("0:0", ["ALL"])
    assert "--storage.path=/data" in alloy["command"]
    assert "alloy:/data" in alloy["volumes"], "its image's /var/lib/alloy is the user alloy's, and closed to others"


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


def test_backups_begin_with_what_init_makes(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    secrets = installed / "secrets"
    for name in [name for name in os.environ if name.startswith("AICD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AICD_SECRETS_DIR", str(secrets / "backup"))
    monkeypatch.setenv("AICD_DATA_DIR", str(tmp_path / "data"))
    settings = Settings.load()
    place = Path(open_repository(settings).repository)
    assert place.parent == Path("/var/lib/aicd"), "on its volume"
    assert "backup:/var/lib/aicd" in SERVICES["backup"]["volumes"]
    password = (secrets / "postgres/backup_password").read_text()
    assert settings.backup_database_url == f"postgresql://aicd_backup:{password}@postgres:5432/aicd"
    for name in ("aicd_redis_url", "aicd_qdrant_api_key"):
        assert (secrets / "backup" / name).read_text() == (secrets / "worker" / name).read_text()
    for store in ("postgres", "redis", "qdrant"):
        assert set(SERVICES["backup"]["networks"]) & set(SERVICES[store]["networks"]), "it reaches it"
    assert SERVICES["backup"]["env_file"] == SERVICES["worker"]["env_file"], "it knows where the worker's stores are"
    assert "snapshots:/qdrant/snapshots" in SERVICES["qdrant"]["volumes"], "room for a snapshot of any size"
    again = subprocess.run([installed / "init.sh", "x.example.com"], check=True, capture_output=True, text=True)
    assert "aicd_backup_repository names another place" in again.stderr
    assert "alert_chat_url is there" in again.stderr
    for path, text in (("backup/aicd_backup_repository", "sftp:b@box:/aicd"), ("alertmanager/alert_chat_url", "x")):
        (secrets / path).unlink(missing_ok=True)
        (secrets / path).write_text(text)
    again = subprocess.run([installed / "init.sh", "x.example.com"], check=True, capture_output=True, text=True)
    assert again.stderr == ""


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


async def test_an_empty_endpoint_of_traces_is_none_and_a_wrong_one_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AICD_OTLP_ENDPOINT", "")
    async with traced(Settings.load(), "aicd-worker"):
        assert "aicd_cli.trace_export" not in sys.modules, "nothing of OpenTelemetry's is begun"
    monkeypatch.setenv("AICD_OTLP_ENDPOINT", "tempo:4318")
    with pytest.raises(InvalidInputError, match=r"used\. AICD_OTLP_ENDPOINT: "):
        Settings.load()
