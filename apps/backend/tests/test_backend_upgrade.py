"""The API server of one version on the schema of the next; which versions, tests/test_rolling_upgrade.py says."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from aicd_cli.sample import ISSUE, make_sample
from aicd_core.migrations.compatibility import FIRST_LEVEL
from aicd_core.testing.databases import TestUrls, fresh_urls
from versions import Version, two_versions

AICD = str(Path(sys.executable).with_name("aicd"))
PATIENCE = 120.0
JOBS = "/v1/organizations/local/jobs"


@dataclass
class Upgrade:
    folder: Path
    urls: TestUrls
    older: Version
    newer: Version

    def begin(self, version: Version, *arguments: str) -> "subprocess.Popen[str]":
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AICD_DATA_DIR": str(self.folder / "data"),
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
            "AICD_MIGRATION_DATABASE_URL": self.urls.admin,
        }
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*version.within(), AICD, *arguments], env=environment, text=True, **streams)

    def aicd(self, version: Version, *arguments: str) -> str:
        process = self.begin(version, *arguments)
        told, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        return told

    @contextmanager
    def served(self, version: Version) -> Iterator[str]:
        """The address of a server of that version, which ends well."""
        with self.begin(version, "serve", "--port", "0") as process:
            try:
                assert process.stderr is not None
                found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stderr)
                yield next(match[0] for match in found if match)
                process.send_signal(signal.SIGTERM)
                process.stderr.read()
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()


@pytest.fixture(params=["history", "copy"])
def upgrade(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[Upgrade]:
    with fresh_urls(postgres_url, "template0") as urls:
        yield Upgrade(tmp_path, urls, *two_versions(request.param, tmp_path))


def test_the_older_server_answers_on_the_newer_schema_beside_the_newer_one(upgrade: Upgrade) -> None:
    older, newer = upgrade.older, upgrade.newer
    upgrade.aicd(older, "migrate")
    key = upgrade.aicd(older, "admin", "bootstrap", "--org", "local", "--email", "ada@example.org").strip()
    order(upgrade, older, "first")
    headers = {"Authorization": f"Bearer {key}"}
    with upgrade.served(older) as address, httpx.Client(base_url=address, headers=headers) as client:
        (first,) = client.get(JOBS).json()["items"]
        assert upgrade.aicd(newer, "migrate") == f"schema before: {older.level}\nschema after:  {newer.level}\n"
        order(upgrade, newer, "second")
        second = works_on_jobs(client, first)
        with upgrade.served(newer) as beside, httpx.Client(base_url=beside, headers=headers) as new_client:
            cancelled = new_client.get(f"{JOBS}/{second}").json()
            assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "Not needed.")
    if older.level >= FIRST_LEVEL:
        with upgrade.served(older) as address, httpx.Client(base_url=address, headers=headers) as client:
            assert {job["id"] for job in client.get(JOBS).json()["items"]} == {first["id"], second}


def works_on_jobs(client: httpx.Client, first: dict[str, Any]) -> str:
    """Lists, reads and cancels jobs of both versions through the older server; the id of the second job."""
    listed = client.get(JOBS)
    assert listed.status_code == 200, listed.text
    (second,) = [job["id"] for job in listed.json()["items"] if job["id"] != first["id"]]
    assert client.get(f"{JOBS}/{first['id']}").json() == first
    done = client.post(f"{JOBS}/{second}/cancel", json={"reason": "Not needed."})
    assert done.status_code == 200, done.text
    events = client.get(f"{JOBS}/{second}/events")
    assert events.status_code == 200, events.text
    assert client.get("/readyz").status_code == 200
    return second


def order(upgrade: Upgrade, version: Version, name: str) -> None:
    repository, issue = make_sample(upgrade.folder / name), upgrade.folder / f"{name}.md"
    issue.write_text(ISSUE)
    upgrade.aicd(version, "run", "--detach", "--repo", str(repository), "--issue-file", str(issue))
