"""Single files of a hostile tree are read and written without ever leaving it."""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aicd_core.errors import AicdError, InvalidInputError, NotFoundError, UnavailableError
from aicd_github.faults import disk_error
from aicd_github.tree.cleaning import keep_only, remove
from aicd_github.tree.files import TreeFiles
from aicd_github.tree.listing import list_files
from aicd_github.tree.paths import checked_parts, glob_regex, is_git_folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    (path / "dir").mkdir(parents=True)
    (path / "dir/file.txt").write_bytes(b"inside\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file.txt").write_bytes(b"secret\n")
    return path


@pytest.fixture
def files(tree: Path) -> TreeFiles:
    return TreeFiles(tree, None, 1000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../../x", "a/..", "", ".", "./", "a\0b", ".git", ".git/config", "a/.GIT/x",
     ".git /x", "git~1/x", "GIT~1", ".git./x", ".g\u200cit/x", ".git::$INDEX_ALLOCATION/x", "a\\.git\\x", "x\udce9"],
)  # fmt: skip
def test_a_path_that_escapes_is_named_in_the_refusal(files: TreeFiles, path: str) -> None:
    for act in (files.read, lambda path: files.write(path, b"", executable=None)):
        with pytest.raises(InvalidInputError) as caught:
            act(path)
        assert caught.value.code == "path_escapes"
        assert repr(path) in caught.value.message


def test_names_that_only_look_like_git_are_fine() -> None:
    assert checked_parts("./a//.gitignore") == ("a", ".gitignore")
    for name in (".gitignore", ".github", "git", "git~10", "x.git", ".gitmodules", "digit"):
        assert not is_git_folder(name), name


@pytest.mark.parametrize("target", ["/etc", "../outside", "dir/../../outside", "../tree/../outside", "/"])
def test_a_link_that_leads_out_is_refused(files: TreeFiles, tree: Path, tmp_path: Path, target: str) -> None:
    (tree / "link").symlink_to(target)
    (tree / "chain").symlink_to("link")
    for path in ("link/file.txt", "chain/file.txt", "link/new.txt"):
        with pytest.raises(InvalidInputError) as caught:
            files.read(path)
        assert caught.value.code == "path_escapes"
        with pytest.raises(InvalidInputError):
            files.write(path, b"overwritten\n", executable=None)
    assert names(tmp_path / "outside") == ["file.txt"]
    assert (tmp_path / "outside/file.txt").read_bytes() == b"secret\n"


def test_a_link_that_stays_inside_is_followed(files: TreeFiles, tree: Path) -> None:
    (tree / "dir/self").symlink_to("../dir")
    (tree / "link").symlink_to("dir/self/file.txt")
    assert files.read("link") == b"inside\n"
    files.write("dir/self/self/new.txt", b"new\n", executable=None)
    assert (tree / "dir/new.txt").read_bytes() == b"new\n"
    files.write("link", b"through\n", executable=None)
    assert (tree / "link").is_symlink()
    assert (tree / "dir/file.txt").read_bytes() == b"through\n"


def test_a_circle_of_links_ends(files: TreeFiles, tree: Path) -> None:
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("a")
    with pytest.raises(InvalidInputError, match="circle"):
        files.read("a")


@contextmanager
def swapping(tree: Path, name: str, target: str) -> Iterator[None]:
    """Swaps a folder for a link and back, as fast as it goes."""
    stop = threading.Event()
    (tree / "spare-link").unlink(missing_ok=True)
    (tree / "spare-link").symlink_to(target)

    def swap() -> None:
        while not stop.is_set():
            try:
                (tree / name).rename(tree / "spare-dir")
                (tree / "spare-link").rename(tree / name)
                (tree / name).rename(tree / "spare-link")
                (tree / "spare-dir").rename(tree / name)
            except OSError:  # a write made the folder anew, in the moment in which there was none of its name
                if (tree / "spare-dir").is_dir():
                    shutil.rmtree(tree / name, ignore_errors=True)
                    with suppress(OSError):
                        (tree / "spare-dir").rename(tree / name)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_folder_swapped_for_a_link_at_any_moment_leads_nowhere(files: TreeFiles, tree: Path, tmp_path: Path) -> None:
    outcomes = set()
    with swapping(tree, "dir", "../outside"):
        for number in range(1500):
            try:
                outcomes.add(files.read("dir/file.txt"))
                files.write("dir/written", b"%d" % number, executable=None)
            except AicdError as error:
                outcomes.add(error.code)
    assert b"secret\n" not in outcomes
    assert b"inside\n" in outcomes
    assert names(tmp_path / "outside") == ["file.txt"]


