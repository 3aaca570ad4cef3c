"""What starts a job, who may, and what a person sees of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from steering_world import Steered

from aicd_core.errors import UnavailableError
from aicd_core.ids import DeliveryId, new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.tenancy.triggers import RepositoryPermission
from aicd_github.hub.desk import HubDesk


async def test_the_label_starts_a_job_of_the_organizations_agent_on_the_default_branch(steered: Steered):
    await steered.set_rules(agent="claude", job_budget=7_000_000)
    assert (await steered.label()).state == "handled"
    ((state, agent, number, branch, budget, title),) = steered.ask(
        "SELECT state, agent, issue_number, base_branch, cost_limit, title FROM jobs"
    )
    assert (state, agent, number, branch, budget, title) == (
        "queued",
        "claude",
        1,
        "main",
        7_000_000,
        "Greet the world",
    )
    ((_, origin),) = steered.events()
    assert origin["by"] == "alice on GitHub"
    assert "waits for a worker" in steered.living()
    assert "0.0000 USD of at most 7.00 USD" in steered.living()


async def test_the_label_and_the_base_are_as_configured(steered: Steered, repo):
    repo.git("branch", "develop")
    repo.git("push", "--quiet", str(steered.hub.repo.folder), "develop")
    steered.settings = steered.settings.model_copy(update={"github_label": "Robot"})
    assert (await steered.label()).code == "other_label"
    assert steered.jobs() == []
    await steered.label(label="robot")
    assert steered.column("base_branch") == "main"
    await steered.say("/aicd stop")
    steered.ask("UPDATE repositories SET base_branch = 'develop'")
    await steered.say("/aicd retry")
    assert steered.column("base_branch") == "develop"
    await steered.say("/aicd stop")
    steered.ask("UPDATE repositories SET base_branch = 'gone'")
    assert (await steered.say("/aicd retry")).code == "not_obeyed"
    assert "gone" in steered.living()


async def test_assigning_our_own_account_starts_a_job_and_anybody_elses_does_not(steered: Steered):
    world = steered.hub.server.world
    other = steered.says.assigned(steered.issue, world.user("rita"), "alice")
    assert (await steered.handle(other)).code == "other_assignee"
    ours = steered.says.assigned(steered.issue, world.user("aicd[bot]", "Bot"), "alice")
    assert (await steered.handle(ours)).state == "handled"
    assert steered.jobs() == ["queued"]


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("rita", "trigger_permission"),
        ("stranger", "trigger_permission"),
        ("renovate[bot]", "trigger_bot"),
        ("aicd[bot]", "trigger_ourselves"),
    ],
)
async def test_whoever_may_not_starts_nothing_by_label_or_comment(steered: Steered, who: str, code: str):
    assert (await steered.label(by=who)).code == code
    assert (await steered.say("/aicd go", by=who)).code == code
    assert steered.jobs() == []
    assert [comment.user.login for comment in steered.issue.comments] == [who], "nothing is written for them"
    person = "bot" not in who
    told = [content for comment in steered.issue.comments for _, content in comment.reactions]
    assert told == (["confused"] if person else [])


async def test_permission_is_asked_for_at_that_moment(steered: Steered):
    assert (await steered.say("/aicd go", by="rita")).code == "trigger_permission"
    steered.hub.repo.permissions["rita"] = "maintain"
    assert (await steered.say("/aicd go", by="rita")).state == "handled"
    steered.hub.repo.permissions["alice"] = "triage"
    assert (await steered.say("/aicd stop")).code == "trigger_permission"
    assert steered.jobs() == ["queued"]


async def test_the_organization_lists_bots_and_asks_for_more_or_less(steered: Steered):
    await steered.set_rules(allowed_bots=("renovate[bot]",), minimum_permission=RepositoryPermission.ADMIN)
    assert (await steered.say("/aicd go")).code == "trigger_permission"
    assert (await steered.label(by="renovate[bot]")).state == "handled"
    assert steered.jobs() == ["queued"]


async def test_a_label_on_a_pull_request_starts_nothing(steered: Steered):
    pull = await steered.pull()
    label = steered.hub.server.shapes.label(steered.hub.repo, "aicd")
    assert (await steered.handle(steered.says.of_pull("labeled", pull, "alice", label=label))).code == "unknown_action"
    pull.issue.labels.append("aicd")
    labeled = steered.says.of_issue("labeled", pull.issue, "alice", label=label)
    assert (await steered.handle(labeled)).code == "not_an_issue"
    assert steered.jobs() == ["pr_open"]


async def test_a_label_that_comes_twice_or_with_another_one_starts_one_job(steered: Steered):
    message, one = steered.says.labeled(steered.issue, "aicd", "alice"), DeliveryId(new_uuid())
    for attempts in (1, 2):
        assert (await steered.handle(message, delivery=one, attempts=attempts)).state == "handled"
    assert (await steered.handle(message)).state == "handled"
    assert steered.jobs() == ["queued"]
    steered.ask("UPDATE jobs SET state = 'failed'")
    await steered.handle(message, delivery=one, attempts=3)
    assert steered.jobs() == ["failed"], "the same delivery, handled again after a crash, begins no second one"


async def test_what_was_taken_back_or_ended_before_its_delivery_came_starts_nothing(steered: Steered):
    labeled = steered.says.labeled(steered.issue, "aicd", "alice")
    steered.issue.labels.clear()
    assert (await steered.handle(labeled)).code == "taken_back"
    labeled = steered.says.labeled(steered.issue, "aicd", "alice")
    closed = steered.says.closed(steered.issue, "alice")
    assert (await steered.handle(closed)).code == "no_job"
    assert (await steered.handle(labeled)).code == "not_started"
    steered.issue.state = "open"
    early = datetime.now(UTC) - timedelta(hours=1)
    await steered.say("/aicd go")
    await steered.say("/aicd stop")
    assert (await steered.handle(steered.says.labeled(steered.issue, "aicd", "alice", early))).code == "later_job"
    assert steered.jobs() == ["cancelled"]


async def test_a_repository_that_is_switched_off_says_so(steered: Steered):
    await steered.say("/aicd help")
    steered.ask("UPDATE repositories SET enabled = false")
    assert (await steered.label()).code == "not_started"
    assert "switched off" in steered.living()
    steered.ask("UPDATE repositories SET disconnected_at = now()")
    assert (await steered.label()).code == "repository_disconnected"
    assert steered.jobs() == []


async def test_an_organization_that_stands_still_gets_no_job_by_a_label_and_the_issue_says_why(steered: Steered):
    await steered.say("/aicd help")
    steered.ask(
        "INSERT INTO standings (org_id, code, reason, since) "
        "SELECT id, 'payment_overdue', 'A payment is overdue. Pay the open invoice.', now() FROM organizations"
    )
    assert (await steered.label()).code == "not_started"
    assert "Pay the open invoice" in steered.living()
    assert steered.jobs() == []
    steered.ask("DELETE FROM standings")
    await steered.in_state(JobState.AWAITING_APPROVAL)
    steered.ask(
        "INSERT INTO standings (org_id, code, reason, since) "
        "SELECT id, 'payment_overdue', 'A payment is overdue. Pay the open invoice.', now() FROM organizations"
    )
    await steered.say("/aicd go")
    assert "Pay the open invoice" in steered.living()
    assert steered.column("state") == "awaiting_approval"


async def test_an_edit_leaves_the_job_its_text_and_says_so(steered: Steered):
    await steered.label()
    changes = {"body": {"from": steered.issue.body}}
    await steered.handle(steered.says.of_issue("edited", steered.issue, "rita", changes=changes))
    assert "keeps the text" not in steered.living(), "nothing that counts was edited"
    steered.issue.body = "Something else."
    await steered.handle(steered.says.of_issue("edited", steered.issue, "rita", changes=changes))
    assert "keeps the text that it began with" in steered.living()
    assert "Something else" not in steered.column("body")


@pytest.mark.parametrize("action", ["closed", "transferred", "deleted"])
async def test_an_issue_that_ends_ends_its_job_unless_a_pull_request_is_open(steered: Steered, action: str):
    await steered.in_state(JobState.AWAITING_APPROVAL)
    if action == "closed":
        steered.issue.state = "closed"
    message = steered.says.of_issue(action, steered.issue, "rita")
    assert (await steered.handle(message)).state == "handled"
    assert (steered.jobs(), action in steered.column("reason")) == (["cancelled"], True)
    assert (await steered.handle(message)).code == "no_job"
    assert "was cancelled" in steered.living()


async def test_an_issue_that_its_own_pull_request_closes_ends_nothing(steered: Steered):
    for state in (JobState.PR_OPEN, JobState.CODING):
        await steered.pull(state) if not steered.jobs() else None
        steered.ask("UPDATE jobs SET state = %s", state.value)
        assert (await steered.handle(steered.says.closed(steered.issue, "alice"))).code == "pull_request_open"
    assert steered.jobs() == ["coding"]


async def test_an_issue_that_is_open_again_by_now_was_not_closed(steered: Steered):
    await steered.label()
    closed = steered.says.closed(steered.issue, "alice")
    steered.issue.state = "open"
    assert (await steered.handle(closed)).code == "reopened"
    assert steered.jobs() == ["queued"]


async def test_while_github_is_away_the_delivery_is_tried_again(steered: Steered, monkeypatch: Any):
    async def away(login: str) -> None:
        raise UnavailableError(f"nobody answers about {login}")

    monkeypatch.setattr(HubDesk, "permission_of", lambda _, login: away(login))
    with pytest.raises(UnavailableError):
        await steered.label()
    assert steered.jobs() == []
