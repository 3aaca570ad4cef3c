"""What a job's sandbox is to its repository: hosts by phase, refusals on the pull request, a cache for later jobs."""

import json
from pathlib import Path

import pytest

from aicd_cli.stories import story_lines
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import read_logs
from aicd_core.policy import Rules, publish_rules
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.testing.agents import ScriptedAgent, plan_for
from conftest import Body
from histories import git

ASK = "python3 -c \"import urllib.request as r; r.urlopen('http://{}/', timeout=20)\" 2>&1 | grep refused"
"""Ends with 0 when the proxy refuses, and says so."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    return root


def configure(root: Path, text: str) -> None:
    (root / ".aicd.yml").write_text(text)
    git(root, "add", ".")
    git(root, "commit", "-qm", "Configure")


def agent_for(body: Body, *commands: str) -> None:
    async def code(workspace, session):
        for command in commands:
            assert (await workspace.run(command, network=True)).exit_code is not None
        await workspace.write("new.txt", b"new\n")

    agent = ScriptedAgent([lambda task: plan_for(task.base_sha, "new.txt")], [code])
    body.agents = lambda name: agent


def published(report) -> str:
    return Path(report.pull_request.url.removeprefix("file://")).read_text()


async def test_every_refused_connection_is_named_on_the_pull_request(body: Body, source: Path):
    network = {"setup": ["setup.invalid"], "coding": ["coding.invalid"]}
    config = {"network": network, "setup": [ASK.format("coding.invalid")], "tests": ["true"]}
    configure(source, json.dumps(config))
    agent_for(body, ASK.format("setup.invalid"))
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.PR_OPEN
    text = published(report)
    section = text.split("## Refused network connections")[1].split("##")[0]
    assert section.split("\n- ")[1:] == [
        "`setup.invalid:80`: the host is not on the allow-list",
        "`coding.invalid:80`: the host is not on the allow-list\n\n",
    ]


async def test_a_host_outside_of_what_the_organisation_allows_is_refused_by_the_rules_name(body: Body, source: Path):
    asks = [ASK.format(f"{name}.invalid") for name in ("within.example", "forbidden")]
    network = {"setup": ["forbidden.invalid"], "coding": ["within.example.invalid", "forbidden.invalid"]}
    configure(source, json.dumps({"network": network, "setup": asks[1:], "tests": ["true"]}))
    async with body.database.write(body.tenant) as session:
        rules = Rules(allowed_hosts=("*.example.invalid",))
        await publish_rules(session, body.tenant, Actor(ActorKind.SYSTEM, "test"), rules, expected=0)
    agent_for(body, *asks)
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.PR_OPEN
    section = published(report).split("## Refused network connections")[1].split("##")[0]
    by_the_rule = "`forbidden.invalid:80`: the rule allowed_hosts of the organisation's policy does not have it"
    # The host within is let through by both lists; only that it has no address keeps it from being reached.
    assert [line.strip() for line in section.split("\n- ")[1:]] == [by_the_rule]
    assert "    refused: " + by_the_rule.replace("`", "").replace(": ", ", ") in story_lines(report)


async def test_set_up_fills_a_cache_that_the_next_job_of_the_same_organization_is_shown(body: Body, source: Path):
    configure(
        source,
        "version: 1\n"
        "setup: ['cat /cache/package || echo downloaded > /cache/package']\n"
        "tests: ['grep downloaded /cache/package', 'echo left in /tmp > /tmp/note', 'cat /tmp/note']\n",
    )
    outputs = []
    for number in range(2):
        agent_for(body)
        report = await body.run(source, f"Add a file, number {number}")
        assert report.tests is not None
        assert report.tests.passed
        outputs.append(report.tests.setup[0].output)
    assert outputs[0] != "downloaded\n"
    assert outputs[1] == "downloaded\n"
    caches = body.settings.resolved_data_dir() / "caches"
    assert [folder.name for folder in caches.iterdir()] == [str(body.tenant.org_id)]


async def test_the_whole_log_of_a_long_test_run_outlives_its_work_tree(body: Body, source: Path):
    configure(source, "version: 1\ntests: ['seq 1 400000']\n")
    agent_for(body)
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.PR_OPEN
    assert report.tests is not None
    assert report.tests.tests[0].truncated_bytes > 0
    kept = await read_logs(body.database, body.tenant, report.job.id)
    assert kept is not None
    assert [log.command for log in kept.logs] == ["seq 1 400000"]
    assert kept.logs[0].text() == "".join(f"{number}\n" for number in range(1, 400_001))


async def test_a_short_test_run_keeps_no_log_beside_its_result(body: Body, source: Path):
    configure(source, "version: 1\ntests: ['seq 1 4']\n")
    agent_for(body)
    report = await body.run(source, "Add a file")
    assert await read_logs(body.database, body.tenant, report.job.id) is None
