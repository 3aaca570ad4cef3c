"""What `.aicd.yml` leaves out is neither fetched nor laid out, and stays in the commit."""

from pathlib import Path
from typing import Any

import pytest
from served_world import SPARSE, kinds, mirror_of, no_proxy, opened, origin, put, server

from aicd_core.errors import InvalidInputError, StepFailedError, UnavailableError
from aicd_core.ids import JobId
from aicd_github.git.runner import Git, GitCall, Place
from aicd_github.testing.git_server import GitServer

__all__ = ["no_proxy", "origin", "put", "server"]


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
