"""What makes something of what the stand-in of a cluster is given: controllers and a node, in short.

Pods of a Deployment count as available when they would be let in and all that they mount and read is there; nothing
runs in them. A Job's container is run, as a process: with its arguments, its variables and the files that it mounts.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Cluster, Object, RefusedError, now

PROGRAMS = Path(sys.executable).parent
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
LEVEL = "pod-security.kubernetes.io/enforce"
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PAUSE = 0.3
"""Long enough for who watches to have to wait."""


class NotYetError(Exception):
    """A pod that is not started, and why."""


def restricted(pod: Object) -> Iterator[str]:
    """What the level `restricted` refuses: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    yield from (each for each in ("hostNetwork", "hostPID", "hostIPC") if pod.get(each))
    yield from (f"volume {each['name']}" for each in pod.get("volumes", ()) if not {*each} - {"name"} <= VOLUMES)
    for container in pod["containers"]:
        own = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
        capabilities = own.get("capabilities", {})
        wanted = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": "ALL" in capabilities.get("drop", ())
            and {*capabilities.get("add", ())} <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": own.get("runAsNonRoot") is True and own.get("runAsUser") != 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "appArmorProfile": own.get("appArmorProfile", {}).get("type") != "Unconfined",
            "procMount": own.get("procMount", "Default") == "Default",
        }
        yield from (name for name, holds in wanted.items() if not holds)


@dataclass
class Node:
    """Looks after every Deployment and Job of a cluster.

    Attributes:
        root: a folder for what is mounted.
    """

    cluster: Cluster
    root: Path

    def look_after(self) -> None:
        """Until the cluster is closed."""
        seen = 0
        while not self.cluster.closed:
            with self.cluster.changed:
                self.cluster.changed.wait_for(lambda at=seen: self.cluster.number > at or self.cluster.closed)
                seen = self.cluster.number
                deployments, jobs = self.cluster.all("deployments"), self.cluster.all("jobs")
            for work, found in [*((self.roll, each) for each in deployments), *((self.finish, each) for each in jobs)]:
                with suppress(RefusedError, NotYetError):  # deleted meanwhile, or looked at again after the next change
                    work(found)

    def roll(self, deployment: Object) -> None:
        count = deployment["spec"].get("replicas", 1)
        generation = deployment["metadata"]["generation"]
        told = deployment.get("status", {})
        if told.get("observedGeneration") != generation:
            self._replica_set(deployment)
            self._tell("deployments", deployment, {"observedGeneration": generation, "replicas": count})
        elif told.get("availableReplicas") != count:
            self._ready(deployment)
            threading.Event().wait(PAUSE)
            self._tell(
                "deployments",
                deployment,
                told | dict.fromkeys(("updatedReplicas", "readyReplicas", "availableReplicas"), count),
            )

    def _replica_set(self, deployment: Object) -> None:
        """That of this template is the newest of the Deployment's."""
        metadata, spec = deployment["metadata"], deployment["spec"]
        shown = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        labels = {**spec["template"]["metadata"]["labels"], HASH: shown}
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
        with self.cluster.changed:
            theirs = self.cluster.all("replicasets", metadata["namespace"])
            ours = [each for each in theirs if each["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]]
            newest = str(1 + max((int(each["metadata"]["annotations"][REVISION]) for each in ours), default=0))
            made = {
                "metadata": {
                    "name": f"{metadata['name']}-{shown}",
                    "labels": labels,
                    "annotations": {REVISION: newest},
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "spec": {
                    "replicas": spec.get("replicas", 1),
                    "selector": {"matchLabels": labels},
                    "template": {**spec["template"], "metadata": {"labels": labels}},
                },
            }
            key = "replicasets", metadata["namespace"], made["metadata"]["name"]
            if key in self.cluster.objects:
                self.cluster.change(*key, lambda old: annotated(old, newest))
            else:
                self.cluster.create(*key[:2], made)
            self.cluster.change(
                "deployments", metadata["namespace"], metadata["name"], lambda old: annotated(old, newest)
            )

    def finish(self, job: Object) -> None:
        if job.get("status"):
            return
        folder, variables = self._ready(job)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        self._tell("jobs", job, {"active": 1, "startTime": now()})
        with (folder / "log").open("wb") as log:
            done = subprocess.run([PROGRAMS / "aicd", *container["args"]], env=variables, stdout=log, stderr=log)
        failed = done.returncode != 0
        ends = {"failed": 1} if failed else {"succeeded": 1, "completionTime": now()}
        conditions: list[Object] = []
        for kind in ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete"):
            threading.Event().wait(PAUSE)
            conditions = [*conditions, {"type": kind, "status": "True"}]
            self._tell("jobs", job, {"startTime": now(), "conditions": conditions, **ends})

    def _tell(self, plural: str, found: Object, status: Object) -> None:
        metadata = found["metadata"]
        with self.cluster.changed:
            if self.cluster.get(plural, metadata["namespace"], metadata["name"])["metadata"]["uid"] == metadata["uid"]:
                self.cluster.change(
                    plural, metadata["namespace"], metadata["name"], lambda old: {**old, "status": status}
                )

    def _ready(self, owner: Object) -> tuple[Path, dict[str, str]]:
        """A folder with what its pod mounts, and the container's variables."""
        space, pod = owner["metadata"]["namespace"], owner["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        folder = self.root / owner["metadata"]["uid"]
        with self.cluster.changed:
            labels = self.cluster.get("namespaces", "", space)["metadata"]["labels"]
            if labels.get(LEVEL) == "restricted" and (faults := sorted(restricted(pod))):
                raise NotYetError(f"violates PodSecurity: {faults}")
            variables = {"PATH": os.defpath, "HOME": str(folder), "AICD_DATA_DIR": f"{folder}/var/lib/aicd"}
            for each in container.get("envFrom", ()):
                variables |= self._wanted("configmaps", space, each["configMapRef"]["name"], optional=False)["data"]
            places = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
            for volume in pod["volumes"]:
                place = folder / places[volume["name"]].lstrip("/")
                place.mkdir(parents=True, exist_ok=True)
                if (of := volume.get("secret")) is not None:
                    found = self._wanted("secrets", space, of["secretName"], optional=of.get("optional", False))
                    for name, value in found.get("data", {}).items():
                        (place / name).write_bytes(base64.b64decode(value))
        own = {each["name"]: each["value"] for each in container.get("env", ())}
        here = {name: f"{folder}{value}" if value in places.values() else value for name, value in own.items()}
        return folder, variables | here

    def _wanted(self, plural: str, namespace: str, name: str, *, optional: bool) -> dict[str, Any]:
        if (found := self.cluster.objects.get((plural, namespace, name))) is None and not optional:
            raise NotYetError(f"{plural} {name} is not there")
        return found or {}


def annotated(found: Object, revision: str) -> Object:
    annotations = {**found["metadata"].get("annotations", {}), REVISION: revision}
    return {**found, "metadata": {**found["metadata"], "annotations": annotations}}


@contextmanager
def looking_after(cluster: Cluster, root: Path) -> Iterator[Node]:
    """A node for a cluster, until the cluster is closed or this ends."""
    node = Node(cluster, root)
    thread = threading.Thread(target=node.look_after)
    thread.start()
    try:
        yield node
    finally:
        cluster.close()
        thread.join()
