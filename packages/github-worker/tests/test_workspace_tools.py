"""What an agent can do with its work tree, and what it is told when it cannot."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import Match
from aicd_core.errors import InvalidInputError, NotFoundError
from aicd_core.ids import JobId
from aicd_github import workspace as workspace_module
from aicd_github.local.host import LocalCodeHost
from aicd_github.workspace import CommandObserver, TreeWorkspace


@pytest.fixture
async def workspace(repo: Any, host: Any, job_id: JobId) -> TreeWorkspace:
    checkout = await host.open(job_id, (await host.resolve_base(None)).sha)
    return checkout.workspace


async def test_files_are_written_read_listed_and_diffed(workspace: TreeWorkspace) -> None:
    await workspace.write("src/new.py", b"print()\r\n", executable=True)
    assert await workspace.read("src/new.py") == b"print()\r\n"
    assert await workspace.list() == ["README.md", "src/new.py"]
    assert await workspace.list("src") == ["src/new.py"]
    patch = await workspace.diff()
    assert b"new file mode 100755" in patch
    assert b"+print()\r\n" in patch
    await workspace.reset()
    assert await workspace.list() == ["README.md"]
    assert await workspace.diff() == b""


async def test_one_exact_occurrence_is_replaced_and_the_rest_kept_byte_for_byte(workspace: TreeWorkspace) -> None:
    await workspace.write("a.txt", b"one\r\ntwo\r\n\xff\r\n", executable=True)
    await workspace.replace("a.txt", "two\r\n", "zwölf\r\n")
    assert await workspace.read("a.txt") == b"one\r\n" + "zwölf".encode() + b"\r\n\xff\r\n"


@pytest.mark.parametrize(
    ("old", "code"), [("three", "no_match"), ("", "no_match"), ("one", "several_matches"), ("aa", "several_matches")]
)
async def test_no_occurrence_or_several_are_refused(workspace: TreeWorkspace, old: str, code: str) -> None:
    await workspace.write("a.txt", b"one two one aaa")
    with pytest.raises(InvalidInputError, match=r"a\.txt") as caught:
        await workspace.replace("a.txt", old, "x")
    assert caught.value.code == code
    assert await workspace.read("a.txt") == b"one two one aaa"


async def test_a_search_finds_lines_in_path_order_up_to_the_limit(workspace: TreeWorkspace) -> None:
    await workspace.write("b.py", b"x = 1\r\ny = 2\r\n")
    await workspace.write("a/c.py", "z = 1\nü = 1\u2028still one\nlast = 1".encode())
    await workspace.write("binary.py", b"x = 1\0")
    await workspace.run("ln -s b.py link.py")
    found = await workspace.search(r"= 1$", glob="*.py")
    assert list(found) == [
        Match(path="a/c.py", line=1, text="z = 1"),
        Match(path="a/c.py", line=3, text="last = 1"),
        Match(path="b.py", line=1, text="x = 1"),
    ]
    assert len(await workspace.search(r"=", limit=2)) == 2
    assert list(await workspace.search("hello", glob="a/**")) == []


async def test_a_pattern_that_is_none_is_refused(workspace: TreeWorkspace) -> None:
    with pytest.raises(InvalidInputError, match="unterminated") as caught:
        await workspace.search("(open")
    assert caught.value.code == "bad_pattern"


async def test_a_pattern_that_never_ends_is_stopped_and_blocks_nobody(
    workspace: TreeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_module, "_SEARCH_DEADLINE", 0.5)
    await workspace.write("a.txt", b"a" * 60 + b"\n")
    with pytest.raises(InvalidInputError) as caught:
        await workspace.search("(a+)+b")
    assert caught.value.code == "search_timeout"


async def test_a_command_runs_in_the_tree_and_is_watched(repo: Any, data_dir: Any, sandbox: Any, job_id: JobId) -> None:
    seen: list[str] = []
    observer = CommandObserver(on_command=seen.append, on_output=seen.append)
    host = LocalCodeHost(str(repo.path), data_dir, sandbox, 60, observer)
    workspace = (await host.open(job_id, (await host.resolve_base(None)).sha)).workspace
    result = await workspace.run("cat README.md -", stdin=b"from stdin\n")
    assert (result.ok, result.output) == (True, "hello\nfrom stdin\n")
    assert seen == ["cat README.md -", "hello\nfrom stdin\n"]


async def test_a_command_gets_no_more_time_than_allowed(workspace: TreeWorkspace, sandbox: Any) -> None:
    for timeout in (None, 5, 3600):
        await workspace.run("true", timeout=timeout)
    assert sandbox.timeouts == [60, 5, 60]
    with pytest.raises(InvalidInputError):
        await workspace.run("true", timeout=0)


async def test_network_is_refused_with_a_way_out(workspace: TreeWorkspace, sandbox: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"network\.coding") as caught:
        await workspace.run("curl http://example.com", network=True)
    assert caught.value.code == "network_refused"
    assert sandbox.timeouts == []


async def test_paths_that_escape_or_are_missing_are_refused_everywhere(workspace: TreeWorkspace) -> None:
    await workspace.run("ln -s / out")
    for path in ("../x", "/etc/passwd", ".git/config", "out/etc/passwd"):
        for act in (workspace.read(path), workspace.write(path, b""), workspace.replace(path, "a", "b")):
            with pytest.raises(InvalidInputError) as caught:
                await act
            assert caught.value.code == "path_escapes"
    with pytest.raises(NotFoundError):
        await workspace.read("missing.txt")


async def test_many_tools_at_once_do_not_disturb_each_other(workspace: TreeWorkspace) -> None:
    await asyncio.gather(*(workspace.write(f"f{number}.txt", b"x\n") for number in range(20)))
    patches = await asyncio.gather(*(workspace.diff() for _ in range(4)))
    assert len(set(patches)) == 1
    assert patches[0].count(b"new file mode") == 20


def test_a_search_whose_worker_was_killed_ends_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a" * 60)
    question = {"root": str(tmp_path), "pattern": "(a+)+b", "glob": None, "limit": 1, "deadline": 1}
    words = [sys.executable, "-c", "from aicd_github.tree.searcher import main; main()"]
    ended = subprocess.run(words, input=json.dumps(question).encode(), check=False, timeout=60)
    assert ended.returncode == -signal.SIGALRM
