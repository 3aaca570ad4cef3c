"""The same change gives the same commit anywhere, or is refused; and files stand as they are needed."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import CommitRequest
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.ids import JobId, new_uuid
from aicd_github.local.host import LocalCodeHost


async def test_the_same_request_gives_the_same_commit_in_any_time_zone(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any
) -> None:
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"new\n")
    request = request_for(await checkout.capture(()))
    local = request.model_copy(update={"when": request.when.astimezone(timezone(timedelta(hours=9)))})
    head = await checkout.commit(request)
    assert await checkout.commit(local) == head
    other = CommitRequest(change_set=request.change_set, message="Other\n", when=request.when)
    assert await checkout.commit(other) != head


async def test_a_commit_carries_the_author_the_date_and_the_whole_message(
    repo: Any, host: LocalCodeHost, job_id: JobId, request_for: Any, draft: Any
) -> None:
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"new\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    shown = repo.git("log", "-1", "--format=%an <%ae> %at %cn <%ce> %ct%n%B", pull_request.branch)
    seconds = 1795435200
    assert shown.rstrip() == (
        f"AI-CD <aicd@localhost> {seconds} AI-CD <aicd@localhost> {seconds}\nFix it\n\nJob: 1\n"
        "Signed-off-by: AI-CD <aicd@localhost>"
    )


async def test_a_request_that_cannot_be_committed_exactly_is_refused(
    host: LocalCodeHost, job_id: JobId, request_for: Any
) -> None:
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    request = request_for(await checkout.capture(()))
    with pytest.raises(InvalidInputError, match="NUL"):
        await checkout.commit(request.model_copy(update={"message": "a\0b"}))
    with pytest.raises(InvalidInputError, match="time zone"):
        await checkout.commit(request.model_copy(update={"when": datetime(2026, 1, 1)}))  # noqa: DTZ001
    foreign = request.change_set.model_copy(update={"base_sha": "1" * 40})
    with pytest.raises(StepFailedError, match="1111"):
        await checkout.commit(request.model_copy(update={"change_set": foreign}))


async def test_a_damaged_record_is_refused_and_not_laid(host: LocalCodeHost, job_id: JobId) -> None:
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"new\n")
    change_set = await checkout.capture(())
    damaged = change_set.model_copy(update={"patch": change_set.patch.replace(b"+new", b"+bad")})
    fresh = await host.open(JobId(new_uuid()), base.sha)
    with pytest.raises(StepFailedError) as caught:
        await fresh.restore(damaged)
    assert caught.value.code == "patch_mismatch"


async def test_a_base_file_is_read_whatever_the_tree_holds_now(make_repo: Any, make_host: Any, job_id: JobId) -> None:
    repo = make_repo()
    repo.write("conf/real.yml", b"version: 1\n")
    (repo.path / ".aicd.yml").symlink_to("conf/real.yml")
    (repo.path / "out.yml").symlink_to("../outside")
    sha = repo.commit()
    checkout = await make_host(repo.path).open(job_id, sha)
    await checkout.workspace.write("conf/real.yml", b"version: 2\n")
    assert await checkout.read_at_base("conf/real.yml") == b"version: 1\n"
    assert await checkout.read_at_base(".aicd.yml") == b"version: 1\n"
    assert await checkout.read_at_base("out.yml") is None
    assert await checkout.read_at_base("conf") is None
    assert await checkout.read_at_base("nowhere") is None


async def test_a_sha256_repository_works_from_end_to_end(
    make_repo: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    repo = make_repo("modern", "--object-format=sha256")
    repo.write("a.txt")
    repo.commit()
    host = make_host(repo.path)
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("b.txt", b"b\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    assert len(pull_request.head_sha) == 64
    assert repo.git("show", f"{pull_request.branch}:b.txt") == "b"


async def test_the_files_belong_to_the_sandbox_and_are_readable_whatever_the_umask(
    repo: Any, data_dir: Path, sandbox: Any, job_id: JobId, umask: None
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    sandbox.owner = (65533, 65533)
    host = LocalCodeHost(str(repo.path), data_dir, sandbox, 60)
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new/file.txt", b"new\n", executable=True)
    tree = checkout.repository.tree
    for path in (tree, tree / "README.md", tree / "new", tree / "new/file.txt"):
        assert (path.stat().st_uid, path.stat().st_gid) == (65533, 65533), path
    assert (tree / "README.md").stat().st_mode & 0o777 == 0o644
    assert (tree / "new/file.txt").stat().st_mode & 0o777 == 0o755
    assert checkout.repository.path.stat().st_mode & 0o777 == 0o700
    assert [file.path for file in (await checkout.capture(())).files] == ["new/file.txt"]
