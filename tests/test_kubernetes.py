"""The Kubernetes manifests are what Kubernetes' own schemas accept, and no pod has more than it needs."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from alert_scenes import promtool
from debian_programs import newer_program
from shown_commands import fault

KUBERNETES = Path(__file__).parents[1] / "deploy/kubernetes"
VALIDATE = Path(__file__).parents[1] / ".venv/bin/kubernetes-validate"
FILES = [path for path in sorted(KUBERNETES.rglob("*.yaml")) if path.name != "kustomization.yaml"]
BASE = [path for path in FILES if path.parent.name == "base"]
OLDEST = "1.33"
"""docs/deploy-kubernetes.md names it."""
UNWALLED = {"appArmorProfile", "procMount", "hostUsers"}
"""What only the worker's sandbox is allowed."""


def documents(*paths: Path) -> Iterator[dict]:
    for path in paths:
        yield from yaml.safe_load_all(path.read_text())


def validated(path: Path) -> str:
    done = subprocess.run([VALIDATE, "--kubernetes-version", OLDEST, "--strict", path], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def pods() -> Iterator[tuple[str, dict]]:
    for each in documents(*BASE):
        if each["kind"] in {"Deployment", "Job"}:
            yield each["metadata"]["name"], each


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_fits_the_schema_of_each_of_its_kinds(path: Path, tmp_path: Path):
    said = validated(path)
    # An overlay's patch is no whole resource; it is checked as part of what kustomize makes.
    assert said == "" or (path.parent.name, path.stem) == ("production", "api"), said
    worse = tmp_path / "worse.yaml"
    worse.write_text(path.read_text().replace("\nspec:", "\nspecs:").replace("\ndata:", "\ndatas:"))
    assert worse.read_text() == path.read_text() or validated(worse)


def test_kustomize_makes_of_them_what_fits(tmp_path: Path):
    kubectl = newer_program("kubectl").path  # kustomize is in it
    done = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / "overlays/production"], capture_output=True, text=True, check=True
    )
    (tmp_path / "made.yaml").write_text(done.stdout)
    assert validated(tmp_path / "made.yaml") == ""
    made = list(yaml.safe_load_all(done.stdout))
    named = {each["metadata"]["name"] for each in documents(*FILES)}
    assert {each["metadata"]["name"] for each in made} == named
    assert all(image.startswith("registry.example.com/example/aicd-") for image in images(made))


def images(made: list[dict]) -> list[str]:
    workloads = [each for each in made if each["kind"] in {"Deployment", "Job"}]
    return [one["image"] for each in workloads for one in each["spec"]["template"]["spec"]["containers"]]


def test_every_file_is_in_the_kustomization_beside_it():
    for folder in (KUBERNETES / "base", KUBERNETES / "overlays/production"):
        told = yaml.safe_load((folder / "kustomization.yaml").read_text())
        listed = {name for name in told["resources"] if name.endswith(".yaml")}
        listed |= {each["path"] for each in told.get("patches", ())}
        assert listed | {"kustomization.yaml"} == {path.name for path in folder.glob("*.yaml")}


def test_no_pod_is_root_writes_its_system_or_has_a_capability():
    found = dict(pods())
    assert {"worker", "migrate", "backup"} <= set(found)
    for name, each in found.items():
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert fault(["aicd", *container["args"]]) is None, name
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"]["type"] != "Unconfined", name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert {"requests", "limits"} <= set(container["resources"]), name
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], name
        if name != "worker":
            assert not UNWALLED & {*pod, *pod["securityContext"], *container["securityContext"]}, name
            assert each["metadata"]["namespace"] == "aicd", name


def test_the_worker_may_make_sandboxes_and_has_time_to_drain():
    worker = dict(pods())["worker"]["spec"]["template"]["spec"]
    (container,) = worker["containers"]
    assert worker["hostUsers"] is False, "an unmasked /proc is allowed in a user namespace only"
    assert container["securityContext"]["procMount"] == "Unmasked"
    drain = int(container["args"][container["args"].index("--drain-timeout") + 1])
    assert worker["terminationGracePeriodSeconds"] > drain


def test_one_pod_makes_backups_and_never_two_at_once():
    backup = dict(pods())["backup"]["spec"]
    assert (backup["replicas"], backup["strategy"]) == (1, {"type": "Recreate"})
    (container,) = backup["template"]["spec"]["containers"]
    assert container["args"][:2] == ["backup", "run"]
    assert {"every", "init"} <= {argument.removeprefix("--") for argument in container["args"]}
    reaching = [each["spec"] for each in documents(*BASE) if each["kind"] == "NetworkPolicy"]
    (away,) = [spec for spec in reaching if spec["podSelector"] == {"matchLabels": {"app": "backup"}}]
    assert {443, 22} <= {port["port"] for port in away["egress"][0]["ports"]}


def discovered(name: str, template: dict) -> Iterator[dict]:
    """What Prometheus' discovery says of each port of a pod."""
    for container in template["spec"]["containers"]:
        for port in container.get("ports", [{"name": "", "containerPort": 80}]):
            labels = {"pod_container_port_name": port["name"], "pod_name": name, "pod_phase": "Running"}
            labels["pod_label_app"] = template["metadata"]["labels"]["app"]
            address = f"10.0.0.1:{port['containerPort']}"
            yield {"targets": [address], "labels": {f"__meta_kubernetes_{key}": told for key, told in labels.items()}}


def test_prometheus_finds_every_pod_that_tells_figures_by_the_job_that_alerts_ask_for(tmp_path: Path):
    """Debian's promtool knows no Kubernetes: its discovery is what this test says, and the rest is Prometheus' own."""
    (job,) = yaml.safe_load((KUBERNETES / "prometheus.yml").read_text())["scrape_configs"]
    (discovery,) = job.pop("kubernetes_sd_configs")
    spaces = {each["metadata"]["name"] for each in documents(*BASE) if each["kind"] == "Namespace"}
    assert (discovery["role"], set(discovery["namespaces"]["names"])) == ("pod", spaces)
    job["static_configs"] = [one for name, each in pods() for one in discovered(name, each["spec"]["template"])]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    arguments = ("check", "service-discovery", "--timeout=2s", str(tmp_path / "prometheus.yml"), job["job_name"])
    found = [one["labels"] for one in json.loads(promtool(*arguments).stdout)]
    made = {one["job"]: one["instance"].rpartition(":")[2] for one in found if one}
    prometheus = yaml.safe_load((KUBERNETES.parents[1] / "docker/prometheus/prometheus.yml").read_text())
    ours = {each["job_name"] for each in prometheus["scrape_configs"] if each["job_name"].startswith("aicd-")}
    assert set(made) == ours if (KUBERNETES / "base/api.yaml").exists() else set(made) | {"aicd-api"} == ours
    assert set(made.values()) == {"9464"}


def test_every_namespace_denies_by_default_and_every_deployment_may_be_drained():
    everything = list(documents(*BASE))
    spaces = {each["metadata"]["name"] for each in everything if each["kind"] == "Namespace"}
    for space in spaces:
        ours = [each for each in everything if each["metadata"].get("namespace") == space]
        (denied,) = [each["spec"] for each in ours if each["metadata"]["name"] == "default-deny"]
        assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        deployments = {each["metadata"]["name"] for each in ours if each["kind"] == "Deployment"}
        assert deployments == {each["metadata"]["name"] for each in ours if each["kind"] == "PodDisruptionBudget"}
