"""What the documents tell somebody with a repository to type, typed: jobs, policy, evidence, steering, figures."""

import json
import re
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from aicd_cli.sample import ISSUE
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.redis import free_port
from collector import collecting
from docs_reader import ROOT, Reader, environment_of, sample_project
from histories import git

pytestmark = pytest.mark.timeout(1200)
STANDING_IN = {
    "--org acme": "--org local",
    "--agent NAME": "--agent dummy",
    "--agent claude": "--agent dummy",
    "https://example.org/shop.git": "~/src/project",
    "https://github.com/acme/shop.git --base develop": "~/src/project --base main",
    "/srv/project": "~/src/project",
    "make demo": f"make -C {ROOT} -o install demo",
    "docker/prometheus": f"{ROOT}/docker/prometheus",
}
"""What is there in the test, for what the documents name. What `make demo` installs first is what runs the tests."""


@pytest.fixture
def reader(tmp_path: Path, database_urls: TestUrls) -> Reader:
    project = sample_project(tmp_path)
    environment = environment_of(
        tmp_path,
        AICD_DATA_DIR=str(tmp_path / "data"),
        AICD_DATABASE_URL=database_urls.app,
        AICD_SYSTEM_DATABASE_URL=database_urls.system,
        AICD_MIGRATION_DATABASE_URL=database_urls.admin,
        SHELL="/bin/bash",
    )
    return Reader(tmp_path, environment, STANDING_IN, folder=project)


def test_from_the_first_job_to_its_evidence(reader: Reader) -> None:
    assert "Pull request open" in reader.run("docs/quickstart.md", "make demo")
    assert "sandbox" in reader.run("docs/quickstart.md", 'export PATH="$PWD/.venv/bin:$PATH"')
    project = reader.folder
    reader.run("docs/quickstart.md", "mkdir ~/hello")
    reader.folder = reader.home / "hello"
    (issue,) = re.findall(
        r"^````markdown\n(.*?)^````$", (ROOT / "docs/quickstart.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (reader.folder / "issue.md").write_text(issue)
    assert "Pull request open" in reader.run("docs/quickstart.md", "aicd run --repo . --issue-file issue.md")
    reader.folder = project
    told = reader.run("README.md", 'export PATH="$PWD/.venv/bin:$PATH"')
    assert "Pull request open" in told
    job = re.search(r"aicd/([0-9a-f-]{36})", told)[1]
    assert job in reader.run("docs/quickstart.md", "aicd jobs")
    reader.run("docs/usage.md", ".venv/bin/aicd --install-completion")
    assert "aicd" in (reader.home / ".bashrc").read_text()
    reader.run("docs/policy.md", ".venv/bin/aicd policy test")
    reader.run("docs/policy.md", ".venv/bin/aicd policy show > rules.json")
    reader.run("docs/configuration.md", "aicd policy test")
    bundle = max(reader.home.rglob("data/**/*.evidence.json"), key=lambda path: path.stat().st_mtime_ns)
    (reader.cwd / "1.evidence.json").write_bytes(bundle.read_bytes())
    assert "holds" in reader.run("docs/evidence.md", "aicd verify JOB", put={"JOB": job})
    assert "identical" in reader.run("docs/recorded-calls.md", "aicd run", put={"JOB": job})
    reader.run("docs/operations.md", "aicd org limits --org acme")
    assert "SUCCESS" in reader.run("docs/observability.md", "promtool check config")
    reader.run("docs/github.md", "aicd org triggers --org acme --agent claude")
    assert "renovate" in reader.run("docs/github.md", "aicd org triggers --org acme --permission")


def wait_for_state(urls: TestUrls, name: str, state: str) -> None:
    end = time.monotonic() + 240
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        while (found := connection.execute("SELECT state, reason FROM jobs WHERE id = %s", [name]).fetchone())[
            0
        ] != state:
            assert time.monotonic() < end, found
            time.sleep(0.2)


def queue(reader: Reader, title: str, *options: str) -> str:
    """Queues a job of its own; its id."""
    (reader.cwd / "other.md").write_text(f"{title}\n{ISSUE}")
    return json.loads(reader.shell(f"aicd run --detach --json --repo . --issue-file other.md {' '.join(options)}"))[
        "job_id"
    ]


def settle(reader: Reader, text: str) -> None:
    (reader.cwd / ".aicd.yml").write_text(f"version: 1\n{text}\n")
    git(reader.cwd, "commit", "-qam", "Settle")


def test_workers_are_started_steered_and_seen(reader: Reader, database_urls: TestUrls) -> None:
    settle(reader, "tests: [sleep 2]")
    paused = queue(reader, "Takes long", "--time-limit 1")
    settle(reader, "plan_approval: always")
    one, two, three = (queue(reader, title) for title in ("One", "Two", "Three"))
    port = free_port()
    with collecting() as collector:
        put = {"9464": str(port), "http://collector:4318": collector.url}
        with reader.running("docs/observability.md", "AICD_OTLP_ENDPOINT", ["ready"], put=put):
            wait_for_state(database_urls, paused, "paused")
        assert collector.named("work")
    with (
        reader.running("docs/observability.md", "AICD_METRICS_PORT", ["ready"], put=put),
        reader.running("docs/operations.md", "aicd run --detach", ["ready"]),
    ):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            assert b"aicd_queue_jobs" in answer.read()
        for each in (one, two, three):
            wait_for_state(database_urls, each, "awaiting_approval")
        plan = re.search(r"sha256:([0-9a-f]{12})", reader.shell(f"aicd show {one}"))[1]
        told = {"JOB": [one, two, three, paused, one, one, one], "4be1f0c2a97d": plan}
        with reader.running("docs/operations.md", "aicd jobs --state", ["pr_open", "Two"], put=told):
            pass
        wait_for_state(database_urls, three, "cancelled")
        for each in (one, paused):
            wait_for_state(database_urls, each, "pr_open")
