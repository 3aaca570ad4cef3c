"""A tree that changes while the host reads or lays it gives away nothing, and nothing is written outside of it."""

import ctypes
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import AicdError, StepFailedError
from aicd_core.ids import JobId
from aicd_github.checkout import GitCheckout
from aicd_github.git.loose import write_blob
from aicd_github.tree import survey as surveying
from aicd_github.tree import taking
from aicd_github.tree.beneath import Beneath
from aicd_github.tree.placing import place
from aicd_github.work_tree.known import KnownFiles

SECRET = b"another tenant's secret\n"
_EXCHANGE = 2  # RENAME_EXCHANGE: https://man7.org/linux/man-pages/man2/rename.2.html
_HERE = -100  # AT_FDCWD
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def swapping(real: Path, link: Path, target: Path) -> Iterator[list[int]]:
    """Exchanges a name for a link as fast as it can, as a program left in the sandbox would; counts in the list."""
    count = [0]
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            if not os.path.lexists(link):
                link.symlink_to(target)
            if _LIBC.renameat2(_HERE, os.fsencode(real), _HERE, os.fsencode(link), _EXCHANGE) == 0:
                count[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "a.txt").write_bytes(SECRET)
    return folder


@pytest.fixture
async def checkout(repo: Any, host: Any, job_id: JobId) -> GitCheckout:
    repo.write("src/a.txt", b"a\n")
    repo.commit()
    return await host.open(job_id, (await host.resolve_base(None)).sha)


def stored(checkout: GitCheckout) -> list[Path]:
    """The files of the job's folder that hold the secret."""
    files = (path for path in checkout.repository.folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if SECRET in path.read_bytes()]


async def has_object(checkout: GitCheckout, sha: str) -> bool:
    place_of = checkout.repository.quarantine.path / "objects" / sha[:2] / sha[2:]
    return place_of.exists()


@pytest.mark.parametrize("what", ["folder", "file"])
async def test_a_link_swapped_in_while_the_tree_is_read_lets_nothing_in(
    checkout: GitCheckout, outside: Path, repo: Any, what: str
) -> None:
    tree = checkout.repository.tree
    secret_sha = repo.git("hash-object", str(outside / "a.txt"))
    real = tree / ("src" if what == "folder" else "src/a.txt")
    decoy = checkout.repository.folder.parent / "decoy"  # swapped in from elsewhere: it is never seen by itself
    outcomes = set()
    with swapping(real, decoy, outside if what == "folder" else outside / "a.txt") as count:
        for number in range(40):
            (tree / f"new{number % 3}.txt").write_text(f"{number}\n")
            checkout.touched()
            try:
                change_set = await checkout.capture(())
                assert SECRET not in change_set.patch
                outcomes.add("captured")
            except StepFailedError as error:
                outcomes.add(error.code)
    assert count[0] > 100
    assert outcomes <= {"captured", "symlink_leads_out", "tree_unsteady", "uncommittable_tree"}
    assert not await has_object(checkout, secret_sha)


def never(name: str, size: int, pieces: Iterable[bytes]) -> None:
    raise AssertionError(f"{name} was stored")


def test_a_folder_that_became_a_link_is_not_entered(tmp_path: Path, outside: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / "src/a.txt").write_bytes(b"a\n")
    found = surveying.survey(tree)
    (tree / "src").rename(tmp_path / "moved")
    (tree / "src").symlink_to(outside)
    with pytest.raises(taking.TreeMovedError):
        taking.take(tree, found, {}, never, "sha1")


