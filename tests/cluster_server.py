"""The stand-in of tests/cluster.py over HTTP, as kubectl asks: discovery, lists, watches, patches, Status objects."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cluster import KINDS, VERSION, Cluster, Kind, RefusedError, patched
from cluster_protobuf import TYPE, read_protobuf

RESOURCE = re.compile(
    r"/(?P<root>api/v1|apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)(/(?P<name>[^/]+))?"
)
VERBS = ("create", "delete", "get", "list", "patch", "watch")


def groups() -> list[dict[str, Any]]:
    named = dict.fromkeys((kind.group, kind.version) for kind in KINDS.values() if kind.group)
    versions = {group: {"groupVersion": f"{group}/{version}", "version": version} for group, version in named}
    return [{"name": group, "versions": [told], "preferredVersion": told} for group, told in versions.items()]


def of_group(root: str) -> list[Kind]:
    return [kind for kind in KINDS.values() if kind.root == root]


def resources(root: str) -> dict[str, Any]:
    listed = [
        {
            "name": kind.plural,
            "singularName": kind.name.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.name,
            "verbs": VERBS,
        }
        for kind in of_group(root)
    ]
    return {"kind": "APIResourceList", "groupVersion": root.partition("/")[2], "resources": listed}


def described(root: str) -> dict[str, Any]:
    """As much of OpenAPI as tells kubectl that fields are checked here, not by itself."""
    paths = {}
    for kind in of_group(root):
        own = {"group": kind.group, "version": kind.version, "kind": kind.name}
        checked = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
        operation = {"parameters": [checked], "responses": {}, "x-kubernetes-group-version-kind": own}
        paths[f"/{root}/namespaces/{{namespace}}/{kind.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths}


def told(path: str) -> dict[str, Any] | None:
    """What is asked before any resource is; None for what else there is."""
    roots = dict.fromkeys(kind.root for kind in KINDS.values())
    fixed = {
        "/version": {"major": "1", "minor": VERSION.split(".")[1], "gitVersion": f"v{VERSION}"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups()},
        "/openapi/v3": {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}},
    }
    for root in roots:
        fixed |= {f"/{root}": resources(root), f"/openapi/v3/{root}": described(root)}
    return fixed.get(path)


def resource(path: str) -> re.Match[str]:
    if (match := RESOURCE.fullmatch(path)) is None or match["plural"] not in KINDS:
        raise RefusedError(404, "NotFound", "the server could not find the requested resource")
    return match


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, cluster: Cluster, *given: Any) -> None:
        self.cluster = cluster
        super().__init__(*given)

    def log_message(self, *_: object) -> None:
        """Nothing: `asked` has it."""

    def answer(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.cluster.asked.append(f"{self.command} {self.path}")
        try:
            if (found := told(parts.path)) is not None:
                return self.send(200, found)
            match = resource(parts.path)
            if self.command == "GET" and query.get("watch") in {"1", "true"}:
                return self.watch(match["plural"], match["namespace"] or "", query)
            with self.cluster.changed:
                code, found = self.done(match["plural"], match["namespace"] or "", match["name"] or "", query, body)
            self.send(code, found)
        except RefusedError as refused:
            self.send(refused.code, refused.status)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PATCH(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def done(self, plural: str, namespace: str, name: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        how = self.headers.get("Content-Type", "")
        match self.command:
            case "POST":
                return 201, self.cluster.create(plural, namespace, self.read(body))
            case "PATCH":
                patch = self.read(body)
                return 200, self.cluster.change(plural, namespace, name, lambda old: patched(old, patch, how))
            case "DELETE":
                return 200, self.cluster.delete(plural, namespace, name)
        if name:
            return 200, self.cluster.get(plural, namespace, name)
        kind = KINDS[plural]
        items = [each for each in self.cluster.all(plural, namespace) if chosen(each, query)]
        metadata = {"resourceVersion": str(self.cluster.number)}
        return 200, {
            "kind": f"{kind.name}List",
            "apiVersion": kind.group_version,
            "metadata": metadata,
            "items": items,
        }

    def read(self, body: bytes) -> Any:
        try:
            return read_protobuf(body) if self.headers["Content-Type"] == TYPE else json.loads(body)
        except ValueError as error:
            raise RefusedError(
                415, "UnsupportedMediaType", "the body of the request is in an unknown format"
            ) from error

    def send(self, code: int, found: Any) -> None:
        body = json.dumps(found).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def watch(self, plural: str, namespace: str, query: dict[str, str]) -> None:
        if query.get("sendInitialEvents") == "true":
            raise RefusedError(422, "Invalid", "sendInitialEvents is forbidden for watch unless WatchList is enabled")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = time.monotonic() + float(query.get("timeoutSeconds", 600))
        seen = int(query.get("resourceVersion") or 0)
        while time.monotonic() < end and not self.cluster.closed:
            with self.cluster.changed:
                self.cluster.changed.wait_for(lambda at=seen: self.cluster.number > at or self.cluster.closed, 1)
                events = [event for event in self.cluster.events if event[0] > seen]
            for number, what, key, found in events:
                seen = number
                if key[0] == plural and namespace in {"", key[1]} and chosen(found, query):
                    line = json.dumps({"type": what, "object": found}).encode() + b"\n"
                    try:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                    except OSError:  # has gone
                        self.close_connection = True
                        return
        self.wfile.write(b"0\r\n\r\n")


def chosen(found: dict[str, Any], query: dict[str, str]) -> bool:
    """By the field and labels that kubectl asks for: equalities alone."""
    fields = {"metadata.name": found["metadata"]["name"], "metadata.namespace": found["metadata"].get("namespace", "")}
    labels = found["metadata"].get("labels", {})
    for known, selector in ((fields, query.get("fieldSelector", "")), (labels, query.get("labelSelector", ""))):
        pairs = [each.replace("==", "=").partition("=") for each in selector.split(",") if each]
        if any(known.get(name) != value for name, _, value in pairs):
            return False
    return True


@contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Its address."""
    with cluster.changed:
        for name in ("default", "kube-system"):
            cluster.create("namespaces", "", {"metadata": {"name": name}})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, cluster)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            cluster.close()
            server.shutdown()
            thread.join()
