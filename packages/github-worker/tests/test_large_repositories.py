"""Of a repository behind a URL only what a job needs travels; real `git http-backend` on the loopback."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import Base
from aicd_core.errors import InvalidInputError, StepFailedError, UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_github.git import environment
from aicd_github.git.environment import Transport, git_environment
from aicd_github.git.mirror import Mirror
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall, Place
from aicd_github.history import open_history
from aicd_github.testing.git_server import GitServer, serving

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 7\n"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def origin(make_repo: Any) -> Any:
    """Five commits; two folders of code, a link and a pointer of Git LFS."""
    made = make_repo("origin")
    for number in range(5):
        for name in ("web/src/app.js", "web/index.html", "lib/a.py", "lib/deep/b.py", "README.md"):
            made.write(name, f"{name} {number}\n".encode() * 20)
        made.write(".gitattributes", b"*.psd filter=lfs\n")
        made.write("web/logo.psd", POINTER)
        made.commit(f"commit {number}")
    return made


@pytest.fixture
def server(origin: Any, tmp_path: Path) -> Iterator[GitServer]:
    bare = tmp_path / "served/project.git"
    origin.git("clone", "-q", "--bare", ".", str(bare))
    for setting in ("http.receivepack", "uploadpack.allowFilter"):
        origin.git("--git-dir", str(bare), "config", setting, "true")
    with serving(GitServer(bare.parent)) as running:
        yield running


@pytest.fixture
def put(origin: Any, server: GitServer) -> Callable[..., str]:
    """Commits files, or the lack of them, and pushes; returns the commit."""

    def put(files: dict[str, bytes | None], branch: str = "main") -> str:
        for path, content in files.items():
            if content is None:
                (origin.path / path).unlink()
            else:
                origin.write(path, content)
        sha: str = origin.commit()
        origin.git("push", "-q", "--force", str(server.root / "project.git"), f"HEAD:refs/heads/{branch}")
        return sha

    return put


def mirror_of(data_dir: Path) -> Path:
    (found,) = (data_dir / "mirrors").glob("*.git")
    return found


def kinds(origin: Any, repository: Path) -> dict[str, int]:
    """How many objects of each kind a repository holds."""
    listed = origin.git("--git-dir", str(repository), "cat-file", "--batch-check", "--batch-all-objects")
    found = [line.split(" ")[1] for line in listed.splitlines()]
    return {kind: found.count(kind) for kind in ("commit", "tree", "blob")}


def fetches(server: GitServer) -> int:
    return sum(request.startswith("POST") and "git-upload-pack" in request for request in server.requests)


async def test_neither_the_past_nor_its_files_travel(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    mirror = mirror_of(data_dir)
    assert kinds(origin, mirror) == {"commit": 1, "tree": 5, "blob": 0}
    before = fetches(server)
    checkout = await host.open(job_id, base.sha)
    assert fetches(server) - before == 1, "all files come in one request"
    assert kinds(origin, mirror)["blob"] == 7
    assert (mirror / "config").read_text().count("[") == 1, "nothing names a remote"
    server.requests.clear()
    assert (await checkout.workspace.read("web/src/app.js")).startswith(b"web/src/app.js 4\n")
    assert await checkout.read_at_base("lib/a.py")
    await host.open(JobId(new_uuid()), base.sha)
    assert server.requests == [], "what is here is not asked for again"


async def test_a_job_from_clone_to_pull_request_while_the_branch_moves_on(
    origin: Any,
    server: GitServer,
    put: Any,
    make_host: Any,
    job_id: JobId,
    request_for: Any,
    draft: Any,
    data_dir: Path,
) -> None:
    url, bare = server.url("project.git"), server.root / "project.git"
    host = make_host(url)
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("lib/a.py", b"changed\n")
    await checkout.workspace.write("lib/new/c.py", b"new\n")
    change = await checkout.capture(())
    head = await checkout.commit(request_for(change))
    put({"README.md": b"somebody else was faster\n", "lib/deep/b.py": b"here, too\n"})
    before = kinds(origin, bare)
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    after = kinds(origin, bare)
    assert origin.git("--git-dir", str(bare), "rev-parse", pull_request.branch) == head
    assert {kind: after[kind] - before[kind] for kind in after} == {"commit": 1, "tree": 3, "blob": 2}
    assert "lib/deep/b.py" not in origin.git("--git-dir", str(bare), "diff", "--name-only", base.sha, head)
    assert origin.git("--git-dir", str(bare), "fsck", "--strict", "--no-dangling") == ""
    await host.withdraw(job_id)
    # The next job, on what is there now, has all that is new and nothing that is older than the first base.
    again = await host.resolve_base(None)
    other = await host.open(JobId(new_uuid()), again.sha)
    assert await other.read_at_base("README.md") == b"somebody else was faster\n"
    assert kinds(origin, mirror_of(data_dir))["commit"] == 2


async def test_another_machine_goes_on_from_the_record(
    server: GitServer, put: Any, make_host: Any, data_dir: Path, job_id: JobId, request_for: Any
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    change = await checkout.capture(())
    head = await checkout.commit(request_for(change))
    put({"README.md": b"moved on\n"})
    shutil.rmtree(data_dir)
    elsewhere = await make_host(server.url("project.git")).open(job_id, base.sha)
    await elsewhere.restore(change)
    assert await elsewhere.workspace.read("web/src/app.js") == b"changed\n"
    assert await elsewhere.capture(()) == change
    assert await elsewhere.commit(request_for(change)) == head


async def published_elsewhere(make_host: Any, url: str, job_id: JobId, base: Base, commit: Any, draft: Any) -> Any:
    host = make_host(url)
    checkout = await host.open(job_id, base.sha)
    return await host.publish(job_id, checkout, await checkout.commit(commit), base, draft)


@pytest.mark.parametrize("known", [False, True])
async def test_another_machine_publishes_from_a_commit_that_the_branch_has_left_behind(
    origin: Any,
    server: GitServer,
    put: Any,
    make_host: Any,
    data_dir: Path,
    job_id: JobId,
    request_for: Any,
    draft: Any,
    known: bool,
) -> None:
    put({".aicd.yml": SPARSE})
    base, checkout = await opened(make_host(server.url("project.git")), job_id)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    commit = request_for(await checkout.capture(()))
    shutil.rmtree(data_dir)
    for number in range(3):
        put({"lib/a.py": b"moved on %d\n" % number})
    if known:  # another job is there already, on the newest commit and nothing before it
        await opened(make_host(server.url("project.git")), JobId(new_uuid()))
        assert kinds(origin, mirror_of(data_dir))["commit"] == 1
    bare = server.root / "project.git"
    before = kinds(origin, bare)
    pull = await published_elsewhere(make_host, server.url("project.git"), job_id, base, commit, draft)
    after = kinds(origin, bare)
    assert {kind: after[kind] - before[kind] for kind in after} == {"commit": 1, "tree": 3, "blob": 1}
    assert origin.git("--git-dir", str(bare), "merge-base", "main", pull.branch) == base.sha


async def test_a_base_that_was_rewritten_away_is_published_or_told(
    origin: Any, server: GitServer, put: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    put({".aicd.yml": SPARSE, "lib/a.py": b"only here\n"})
    host = make_host(server.url("project.git"))
    base, checkout = await opened(host, job_id)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    origin.git("checkout", "-q", "--orphan", "anew")
    put({"README.md": b"all anew\n"})
    with pytest.raises(StepFailedError, match="Start a new job") as caught:
        await host.publish(job_id, checkout, head, base, draft)
    assert caught.value.code == "base_gone"


async def test_a_branch_that_begins_in_the_known_past_cuts_nothing_off(
    origin: Any, server: GitServer, put: Any, data_dir: Path
) -> None:
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    first = origin.git("rev-parse", "main")
    await mirror.ensure("main", first)
    middle = put({"x": b"1\n"})
    await mirror.ensure("main", put({"x": b"2\n"}))
    origin.git("--git-dir", str(server.root / "project.git"), "branch", "topic", middle)
    await mirror.ensure("topic", middle)
    assert origin.git("--git-dir", str(mirror.path), "rev-list", "--count", "main") == "3"
    assert (mirror.path / "shallow").read_text() == f"{first}\n"


async def test_a_server_that_is_away_when_files_are_needed_is_told(
    server: GitServer, make_host: Any, job_id: JobId
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    server.status = 503
    with pytest.raises(
        UnavailableError, match="files of the base commit could not be fetched from http://127"
    ) as caught:
        await host.open(job_id, base.sha)
    assert caught.value.code == "git_failed"
    server.status = None
    checkout = await host.open(job_id, base.sha)
    assert await checkout.workspace.read("README.md")


async def test_a_server_without_filters_sends_whole_commits_and_the_log_says_so(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    origin.git("--git-dir", str(server.root / "project.git"), "config", "uploadpack.allowFilter", "false")
    host = make_host(server.url("project.git"))
    with caplog.at_level(logging.WARNING):
        base = await host.resolve_base(None)
    assert "no uploadpack.allowFilter" in caplog.text
    assert kinds(origin, mirror_of(data_dir)) == {"commit": 1, "tree": 5, "blob": 7}
    before = fetches(server)
    await host.open(job_id, base.sha)
    assert fetches(server) == before


async def test_a_server_that_serves_no_single_files_is_fetched_whole(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(Remote, "settings", lambda self, plain=Remote.settings: (*plain(self), "protocol.version=0"))
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    assert kinds(origin, mirror_of(data_dir))["blob"] == 0
    checkout = await host.open(job_id, base.sha)
    assert await checkout.workspace.read("README.md")
    assert "serves no single files" in caplog.text


async def test_a_plain_web_server_is_fetched_whole(
    origin: Any, server: GitServer, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin.git("--git-dir", str(server.root / "project.git"), "update-server-info")
    server.dumb = True
    sha = origin.git("rev-parse", "main")
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    await mirror.ensure("main", sha)
    assert await mirror.commit_of("main") == sha
    assert kinds(origin, mirror.path)["blob"] > 7
    assert "plain web server" in caplog.text


async def test_files_that_nobody_has_any_more_are_told(origin: Any, server: GitServer, data_dir: Path) -> None:
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    await mirror.fetch("main")
    with pytest.raises(UnavailableError, match="Start a new job") as caught:
        await mirror.complete(["1" * 40])
    assert caught.value.code == "objects_gone"


async def test_a_base_that_the_server_does_not_have_costs_one_question(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    with pytest.raises(StepFailedError, match="not on any branch") as caught:
        await make_host(server.url("project.git")).open(job_id, "1" * 40)
    assert caught.value.code == "base_gone"
    assert fetches(server) == 1
    assert kinds(origin, mirror_of(data_dir))["commit"] == 0


async def test_a_base_is_found_among_all_branches_where_commits_are_not_served_by_name(
    origin: Any, server: GitServer, put: Any, make_host: Any, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "settings", lambda self, plain=Remote.settings: (*plain(self), "protocol.version=0"))
    base_sha = origin.git("rev-parse", "main")
    put({"x": b"moved on\n"})
    checkout = await make_host(server.url("project.git")).open(job_id, base_sha)
    assert "x" not in await checkout.workspace.list()


async def test_branches_are_brought_one_by_one_and_make_way_for_each_other(
    origin: Any, server: GitServer, put: Any, data_dir: Path
) -> None:
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    put({"x": b"x\n"}, "topic")
    await mirror.fetch("topic")
    assert kinds(origin, mirror.path)["commit"] == 1
    origin.git("--git-dir", str(server.root / "project.git"), "branch", "-q", "-D", "topic")
    sha = put({"x": b"y\n"}, "topic/deeper/still")
    await mirror.fetch("topic/deeper/still")
    assert await mirror.commit_of("topic/deeper/still") == sha
    assert await mirror.commit_of("topic") is None
    origin.git("--git-dir", str(server.root / "project.git"), "branch", "-q", "-D", "topic/deeper/still")
    sha = put({"x": b"z\n"}, "topic/deeper")
    await mirror.fetch("topic/deeper")
    assert await mirror.commit_of("topic/deeper") == sha
    await mirror.catch_up("topic/gone", sha)
    with pytest.raises(UnavailableError):
        await mirror.fetch("topic/gone")


async def test_a_mirror_that_lost_objects_is_mended(
    origin: Any, server: GitServer, put: Any, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    await host.open(job_id, base.sha)
    for pack in (mirror_of(data_dir) / "objects/pack").glob("*"):
        pack.unlink()
    checkout = await host.open(JobId(new_uuid()), base.sha)
    assert await checkout.workspace.read("README.md")
    sha = put({"README.md": b"next\n"})
    assert (await host.resolve_base(None)).sha == sha
    assert await (await host.open(JobId(new_uuid()), sha)).read_at_base("README.md") == b"next\n"


async def test_packs_are_rolled_up_and_fetching_goes_on(
    origin: Any, server: GitServer, put: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aicd_github.git.mirror._PACK_LIMIT", 2)
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    for number in range(6):
        sha = put({"web/index.html": b"%d\n" % number, "lib/a.py": b"%d\n" % -number})
        await mirror.ensure("main", sha)
        await mirror.complete([origin.git("rev-parse", f"{sha}:web/index.html")])
    assert len(list((mirror.path / "objects/pack").glob("*.pack"))) <= 3
    assert kinds(origin, mirror.path)["commit"] == 6
    assert kinds(origin, mirror.path)["blob"] == 6


def test_git_reaches_no_other_repository_unless_the_call_is_about_one() -> None:
    allowed = {kind: git_environment({}, kind)["GIT_ALLOW_PROTOCOL"] for kind in (None, *Transport)}
    assert allowed == {None: "none", "file": "file", "web": "http:https", "ssh": "ssh"}


@pytest.mark.parametrize("knows", ["0", "1"])
async def test_nothing_is_fetched_behind_our_back(
    make_repo: Any, make_host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    """A local repository that is a partial clone could have git run a program of its configuration's choice."""
    # With 0, git is as it was before it knew this variable.
    monkeypatch.setitem(environment._CONSTANT, "GIT_NO_LAZY_FETCH", knows)
    whole = make_repo("whole")
    whole.write("file", b"content\n")
    whole.commit()
    whole.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    whole.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{whole.path}", str(partial))
    trap, mark = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f'#!/bin/sh\ntouch {mark}\nexec git-upload-pack "$@"\n')
    trap.chmod(0o755)
    whole.git("--git-dir", str(partial), "config", "remote.origin.uploadpack", str(trap))
    blob = whole.git("rev-parse", "HEAD:file")
    result = await Git().run(GitCall(("cat-file", "blob", blob), Place(partial)))
    assert result.returncode != 0
    with pytest.raises(UnavailableError, match="partial clone"):
        await make_host(partial).resolve_base(None)
    assert not mark.exists()
    # The trap is a good one: git as the user runs it walks into it.
    assert whole.git("--git-dir", str(partial), "cat-file", "blob", blob) == "content"
    assert mark.exists()


