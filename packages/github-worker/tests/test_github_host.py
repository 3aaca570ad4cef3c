"""The GitHub code host, as an App: pull requests, checks, owners, the living comment, feedback and answers."""

from pathlib import Path

import pytest
from github_world import DRAFT, Hub, published

from aicd_core.contracts import Annotation
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.ids import JobId, new_uuid
from aicd_github.hub.host import GitHubCodeHost
from aicd_github.hub.owners import owners_of
from aicd_github.testing.git_server import run_git
from aicd_github.testing.github.faults import Fault
from aicd_github.testing.github.state import CheckRun, Comment, Pull, Review, ReviewComment

CHECKS = "/repos/{owner}/{repo}/check-runs"


async def test_a_pull_request_by_an_app_has_a_check_with_every_annotation_once(
    hub: Hub, hub_host: GitHubCodeHost, request_for, job_id: JobId
) -> None:
    notes = tuple(
        Annotation(path="new.txt", line=n, level="warning", title="policy", message=f"{n}") for n in range(1, 121)
    )
    hub.server.world.faults.plan("PATCH", f"{CHECKS}/{{check_run_id}}", Fault.LOST)
    hub.server.world.faults.plan("POST", CHECKS, Fault.SERVER_ERROR)
    hub_host._client.api = hub.api(timeout=3)
    wanted = DRAFT.model_copy(update={"draft": True, "annotations": notes, "evidence": b"{}"})
    opened = await published(hub_host, job_id, request_for, wanted)
    assert opened.draft
    (run,) = hub.repo.checks
    assert [note["message"] for note in run.annotations] == [f"{n}" for n in range(1, 121)]
    assert (run.conclusion, run.external_id, run.head_sha) == ("action_required", str(job_id), opened.head_sha)
    (pull,) = hub.repo.pulls.values()
    assert pull.issue.user.login == "aicd[bot]"
    assert pull.issue.labels == ["aicd: needs decision", "aicd"]
    assert opened.evidence_url in pull.issue.body
    again = await published(hub_host, job_id, request_for, wanted)
    assert again == opened
    assert (len(hub.repo.checks), len(run.annotations)) == (1, 120)


async def test_pushes_have_their_own_narrow_token(hub: Hub, hub_host, request_for, job_id: JobId) -> None:
    await published(hub_host, job_id, request_for)
    asked = [call.sent["permissions"] for call in hub.server.calls("POST", hub_token_route())]
    assert asked.count({"contents": "write"}) == 1
    assert all(len(one) == 1 for one in asked), "each token is for one thing"


def hub_token_route() -> str:
    return "/app/installations/{installation_id}/access_tokens"


async def test_a_second_round_on_another_machine_goes_on_with_the_branch(
    hub: Hub, hub_host, make_hub_host, request_for, job_id: JobId, tmp_path: Path
) -> None:
    first = await published(hub_host, job_id, request_for)
    other = DRAFT.model_copy(update={"title": "Fix it better"})
    second = await published(make_hub_host(tmp_path / "elsewhere"), job_id, request_for, other, b"better")
    assert (second.number, second.head_sha != first.head_sha) == (first.number, True)
    assert hub.repo.pulls[second.number].issue.title == "Fix it better"


async def test_a_fork_of_the_same_owner_has_pull_requests_of_its_own(
    hub: Hub, hub_host, request_for, job_id: JobId
) -> None:
    fork = hub.server.add_repository("acme", "project-fork", hub.repo.folder)
    ref = f"aicd/{job_id}"
    run_git(fork.folder, "branch", ref, "main")
    sha = run_git(fork.folder, "rev-parse", "main").stdout.decode().strip()

    def pull_of_the_fork() -> int:
        issue = hub.server.add_issue(hub.repo, "Not the product's", "", "rita")
        hub.repo.pulls[issue.number] = Pull(issue, ref, "main", False, sha, sha, fork=fork)
        return issue.number

    theirs = pull_of_the_fork()
    opened = await published(hub_host, job_id, request_for)
    assert opened.number != theirs
    assert hub.repo.pulls[theirs].issue.title == "Not the product's"
    newer = pull_of_the_fork()
    assert (await published(hub_host, job_id, request_for)).number == opened.number
    assert (await hub_host.read_feedback(job_id)).number == opened.number
    assert await hub_host.desk.job_of_pull(newer) is None
    assert await hub_host.desk.job_of_pull(opened.number) == job_id


