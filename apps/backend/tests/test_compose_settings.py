"""What docker/init.sh and docker/compose.yml give the API server is safe to serve with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aicd_backend.production import unsafe
from aicd_backend.settings import BackendSettings

DOCKER = Path(__file__).parents[3] / "docker"


def test_the_compose_file_serves_in_production_with_nothing_unsafe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "docker"
    shutil.copytree(DOCKER, place, ignore=shutil.ignore_patterns("secrets", ".env", "acme"))
    subprocess.run([place / "init.sh", "aicd.example.com"], check=True, capture_output=True)
    for name in [name for name in os.environ if name.startswith("AICD_")]:
        monkeypatch.delenv(name)
    given = YAML(typ="safe").load((place / "compose.yml").read_text())["services"]["api"]["environment"]
    assert given["AICD_PUBLIC_URL"].startswith("https://${DOMAIN:?")
    subnet = given["AICD_TRUSTED_PROXIES"].partition(":-")[2].removesuffix("}")
    monkeypatch.setenv("AICD_PUBLIC_URL", "https://aicd.example.com")
    monkeypatch.setenv("AICD_TRUSTED_PROXIES", subnet)
    monkeypatch.setenv("AICD_ENV", given["AICD_ENV"])
    monkeypatch.setenv("AICD_SECRETS_DIR", str(place / "secrets/api"))
    monkeypatch.chdir(tmp_path)
    settings = BackendSettings.load()
    assert settings.env == "production"
    assert [*unsafe(settings)] == []
