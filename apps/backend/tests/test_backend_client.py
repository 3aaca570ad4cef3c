"""The TypeScript client: type checked, and at work under Node against a running server."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from aicd_backend.testing.fuzzing import Target, running
from aicd_backend.testing.world import Headers
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import fresh_urls
from aicd_github.testing.node import node_environment, node_project

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "clients" / "typescript"
PATIENCE = 300


def node(place: Path, *command: str, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *command],
        cwd=place,
        env={**node_environment(), **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def checked(place: Path, project: str, *options: str) -> None:
    done = node(place, "node_modules/typescript/bin/tsc", "-p", project, *options)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, built as its package says, with the packages of its lock."""
    place = tmp_path_factory.mktemp("client") / "typescript"
    shutil.copytree(CLIENT, place, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (place / "node_modules").symlink_to(node_project(CLIENT, ROOT / ".tools") / "node_modules")
    checked(place, "tsconfig.json")
    shutil.copy(place / "src" / "schema.d.ts", place / "dist")
    return place


@pytest.mark.timeout(900)
def test_it_is_type_checked_and_refuses_what_the_document_does_not_know(client: Path) -> None:
    checked(client, "tsconfig.examples.json")
    wrong = client / "examples" / "wrong.ts"
    for told in (
        "createClient({ baseUrl: '' }).GET('/v1/nowhere')",
        "createClient({ baseUrl: '' }).GET('/v1/organizations/{org}', { params: { path: {} } })",
        "(await unwrap(createClient({ baseUrl: '' }).GET('/v1/me'))).nobody",
    ):
        wrong.write_text(f"import {{ createClient, unwrap }} from '../dist/index.js'\nvoid unwrap\nvoid {told}\n")
        done = node(client, "node_modules/typescript/bin/tsc", "-p", "tsconfig.examples.json")
        assert "examples/wrong.ts(3," in done.stdout, told
    wrong.unlink()


def make_key(target: Target, owner: Headers) -> dict[str, str]:
    body = {
        "name": "the client's",
        "scopes": ["jobs:read", "jobs:create", "jobs:steer", "repositories:read", "org:read"],
    }
    made = httpx.post(f"{target.url}/v1/organizations/acme/api-keys", headers=owner, json=body)
    assert made.status_code == 201, made.text
    return {"AICD_KEY": made.json()["token"]}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["api_key", "user"])
def test_it_makes_lists_and_follows_jobs(client: Path, way: str, postgres_url: str) -> None:
    with fresh_urls(postgres_url) as urls, running(urls) as target:
        owner = target.log_in(Role.OWNER)
        cookie = {"AICD_COOKIE": owner["Cookie"], "AICD_ORIGIN": owner["Origin"]}
        credential = make_key(target, owner) if way == "api_key" else cookie
        done = node(client, "examples/jobs.ts", env={"AICD_URL": target.url, **credential})
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["kind"], told["org"]) == (way, "acme")
    assert told["listed"] == [*reversed(told["made"]), target.job_id], "two pages, the newest first"
    assert told["states"] == ["queued", "cancelled"], "the second came while the stream was open, and ended it"
    assert (told["left"], told["reason"], told["code"]) == ([], "Enough.", "no_such_job")
