"""What docs/deploy-kubernetes.md says, typed with a real kubectl at a stand-in of a cluster that runs the migration."""

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import yaml

from aicd_core.db.embedded import EmbeddedPostgres
from cluster import Cluster, Object, kubeconfig
from cluster_node import REVISION, looking_after, restricted
from cluster_server import serving
from debian_programs import newer_program
from docs_reader import ROOT, Reader, environment_of

KUBERNETES = ROOT / "deploy/kubernetes"
HAS_API = (KUBERNETES / "base/api.yaml").exists()
DEPLOYMENTS = {("aicd", "backup"), ("aicd-workers", "worker")} | ({("aicd", "api")} if HAS_API else set())

pytestmark = pytest.mark.timeout(300)


@dataclass
class Operator:
    """Somebody with a copy of the source and a cluster."""

    reader: Reader
    cluster: Cluster

    def source(self, path: str) -> Path:
        return self.reader.cwd / path

    def set_version(self, version: str) -> None:
        path = self.source("deploy/kubernetes/overlays/mine/kustomization.yaml")
        told = yaml.safe_load(path.read_text())
        for image in told["images"]:
            image["newTag"] = version
        path.write_text(yaml.safe_dump(told))

    def set_up(self, postgres: str) -> None:
        fill(self.source("secrets"), postgres)
        self.reader.run("docs/deploy-kubernetes.md", "kubectl apply -f deploy/kubernetes/base/namespaces.yaml")
        if HAS_API:
            self.reader.shell("kubectl -n aicd create secret generic aicd-api --from-file=secrets/api")

    def release(self) -> str:
        return self.reader.run("docs/deploy-kubernetes.md", "cd deploy/kubernetes")

    def apply(self) -> str:
        return self.reader.shell("kubectl kustomize deploy/kubernetes/overlays/mine | kubectl apply -f -")

    def job(self) -> Object:
        return self.cluster.get("jobs", "aicd", "migrate")

    def versions(self) -> set[str]:
        """Of the images that are to run."""
        specs = [self.cluster.get("deployments", *each)["spec"] for each in DEPLOYMENTS]
        return {each["template"]["spec"]["containers"][0]["image"].rpartition(":")[2] for each in specs}

    def data(self, namespace: str, name: str) -> dict[str, str]:
        secret = self.cluster.get("secrets", namespace, name)
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def fill(secrets: Path, url: str) -> None:
    """The folders that docs/secrets.md's table tells to make."""
    serving = ("database_url", "system_database_url", "secret_keys", "signing_keys")
    for process, names in {
        "migrate": ("migration_database_url",),
        "worker": serving,
        "backup": ("backup_database_url", "backup_password", "backup_repository"),
        "api": serving,
    }.items():
        (secrets / process).mkdir(parents=True)
        for name in names:
            (secrets / process / f"aicd_{name}").write_text(url if "database" in name else "hush")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "kubectl").symlink_to(newer_program("kubectl").path)
    source = tmp_path / "source"
    for folder in ("deploy/kubernetes", "docker/prometheus/rules"):
        shutil.copytree(ROOT / folder, source / folder)
    overlays = source / "deploy/kubernetes/overlays"
    shutil.copytree(overlays / "production", overlays / "mine")
    for name in ("id_ed25519", "known_hosts"):
        (source / name).write_text(name)
    cluster = Cluster()
    with serving(cluster) as address, looking_after(cluster, tmp_path / "node"):
        environment = environment_of(tmp_path, KUBECONFIG=str(kubeconfig(tmp_path, address)))
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        yield Operator(Reader(tmp_path, environment, folder=source), cluster)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    try:
        yield f"postgresql://postgres@/postgres?host={server.socket_dir}"
    finally:
        server.stop()