@pytest.mark.parametrize("target", ["link", "fifo", "folder"])
def test_a_file_that_became_something_else_is_not_read(tmp_path: Path, outside: Path, target: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.txt").write_bytes(b"a\n")
    found = surveying.survey(tree)
    (tree / "a.txt").unlink()
    if target == "link":
        (tree / "a.txt").symlink_to(outside / "a.txt")
    elif target == "fifo":
        os.mkfifo(tree / "a.txt")
    else:
        (tree / "a.txt").mkdir()
    with pytest.raises(taking.TreeMovedError):
        taking.take(tree, found, {}, never, "sha1")


def test_a_file_that_is_changed_between_two_reads_of_it_is_not_stored(tmp_path: Path) -> None:
    tree, objects = tmp_path / "tree", tmp_path / "objects"
    tree.mkdir()
    objects.mkdir()
    (tree / "a.txt").write_bytes(b"first\n")

    def change_and_store(name: str, size: int, pieces: Iterable[bytes]) -> None:
        (tree / "a.txt").write_bytes(b"other\n")
        write_blob(objects, name, size, pieces)

    with pytest.raises(taking.TreeMovedError):
        taking.take(tree, surveying.survey(tree), {}, change_and_store, "sha1")
    assert [path for path in objects.rglob("*") if path.is_file()] == []


def test_a_folder_moved_out_of_the_tree_does_not_lead_out(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "tree/a/b").mkdir(parents=True)
    with Beneath(tmp_path / "tree") as beneath:
        beneath.folder_of("a/b/file")
        (tmp_path / "tree/a/b").rename(tmp_path / "b")
        with pytest.raises(FileNotFoundError):
            os.close(os.open("a.txt", os.O_RDONLY, dir_fd=beneath.folder_of("a/x")[0]))


async def test_a_link_swapped_in_while_the_tree_is_laid_is_never_written_through(
    checkout: GitCheckout, outside: Path, repo: Any
) -> None:
    decoy = checkout.repository.folder.parent / "decoy"
    before = sorted((path.name, path.read_bytes(), path.stat().st_mode) for path in outside.iterdir())
    with swapping(checkout.repository.tree / "src", decoy, outside) as count:
        for _ in range(40):
            checkout.touched()
            checkout._work_tree._known = KnownFiles()  # else what is there is left alone
            with suppress(AicdError):
                await checkout.restore(None)
    assert count[0] > 100
    assert sorted((path.name, path.read_bytes(), path.stat().st_mode) for path in outside.iterdir()) == before
    checkout.touched()
    await checkout.restore(None)  # with the attacker gone, the tree is whole again
    assert (checkout.repository.tree / "src/a.txt").read_bytes() == b"a\n"


def test_files_are_placed_through_no_link(tmp_path: Path, outside: Path) -> None:
    staging, tree = tmp_path / "staging", tmp_path / "tree"
    (staging / "src").mkdir(parents=True)
    (staging / "src/a.txt").write_bytes(b"laid\n")
    tree.mkdir()
    (tree / "src").symlink_to(outside)
    with pytest.raises(OSError, match="src"):
        place(staging, tree, None)
    assert (outside / "a.txt").read_bytes() == SECRET


def test_a_placed_file_replaces_a_link_and_not_what_it_points_to(tmp_path: Path, outside: Path) -> None:
    staging, tree = tmp_path / "staging", tmp_path / "tree"
    staging.mkdir()
    tree.mkdir()
    (staging / "a.txt").write_bytes(b"laid\n")
    (tree / "a.txt").symlink_to(outside / "a.txt")
    place(staging, tree, None)
    assert (tree / "a.txt").read_bytes() == b"laid\n"
    assert (outside / "a.txt").read_bytes() == SECRET


async def test_a_second_name_of_somebody_elses_file_is_refused(checkout: GitCheckout, outside: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(outside / "a.txt", 65533, 65533)
    os.link(outside / "a.txt", checkout.repository.tree / "stolen.txt")
    with pytest.raises(StepFailedError, match=r"stolen\.txt"):
        await checkout.capture(())
    assert stored(checkout) == [checkout.repository.tree / "stolen.txt"]


async def test_a_file_of_a_terabyte_without_content_is_not_read(checkout: GitCheckout) -> None:
    with (checkout.repository.tree / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StepFailedError, match="huge") as caught:
        await checkout.capture(())
    assert caught.value.code == "file_too_large"


async def test_many_large_files_without_content_are_not_read(checkout: GitCheckout) -> None:
    for number in range(40):
        with (checkout.repository.tree / f"large{number}").open("wb") as file:
            file.truncate(taking.MAX_FILE)
    with pytest.raises(StepFailedError) as caught:
        await checkout.capture(())
    assert caught.value.code == "change_too_large"


async def test_a_large_file_that_was_there_before_is_no_fault(
    make_repo: Any, make_host: Any, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MAX_FILE", 1000)
    repo = make_repo("large")
    repo.write("large.bin", bytes(5000))
    first = repo.commit()
    await make_host(repo.path).open(job_id, first)
    again = await make_host(repo.path).open(job_id, first)  # another process: it has to read every file
    assert (await again.capture(())).files == ()


async def test_more_files_than_anybody_can_review_are_not_listed(
    checkout: GitCheckout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "_MAX_ENTRIES", 50)
    for number in range(60):
        (checkout.repository.tree / f"f{number}").touch()
    with pytest.raises(StepFailedError) as caught:
        await checkout.capture(())
    assert caught.value.code == "tree_too_large"


def test_a_file_that_shrinks_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 10)
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        assert list(taking._pieces(descriptor, 4)) == [b"xxxx"]  # nor does one that grows have an end in sight
        with pytest.raises(taking.TreeMovedError):
            list(taking._pieces(descriptor, 11))
    finally:
        os.close(descriptor)
