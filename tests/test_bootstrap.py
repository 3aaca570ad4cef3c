"""What `make` brings to a bare machine, with a uv that only writes down how it is called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STORE = Path("/etc/ssl/certs/ca-certificates.crt")
UV = """#!/bin/sh
if [ "$1" = --version ]; then echo "uv {version}"; exit; fi
echo "$UV_SYSTEM_CERTS $*" >> "{log}"
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A copy of what the script reads, with a uv already in `.tools`; `calls` is what it was asked."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for folder in ("packages/one", "apps/two"):
        (root / folder).mkdir(parents=True)
        (root / folder / "pyproject.toml").touch()
    uv = root / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    version = next(
        line.partition("=")[2]
        for line in (ROOT / "scripts" / "bootstrap.sh").read_text().splitlines()
        if line.startswith("UV_VERSION=")
    )
    uv.write_text(UV.format(version=version, log=root / "calls"))
    uv.chmod(0o755)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to("/bin/true")
    return root


def bootstrap(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": os.environ["PATH"], "HOME": str(root)}
    return subprocess.run(
        ["sh", str(root / "scripts" / "bootstrap.sh")], env=path | environment, capture_output=True, text=True
    )


@pytest.mark.skipif(not STORE.exists(), reason="this machine has no store of authorities")
def test_uv_trusts_the_authorities_that_the_machine_trusts(bare: Path):
    assert bootstrap(bare).returncode == 0
    assert all(call.startswith("1 ") for call in (bare / "calls").read_text().splitlines())
    (bare / ".venv" / ".bootstrap").unlink()
    (bare / "calls").unlink()
    assert bootstrap(bare, UV_SYSTEM_CERTS="0").returncode == 0
    assert all(call.startswith("0 ") for call in (bare / "calls").read_text().splitlines())


def test_a_second_run_asks_uv_for_nothing(bare: Path):
    assert bootstrap(bare).returncode == 0
    assert "--require-hashes" in (bare / "calls").read_text()
    (bare / "calls").unlink()
    assert bootstrap(bare).returncode == 0
    assert not (bare / "calls").exists()


def test_without_bubblewrap_and_the_right_to_install_it_one_is_told_what_to_type(bare: Path):
    tools = bare / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "git"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = bootstrap(bare, PATH=str(tools))
    assert done.returncode == 1
    assert "sudo apt-get install bubblewrap" in done.stderr