async def test_the_past_of_a_partial_clone_is_read_as_far_as_it_is_here(origin: Any, tmp_path: Path) -> None:
    origin.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    origin.git("clone", "-q", "--filter=blob:none", f"file://{origin.path}", str(partial))
    git = Git()
    async with open_history(partial, partial / ".git", "sha1", git) as history:
        newest, older, *_ = await history.commits(3)
        with pytest.raises(InvalidInputError, match="git fetch --refetch --no-filter") as caught:
            await history.change(older)
        assert caught.value.code == "partial_clone"
        with pytest.raises(InvalidInputError, match="partial clone"):
            await history.read_before(older, ["README.md"])
    origin.git("-C", str(partial), "fetch", "-q", "--refetch", "--no-filter")
    async with open_history(partial, partial / ".git", "sha1", git) as history:
        assert (await history.change(older)).files
        assert (await history.read_before(newest, ["README.md"]))["README.md"].startswith(b"README.md 3")


# ---- what .aicd.yml leaves out


SPARSE = b"version: 1\ncheckout: {sparse: [web]}\n"


async def opened(host: Any, job_id: JobId) -> tuple[Base, Any]:
    base = await host.resolve_base(None)
    return base, await host.open(job_id, base.sha)


async def test_only_the_folders_that_are_named_are_fetched_and_laid_out(
    origin: Any, server: GitServer, put: Any, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    put({".aicd.yml": SPARSE, "lib/test_x.py": b"import pytest\n"})
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    tree = [".aicd.yml", ".gitattributes", "README.md", "web/index.html", "web/logo.psd", "web/src/app.js"]
    assert await checkout.workspace.list() == tree
    assert await checkout.workspace.search("b.py") == []
    assert "lib/a.py" in await checkout.paths_at_base()
    assert kinds(origin, mirror_of(data_dir))["blob"] == len(tree) + 1, "the test file tells how the tests are run"
    server.requests.clear()
    assert await checkout.read_at_base("lib/test_x.py") == b"import pytest\n"
    assert server.requests == []
    assert (await checkout.read_at_base("lib/a.py") or b"").startswith(b"lib/a.py 4")
    assert server.requests != []
    server.status = 503
    with pytest.raises(UnavailableError, match="could not be fetched"):
        await checkout.read_at_base("lib/deep/b.py")


async def test_what_is_left_out_stays_in_the_commit(
    origin: Any, server: GitServer, put: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    base_sha = put({".aicd.yml": SPARSE})
    host = make_host(server.url("project.git"))
    base, checkout = await opened(host, job_id)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    await checkout.workspace.write("brand/new.py", b"new\n")
    await checkout.workspace.run("rm web/index.html; mv README.md READ.md; ln -s web/src shortcut")
    change = await checkout.capture(())
    await checkout.restore(None)
    assert "brand/new.py" not in await checkout.workspace.list()
    await checkout.restore(change)
    assert await checkout.workspace.read("brand/new.py") == b"new\n"
    assert await checkout.capture(()) == change
    head = await checkout.commit(request_for(change))
    await host.publish(job_id, checkout, head, base, draft)
    bare = str(server.root / "project.git")
    changed = origin.git("--git-dir", bare, "diff", "--no-renames", "--name-status", base_sha, head).splitlines()
    assert sorted(changed) == [
        *("A\tREAD.md", "A\tbrand/new.py", "A\tshortcut", "D\tREADME.md", "D\tweb/index.html", "M\tweb/src/app.js")
    ]
    assert origin.git("--git-dir", bare, "fsck", "--strict", "--no-dangling") == ""


async def captured(checkout: Any) -> tuple[Any, str | None]:
    """The change; or why there is none."""
    try:
        return await checkout.capture(("web/more.js",)), None
    except StepFailedError as error:
        return None, error.code


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("mkdir lib && echo x > lib/a.py", "outside_checkout"),
        ("mkdir lib && echo x > lib/other.py", "outside_checkout"),
        ("echo x > lib", "outside_checkout"),
        ("ln -s web lib", "outside_checkout"),
        ("mkdir -p lib/deep/b.py && echo x > lib/deep/b.py/c", "outside_checkout"),
        ("mkdir -p lib/new && echo x > lib/new/x", "outside_checkout"),
        ("mkdir -p lib/deep && ln -s ../../web lib/deep/b.py", "outside_checkout"),
        ("mkdir lib && ln README.md lib/a.py", "outside_checkout"),
        ("printf 'lib\\n' > .gitignore; mkdir lib; echo x > lib/a.py", "outside_checkout"),
        ("mkdir -p lib/.git", "nested_repository"),
        ("git init -q lib", "nested_repository"),
        ("mkfifo lib", None),
        ("mkdir -p lib/deep", None),
        ("printf 'lib\\n' > .gitignore; mkdir lib; echo x > lib/built.o", None),
    ],
)
async def test_no_command_deletes_or_changes_what_is_left_out(
    origin: Any, put: Any, server: GitServer, make_host: Any, job_id: JobId, request_for: Any, attack: str, code: str
) -> None:
    base_sha = put({".aicd.yml": SPARSE})
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    before = origin.git("ls-tree", "-r", base_sha, "lib")
    await checkout.workspace.write("web/more.js", b"more\n")
    assert (await checkout.workspace.run(attack)).ok
    change, told = await captured(checkout)
    assert told == code
    if change is None:
        await checkout.restore(None)
        await checkout.workspace.write("web/more.js", b"more\n")
        change = await checkout.capture(())
    assert "web/more.js" in change.paths()
    head = await checkout.commit(request_for(change))
    shown = await Git().run(GitCall(("ls-tree", "-r", head, "lib"), Place(checkout.repository.path)))
    assert shown.text() == before


