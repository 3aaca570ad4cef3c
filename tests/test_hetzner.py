"""The machines at Hetzner are what cloud-init and Terraform accept, and let in nothing but what is meant."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest
import yaml

from aicd_github.testing.node import node_project, run_node
from debian_programs import debian_file

ROOT = Path(__file__).parents[1]
HETZNER = ROOT / "deploy/hetzner"
TERRAFORM = sorted((HETZNER / "terraform").glob("*.tf"))
CLOUD_INIT = sorted((HETZNER / "cloud-init").glob("*.yaml"))
GIVEN = {"public_key": "ssh-ed25519 AAAAC3 me", "services": "worker", "address": "10.10.1.9", "volume": "/dev/sdb"}
FORMATTER = """
import { readFileSync } from 'node:fs'
import { format } from '@cdktn/hcl-tools'
const worse = []
for (const [name, text] of JSON.parse(readFileSync(0, 'utf8'))) if (await format(text) !== text) worse.push(name)
console.log(JSON.stringify(worse))
"""


def rendered(path: Path) -> str:
    """As Terraform's templatefile does it, of what these files use."""
    text = path.read_text().replace("$${", "\0")
    for name, value in GIVEN.items():
        text = text.replace(f"${{{name}}}", value)
    return text.replace("\0", "${")


def schema(path: Path) -> subprocess.CompletedProcess[str]:
    program = debian_file("/usr/bin/cloud-init")
    modules = debian_file("/usr/lib/python3/dist-packages/cloudinit").parent
    command = ["/usr/bin/python3", program, "schema", "--config-file", path]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(modules)}, capture_output=True, text=True, check=False
    )


def parsed(kind: str) -> dict[str, list[dict]]:
    """All blocks of that kind, by their first label."""
    found = dict[str, list[dict]]()
    for path in TERRAFORM:
        for block in hcl2.loads(path.read_text()).get(kind, []):
            for label, body in block.items():
                found.setdefault(label.strip('"'), []).append(body)
    return found


@pytest.mark.parametrize("path", CLOUD_INIT, ids=lambda path: path.stem)
def test_cloud_init_accepts_what_a_machine_is_given(path: Path, tmp_path: Path):
    text = rendered(path)
    assert "${" not in text.partition("\n")[2].partition("\n")[2]
    (tmp_path / "user-data").write_text(text)
    done = schema(tmp_path / "user-data")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "user-data").write_text(text.replace("ssh_pwauth: false", "ssh_pwauth: [1]"))
    assert schema(tmp_path / "user-data").returncode != 0
    told = yaml.safe_load(text)
    assert told["disable_root"] is True
    assert "unattended-upgrades" in told["packages"]
    assert [user["lock_passwd"] for user in told["users"]] == [True]


def test_terraform_renders_the_files_as_this_test_does(tmp_path: Path):
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("no terraform on this machine")
    for path in CLOUD_INIT:
        asked = f"templatefile({json.dumps(str(path))}, {json.dumps(GIVEN)})"
        done = subprocess.run(
            [terraform, "console"],
            cwd=tmp_path,
            input=f"jsonencode({asked})",
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(json.loads(done.stdout)) == rendered(path)


def badly_formatted(files: dict[str, str]) -> list[str]:
    """Names of those that HashiCorp's own formatter, which `terraform fmt` calls, would write differently."""
    project = node_project(ROOT / "tests/node", ROOT / ".tools")
    return json.loads(run_node(project, FORMATTER, json.dumps(list(files.items())).encode()))


def test_terraform_is_formatted():
    files = {path.name: path.read_text() for path in TERRAFORM}
    assert badly_formatted(files) == []
    assert badly_formatted({"worse.tf": files["main.tf"].replace(" = ", "=")}) == ["worse.tf"]


def test_the_outside_reaches_ssh_from_named_networks_and_the_web_and_nothing_else():
    rules = []
    for firewall in parsed("resource")["hcloud_firewall"]:
        for body in firewall.values():
            rules += [(each["port"], each["source_ips"]) for each in body.get("rule", [])]
            for made in body.get("dynamic", []):
                (dynamic,) = made.values()
                (content,) = dynamic["content"]
                rules.append((dynamic["for_each"], content["source_ips"]))
    told = json.dumps(rules).replace('\\"', "").replace('"', "")
    assert told == "[[22, ${var.ssh_from}], [${toset([80, 443])}, [0.0.0.0/0, ::/0]]]"
    assert all("default" not in body for each in parsed("variable")["ssh_from"] for body in [each])


def test_every_variable_says_what_it_is_and_what_is_used_is_declared():
    declared = parsed("variable")
    assert all(body.get("description") for bodies in declared.values() for body in bodies)
    text = "".join(path.read_text() for path in TERRAFORM)
    assert {name for name in declared if f"var.{name}" in text} == set(declared)
