"""What the documents say about rootless podman, typed by whoever runs the tests, at a registry on this machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from aicd_core.testing.databases import TestUrls
from docs_reader import Reader, environment_of
from image_registry import serving_image

IMAGE = "localhost/aicd-sandbox-test:latest"
"""What the tests of packages/sandbox run in."""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def podman() -> str:
    """The program, where it answers and has that image."""
    found = shutil.which("podman")
    if found is None:
        pytest.skip("podman is not installed")
    asked = subprocess.run([found, "image", "inspect", IMAGE], capture_output=True, text=True)
    if asked.returncode != 0:
        pytest.skip(f"podman does not answer, or has no {IMAGE}, which scripts/sandbox_image.sh makes: {asked.stderr}")
    return found


def test_an_image_is_pulled_and_commands_run_in_it(podman: str, tmp_path: Path, database_urls: TestUrls) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    storage, registries = tmp_path / "storage.conf", tmp_path / "registries.conf"
    # Of the reader's own; without a mount that would outlive the test.
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{tmp_path}/images"\nrunroot = "{tmp_path}/run/images"\n'
        '[storage.options.overlay]\nskip_mount_home = "true"\n'
    )
    with serving_image(tmp_path / "registry", IMAGE, "library/python", "3.12-slim") as registry:
        registries.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "{registry.address}"\ninsecure = true\n')
        environment = environment_of(
            tmp_path,
            AICD_DATA_DIR=str(tmp_path / "data"),
            AICD_DATABASE_URL=database_urls.app,
            AICD_SYSTEM_DATABASE_URL=database_urls.system,
            CONTAINERS_STORAGE_CONF=str(storage),
            CONTAINERS_REGISTRIES_CONF=str(registries),
        )
        environment["PATH"] = f"{environment['PATH']}:{Path(podman).parent}"
        reader = Reader(tmp_path, environment, {"/run/user/$(id -u)": f"{tmp_path}/run"})
        told = reader.run("docs/usage.md", "sudo apt-get install podman")
    assert reader.environment["XDG_RUNTIME_DIR"] == f"{tmp_path}/run"
    assert len([path for path in registry.fetched if "/blobs/sha256:" in path]) == 2, "its layer and its configuration"
    assert re.search(r"^ok   sandbox: podman .* image docker\.io/library/python:3\.12-slim", told, re.MULTILINE), told
    reader.shell("podman rmi docker.io/library/python:3.12-slim")
