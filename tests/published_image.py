"""An image as `docker buildx build --sbom=true --provenance=mode=max --push` publishes it, in Debian's registry.

What buildx attaches: https://docs.docker.com/build/metadata/attestations/attestation-storage/.
"""

import hashlib
import json
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from aicd_core.testing.redis import free_port
from debian_programs import Program

KINDS = "application/vnd.oci.image"
MANIFEST, INDEX = f"{KINDS}.manifest.v1+json", f"{KINDS}.index.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SPDX, PROVENANCE = "https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"
USER, PASSWORD = "ada", "of this run"
ADMITTED = "ada:$2b$05$lCryyPQckL6CYNwpgp/IxuRaJ/Nrc5hHcp8NjipXcVFVMtrjgCkom\n"  # pragma: allowlist secret
"""Who may read and write, as htpasswd has it: bcrypt of the password."""
PATIENCE = 30.0

Descriptor = dict[str, Any]


@dataclass(frozen=True)
class Registry:
    """A registry's port, and how to speak to it."""

    port: int
    http: httpx.Client

    def blob(self, name: str, kind: str, content: bytes, **more: Any) -> Descriptor:
        told = self.http.post(f"/v2/{name}/blobs/uploads/").raise_for_status().headers["Location"]
        found = describe(kind, content, **more)
        self.http.put(
            told, params={**httpx.URL(told).params, "digest": found["digest"]}, content=content
        ).raise_for_status()
        return found

    def manifest(self, name: str, content: bytes, tag: str = "", **more: Any) -> Descriptor:
        kind = json.loads(content)["mediaType"]
        found = describe(kind, content, **more)
        where = f"/v2/{name}/manifests/{tag or found['digest']}"
        self.http.put(where, content=content, headers={"Content-Type": kind}).raise_for_status()
        return found

    def fetch(self, name: str, reference: str) -> bytes:
        """A manifest, by its tag or its digest."""
        asked = self.http.get(f"/v2/{name}/manifests/{reference}", headers={"Accept": f"{MANIFEST}, {INDEX}"})
        return asked.raise_for_status().content


def describe(kind: str, content: bytes, **more: Any) -> Descriptor:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": kind, "digest": digest, "size": len(content), **more}


@contextmanager
def registry(program: Program, folder: Path, authority: Path) -> Iterator[Registry]:
    """Runs the registry with the certificate in a folder, server.pem and server.key, which that authority gave."""
    port = free_port()
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}, "level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "auth": {"htpasswd": {"realm": "registry", "path": str(folder / "htpasswd")}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            "tls": {"certificate": str(folder / "server.pem"), "key": str(folder / "server.key")},
        },
    }
    (folder / "htpasswd").write_text(ADMITTED)
    (folder / "registry.yml").write_text(json.dumps(settings))
    context = ssl.create_default_context(cafile=str(authority))
    with (
        (folder / "registry.log").open("wb") as log,
        subprocess.Popen(
            [program.path, "serve", str(folder / "registry.yml")], env=program.environment, stdout=log, stderr=log
        ) as process,
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=context, auth=(USER, PASSWORD), trust_env=False
        ) as http,
    ):
        try:
            end = time.monotonic() + PATIENCE
            while not answers(http):
                assert process.poll() is None, (folder / "registry.log").read_text()
                assert time.monotonic() < end, "the registry does not answer"
                time.sleep(0.05)
            yield Registry(port, http)
        finally:
            process.terminate()


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/v2/").is_success
    except httpx.TransportError:
        return False


def statement(name: str, digest: str, kind: str, predicate: Mapping[str, Any]) -> bytes:
    """What in-toto has said of an image."""
    subject = [{"name": f"pkg:docker/{name}", "digest": dict([digest.split(":")])}]
    told = {"_type": "https://in-toto.io/Statement/v0.1", "predicateType": kind, "subject": subject}
    return json.dumps(told | {"predicate": predicate}).encode()


def bill(packages: Sequence[str]) -> dict[str, Any]:
    """An SPDX document of those packages."""
    named = [{"SPDXID": f"SPDXRef-{name}", "name": name, "downloadLocation": "NOASSERTION"} for name in packages]
    return {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "sbom", "packages": named}


def publish(to: Registry, name: str, packages: Mapping[str, Sequence[str]], *, tag: str = "") -> str:
    """An image of those packages by architecture, each with its SBOM and provenance; the digest of the whole."""
    images, beside = list[Descriptor](), list[Descriptor]()
    for architecture, each in packages.items():
        layer = to.blob(name, f"{KINDS}.layer.v1.tar+gzip", f"{tag} {architecture}: {each}".encode())
        image = _manifest(to, name, {"architecture": architecture, "os": "linux"}, [layer])
        images.append(image | {"platform": {"architecture": architecture, "os": "linux"}})
        layers = [
            to.blob(
                name,
                IN_TOTO,
                statement(name, image["digest"], kind, predicate),
                annotations={"in-toto.io/predicate-type": kind},
            )
            for kind, predicate in ((SPDX, bill(each)), (PROVENANCE, {"builder": {"id": ""}, "buildType": "buildkit"}))
        ]
        said = _manifest(to, name, {"architecture": "unknown", "os": "unknown"}, layers)
        of = {"vnd.docker.reference.digest": image["digest"], "vnd.docker.reference.type": "attestation-manifest"}
        beside.append(said | {"annotations": of, "platform": {"architecture": "unknown", "os": "unknown"}})
    whole = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*images, *beside]}
    return to.manifest(name, json.dumps(whole).encode(), tag)["digest"]


def _manifest(to: Registry, name: str, told: Mapping[str, str], layers: Sequence[Descriptor]) -> Descriptor:
    roots = {"type": "layers", "diff_ids": [each["digest"] for each in layers]}
    config = to.blob(name, f"{KINDS}.config.v1+json", json.dumps({**told, "rootfs": roots}).encode())
    whole = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    return to.manifest(name, json.dumps(whole).encode())
