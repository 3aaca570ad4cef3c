"""A real browser at a real `aicd up`: Debian's Chromium, driven by Playwright (`make test-browser`)."""

import base64
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from console_world import AICD, CHROMIUM, ROOT, Installation, MakeJob, environment, log_in, open_context
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import github_town
from aicd_backend.testing.providers import CLIENT_ID, CLIENT_SECRET, serving_oidc
from aicd_backend.testing.stripe.server import serving_stripe
from aicd_cli.sample import make_sample
from aicd_github.testing.messages import Message
from aicd_github.testing.node import node_project
from github_town import GitHub


@contextmanager
def running(root: Path, port: int = 0, **settings: str) -> Iterator[Installation]:
    """A new installation below a folder."""
    data, repository = root / "data", make_sample(root / "sample")
    command, log = [str(AICD), "up", "--port", str(port)], root / "log"
    given = environment(data) | settings
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            key = process.stdout.readline().strip()
            while (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                os.sched_yield()
            yield Installation(found[0], key, data, repository)
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for all tests: each makes its own jobs and keys."""
    with running(tmp_path_factory.mktemp("console")) as started:
        yield started


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Installation]:
    """One that nobody has used."""
    with running(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One where people log in at the certified `oidc-provider`. Cookies know no ports, so this one is `localhost`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://localhost:{port}"
    people = {name: {"email": f"{name}@example.org", "email_verified": True, "name": name} for name in ("ada", "grace")}
    with serving_oidc(ROOT, people, [f"{address}/v1/auth/acme/callback"]) as issuer:
        provider = {
            "name": "acme",
            "label": "Acme",
            "issuer": issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        settings = {
            "AICD_PUBLIC_URL": address,
            "AICD_COOKIE_SECURE": "false",
            "AICD_SECRET_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
            "AICD_LOGIN_PROVIDERS": json.dumps([provider]),
        }
        with running(tmp_path_factory.mktemp("provided"), port, **settings) as started:
            yield replace(started, address=address)


@pytest.fixture(scope="module")
def paying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One that bills; its organization has used up its soft cap, which is nothing."""
    with (
        serving_stripe() as stripe,
        running(
            tmp_path_factory.mktemp("paying"), AICD_STRIPE_KEY=stripe.books.key, AICD_STRIPE_URL=stripe.url
        ) as made,
    ):
        revision = made.call("GET", "/organizations/local/billing/caps").headers["ETag"]
        headers = {"Authorization": f"Bearer {made.key}", "If-Match": revision}
        caps = {"soft_micro_usd": 0, "hard_micro_usd": None}
        url = f"{made.address}/v1/organizations/local/billing/caps"
        assert httpx.put(url, headers=headers, json=caps, timeout=30).is_success
        yield made


@pytest.fixture
def on_github(tmp_path: Path) -> Iterator[tuple[Installation, GitHub]]:
    """One that GitHub has told of an installation of its App, on the account `acme`."""
    secret, root = "of-the-browser-tests", tmp_path / "console"
    root.mkdir()
    with (
        github_town.serving(tmp_path) as github,
        running(root, AICD_GITHUB_WEBHOOK_SECRET=secret, **github.settings()) as made,
    ):
        message = Message(*github.is_installed())
        url, headers = f"{made.address}/webhooks/github", message.headers(secret)
        assert httpx.post(url, content=message.body, headers=headers, timeout=30).is_success
        yield made, github


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        sandboxed = os.geteuid() != 0  # Chromium's own sandbox does not run as root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=sandboxed)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, installation: Installation) -> Iterator[BrowserContext]:
    with open_context(chromium, installation.address) as opened:
        yield opened


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def inside(page: Page, installation: Installation) -> Page:
    """A page of somebody who has logged in with the first key."""
    return log_in(page, installation.key)


@pytest.fixture
def repository_id(installation: Installation) -> str:
    """The sample, connected."""
    known = installation.call("GET", "/organizations/local/repositories").json()["items"]
    for each in known:
        if each["source"] == str(installation.repository):
            return str(each["id"])
    body = {"source": str(installation.repository)}
    return str(installation.call("POST", "/organizations/local/repositories", body).json()["id"])


@pytest.fixture
def slow_repository_id(installation: Installation, tmp_path: Path) -> str:
    """The sample with tests that take longer than a second, connected."""
    place = make_sample(tmp_path / "slow")
    (place / ".aicd.yml").write_text("version: 1\ntests:\n  - sleep 3\n  - python3 -m unittest -q\n")
    identity = ["-c", "user.name=slow", "-c", "user.email=slow@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "commit", "-qam", "Slow"], cwd=place, check=True)
    return str(installation.call("POST", "/organizations/local/repositories", {"source": str(place)}).json()["id"])


@pytest.fixture
def make_job(installation: Installation, repository_id: str) -> MakeJob:
    """Makes a job by the API; its id."""

    def make(**more: object) -> str:
        body = {"repository_id": repository_id, "issue": installation.issue(), **more}
        return str(installation.call("POST", "/organizations/local/jobs", body).json()["id"])

    return make


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script, of the version that is locked."""
    place = node_project(ROOT / "tests" / "node", ROOT / ".tools")
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text()