async def test_somebody_elses_push_stops_the_job(hub: Hub, hub_host, request_for, job_id: JobId) -> None:
    opened = await published(hub_host, job_id, request_for)
    ref = f"refs/heads/{opened.branch}"
    tree = run_git(hub.repo.folder, "rev-parse", f"{ref}^{{tree}}").stdout.decode().strip()
    theirs = run_git(hub.repo.folder, "commit-tree", tree, "-p", ref, "-m", "mine").stdout.decode().strip()
    run_git(hub.repo.folder, "update-ref", ref, theirs)
    assert (await hub_host.read_feedback(job_id)).foreign
    with pytest.raises(StepFailedError) as told:
        await published(hub_host, job_id, request_for, text=b"better")
    assert told.value.code == "branch_taken"
    assert run_git(hub.repo.folder, "rev-parse", ref).stdout.decode().strip() == theirs


async def test_a_job_that_ended_between_push_and_pull_request_leaves_nothing(
    hub: Hub, hub_host, request_for, job_id: JobId
) -> None:
    base = await hub_host.resolve_base(None)
    checkout = await hub_host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"x")
    head = await checkout.commit(request_for(await checkout.capture(())))

    async def ended() -> None:
        raise StepFailedError("ended")

    with pytest.raises(StepFailedError, match="ended"):
        await hub_host.publish(job_id, checkout, head, base, DRAFT.model_copy(update={"evidence": b"{}"}), ended)
    assert not hub.repo.pulls
    await hub_host.withdraw(job_id)
    assert b"aicd" not in run_git(hub.repo.folder, "for-each-ref").stdout
    await hub_host.withdraw(JobId(new_uuid()))


async def test_withdrawing_leaves_the_branch_of_a_pull_request(hub: Hub, hub_host, request_for, job_id: JobId) -> None:
    opened = await published(hub_host, job_id, request_for)
    await hub_host.withdraw(job_id)
    assert opened.branch.encode() in run_git(hub.repo.folder, "for-each-ref").stdout


async def test_a_pull_request_that_a_person_closed_is_not_opened_again(
    hub: Hub, hub_host, request_for, job_id: JobId
) -> None:
    opened = await published(hub_host, job_id, request_for)
    hub.repo.issues[opened.number].state = "closed"
    with pytest.raises(StepFailedError, match="closed by somebody"):
        await published(hub_host, job_id, request_for, text=b"better")


async def test_where_there_are_no_drafts_the_labels_tell(hub: Hub, hub_host, request_for, job_id: JobId) -> None:
    hub.repo.drafts = False
    opened = await published(hub_host, job_id, request_for, DRAFT.model_copy(update={"draft": True}))
    assert not opened.draft
    assert "aicd: needs decision" in hub.repo.issues[opened.number].labels


async def test_the_living_comment_is_edited_in_place_and_nobody_elses_is(hub: Hub, hub_host, job_id: JobId) -> None:
    issue = hub.repo.issues[1]
    issue.comments.append(Comment(hub.server.world.user("rita"), "<!-- aicd:status -->\nmine"))
    issue.comments += [Comment(hub.server.world.user("rita"), f"{n}") for n in range(120)]
    for text in ("planning", "coding", "coding"):
        await hub_host.report(job_id, 1, text)
    ours = [c.body for c in issue.comments if c.user.login == "aicd[bot]"]
    assert ours == ["<!-- aicd:status -->\ncoding"]
    assert issue.comments[0].body.endswith("mine")


