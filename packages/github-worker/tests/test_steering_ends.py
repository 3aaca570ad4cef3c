"""What becomes of pull requests, and new names of repositories and accounts."""

from typing import Any

import pytest
from steering_world import Steered

from aicd_core.ids import new_uuid
from aicd_core.jobs.machine import JobState
from aicd_github.testing.messages import Message


@pytest.mark.parametrize("end", ["merged", "closed"])
async def test_merged_or_closed_the_job_ends_so(steered: Steered, end: str):
    for state in (JobState.PR_OPEN, JobState.CODING, JobState.REVIEWING, JobState.PAUSED):
        steered.forget()
        pull = await steered.pull(state)
        message = steered.says.merged(pull, "rita") if end == "merged" else steered.says.pull_closed(pull, "rita")
        assert (await steered.handle(message)).state == "handled"
        assert steered.jobs() == [end]
        assert steered.column("reason") == f"Pull request #{pull.issue.number} was {end} by rita."
        assert f"its pull request was {end}" in steered.living()
        assert (await steered.handle(message)).code == "job_ended"
        assert [event for event, _ in steered.events()] == [None, end]


async def test_the_present_state_counts_and_not_an_old_event(steered: Steered):
    pull = await steered.pull()
    closed = steered.says.pull_closed(pull, "rita")
    pull.issue.state = "open"
    assert (await steered.handle(closed)).code == "reopened"
    assert (await steered.handle(steered.says.of_pull("reopened", pull, "rita"))).code == "job_open"
    steered.says.merged(pull, "rita")
    assert (await steered.handle(closed)).state == "handled"
    assert steered.jobs() == ["merged"]


async def test_reopened_after_the_end_nothing_begins(steered: Steered):
    pull = await steered.pull()
    await steered.handle(steered.says.pull_closed(pull, "rita"))
    pull.issue.state = "open"
    assert (await steered.handle(steered.says.of_pull("reopened", pull, "rita"))).code == "job_ended"
    assert steered.jobs() == ["closed"]


async def test_other_pull_requests_and_branches_of_forks_end_nothing(steered: Steered):
    pull = await steered.pull()
    theirs = steered.says.merged(pull, "rita")
    theirs.payload["pull_request"]["head"]["repo"] = {"id": 1, "full_name": "mallory/project"}
    assert (await steered.handle(theirs)).code == "not_our_pull_request"
    for ref in ("main", f"aicd/{new_uuid()}", f"aicd/{steered.job()}/x", f"x/aicd/{steered.job()}"):
        message = steered.says.of_pull("closed", pull, "rita")
        message.payload["pull_request"]["head"]["ref"] = ref
        assert (await steered.handle(message)).code == "not_our_pull_request", ref
    assert steered.jobs() == ["pr_open"]


async def test_a_repository_that_is_renamed_keeps_its_jobs(steered: Steered):
    await steered.label()
    old = steered.says.commented(steered.issue, "/aicd stop", "alice")
    renamed = steered.says.renamed("new-name", "alice")
    assert (await steered.handle(renamed)).state == "handled"
    source = f"{steered.hub.server.web}/acme/new-name.git"
    assert steered.ask("SELECT source FROM repositories") == [(source,)]
    assert (await steered.handle(old)).state == "handled"
    assert steered.ask("SELECT source FROM repositories") == [(source,)], "an event under the old name comes late"
    assert steered.jobs() == ["cancelled"]


async def test_another_event_tells_of_the_new_name_as_well(steered: Steered):
    await steered.label()
    steered.says.renamed("new-name", "alice")
    await steered.say("/aicd stop")
    assert steered.ask("SELECT source, external_id FROM repositories") == [
        (f"{steered.hub.server.web}/acme/new-name.git", steered.hub.repo.id)
    ]
    assert steered.jobs() == ["cancelled"]


async def test_an_account_that_is_renamed_keeps_its_repositories(steered: Steered):
    await steered.label()
    payload: dict[str, Any] = {
        "action": "renamed",
        "account": {"id": 1, "login": "umbrella"},
        "changes": {"login": {"from": "acme"}},
        "installation": {"id": steered.hub.installed.id},
    }
    for _ in range(2):
        assert (await steered.handle(Message("installation_target", payload))).state == "handled"
    assert steered.ask("SELECT account FROM installations") == [("umbrella",)]
    assert steered.ask("SELECT source FROM repositories") == [(f"{steered.hub.server.web}/umbrella/project.git",)]
