"""A stand-in of Kubernetes' API server, as much of it as kubectl asks for what docs/deploy-kubernetes.md shows.

It refuses what a real one refuses of names, namespaces, fields and what may not change
(https://kubernetes.io/docs/reference/using-api/api-concepts/); it sets no defaults and knows no accounts.
tests/cluster_server.py serves it, tests/cluster_node.py makes something of what is put here.
"""

import itertools
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from cluster_patches import apply_json_patch, merged

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace, name."""
VERSION = "1.33.0"
DNS_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
LASTING = {"jobs": ("template", "selector"), "deployments": ("selector",)}
"""What of a spec never changes."""


@dataclass(frozen=True)
class Kind:
    group: str
    version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}".lstrip("/")

    @property
    def root(self) -> str:
        return f"{'apis' if self.group else 'api'}/{self.group_version}"


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("", "v1", "Namespace", "namespaces", namespaced=False),
        Kind("", "v1", "ConfigMap", "configmaps"),
        Kind("", "v1", "Secret", "secrets"),
        Kind("", "v1", "Service", "services"),
        Kind("apps", "v1", "Deployment", "deployments"),
        Kind("apps", "v1", "ReplicaSet", "replicasets"),
        Kind("batch", "v1", "Job", "jobs"),
        Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
        Kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
    )
}


class RefusedError(Exception):
    """What is answered as a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.code = code
        self.status = {**told, "message": message, "reason": reason, "code": code, "details": {}}


def missing(plural: str, name: str) -> RefusedError:
    group = KINDS[plural].group
    return RefusedError(404, "NotFound", f'{plural}{"." if group else ""}{group} "{name}" not found')


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Cluster:
    """What a cluster keeps.

    Attributes:
        objects: all of it.
        events: each change since the beginning: its number, ADDED, MODIFIED or DELETED, of what, and how it was then.
        changed: notified at each change; its lock is held while anything here is read or written.
        asked: method and path with its query, of each request.
    """

    objects: dict[Key, Object] = field(default_factory=dict)
    events: list[tuple[int, str, Key, Object]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    asked: list[str] = field(default_factory=list)
    closed: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def number(self) -> int:
        return self.events[-1][0] if self.events else 0

    def get(self, plural: str, namespace: str, name: str) -> Object:
        if (found := self.objects.get((plural, namespace, name))) is None:
            raise missing(plural, name)
        return found

    def all(self, plural: str, namespace: str = "") -> list[Object]:
        keys = sorted(key for key in self.objects if key[0] == plural and namespace in {"", key[1]})
        return [self.objects[key] for key in keys]

    def create(self, plural: str, namespace: str, given: Object) -> Object:
        kind, name = KINDS[plural], given.get("metadata", {}).get("name", "")
        if kind.namespaced and ("namespaces", "", namespace) not in self.objects:
            raise missing("namespaces", namespace)
        if given["metadata"].get("namespace", namespace) != namespace:
            raise RefusedError(
                400, "BadRequest", "the namespace of the object does not match the namespace on the request"
            )
        if (plural, namespace, name) in self.objects:
            raise RefusedError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        own = {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
        own |= {"namespace": namespace} if kind.namespaced else {}
        made = {**without_nulls(given), "apiVersion": kind.group_version, "kind": kind.name}
        made["metadata"] |= own
        if plural == "namespaces":
            made["metadata"]["labels"] = {**given["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}
            made["status"] = {"phase": "Active"}
        return self._keep("ADDED", (plural, namespace, name), made)

    def change(self, plural: str, namespace: str, name: str, how: Callable[[Object], Object]) -> Object:
        old = self.get(plural, namespace, name)
        new = without_nulls(how(old))
        for each in LASTING.get(plural, ()):
            if new["spec"].get(each) != old["spec"].get(each):
                said = f'{KINDS[plural].name} "{name}" is invalid: spec.{each}: Invalid value: field is immutable'
                raise RefusedError(422, "Invalid", said)
        if new == old:
            return old
        further = new.get("spec") != old.get("spec")
        new = {**new, "metadata": {**new["metadata"], "generation": old["metadata"]["generation"] + further}}
        return self._keep("MODIFIED", (plural, namespace, name), new)

    def delete(self, plural: str, namespace: str, name: str) -> Object:
        gone = self.get(plural, namespace, name)
        del self.objects[plural, namespace, name]
        self._keep("DELETED", (plural, namespace, name), gone)
        details = {"name": name, "group": KINDS[plural].group, "kind": plural, "uid": gone["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _keep(self, what: str, key: Key, found: Object) -> Object:
        number = next(self._numbers)
        found = {**found, "metadata": {**found["metadata"], "resourceVersion": str(number)}}
        if what != "DELETED":
            validate(found)
            self.objects[key] = found
        self.events.append((number, what, key, found))
        self.changed.notify_all()
        return found

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()


def validate(found: Object) -> None:
    """By Kubernetes' own schema, in which no field may be that is not known; names and keys by what they may be."""
    kind, name = found["kind"], found["metadata"]["name"]
    if DNS_NAME.fullmatch(name) is None:
        raise RefusedError(422, "Invalid", f'{kind} "{name}" is invalid: metadata.name: a lowercase RFC 1123 subdomain')
    if kind in {"Secret", "ConfigMap"}:
        for each in found.get("data") or {}:
            if DATA_KEY.fullmatch(each) is None:
                raise RefusedError(422, "Invalid", f'{kind} "{name}" is invalid: data[{each}]: Invalid value')
    try:
        kubernetes_validate.validate(found, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(map(str, error.path))
        raise RefusedError(400, "BadRequest", f"strict decoding error: {where}: {error.message}") from error


def without_nulls(found: Any) -> Any:
    """What kubectl leaves empty is as if it were not there."""
    if isinstance(found, dict):
        return {key: without_nulls(value) for key, value in found.items() if value is not None}
    return [without_nulls(each) for each in found] if isinstance(found, list) else found


def patched(old: Object, patch: Any, how: str) -> Object:
    """By each of the three ways that a patch is put."""
    if how == "application/json-patch+json":
        return apply_json_patch(old, patch)
    if how in {"application/merge-patch+json", "application/strategic-merge-patch+json"}:
        return merged(old, patch, strategic="strategic" in how)
    raise RefusedError(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {how}")


def kubeconfig(folder: Path, address: str) -> Path:
    """A file by which kubectl finds it."""
    path = folder / "kubeconfig"
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "reader", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "reader"}}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(told))
    return path
