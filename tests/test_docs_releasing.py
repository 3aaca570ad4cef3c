"""What the documents say about checking a release, typed at an image that was signed as release.yml signs it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from debian_programs import UNPACKED, debian_program, newer_program
from docs_reader import ROOT, Reader, environment_of
from published_image import Registry, publish, registry
from signing_services import FULCIO, GITHUB, REGISTRY, REKOR, TOKENS, Authority, Signing, serving

OWNER, IMAGE = "Acme/Fixer", "acme/fixer-worker"
RELEASE = f"{OWNER}/.github/workflows/release.yml@refs/tags/v1.2.3"
PACKAGES = {"amd64": ["libc6", "git"], "arm64": ["libc6", "git", "qemu-guest"]}
VERIFY = "cosign verify"
"""How the block begins."""


@dataclass
class Released:
    """A registry, whoever signs, and somebody who checks what is there."""

    registry: Registry
    signing: Signing
    reader: Reader

    def step(self, name: str, digest: str) -> str:
        """Runs a step of release.yml; what it printed."""
        steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["images"]["steps"]
        (script,) = (step["run"] for step in steps if step.get("name") == name)
        return self.reader.shell(f"export SIGNED={REGISTRY}/{IMAGE}@{digest}\n{script}")

    def sign(self, digest: str) -> None:
        self.step("Sign the digest, not the tag", digest)

    def check(self, digest: str, **put: str) -> list:
        """Types the two lines of the page; the JSON that each printed."""
        names = ["Acme/Fixer", "acme/fixer", "acme/fixer"]
        told = self.reader.run("docs/releasing.md", VERIFY, put={"OWNER/REPOSITORY": names, "sha256:…": digest, **put})
        first, end = json.JSONDecoder().raw_decode(told.lstrip())
        return [first, json.loads(told.lstrip()[end:])]

    def refused(self, digest: str, why: str, **put: str) -> None:
        with pytest.raises(AssertionError, match=why):
            self.check(digest, **put)


@pytest.fixture
def released(tmp_path: Path) -> Iterator[Released]:
    cosign, docker = newer_program("cosign"), newer_program("docker")
    plugins = tmp_path / ".docker/cli-plugins"
    plugins.mkdir(parents=True)
    shutil.copy(UNPACKED / "usr/libexec/docker/cli-plugins/docker-buildx", plugins)
    authority, signing = Authority("everybody's"), Signing(RELEASE)
    (tmp_path / "authority.pem").write_bytes(authority.certificate())
    authority.write_server(tmp_path, TOKENS, FULCIO, REKOR, REGISTRY)
    with (
        registry(debian_program("docker-registry"), tmp_path, tmp_path / "authority.pem") as place,
        serving(signing, tmp_path, place.port) as proxy,
    ):
        environment = environment_of(
            tmp_path,
            HTTPS_PROXY=proxy,
            SSL_CERT_FILE=str(tmp_path / "authority.pem"),
            ACTIONS_ID_TOKEN_REQUEST_URL=f"https://{TOKENS}/token?api-version=2.0",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="of this run",
            **signing.write_roots(tmp_path),
        )
        yield Released(place, signing, Reader(tmp_path, environment))


def test_a_release(released: Released) -> None:
    digest = publish(released.registry, IMAGE, PACKAGES, tag="1.2.3")
    released.sign(digest)
    print(released.check(digest))
    print(released.signing.asked)
