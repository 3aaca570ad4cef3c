"""Somebody with Terraform, for whom Hetzner's provider is the stand-in of tests/hetzner_cloud.py."""

import json
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from debian_programs import debian_program
from docs_reader import ROOT, Reader, environment_of
from hetzner_cloud import PLACE, HetznerCloud
from hetzner_schemas import VERSION

ADDRESS = "registry.terraform.io/hetznercloud/hcloud"
PROGRAM = """#!{python}
import sys
sys.path.insert(0, {tests!r})
from hetzner_cloud import main
main()
"""
SETTINGS = """disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{
    path = "{mirror}"
  }}
}}
"""
TOKEN = "t" * 64


def terraform_program() -> str:
    """Skips the test where there is no Terraform: nothing that `make` gets programs from has it."""
    found = {name: shutil.which(name) for name in ("terraform", "jq")}
    for name, path in found.items():
        if path is None:
            pytest.skip(f"{name} is not on this machine")
    return str(found["terraform"])


@dataclass
class Terraform:
    """A clone of the project, the cloud, and a reader in the clone's folder."""

    clone: Path
    cloud_file: Path
    reader: Reader

    @property
    def cloud(self) -> HetznerCloud:
        return HetznerCloud(self.cloud_file)

    @property
    def folder(self) -> Path:
        return self.clone / "deploy/hetzner/terraform"

    def does(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`terraform` with these words, there."""
        given = {f"TF_VAR_{name}": value for name, value in variables.items()}
        return subprocess.run(
            ["terraform", *words],
            cwd=self.folder,
            env=self.reader.environment | {"HCLOUD_TOKEN": TOKEN} | given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def output(self, name: str) -> Any:
        return json.loads(self.does("output", "-json", name).stdout)


def terraform_reader(home: Path, *settings: str) -> Terraform:
    """With the provider in a folder that `terraform init` installs it from, a key for ssh, and nothing made yet.

    Args:
        settings: lines that the reader puts into terraform.tfvars besides.
    """
    program = terraform_program()
    told = subprocess.run(
        [program, "version", "-json"], capture_output=True, check=True, env={"HOME": str(home)}
    ).stdout
    installed = home / "mirror" / ADDRESS / VERSION / json.loads(told)["platform"]
    installed.mkdir(parents=True)
    provider = installed / f"terraform-provider-hcloud_v{VERSION}"
    provider.write_text(PROGRAM.format(python=sys.executable, tests=str(ROOT / "tests")))
    provider.chmod(provider.stat().st_mode | stat.S_IXUSR)
    (home / "settings.tfrc").write_text(SETTINGS.format(mirror=home / "mirror"))
    (home / "programs").mkdir()
    (home / "programs/terraform").symlink_to(program)
    clone = home / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    for path in (
        *(ROOT / "deploy/hetzner/terraform").glob("*.tf"),
        *(ROOT / "deploy/hetzner/cloud-init").glob("*.yaml"),
    ):
        shutil.copy(path, clone / path.relative_to(ROOT))
    shutil.copy(ROOT / ".gitignore", clone)
    (home / ".ssh").mkdir()
    keygen = debian_program("ssh-keygen")
    command = [keygen.path, "-q", "-t", "ed25519", "-N", "", "-f", str(home / ".ssh/id_ed25519")]
    subprocess.run(command, env=keygen.environment, check=True)
    environment = environment_of(
        home,
        TF_CLI_CONFIG_FILE=str(home / "settings.tfrc"),
        TF_DISABLE_PLUGIN_TLS="1",
        **{PLACE: str(home / "cloud.json")},
    )
    environment["PATH"] = f"{home}/programs:{environment['PATH']}"
    begins = "ssh_from       = "
    standing_in = {"HCLOUD_TOKEN=…": f"HCLOUD_TOKEN={TOKEN}", begins: "\n".join((*settings, begins))}
    reader = Reader(home, environment, standing_in, folder=clone, at="terraform")
    return Terraform(clone, home / "cloud.json", reader)