def test_a_release_is_set_up_followed_by_another_and_gone_back_from(operator: Operator, postgres: str) -> None:
    operator.set_up(postgres)
    operator.set_version("1.0.0")
    told = operator.release()
    assert "job.batch/migrate condition met" in told
    assert 'deployment "worker" successfully rolled out' in told
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    for namespace, name in DEPLOYMENTS:  # each pod is let in and finds what it mounts
        operator.reader.shell(f"kubectl -n {namespace} rollout status deployment/{name} --timeout=60s")
    assert set(operator.data("aicd", "aicd-migration")) == {"aicd_migration_database_url"}
    assert set(operator.data("aicd", "aicd-backup-ssh")) == {"id_ed25519", "known_hosts"}
    assert operator.versions() == {"1.0.0"}
    first = operator.job()["metadata"]["uid"]

    operator.set_version("1.0.1")
    with pytest.raises(AssertionError, match="field is immutable"):
        operator.apply()  # without deleting the last one's Job
    told = operator.release()
    assert 'job.batch "migrate" deleted' in told
    assert "job.batch/migrate created" in told
    assert operator.job()["metadata"]["uid"] != first
    assert operator.versions() == {"1.0.1"}

    operator.reader.run("docs/deploy-kubernetes.md", "kubectl -n aicd rollout undo")
    assert operator.versions() == {"1.0.0"}
    operator.reader.shell("kubectl -n aicd-workers rollout status deployment/worker --timeout=60s")
    worker = operator.cluster.get("deployments", "aicd-workers", "worker")
    assert worker["metadata"]["annotations"][REVISION] == "3", "the first one's pods, as the newest"
    assert set(restricted(worker["spec"]["template"]["spec"])) == {"appArmorProfile", "procMount"}
    assert all("fieldValidation=Strict" in each for each in operator.cluster.asked if each.startswith("POST"))


def test_a_migration_that_failed_ends_the_first_wait_and_fails_the_second(operator: Operator) -> None:
    operator.set_up("postgresql://postgres@/postgres?host=/nowhere")
    operator.reader.standing_in["--timeout=1m"] = "--timeout=1s"
    operator.reader.shell("kubectl -n aicd-workers delete secret aicd-worker")
    with pytest.raises(AssertionError, match=r"timed out waiting for the condition on jobs/migrate"):
        operator.release()
    assert [each["type"] for each in operator.job()["status"]["conditions"]] == ["FailureTarget", "Failed"]
    with pytest.raises(AssertionError, match="timed out waiting"):  # for pods whose secret is not there
        operator.reader.shell("kubectl -n aicd-workers rollout status deployment/worker --timeout=1s")
    operator.reader.shell("kubectl -n aicd-workers create secret generic aicd-worker --from-file=secrets/worker")
    operator.reader.shell("kubectl -n aicd-workers rollout status deployment/worker --timeout=60s")


def test_what_the_manifests_do_not_have_is_refused(operator: Operator) -> None:
    with pytest.raises(AssertionError, match='namespaces "aicd" not found'):
        operator.reader.shell("kubectl -n aicd create configmap aicd")
    path = operator.source("deploy/kubernetes/overlays/mine/stores.yaml")
    path.write_text(path.read_text().replace("policyTypes:", "policyType:"))
    with pytest.raises(AssertionError, match=r"strict decoding error: spec: .*policyType"):
        operator.apply()


def test_prometheus_gets_the_list_of_what_to_scrape_and_the_alerts(operator: Operator) -> None:
    operator.reader.shell("kubectl create namespace monitoring")
    operator.reader.run("docs/deploy-kubernetes.md", "kubectl -n monitoring create configmap")
    ((name, scraped),) = operator.data("monitoring", "aicd-scrape").items()
    assert f"{{name: aicd-scrape, key: {name}}}" in (ROOT / "docs/deploy-kubernetes.md").read_text()
    whole = yaml.safe_load((KUBERNETES / "prometheus.yml").read_text())
    assert yaml.safe_load(scraped) == whole["scrape_configs"]
    rules = {path.name: path.read_text() for path in (ROOT / "docker/prometheus/rules").iterdir()}
    assert operator.cluster.get("configmaps", "monitoring", "aicd-rules")["data"] == rules
    with pytest.raises(AssertionError, match='"aicd-rules" already exists'):
        operator.reader.run("docs/deploy-kubernetes.md", "kubectl -n monitoring create configmap")