async def test_removing_all_that_is_there_removes_only_that(
    server: GitServer, put: Any, make_host: Any, job_id: JobId, request_for: Any
) -> None:
    put({".aicd.yml": SPARSE, "web/deep/er/x": b"x\n"})
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    assert (await checkout.workspace.run("find . -mindepth 1 -delete")).ok
    head = await checkout.commit(request_for(await checkout.capture(())))
    shown = await Git().run(GitCall(("ls-tree", "-r", "--name-only", head), Place(checkout.repository.path)))
    assert shown.text().splitlines() == ["lib/a.py", "lib/deep/b.py"]


async def test_tools_say_what_is_left_out(server: GitServer, put: Any, make_host: Any, job_id: JobId) -> None:
    put({".aicd.yml": SPARSE})
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    for path in ("lib/a.py", "lib/new.py", "./lib//new.py", "lib", "lib/a.py/x"):
        with pytest.raises(
            InvalidInputError, match=r"checkout\.sparse of \.aicd\.yml leaves 'lib/a\.py' out"
        ) as caught:
            await checkout.workspace.write(path, b"x")
        assert caught.value.code == "outside_checkout"
    assert await checkout.workspace.list("lib") == []


async def test_submodules_and_links_elsewhere_are_left_alone(
    origin: Any, server: GitServer, put: Any, make_host: Any, job_id: JobId, request_for: Any
) -> None:
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib/sub")
    origin.git("commit", "-q", "-m", "a submodule")
    (origin.path / "lib/link").symlink_to("deep/b.py")
    origin.git("add", "lib/link")
    origin.write(".aicd.yml", SPARSE)
    origin.git("add", ".aicd.yml")
    origin.git("commit", "-q", "-m", "sparse")
    origin.git("push", "-q", str(server.root / "project.git"), "HEAD:refs/heads/main")
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    assert not (checkout.repository.tree / "lib").exists()
    await checkout.workspace.run("ln -s src web/inner")
    head = await checkout.commit(request_for(await checkout.capture(())))
    listed = await Git().run(GitCall(("ls-tree", "-r", "--name-only", head, "lib"), Place(checkout.repository.path)))
    assert listed.text().splitlines() == ["lib/a.py", "lib/deep/b.py", "lib/link", "lib/sub"]


