"""The machines at Hetzner, made as docs/deploy-hetzner.md says, by the real Terraform.

It reads, checks, plans and applies the project's own files. What it asks of Hetzner's provider, it asks of a stand-in,
tests/hetzner_cloud.py. Skipped where there is no Terraform.
"""

import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from debian_programs import cloud_init_schema
from deploy_machine import Machine, machine
from hetzner_cloud import MEMORY, HetznerCloud
from histories import git
from terraform_reader import Terraform, terraform_reader

YES = [("Enter a value:", "yes")]
SSH_FROM = "203.0.113.7/32"
ANYBODY = {"0.0.0.0/0", "::/0"}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """One machine, made by typing the page's block."""
    made = terraform_reader(tmp_path_factory.mktemp("one"))
    said = made.reader.run("docs/deploy-hetzner.md", "cd deploy/hetzner/terraform", answers=YES)
    assert said.rstrip().endswith('"one" = "deploy@203.0.113.10"\r\n}'), said
    return made


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Machines apart, likewise."""
    made = terraform_reader(tmp_path_factory.mktemp("apart"), "apart = true")
    made.reader.run("docs/deploy-hetzner.md", "cd deploy/hetzner/terraform", answers=YES)
    return made


def outside(cloud: HetznerCloud, name: str) -> dict[str, set[str]]:
    """Who may reach a machine from outside, by port."""
    numbers = {str(each) for each in cloud.named("hcloud_server")[name]["firewall_ids"]}
    rules = [rule for number in numbers for rule in cloud.made["hcloud_firewall"][number]["rule"]]
    assert {(rule["direction"], rule["protocol"]) for rule in rules} == {("in", "tcp")}
    return {rule["port"]: set(rule["source_ips"]) for rule in rules}


def files_of(cloud: HetznerCloud, name: str) -> dict[str, str]:
    """What cloud-init writes on a machine."""
    told = yaml.safe_load(cloud.user_data[name])
    return {each["path"]: each["content"] for each in told["write_files"]}


@contextmanager
def changed(made: Terraform, old: str, new: str) -> Iterator[None]:
    """The main file with something else in it."""
    path = made.folder / "main.tf"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        path.write_text(text)


def assert_cloud_init_accepts(cloud: HetznerCloud, place: Path, *names: str) -> None:
    def checked(name: str) -> str:
        path = place / f"{name}.user-data"
        path.write_text(cloud.user_data[name])
        done = cloud_init_schema(path)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        assert [said for said in pool.map(checked, names) if said] == []


def test_one_machine_is_what_the_page_says(one: Terraform, tmp_path: Path) -> None:
    cloud = one.cloud
    (server,) = cloud.named("hcloud_server").values()
    (volume,) = cloud.named("hcloud_volume").values()
    assert one.output("hosts") == {"one": f"deploy@{server['ipv4_address']}"}
    assert one.output("inside") == {"one": server["network"][0]["ip"]}
    assert outside(cloud, "aicd-one") == {"22": {SSH_FROM}, "80": ANYBODY, "443": ANYBODY}
    assert MEMORY[server["server_type"]] >= 16
    assert server["delete_protection"]
    assert volume["delete_protection"]
    assert str(volume["server_id"]) == server["id"]
    told = cloud.user_data["aicd-one"]
    assert f'"{volume["linux_device"]} /var/lib/docker ext4' in told
    assert (one.reader.home / ".ssh/id_ed25519.pub").read_text().strip() in told
    assert_cloud_init_accepts(cloud, tmp_path, "aicd-one")
    left = git(one.clone, "status", "--porcelain", "deploy/hetzner").decode().split("\n")
    assert [line for line in left if line.startswith("??")] == ["?? deploy/hetzner/terraform/.terraform.lock.hcl"]


def test_machines_apart_are_what_the_page_says(apart: Terraform, tmp_path: Path) -> None:
    cloud = apart.cloud
    servers = cloud.named("hcloud_server")
    assert set(servers) == {"aicd-app", "aicd-worker-1", "aicd-worker-2", "aicd-database"}
    assert outside(cloud, "aicd-app") == {"22": {SSH_FROM}, "80": ANYBODY, "443": ANYBODY}
    for name in set(servers) - {"aicd-app"}:
        assert outside(cloud, name) == {"22": {SSH_FROM}}
    wants = {"aicd-app": 8, "aicd-database": 8, "aicd-worker-1": 16, "aicd-worker-2": 16}
    assert all(MEMORY[each["server_type"]] >= wants[name] for name, each in servers.items())
    assert {name for name, each in servers.items() if each["delete_protection"]} == {"aicd-database"}
    (volume,) = cloud.named("hcloud_volume").values()
    assert str(volume["server_id"]) == servers["aicd-database"]["id"]
    having = {name for name, told in cloud.user_data.items() if volume["linux_device"] in told}
    assert having == {"aicd-database"}
    assert f'"{volume["linux_device"]} /var/lib/postgresql ext4' in cloud.user_data["aicd-database"]
    inside = {name: each["network"][0]["ip"] for name, each in servers.items()}
    assert inside["aicd-database"] == "10.10.1.20"
    assert apart.output("inside") == {name.removeprefix("aicd-"): address for name, address in inside.items()}
    watched = json.loads(files_of(cloud, "aicd-app")["/opt/aicd/secrets/prometheus/workers.yml"])
    assert watched == [{"targets": [f"{inside[f'aicd-worker-{number}']}:9464" for number in (1, 2)]}]
    assert_cloud_init_accepts(cloud, tmp_path, "aicd-app", "aicd-worker-2", "aicd-database")


@pytest.mark.parametrize("place", ["one", "apart"])
def test_nothing_is_left_to_change(place: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(place)
    done = made.does("plan", "-detailed-exitcode")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_set_up_stays_and_a_third_worker_is_only_added(apart: Terraform) -> None:
    template = apart.clone / "deploy/hetzner/cloud-init/host.yaml"
    template.write_text(template.read_text() + "  - [true]\n")
    try:
        done = apart.does("plan", "-detailed-exitcode")
        assert done.returncode == 0, done.stdout
        done = apart.does("plan", "-no-color", workers="3")
        assert "Plan: 1 to add, 0 to change, 0 to destroy." in done.stdout
    finally:
        template.write_text(template.read_text().removesuffix("  - [true]\n"))


@pytest.mark.parametrize("variables", [{"location": "fsn1"}, {"apart": "true"}])
def test_no_plan_takes_the_volume_off_its_machine(one: Terraform, variables: dict[str, str]) -> None:
    done = one.does("plan", "-no-color", **variables)
    assert done.returncode == 1
    assert "Resource hcloud_volume_attachment.stores has lifecycle.prevent_destroy set" in " ".join(done.stderr.split())


REFUSED = [
    ("alias_ips = []", "alias_ip = []", "Unsupported argument"),
    ("linux_device", "linux_devices", "Unsupported attribute"),
    ('  type         = "cloud"\n', "", "Missing required argument"),
    ('direction   = "in"', 'direction   = "inside"', "another direction"),
]


def test_terraform_takes_the_files_as_they_are_and_no_others(one: Terraform) -> None:
    names = [path.name for path in one.folder.glob("*.tf")]
    assert one.does("fmt", "-check", *names).returncode == 0
    assert one.does("validate").returncode == 0
    for old, new, why in REFUSED:
        with changed(one, old, new):
            done = one.does("validate", "-no-color")
        assert done.returncode == 1
        assert why in done.stderr
    with changed(one, " = ", "="):
        assert one.does("fmt", "-check", *names).stdout.split() == ["main.tf"]


def test_without_alias_ips_each_plan_would_take_the_machine_off_its_network(one: Terraform) -> None:
    with changed(one, "    alias_ips = []\n", ""):
        done = one.does("plan", "-no-color", "-detailed-exitcode")
    assert done.returncode == 2
    assert "- network {" in done.stdout


SSH = """#!/usr/bin/python3
import json, os, sys
reach, words = {reach}, sys.argv[1:]
at = next(number for number, word in enumerate(words) if word in reach)
with open({log!r}, "a") as log:
    log.write(words[at] + "\\n")
