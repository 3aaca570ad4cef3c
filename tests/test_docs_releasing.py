"""What the documents say about checking a release, typed at an image that is signed as release.yml signs it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from debian_programs import newer_file, newer_program
from docs_reader import ROOT, Reader, environment_of
from published_image import PASSWORD, USER, Registry, publish, registry
from shown_commands import inline
from signing_services import FULCIO, GITHUB, REGISTRY, REKOR, TOKENS, Authority, Key, Signing, serving

OWNER, IMAGE = "Acme/Fixer", "acme/fixer-worker"
WORKFLOW = f"{OWNER}/.github/workflows/release.yml@refs/tags/v1.2.3"
PACKAGES = {"amd64": ["libc6", "git"], "arm64": ["libc6", "git", "qemu-guest"]}
UNKNOWN = "https://issuer.example.com"


@dataclass
class Released:
    """A registry, whoever signs, and somebody who checks what is there."""

    registry: Registry
    signing: Signing
    reader: Reader

    def publish(self, tag: str) -> str:
        return publish(self.registry, IMAGE, PACKAGES, tag=tag)

    def step(self, name: str, digest: str = "") -> None:
        """Runs a step of release.yml, on an image of that digest."""
        steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["images"]["steps"]
        (script,) = (step["run"] for step in steps if step.get("name") == name)
        self.reader.shell(f"export SIGNED={REGISTRY}/{IMAGE}@{digest}\n{script}")

    def signed(self, tag: str) -> str:
        """Publishes an image and signs it; its digest."""
        digest = self.publish(tag)
        self.step("Sign the digest, not the tag", digest)
        return digest

    def check(self, digest: str, **put: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Types both lines of the page; the JSON that each printed."""
        names = [OWNER, OWNER.lower(), OWNER.lower()]
        told = self.reader.run(
            "docs/releasing.md", "cosign verify", put={"OWNER/REPOSITORY": names, "sha256:…": digest} | put
        )
        verified, end = json.JSONDecoder().raw_decode(told := told.lstrip())
        return verified, json.loads(told[end:])

    def refused(self, digest: str, why: str, **put: str) -> None:
        """Types them, and cosign says why not; the line after that is not come to."""
        with pytest.raises(AssertionError, match=f"Error: {why}"):
            self.check(digest, **put)


@pytest.fixture
def released(tmp_path: Path) -> Iterator[Released]:
    newer_program("cosign")
    newer_program("docker")
    plugins = tmp_path / ".docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(newer_file("usr/libexec/docker/cli-plugins/docker-buildx"))
    authority, signing, trusted = Authority("everybody's"), Signing(WORKFLOW), tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate())
    authority.write_server(tmp_path, TOKENS, FULCIO, REKOR, REGISTRY)
    with (
        registry(newer_program("docker-registry"), tmp_path, trusted) as place,
        serving(signing, tmp_path, place.port) as proxy,
    ):
        environment = environment_of(
            tmp_path,
            HTTPS_PROXY=proxy,
            SSL_CERT_FILE=str(trusted),
            ACTIONS_ID_TOKEN_REQUEST_URL=f"https://{TOKENS}/token?api-version=2.0",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="of this run",
            DOCKER_HOST=f"unix://{tmp_path}/no-engine",
            REGISTRY=REGISTRY,
            GITHUB_ACTOR=USER,
            GH_TOKEN=PASSWORD,
            GITHUB_WORKFLOW_REF=WORKFLOW,
            GITHUB_STEP_SUMMARY=str(tmp_path / "summary"),
            **signing.write_roots(tmp_path),
        )
        made = Released(place, signing, Reader(tmp_path, environment))
        made.step("Log in to the registry")
        yield made


def test_a_release_is_what_its_workflow_signed_and_tells_its_packages(released: Released, tmp_path: Path) -> None:
    digest = released.signed("1.2.3")
    assert released.signing.entries == 5, "the whole, and for each architecture the image and what is said of it"
    released.step("Verify as an operator would", digest)
    assert (tmp_path / "summary").read_text() == f"{REGISTRY}/{IMAGE}@{digest}\n"
    released.signing.asked.clear()
    verified, bills = released.check(digest)
    assert [each["critical"]["image"]["docker-manifest-digest"] for each in verified] == [digest]
    assert verified[0]["optional"]["Subject"] == f"https://github.com/{WORKFLOW}"
    assert bills.keys() == {"linux/amd64", "linux/arm64"}
    for architecture, packages in PACKAGES.items():
        bill = bills[f"linux/{architecture}"]["SPDX"]
        assert bill["spdxVersion"] == "SPDX-2.3"
        assert [each["name"] for each in bill["packages"]] == packages
    assert set(released.signing.asked) == {REGISTRY}, "whoever checks asks nobody else"


def test_a_tag_leads_to_its_digest(released: Released) -> None:
    digest = released.publish("1.2.3")
    (typed,) = (text for page, text in inline() if page == "docs/deploy.md" and "imagetools" in text)
    told = released.reader.shell(typed.replace("NAME", f"{REGISTRY}/{IMAGE}:1.2.3"))
    assert f"Digest:    {digest}\n" in told


def test_what_is_not_the_release_is_refused(released: Released) -> None:
    digest, unsigned = released.signed("1.2.3"), released.publish("1.2.4")
    released.refused(digest, "no matching signatures: none of the expected identities", **{"v1.2.3": "v1.2.4"})
    released.refused(digest, "no matching signatures: none of the expected identities", **{GITHUB: UNKNOWN})
    released.refused(unsigned, "no signatures found")
    signature = released.registry.fetch(IMAGE, f"{digest.replace(':', '-')}.sig")
    released.registry.manifest(IMAGE, signature, f"{unsigned.replace(':', '-')}.sig")
    released.refused(unsigned, "no matching signatures: invalid or missing digest in claim")


@pytest.mark.parametrize(
    ("part", "other", "why"),
    [
        ("workflow", f"{OWNER}/.github/workflows/ci.yml@refs/tags/v1.2.3", "none of the expected identities"),
        ("workflow", WORKFLOW.replace(OWNER, "Somebody/Fixer"), "none of the expected identities"),
        ("issuer", UNKNOWN, "none of the expected identities"),
        ("fulcio", Authority("nobody's"), "cert verification failed: x509: certificate signed by unknown authority"),
        ("signatures", Key(), "error verifying bundle: "),
    ],
    ids=["another-workflow", "another-repository", "another-issuer", "another-authority", "another-log"],
)
def test_what_somebody_else_signed_is_refused(
    released: Released, monkeypatch: pytest.MonkeyPatch, part: str, other: object, why: str
) -> None:
    monkeypatch.setattr(released.signing, part, other)
    released.refused(released.signed("1.2.3"), f"no matching signatures: {why}")
