"""The machines at Hetzner are what cloud-init and Terraform accept, and let in nothing but what is meant."""

import json
import shutil
import subprocess
from pathlib import Path, PurePath

import hcl2
import pytest
import yaml
from ruamel.yaml import YAML

from aicd_github.testing.node import node_project, run_node
from alert_scenes import promtool
from debian_programs import cloud_init_schema

ROOT = Path(__file__).parents[1]
HETZNER = ROOT / "deploy/hetzner"
TERRAFORM = sorted((HETZNER / "terraform").glob("*.tf"))
HOST = HETZNER / "cloud-init/host.yaml"
VENV = ROOT / ".venv/bin"
INSIDE = {"worker": 9464, "tempo": 4318, "loki": 3100}
CLOUD_INIT = sorted((HETZNER / "cloud-init").glob("*.yaml"))
DOCKER = ROOT / "docker"
GIVEN = {
    "public_key": "ssh-ed25519 AAAAC3 me",
    "services": "worker",
    "address": "10.10.1.9",
    "app": "10.10.1.10",
    "workers": '[{"targets":["10.10.1.9:9464"]}]',
    "volume": "/dev/sdb",
}
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
    done = cloud_init_schema(tmp_path / "user-data")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "user-data").write_text(text.replace("ssh_pwauth: false", "ssh_pwauth: [1]"))
    assert cloud_init_schema(tmp_path / "user-data").returncode != 0
    told = yaml.safe_load(text)
    assert told["disable_root"] is True
    assert "unattended-upgrades" in told["packages"]
    assert [user["lock_passwd"] for user in told["users"]] == [True]


def test_machines_apart_find_each_other_and_are_still_what_compose_says(tmp_path: Path):
    files = {each["path"]: each["content"] for each in yaml.safe_load(rendered(HOST))["write_files"]}
    (tmp_path / "apart.yml").write_text(files["/opt/aicd/compose.apart.yml"])
    schema = ["--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [VENV / "check-jsonschema", *schema, tmp_path / "apart.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    services = YAML(typ="safe").load((DOCKER / "compose.yml").read_text())["services"]
    apart = yaml.safe_load(files["/opt/aicd/compose.apart.yml"])["services"]
    assert set(apart) <= set(services)
    assert all(each["networks"][-1] == "out" for name, each in apart.items() if name != "worker")
    published = {name: each["ports"] for name, each in apart.items() if "ports" in each}
    assert published == {name: [f"10.10.1.9:{port}:{port}"] for name, port in INSIDE.items()}, "nothing from outside"
    assert apart["worker"]["environment"]["AICD_OTLP_ENDPOINT"] == "http://10.10.1.10:4318"
    shipped_to = apart["alloy"]["environment"]["LOKI_URL"]
    assert shipped_to.replace("10.10.1.10", "loki") in (DOCKER / "loki/alloy.alloy").read_text()

    mounted = "/opt/aicd/secrets/prometheus"
    assert "./secrets/prometheus:/run/secrets:ro" in services["prometheus"]["volumes"]
    text = (DOCKER / "prometheus/prometheus.yml").read_text()
    (named,) = [each for each in yaml.safe_load(text)["scrape_configs"] if each["job_name"] == "aicd-worker"]
    (pattern,) = named["file_sd_configs"][0]["files"]
    (path,) = [path for path in files if path.startswith(mounted)]
    assert PurePath(path.replace(mounted, "/run/secrets")).match(pattern)
    (tmp_path / "workers.yml").write_text(files[path])
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/run/secrets", str(tmp_path)).replace("rules/", f"{DOCKER}/prometheus/rules/"))
    assert promtool("check", "config", str(config)).returncode == 0
    (tmp_path / "workers.yml").write_text('[{"target": ["10.10.1.9:9464"]}]')
    assert promtool("check", "config", str(config)).returncode != 0


def test_terraform_renders_the_files_as_this_test_does(tmp_path: Path):
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("no terraform on this machine")
    (tmp_path / "settings.tfrc").write_text("disable_checkpoint = true\n")
    for path in CLOUD_INIT:
        asked = f"templatefile({json.dumps(str(path))}, {json.dumps(GIVEN)})"
        done = subprocess.run(
            [terraform, "console"],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "TF_CLI_CONFIG_FILE": str(tmp_path / "settings.tfrc")},
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