ssh = reach[words[at]]["ssh"]
words[at] = reach[words[at]]["host"]
os.execvp(ssh[0], [*ssh, *words])
"""


@pytest.fixture
def there(apart: Terraform, tmp_path: Path) -> Iterator[dict[str, Machine]]:
    """A machine to deploy to for each host that Terraform tells, with what cloud-init says of its services."""
    with ExitStack() as stack:
        found = {}
        for name in apart.output("hosts"):
            (tmp_path / name).mkdir()
            found[name] = stack.enter_context(machine(tmp_path / name))
            (found[name].opt / ".env").write_text("AICD_MIN_FREE_DISK=1\n")
            services = files_of(apart.cloud, f"aicd-{name}")["/opt/aicd/services"]
            (found[name].opt / "services").write_text(services)
        yield found


def test_each_host_is_deployed_to_the_one_that_migrates_first(
    apart: Terraform, there: dict[str, Machine], tmp_path: Path
) -> None:
    hosts = apart.output("hosts")
    reach = {hosts[name]: {"ssh": shlex.split(each.ssh), "host": each.host} for name, each in there.items()}
    (tmp_path / "ssh").write_text(SSH.format(reach=json.dumps(reach), log=str(tmp_path / "log")))
    (tmp_path / "ssh").chmod(0o755)
    git(apart.clone, "tag", "v1.2.3")
    reader = apart.reader
    reader.environment |= {"SSH": str(tmp_path / "ssh"), "WAIT": "60"}
    reader.run("docs/deploy-hetzner.md", "for host in")
    reached = list(dict.fromkeys((tmp_path / "log").read_text().split()))
    assert reached == [hosts["app"], hosts["worker-1"], hosts["worker-2"]]
    assert all("1.2.3" in each.running() for each in there.values())
    migrating = {name for name, each in there.items() if any("run --rm" in call for call in each.calls())}
    assert migrating == {"app"}
