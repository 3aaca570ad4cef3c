"""Every kind of source works, or says in a sentence why it does not."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_github.git.environment import Transport, git_environment
from aicd_github.git.runner import Git
from aicd_github.hosting.source import LocalSource, UrlSource, open_local_source


async def refusal(host: Any, branch: str | None = None) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        await host.resolve_base(branch)
    return caught.value


async def whole_job(host: Any, request_for: Any, draft: Any, branch: str | None = None) -> Any:
    """From the base to the pull request; returns the latter."""
    job_id = JobId(new_uuid())
    base = await host.resolve_base(branch)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"new\n")
    head = await checkout.commit(request_for(await checkout.capture(["new.txt"])))
    return await host.publish(job_id, checkout, head, base, draft)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "not_a_repository"),
        ("/no/such/place", "path_not_found"),
        ("x\0y", "path_not_found"),
        ("~nobody-of-this-name/x", "path_not_found"),
        ("/etc/hostname", "not_a_repository"),
        ("/usr", "not_a_repository"),
        ("ext::sh -c id", "unsupported_url"),
        ("git://example.com/x", "unsupported_url"),
        ("ftp://example.com/x", "unsupported_url"),
        ("https:///x", "unsupported_url"),
        ("http://[::1/x", "unsupported_url"),
        ("file://elsewhere/x", "unsupported_url"),
        ("https://me:" + "hush" + "@example.com/x", "credentials_in_url"),
        ("https://" + "token" + "@example.com/x", "credentials_in_url"),
        ("ssh://me:" + "hush" + "@example.com/x", "credentials_in_url"),
    ],
)
async def test_what_is_no_repository_is_refused(source: str, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await open_local_source(source, Git())
    assert caught.value.code == code
    assert "hush" not in caught.value.message


async def test_urls_are_told_by_their_transport() -> None:
    found = [
        await open_local_source(url, Git())
        for url in ("https://example.com/a/b.git", "ssh://git@example.com/a", "git@example.com:a/b.git")
    ]
    assert [source.transport for source in found if isinstance(source, UrlSource)] == [
        Transport.WEB,
        Transport.SSH,
        Transport.SSH,
    ]
    assert len({source.key for source in found}) == 3


async def test_a_repository_without_a_commit_is_refused(make_repo: Any, make_host: Any) -> None:
    error = await refusal(make_host(make_repo().path))
    assert error.code == "empty_repository"
    assert "Commit something first" in error.message


async def test_a_new_branch_without_a_commit_is_refused_by_name_of_the_others(repo: Any, host: Any) -> None:
    repo.git("checkout", "-q", "--orphan", "fresh")
    error = await refusal(host)
    assert error.code == "empty_repository"
    assert "It has main." in error.message


async def test_a_detached_head_needs_a_base(repo: Any, host: Any, request_for: Any, draft: Any) -> None:
    repo.git("checkout", "-q", "--detach")
    error = await refusal(host)
    assert error.code == "detached_head"
    assert "--base" in error.message
    assert (await whole_job(host, request_for, draft, "main")).base_branch == "main"


async def test_an_unknown_base_is_refused_with_the_closest_ones(repo: Any, host: Any) -> None:
    for name in ("develop", "release/1", "x1", "x2", "x3", "x4", "aicd/old"):
        repo.git("branch", name)
    near, far = await refusal(host, "develpo"), await refusal(host, "nothing-like-it")
    assert near.code == far.code == "no_such_base"
    assert "Did you mean develop?" in near.message
    assert "It has develop, main, release/1, x1, x2 and 2 more." in far.message


async def test_a_subfolder_stands_for_its_repository(repo: Any, make_host: Any, request_for: Any, draft: Any) -> None:
    repo.write("deep/er/file.txt")
    head = repo.commit()
    base = await make_host(repo.path / "deep/er").resolve_base(None)
    assert (base.branch, base.sha) == ("main", head)
    from_top = await make_host(repo.path).source()
    from_below = await make_host(repo.path / "deep/er").source()
    assert from_top.key == from_below.key
    pull_request = await whole_job(make_host(repo.path / "deep"), request_for, draft)
    assert repo.git("show", f"{pull_request.branch}:new.txt") == "new"


async def test_a_bare_repository_works(repo: Any, make_host: Any, request_for: Any, draft: Any) -> None:
    bare = repo.path.parent / "bare.git"
    repo.git("clone", "-q", "--bare", ".", str(bare))
    host = make_host(f"file://{bare}")
    pull_request = await whole_job(host, request_for, draft)
    assert repo.git("--git-dir", str(bare), "show", f"{pull_request.branch}:new.txt") == "new"
    assert await host.notes() == ()


async def test_a_shallow_repository_works(repo: Any, make_host: Any, request_for: Any, draft: Any) -> None:
    for number in range(4):
        repo.write("a.txt", b"%d\n" % number)
        repo.commit()
    shallow = repo.path.parent / "shallow"
    repo.git("clone", "-q", "--depth=2", f"file://{repo.path}", str(shallow))
    pull_request = await whole_job(make_host(shallow), request_for, draft)
    assert repo.git("-C", str(shallow), "show", f"{pull_request.branch}:new.txt") == "new"
    assert repo.git("-C", str(shallow), "rev-list", "--count", pull_request.branch) == "3"
    # The source learns more of its history, then the base moves on: the same mirror follows.
    repo.git("-C", str(shallow), "fetch", "-q", "--deepen=1")
    repo.git("-C", str(shallow), "commit", "-q", "--allow-empty", "-m", "more")
    assert (await whole_job(make_host(shallow), request_for, draft)).number == 2


async def test_a_linked_work_tree_starts_from_its_own_branch(
    repo: Any, make_host: Any, request_for: Any, draft: Any
) -> None:
    linked = repo.path.parent / "linked"
    repo.git("worktree", "add", "-q", "-b", "side", str(linked))
    repo.git("-C", str(linked), "commit", "-q", "--allow-empty", "-m", "side")
    host = make_host(linked)
    base = await host.resolve_base(None)
    assert (base.branch, base.sha) == ("side", repo.git("rev-parse", "side"))
    pull_request = await whole_job(host, request_for, draft)
    assert repo.git("rev-parse", f"{pull_request.branch}^") == base.sha
    (linked / "untracked").write_text("x\n")
    assert await host.notes() == (f"1 uncommitted change in {linked} is not part of the job.",)


async def test_a_job_can_start_from_the_branch_of_another_job(
    repo: Any, host: Any, make_host: Any, request_for: Any, draft: Any
) -> None:
    first = await whole_job(host, request_for, draft)
    second = await whole_job(make_host(repo.path), request_for, draft, first.branch)
    assert second.base_branch == first.branch
    assert repo.git("rev-parse", f"{second.branch}^") == first.head_sha


async def test_a_repository_of_another_user_works_and_stays_theirs(
    repo: Any, host: Any, request_for: Any, draft: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (repo.path, *repo.path.rglob("*")):
        os.chown(path, 12345, 12345)
    for folder in (repo.path, *repo.path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/tmp") and folder != Path("/"):
            folder.chmod(0o755)
    (repo.path / "dirty").write_text("x\n")
    assert len(await host.notes()) == 1
    pull_request = await whole_job(host, request_for, draft)
    assert repo.git("-c", f"safe.directory={repo.path}", "show", f"{pull_request.branch}:new.txt") == "new"
    owners = {path.lstat().st_uid for path in (repo.path / ".git").rglob("*")}
    assert owners == {12345}
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UnavailableError, match="12345") as caught:
        (await host.source()).remote()
    assert caught.value.code == "dubious_owner"


async def test_uncommitted_changes_are_counted_and_nothing_is_written(repo: Any, host: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    repo.git("config", "filter.a=b.clean", f"touch {canary}")
    repo.git("config", "filter.a=b.required", "true")
    repo.git("config", "core.fsmonitor", f"touch {canary}")
    repo.write(".gitattributes", b"* filter=a=b\n")
    repo.write("README.md", b"hullo\n")
    repo.write("new.txt")
    before = repo.fingerprint()
    assert await host.notes() == (f"3 uncommitted changes in {repo.path} are not part of the job.",)
    assert repo.fingerprint() == before
    assert not canary.exists()


async def test_a_clean_repository_needs_no_note(host: Any) -> None:
    assert await host.notes() == ()


async def test_the_source_is_told_apart_by_where_it_really_is(repo: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo.path)
    direct = await open_local_source(str(repo.path), Git())
    linked = await open_local_source(str(tmp_path / "link"), Git())
    assert isinstance(linked, LocalSource)
    assert direct.key == linked.key
    assert linked.display == str(tmp_path / "link")


def test_git_sees_nothing_of_the_environment_but_what_the_transport_needs() -> None:
    parent = {
        "PATH": "/bin",
        "HOME": "/root",
        "GIT_DIR": "/elsewhere",
        "GIT_ASKPASS": "/ask",
        "SSH_AUTH_SOCK": "/agent",
        "https_proxy": "http://proxy",
        "API_KEY": "k",
    }
    file = git_environment(parent, Transport.FILE)
    assert {"GIT_DIR", "GIT_ASKPASS", "SSH_AUTH_SOCK", "https_proxy", "API_KEY"} & file.keys() == set()
    assert (file["PATH"], file["HOME"]) == ("/bin", "/nonexistent")
    assert "SSH_AUTH_SOCK" in git_environment(parent, Transport.SSH)
    assert "https_proxy" not in git_environment(parent, Transport.SSH)
    assert "https_proxy" in git_environment(parent, Transport.WEB)
    assert "SSH_AUTH_SOCK" not in git_environment(parent, Transport.WEB)
    own = parent | {"SSL_CERT_FILE": "/authority.pem"}
    assert git_environment(own, Transport.WEB)["GIT_SSL_CAINFO"] == "/authority.pem"
    assert git_environment(own | {"GIT_SSL_CAINFO": "/own"}, Transport.WEB)["GIT_SSL_CAINFO"] == "/own"
    assert "GIT_SSL_CAINFO" not in git_environment(own, Transport.FILE)