def test_listing_and_clearing_follow_no_link_while_folders_are_swapped(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside/secret-name").write_bytes(b"")
    with swapping(tree, "dir", "../outside"):
        for _ in range(200):
            assert not any("secret-name" in path for path in list_files(tree))
    with swapping(tree, "dir", "../outside"):
        for _ in range(200):
            with suppress(OSError):
                keep_only(tree, {"spare-link"}, {"dir", "spare-dir"})
    assert names(tmp_path / "outside") == ["file.txt", "secret-name"]


def test_only_regular_files_are_opened_and_nothing_hangs(files: TreeFiles, tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    for path in ("pipe", "dir", "dir/"):
        with pytest.raises(InvalidInputError) as caught:
            files.read(path)
        assert caught.value.code == "not_a_file"
        with pytest.raises(InvalidInputError):
            files.write(path, b"", executable=None)


def test_a_missing_file_and_a_file_as_a_folder_are_told(files: TreeFiles) -> None:
    for path in ("nothing", "no/thing", "dir/file.txt/below"):
        with pytest.raises(NotFoundError, match=path):
            files.read(path)
    with pytest.raises(InvalidInputError) as caught:
        files.write("dir/file.txt/below", b"", executable=None)
    assert caught.value.code == "not_a_file"
    with pytest.raises(InvalidInputError, match="too long"):
        files.read("x" * 300)


def test_a_file_over_the_limit_is_refused(files: TreeFiles, tree: Path) -> None:
    (tree / "at").write_bytes(b"x" * 1000)
    (tree / "over").write_bytes(b"x" * 1001)
    assert len(files.read("at")) == 1000
    with pytest.raises(InvalidInputError, match="1000 bytes") as caught:
        files.read("over")
    assert caught.value.code == "file_too_large"


def test_writing_keeps_or_sets_the_mode_and_breaks_hard_links(files: TreeFiles, tree: Path, tmp_path: Path) -> None:
    def mode(path: str) -> int:
        return (tree / path).stat().st_mode & 0o777

    files.write("a/b/new", b"1", executable=None)
    assert mode("a/b/new") == 0o644
    files.write("a/b/new", b"2", executable=True)
    assert mode("a/b/new") == 0o755
    files.write("a/b/new", b"3", executable=None)
    assert mode("a/b/new") == 0o755
    files.write("a/b/new", b"", executable=False)
    assert (mode("a/b/new"), (tree / "a/b/new").read_bytes()) == (0o644, b"")
    os.link(tmp_path / "outside/file.txt", tree / "hard")
    files.write("hard", b"mine", executable=None)
    assert (tmp_path / "outside/file.txt").read_bytes() == b"secret\n"


def test_a_list_holds_files_and_links_but_no_folders(tree: Path) -> None:
    (tree / "dir/.git").mkdir()
    (tree / "dir/.git/config").write_bytes(b"")
    (tree / "dir2").mkdir()
    (tree / "dir2/ä").write_bytes(b"")
    (tree / "link").symlink_to("dir")
    (tree / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    assert list_files(tree) == ["dir/file.txt", "dir2/ä", "link"]
    assert list_files(tree, "dir") == ["dir/file.txt"]
    assert list_files(tree, "dir/") == ["dir/file.txt"]
    assert list_files(tree, "dir/file.txt") == ["dir/file.txt"]
    assert list_files(tree, "link") == ["link"]
    assert list_files(tree, "link/file.txt") == []
    assert list_files(tree, "none") == []
    with pytest.raises(InvalidInputError):
        list_files(tree, "../outside")


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("*.py", ["a.py", "d/e/a.py"], ["a.pyc", "a.py/x"]),
        ("src/*.py", ["src/a.py"], ["src/d/a.py", "x/src/a.py"]),
        ("src/**/*.py", ["src/a.py", "src/d/e/a.py"], ["a.py"]),
        ("src/**", ["src/a", "src/d/e"], ["srcs/a"]),
        ("/a.txt", ["a.txt"], ["d/a.txt"]),
        ("[!a]?.[ch]", ["bc.h", "d/xx.c"], ["ab.h", "b.c", "bb.x"]),
        ("a+(b).txt", ["a+(b).txt"], ["aab.txt"]),
    ],
)  # fmt: skip
def test_a_glob_matches_paths_as_people_expect(tree: Path, glob: str, matching: list[str], other: list[str]) -> None:
    import re

    pattern = re.compile(glob_regex(glob), re.DOTALL)
    assert [path for path in matching if not pattern.fullmatch(path)] == []
    assert [path for path in other if pattern.fullmatch(path)] == []


def test_a_folder_is_removed_with_all_that_is_in_it_and_nothing_behind_links(tree: Path, tmp_path: Path) -> None:
    (tree / "dir/link").symlink_to("../outside")
    remove(tree)
    assert not tree.exists()
    assert (tmp_path / "outside/file.txt").exists()


def test_the_disk_refusing_is_told_in_a_sentence(tmp_path: Path) -> None:
    full = disk_error(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
    forbidden = disk_error(OSError(errno.EROFS, "Read-only file system"), tmp_path)
    other = disk_error(OSError(errno.EIO, "Input/output error"), tmp_path)
    assert [error.code for error in (full, forbidden, other)] == ["no_disk_space", "not_writable", "disk_failed"]
    assert all(isinstance(error, UnavailableError) for error in (full, forbidden, other))
    assert str(tmp_path) in full.message
