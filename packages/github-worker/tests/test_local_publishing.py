"""Publishing changes one branch of the source, once, whatever happens in between."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import Base, ChangeSet, CommitRequest, PullRequest, PullRequestDraft
from aicd_core.errors import StepFailedError, UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_github.checkout import GitCheckout
from aicd_github.local.host import LocalCodeHost, branch_of
from aicd_github.local.pulls import PullRequestBook


async def prepared(
    host: LocalCodeHost, job_id: JobId, request_for: Any, content: bytes = b"new\n"
) -> tuple[GitCheckout, str, Base]:
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", content)
    return checkout, await checkout.commit(request_for(await checkout.capture(()))), base


def recorded(pull_request: PullRequest) -> tuple[str, dict[str, Any]]:
    """The page and the record of a pull request."""
    page = Path(pull_request.url.removeprefix("file://"))
    return page.read_text(), json.loads(page.with_suffix(".json").read_text())


async def test_the_pull_request_is_recorded_to_be_read(
    host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any, data_dir: Path
) -> None:
    pull_request = await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    assert (pull_request.number, pull_request.branch, pull_request.base_branch) == (1, f"aicd/{job_id}", "main")
    page, record = recorded(pull_request)
    assert page.startswith("# Fix the sum\n")
    assert "It was off by one." in page
    assert (record["job_id"], record["head_sha"]) == (str(job_id), pull_request.head_sha)


async def test_publishing_again_changes_nothing(
    repo: Any, host: LocalCodeHost, make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    arguments = await prepared(host, job_id, request_for)
    first = await host.publish(job_id, *arguments, draft)
    refs = repo.git("for-each-ref")
    assert await host.publish(job_id, *arguments, draft) == first
    assert await make_host(repo.path).publish(job_id, *arguments, draft) == first
    assert repo.git("for-each-ref") == refs


async def test_a_later_round_moves_the_branch_and_keeps_the_number(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    arguments = await prepared(host, job_id, request_for, b"newer\n")
    other = PullRequestDraft(title="Fix it better", body="", draft=True)
    second = await host.publish(job_id, *arguments, other)
    assert (second.number, second.draft, second.head_sha) == (1, True, arguments[1])
    assert repo.git("rev-parse", second.branch) == arguments[1]
    assert "Fix it better" in recorded(second)[0]


@pytest.mark.parametrize("died", ["before the push", "after the push", "before the record was whole"])
async def test_a_publish_that_died_half_way_is_finished_by_the_next(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any, data_dir: Path, died: str
) -> None:
    checkout, head, base = await prepared(host, job_id, request_for)
    book = PullRequestBook(data_dir / "pulls" / (await host.source()).key)
    book.note_push(job_id, head)
    if died != "before the push":
        repo.git("fetch", "-q", str(checkout.repository.path), f"{head}:refs/heads/{branch_of(job_id)}")
    if died == "before the record was whole":
        folder = data_dir / "pulls" / (await host.source()).key
        (folder / "by-job" / str(job_id)).write_text("1")
        (folder / "1.md").write_text("half")
    # The step runs again and, being another round, comes to another commit.
    _, newer, _ = await prepared(host, job_id, request_for, b"newer\n")
    pull_request = await host.publish(job_id, checkout, newer, base, draft)
    assert (pull_request.number, repo.git("rev-parse", pull_request.branch)) == (1, newer)
    assert book.pushed(job_id) == ()


async def test_a_number_lost_in_a_crash_is_not_given_to_two_jobs(
    host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any, data_dir: Path
) -> None:
    arguments = await prepared(host, job_id, request_for)
    folder = data_dir / "pulls" / (await host.source()).key / "by-job"
    folder.mkdir(parents=True)
    (folder / str(job_id)).write_text("1")
    other = JobId(new_uuid())
    second = await host.publish(other, *await prepared(host, other, request_for), draft)
    first = await host.publish(job_id, *arguments, draft)
    assert (second.number, first.number) == (1, 2)


async def test_a_branch_that_is_not_ours_is_never_overwritten(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    repo.git("branch", branch_of(job_id))
    arguments = await prepared(host, job_id, request_for)
    for _ in range(2):
        with pytest.raises(StepFailedError, match=str(job_id)) as caught:
            await host.publish(job_id, *arguments, draft)
        assert caught.value.code == "branch_taken"
    await host.withdraw(job_id)
    assert repo.git("rev-parse", branch_of(job_id)) == repo.git("rev-parse", "main")


@pytest.mark.parametrize("of", ["the job", "another job", "somebody who amended it"])
async def test_what_a_job_pushed_is_known_by_its_commit_when_the_records_are_older(
    repo: Any, host: LocalCodeHost, job_id: JobId, draft: Any, data_dir: Path, of: str
) -> None:
    def request(change_set: ChangeSet, job: object) -> CommitRequest:
        return CommitRequest(change_set=change_set, message=f"Fix it\n\nAI-CD-Job: {job}\n", when=datetime.now(UTC))

    named = new_uuid() if of == "another job" else job_id
    before = await prepared(host, job_id, lambda change_set: request(change_set, named))
    first = await host.publish(job_id, *before, draft)
    if of == "somebody who amended it":
        message = repo.git("log", "-1", "--format=%B", first.branch)
        amended = repo.git("commit-tree", "-p", before[2].sha, "-m", message, f"{first.branch}^{{tree}}")
        repo.git("update-ref", f"refs/heads/{first.branch}", amended)
    shutil.rmtree(data_dir)
    after = await prepared(host, job_id, lambda change_set: request(change_set, job_id), b"newer\n")
    if of == "the job":
        second = await host.publish(job_id, *after, draft)
        assert (second.number, repo.git("rev-parse", second.branch)) == (1, after[1])
    else:
        with pytest.raises(StepFailedError, match="which this job did not push"):
            await host.publish(job_id, *after, draft)


async def test_a_commit_that_somebody_added_to_our_branch_is_kept(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    pull_request = await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    theirs = repo.git("commit-tree", "-p", pull_request.head_sha, "-m", "theirs", f"{pull_request.head_sha}^{{tree}}")
    repo.git("update-ref", f"refs/heads/{pull_request.branch}", theirs)
    with pytest.raises(StepFailedError) as caught:
        await host.publish(job_id, *await prepared(host, job_id, request_for, b"newer\n"), draft)
    assert caught.value.code == "branch_taken"
    assert repo.git("rev-parse", pull_request.branch) == theirs


async def test_withdrawing_deletes_only_a_branch_of_ours_without_a_pull_request(
    repo: Any, host: LocalCodeHost, make_host: Any, job_id: JobId, request_for: Any, draft: Any, data_dir: Path
) -> None:
    await host.withdraw(job_id)
    checkout, head, _ = await prepared(host, job_id, request_for)
    book = PullRequestBook(data_dir / "pulls" / (await host.source()).key)
    book.note_push(job_id, head)
    repo.git("fetch", "-q", str(checkout.repository.path), f"{head}:refs/heads/{branch_of(job_id)}")
    await host.close(job_id)
    await make_host(repo.path).withdraw(job_id)
    assert repo.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert book.pushed(job_id) == ()
    pull_request = await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    await host.withdraw(job_id)
    assert repo.git("rev-parse", pull_request.branch) == pull_request.head_sha


async def test_closing_removes_all_of_the_job_and_can_be_repeated(
    host: LocalCodeHost, job_id: JobId, request_for: Any, data_dir: Path
) -> None:
    checkout, _, base = await prepared(host, job_id, request_for)
    await checkout.workspace.run("mkdir -p a/b; touch a/b/c; chmod 0 a/b")
    await host.close(job_id)
    await host.close(job_id)
    assert list((data_dir / "jobs").iterdir()) == []
    again = await host.open(job_id, base.sha)
    assert (await again.capture(())).files == ()


async def test_the_users_repository_is_the_same_to_the_byte_but_for_our_branch(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    repo.write("stashed.txt")
    repo.git("add", "stashed.txt")
    repo.git("stash")
    repo.write("README.md", b"not committed\n")
    repo.write("staged.txt")
    repo.git("add", "staged.txt")
    repo.write("untracked.txt")
    repo.git("tag", "v1")
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "pre-push",
                 "post-checkout", "post-commit", "pre-auto-gc", "push-to-checkout", "proc-receive"):  # fmt: skip
        repo.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {canary}\nexit 1\n".encode(), executable=True)
    for key in ("core.fsmonitor", "core.alternateRefsCommand", "uploadpack.packObjectsHook", "core.sshCommand"):
        repo.git("config", key, f"touch {canary}")
    os.utime(repo.path / "README.md")  # the index is stale now: a status would like to refresh it
    before, refs = repo.fingerprint(), repo.git("for-each-ref").splitlines()
    await host.notes()
    pull_request = await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    await host.close(job_id)
    assert repo.fingerprint() == before
    new = set(repo.git("for-each-ref").splitlines()) - set(refs)
    assert new == {f"{pull_request.head_sha} commit\trefs/heads/{pull_request.branch}"}
    assert not canary.exists()


async def test_a_branch_named_like_our_folder_is_told(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    repo.git("branch", "aicd")
    with pytest.raises(StepFailedError, match="beginning of this one") as caught:
        await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    assert caught.value.code == "push_refused"


async def test_a_branch_that_is_checked_out_is_not_pulled_from_under_the_user(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    pull_request = await host.publish(job_id, *await prepared(host, job_id, request_for), draft)
    repo.git("checkout", "-q", pull_request.branch)
    base = await host.resolve_base("main")
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"newer\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    with pytest.raises(StepFailedError, match="refused") as caught:
        await host.publish(job_id, checkout, head, base, draft)
    assert caught.value.code == "push_refused"
    assert repo.git("status", "--porcelain") == ""


async def test_a_source_that_may_not_be_written_to_is_told(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    arguments = await prepared(host, job_id, request_for)
    (repo.path / ".git/objects").chmod(0o555)
    with pytest.raises(UnavailableError) as caught:
        await host.publish(job_id, *arguments, draft)
    (repo.path / ".git/objects").chmod(0o755)
    assert caught.value.code == "not_writable"


PUBLISH = textwrap.dedent(
    """
    import asyncio, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from uuid import UUID
    from aicd_core.contracts import CommitRequest, PullRequestDraft
    from aicd_github.local.host import LocalCodeHost

    class NoSandbox:
        owner = None

    async def main(source, data, *jobs):
        for job in map(UUID, jobs):
            host = LocalCodeHost(source, Path(data), NoSandbox(), 60)
            print("resolve", file=sys.stderr, flush=True)
            base = await host.resolve_base(None)
            print("open", file=sys.stderr, flush=True)
            checkout = await host.open(job, base.sha)
            await checkout.workspace.write("new.txt", str(job).encode())
            print("capture", file=sys.stderr, flush=True)
            change_set = await checkout.capture(())
            request = CommitRequest(change_set=change_set, message="x", when=datetime(2026, 1, 1, tzinfo=UTC))
            head = await checkout.commit(request)
            draft = PullRequestDraft(title="t", body="b", draft=False)
            print("publish", file=sys.stderr, flush=True)
            made = await host.publish(job, checkout, head, base, draft)
            print(made.number, flush=True)

    asyncio.run(main(*sys.argv[1:]))
    """
)


def start(repo: Any, data_dir: Path, *jobs: JobId) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PUBLISH, str(repo.path), str(data_dir), *map(str, jobs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def kill_in(process: subprocess.Popen[bytes], stage: str, delay: float) -> None:
    """Kills the process some seconds after it began a stage."""
    assert process.stderr is not None
    while process.stderr.readline().strip() != stage.encode():
        assert process.poll() is None
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_processes_that_publish_at_once_get_numbers_of_their_own(repo: Any, data_dir: Path) -> None:
    processes = [start(repo, data_dir, *(JobId(new_uuid()) for _ in range(3))) for _ in range(3)]
    numbers = []
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        numbers += [int(line) for line in output.split()]
    assert sorted(numbers) == list(range(1, 10))
    assert len(repo.git("for-each-ref", "refs/heads/aicd/").splitlines()) == 9


@pytest.mark.parametrize("stage", ["resolve", "open", "capture", "publish"])
@pytest.mark.parametrize("delay", [0, 0.012, 0.03])
async def test_a_killed_process_is_taken_over_at_any_moment(
    repo: Any, host: LocalCodeHost, data_dir: Path, request_for: Any, draft: Any, stage: str, delay: float
) -> None:
    for number in range(100):
        repo.write(f"d/{number}.txt", b"%d\n" % number)
    repo.commit()
    before = repo.fingerprint()
    job_id = JobId(new_uuid())
    process = start(repo, data_dir, job_id)
    await asyncio.to_thread(kill_in, process, stage, delay)
    assert repo.fingerprint() == before
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.restore(None)
    await checkout.workspace.write("new.txt", b"other\n")
    change_set = await checkout.capture(())
    assert [file.path for file in change_set.files] == ["new.txt"]
    head = await checkout.commit(request_for(change_set))
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    assert (pull_request.number, repo.git("rev-parse", pull_request.branch)) == (1, head)
    assert repo.git("ls-tree", "-r", "--name-only", head).count("\n") == 101


async def test_cancelling_leaves_a_job_that_can_go_on(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    for number in range(200):
        repo.write(f"d/{number}.txt", b"%d\n" % number)
    repo.commit()
    for delay in (0.002, 0.01, 0.03, 0.06):
        task = asyncio.create_task(prepared(host, job_id, request_for))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    checkout, head, base = await prepared(host, job_id, request_for)
    assert (await host.publish(job_id, checkout, head, base, draft)).head_sha == head
    assert repo.git("diff", "--name-only", "main", head) == "new.txt"
