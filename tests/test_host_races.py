"""A command that swaps what it has for links, again and again, while the host reads, lists and writes in its tree."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from aicd_cli.runtime import make_sandbox
from aicd_core.errors import AicdError
from aicd_core.settings import Settings
from aicd_github.tree.files import TreeFiles
from aicd_github.tree.listing import list_files

SECRET = b"the host's secret"
SECONDS = 1.5

SWAP = """
import os, sys
outside = sys.argv[1]
os.makedirs("real", exist_ok=True)
open("good", "w").write("good")
open("real/file", "w").write("good")
while True:
    for target, name in ((outside + "/secret", "file"), ("good", "file"), (outside, "folder"), ("real", "folder")):
        try:
            os.symlink(target, "next"); os.rename("next", name)
            os.unlink(name)
            if target == "good": os.link("good", "next"); os.rename("next", name); os.unlink(name)
            if target == "real": os.rename("real", name); os.rename(name, "real")
            os.makedirs("real", exist_ok=True); open("real/file", "w").write("good")
        except OSError:
            pass
"""


@pytest.fixture
async def swapped(tmp_path: Path) -> AsyncIterator[tuple[TreeFiles, Path]]:
    """A tree in which the swapping goes on, and a folder of the host beside it."""
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    for folder in (outside, tree):
        folder.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (outside / "file").write_bytes(SECRET)
    (tree / "swap.py").write_text(SWAP)
    sandbox = make_sandbox(Settings(data_dir=tmp_path / "data"))
    if sandbox.owner is not None:
        os.chown(tree, *sandbox.owner)
    session = await sandbox.open(tree)
    swapping = asyncio.ensure_future(session.run(f"python3 swap.py {outside}", timeout=60))
    while not (tree / "good").exists():
        await asyncio.sleep(0.01)
    yield TreeFiles(tree, sandbox.owner, 1 << 20), outside
    assert not swapping.done(), swapping.result()
    await session.close()
    await swapping


async def again(act: Callable[[], object]) -> list[object]:
    """Everything that the act gave back in a while; refusals are what is hoped for."""

    def work() -> list[object]:
        given: list[object] = []
        for _ in range(20):
            with suppress(AicdError, OSError):
                given.append(act())
        return given

    found: list[object] = []
    end = asyncio.get_running_loop().time() + SECONDS
    while asyncio.get_running_loop().time() < end:
        found += await asyncio.to_thread(work)
    return found


@pytest.mark.parametrize("path", ["file", "folder/file", "folder/secret"])
async def test_no_read_ever_follows_a_link_out(swapped: tuple[TreeFiles, Path], path: str) -> None:
    files, _ = swapped
    contents = await again(lambda: files.read(path))
    assert SECRET not in contents
    assert SECRET in await again((files.root / path).read_bytes)  # as a reader would that did not look
    assert (await again(lambda: files.read("good")))[0] == b"good"


async def test_no_listing_ever_shows_a_folder_outside(swapped: tuple[TreeFiles, Path]) -> None:
    files, _ = swapped
    seen = await again(lambda: tuple(list_files(files.root, "")))
    assert seen
    assert not [paths for paths in seen if "folder/secret" in str(paths)]


async def test_no_write_ever_lands_outside(swapped: tuple[TreeFiles, Path]) -> None:
    files, outside = swapped
    await again(lambda: files.write("folder/file", b"written", executable=None))
    await again(lambda: files.write("file", b"written", executable=None))
    await again(lambda: files.write("folder/new/file", b"written", executable=None))
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret": SECRET, "file": SECRET}
