"""What the documents say about GitHub and about shipping, typed: at a GitHub and a remote on this machine."""

import html
import re
import shutil
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from aicd_core.testing.databases import TestUrls
from aicd_core.testing.redis import free_port
from aicd_github.testing.node import NPM, node_environment
from docs_reader import ROOT, Reader, environment_of
from github_town import serving
from histories import git

pytestmark = pytest.mark.timeout(1200)


def browse(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def test_github_is_asked_connected_and_listened_to(tmp_path: Path, database_urls: TestUrls) -> None:
    home, town = tmp_path / "home", tmp_path / "town"
    home.mkdir()
    town.mkdir()
    with serving(town) as github:
        environment = environment_of(
            home,
            AICD_DATABASE_URL=database_urls.app,
            AICD_SYSTEM_DATABASE_URL=database_urls.system,
            AICD_GITHUB_API_URL=github.server.api,
        )
        reader = Reader(home, environment)
        put = {"github_pat_…": github.server.add_token("alice"), "octocat/hello-world#12": "acme/project#1"}
        assert "Pull request open" in reader.run("docs/github.md", "export GITHUB_TOKEN", put=put)
        del reader.environment["GITHUB_TOKEN"]

        app = github.server.shapes.app(github.installed.app)
        pem = github.key_file.read_text()
        github.server.world.conversions["c0de"] = app | {"pem": pem, "webhook_secret": "hush", "client_secret": "c"}
        with reader.running("docs/github.md", "aicd github setup", [r"http://\S+"]) as (setup,):
            page = html.unescape(browse(setup.wait_for(r"http://\S+")[0]))
            state = re.search(r"state=([\w-]+)", page)[1]
            back = re.search(r'"redirect_url": *"([^"]+)"', page)[1]
            browse(f"{back}?code=c0de&state={state}")
            assert setup.process.wait(120) == 0, setup.said()
        for line in re.findall(r"AICD_GITHUB_APP_\w+=\S+", setup.said()):
            reader.shell(f"export {line}")
        assert Path(reader.environment["AICD_GITHUB_APP_KEY_FILE"]).read_text() == pem

        put = {"8081": str(free_port())}
        with reader.running(
            "docs/github.md", "export AICD_GITHUB_WEBHOOK_SECRET", ["taking deliveries", "ready"], put=put
        ):
            assert '"stored"' in reader.run("docs/webhooks.md", "body=", put=put)
            end = time.monotonic() + 240
            with psycopg.connect(database_urls.admin, autocommit=True) as connection:
                while not connection.execute("SELECT 1 FROM deliveries WHERE state <> 'received'").fetchall():
                    assert time.monotonic() < end, "no worker handles it"
                    time.sleep(0.2)


def test_a_release_is_tagged_and_pushed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "--initial-branch=main", "theirs.git")
    git(tmp_path, "clone", "-q", "theirs.git", "ours")
    git(tmp_path / "ours", "commit", "-q", "--allow-empty", "-m", "Begin")
    git(tmp_path / "ours", "push", "-q", "origin", "HEAD:main")
    person = {f"GIT_COMMITTER_{name}": "ada@example.org" for name in ("NAME", "EMAIL")}
    reader = Reader(tmp_path, environment_of(tmp_path, **person), folder=tmp_path / "ours")
    reader.run("docs/releasing.md", "git switch main")
    assert git(tmp_path / "theirs.git", "tag").decode().split() == ["v1.2.3"]


@pytest.mark.timeout(900)
def test_the_typescript_client_is_built(tmp_path: Path) -> None:
    client = tmp_path / "typescript"
    shutil.copytree(ROOT / "clients/typescript", client, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (tmp_path / "npm").write_text(f'#!/bin/sh\nexec node {NPM} "$@"\n')
    (tmp_path / "npm").chmod(0o755)
    environment = node_environment() | {"npm_config_cache": str(ROOT / ".tools/node/cache")}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    Reader(tmp_path, environment, folder=client).run("clients/typescript/README.md", "npm ci")
    assert (client / "dist/index.js").is_file()
