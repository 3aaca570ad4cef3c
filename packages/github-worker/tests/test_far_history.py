"""The past of a repository behind a URL: as much as judging it takes is fetched, and it reads as a clone's does."""

import os
from typing import Any

import pytest
from served_world import kinds, mirror_of, no_proxy, origin, put, server

from aicd_core.errors import UnavailableError
from aicd_core.policy import paths_to_read
from aicd_github.git.runner import Git
from aicd_github.history import History, open_history
from aicd_github.hosting import host as hosting
from aicd_github.testing.git_server import GitServer

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
__all__ = ["no_proxy", "origin", "put", "server"]


@pytest.fixture
def eventful(origin: Any, put: Any) -> Any:
    """Five commits, then a settings file that goes again, a merge with a conflict, a rename and a binary file."""
    put({".aicd.yml": b"version: 1\n", "lib/.gitattributes": b"*.bin -diff\n"})
    origin.git("checkout", "-q", "-b", "side")
    put({"side.py": b"side\n"}, "side")
    origin.git("checkout", "-q", "main")
    put({"lib/a.py": b"other\n", "lib/x.bin": bytes(range(256))})
    origin.git("merge", "-q", "--no-ff", "-m", "Merge", "side")
    origin.git("mv", "web/index.html", "web/start.html")
    put({".aicd.yml": None, "web/test_a.py": b"def test_a(): pass\n"})
    return origin


async def read(history: History, count: int) -> list[Any]:
    """Everything that a policy would look at."""
    told = []
    for commit in await history.commits(count):
        change = await history.change(commit)
        told.append((commit, change, await history.read_before(commit, {".aicd.yml", *paths_to_read(change)})))
    return told


@pytest.mark.parametrize("count", [1, 3, 6, 50])
async def test_it_reads_as_that_of_a_clone(eventful: Any, server: GitServer, make_host: Any, count: int) -> None:
    async with open_history(eventful.path, eventful.path / ".git", "sha1", Git()) as clone:
        wanted = await read(clone, count)
    assert await read(await make_host(server.url("project.git")).fetch_history(count), count) == wanted
    assert len(wanted) == min(count, 9)


async def test_only_what_is_asked_for_travels_and_what_is_here_stays(
    origin: Any, server: GitServer, make_host: Any, data_dir: Any, put: Any
) -> None:
    host = make_host(server.url("project.git"))
    await host.fetch_history(2)
    assert kinds(origin, mirror_of(data_dir))["commit"] == 3
    server.sent = 0
    few = await read(await host.fetch_history(1), 1)
    assert server.sent < 2000  # what is here reaches further
    assert kinds(origin, mirror_of(data_dir))["commit"] == 3
    for number in range(4):
        put({"README.md": b"new %d\n" % number})
    newest = await read(await host.fetch_history(1), 1)
    assert (few[0][0].subject, newest[0][0].sha) == ("commit 4", origin.git("rev-parse", "HEAD"))
    put({"README.md": b"elsewhere\n"}, "other")
    origin.git("checkout", "-q", "--orphan", "anew")
    put({"README.md": b"anew\n"})
    assert [each[0].before for each in await read(await host.fetch_history(5), 5)] == [EMPTY_TREE]


async def test_a_past_that_is_too_large_is_told_and_leaves_nothing_half(
    server: GitServer, make_host: Any, data_dir: Any, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put({"big": os.urandom(200_000)})
    host = make_host(server.url("project.git"))
    monkeypatch.setattr(hosting, "_HISTORY_BYTES", 100_000)
    with pytest.raises(UnavailableError, match="Ask for fewer") as caught:
        await host.fetch_history(1)
    assert caught.value.code == "history_too_large"
    assert not [*(mirror_of(data_dir) / "objects" / "pack").glob("tmp_*")]
    monkeypatch.undo()
    assert len(await read(await host.fetch_history(1), 1)) == 1