async def test_a_folder_that_is_not_there_ends_the_job(
    server: GitServer, put: Any, make_host: Any, job_id: JobId
) -> None:
    put({".aicd.yml": b"checkout: {sparse: [wep]}\n"})
    with pytest.raises(StepFailedError, match="no folder 'wep'") as caught:
        await opened(make_host(server.url("project.git")), job_id)
    assert caught.value.code == "invalid_config"


async def test_a_local_repository_can_be_laid_out_in_part_too(
    make_repo: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    repo = make_repo("near")
    for path in ("web/a", "lib/b"):
        repo.write(path)
    repo.write(".aicd.yml", SPARSE)
    sha = repo.commit()
    host = make_host(repo.path)
    base, checkout = await opened(host, job_id)
    assert await checkout.workspace.list() == [".aicd.yml", "web/a"]
    assert await checkout.read_at_base("lib/b") == b"content\n"
    await checkout.workspace.write("web/a", b"changed\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    pull = await host.publish(job_id, checkout, head, base, draft)
    assert repo.git("diff", "--name-only", sha, pull.branch) == "web/a"


# ---- Git LFS


async def test_pointers_of_lfs_stay_pointers(
    server: GitServer, make_host: Any, job_id: JobId, request_for: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smudge = tmp_path / "bin/git-lfs"
    smudge.parent.mkdir()
    smudge.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    smudge.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smudge.parent}:{os.environ['PATH']}")
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    assert await checkout.workspace.read("web/logo.psd") == POINTER
    await checkout.workspace.write("web/logo.psd", POINTER.replace(b"a" * 64, b"b" * 64))
    change = await checkout.capture(())
    assert [(file.path, file.new_size) for file in change.files] == [("web/logo.psd", len(POINTER))]
    await checkout.commit(request_for(change))
    assert not (tmp_path / "ran").exists()