async def test_feedback_has_threads_reviews_and_red_checks_with_the_end_of_their_logs(
    hub: Hub, hub_host, request_for, job_id: JobId
) -> None:
    assert (await hub_host.read_feedback(job_id)).state is None
    opened = await published(hub_host, job_id, request_for)
    (pull,) = hub.repo.pulls.values()
    alice, sha = hub.server.world.user("alice"), opened.head_sha
    pull.reviews.append(Review(alice, "Not yet.", "CHANGES_REQUESTED", sha))
    pull.comments.append(ReviewComment(alice, "Why?", "new.txt", 1, sha))
    log = "".join(f"line {n}\n" for n in range(5000))
    hub.repo.checks.append(
        CheckRun("github-actions", sha, "test", "", "completed", "failure", {"title": "red"}, log=log)
    )
    hub.repo.checks.append(CheckRun("github-actions", sha, "lint", "", "completed", "success"))
    feedback = await hub_host.read_feedback(job_id)
    assert (feedback.state, feedback.number, feedback.head_sha, feedback.foreign) == ("open", 2, sha, False)
    assert [(r.author, r.verdict, r.body) for r in feedback.reviews] == [("alice", "changes_requested", "Not yet.")]
    (thread,) = feedback.threads
    assert (thread.path, thread.line, thread.answered, thread.comments[0].body) == ("new.txt", 1, False, "Why?")
    (check,) = feedback.failed_checks
    assert (check.name, check.summary) == ("test", "red")
    assert check.log.endswith("line 4999\n")
    assert len(check.log) <= 16 * 1024
    for _ in range(2):
        await hub_host.answer(job_id, thread.id, "Because.")
    assert len(pull.comments) == 2
    (thread,) = (await hub_host.read_feedback(job_id)).threads
    assert thread.answered
    pull.comments.append(ReviewComment(alice, "Still?", "new.txt", 1, sha, in_reply_to=thread.id))
    assert not (await hub_host.read_feedback(job_id)).threads[0].answered
    await hub_host.answer(job_id, thread.id, "Because.")
    assert len(pull.comments) == 4
    with pytest.raises(InvalidInputError):
        await hub_host.answer(job_id, 1, "Hello?")


async def test_an_issue_is_read_and_what_is_none_is_told(hub: Hub, hub_host) -> None:
    assert await hub_host.read_issue(1) == ("Title", "body")
    hub.repo.issues[1].state = "closed"
    with pytest.raises(InvalidInputError, match="closed"):
        await hub_host.read_issue(1)


def test_owners_of_the_last_rule_that_matches_each_path() -> None:
    text = "* @acme/core\n/docs/ @dora docs@example.com\n*.py @pia @acme/py\n"
    assert owners_of(text, ["docs/a.md", "src/x.py", "Makefile"]) == (("dora", "pia"), ("py", "core"))
    assert owners_of("[ab @x\n", ["a"]) == ((), ())


def test_owners_are_found_in_time_whatever_the_rules_are() -> None:
    text = "a*/**/docs/*.md @dora\nb\\ c/* @pia\n/x/ @rita\n" + "**/" * 40 + "*x*x*x*x*z @bob\n"
    paths = ["a1/u/v/docs/r.md", "b c/x", "b c/d/x", "x/y/z", "y/x/z"]
    assert owners_of(text, [*paths, "a/" * 200 + "b"]) == (("dora", "pia", "rita"), ())
    assert owners_of("*x*z @bob\n" * 400_000, ["axz"]) == ((), ()), "GitHub reads no file of more than 3 MB"


async def test_comments_of_deleted_accounts_are_somebody_elses(hub: Hub, hub_host, request_for, job_id: JobId) -> None:
    ghost = hub.server.world.user("ghost")
    hub.repo.issues[1].comments.append(Comment(ghost, "<!-- aicd:status -->"))
    opened = await published(hub_host, job_id, request_for)
    (pull,) = hub.repo.pulls.values()
    pull.comments.append(ReviewComment(ghost, "Why?", "new.txt", 1, opened.head_sha))
    await hub_host.report(job_id, 1, "coding")
    assert [c.user.login for c in hub.repo.issues[1].comments] == ["ghost", "aicd[bot]"]
    (thread,) = (await hub_host.read_feedback(job_id)).threads
    await hub_host.answer(job_id, thread.id, "Because.")
    assert len(pull.comments) == 2


async def test_of_a_log_only_its_end_is_held(hub: Hub) -> None:
    run = CheckRun("github-actions", "0" * 40, "test", "", "completed", "failure", {}, log="x" * 8_000_000 + "end")
    hub.repo.checks.append(run)
    address = f"{hub.server.api.removesuffix('/api/v3')}/_logs/{run.id}"
    assert await hub.api().fetch(address, 5) == b"xxend"
