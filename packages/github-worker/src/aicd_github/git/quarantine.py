"""Where git works on what an agent made: a bare repository that nothing else reads from.

No git process ever runs in an agent's tree. Its files are stored here as objects, measured and put together to a
commit; only what `git fsck` finds well-formed goes on, into the job's trusted repository.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aicd_core.contracts.change import ChangeSet
from aicd_core.errors import StepFailedError
from aicd_github.faults import disk_errors
from aicd_github.git.delta import (
    DELTA_OPTIONS,
    SIZES,
    Delta,
    RawChange,
    TreeEntry,
    parse_batch,
    parse_delta,
    parse_sizes,
    parse_tree,
)
from aicd_github.git.loose import write_blob
from aicd_github.git.runner import Git, GitCall, GitFailedError, Place, failure

_UMASK = 0o022
_MAX_LISTING = 128 * 1024 * 1024


@dataclass(frozen=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


_Changes = Mapping[str, tuple[str, str] | None]
"""What differs from the base: by path its (mode, object), or None where it is gone."""


@dataclass(frozen=True)
class _Written:
    """A tree that was written, and the index file that it was written from, as the file was then."""

    changes: _Changes
    tree_sha: str
    index: tuple[int, int, int]


class Quarantine:
    """The quarantine of one job.

    Every call that writes takes the descriptor of the job's lock.

    Args:
        path: the bare repository.
        folder: the job's own folder, where scratch files are.
        base_sha: the commit the job starts from.
    """

    def __init__(self, git: Git, path: Path, folder: Path, base_sha: str) -> None:
        self.path = path
        self._git = git
        self._folder = folder
        self._base_sha = base_sha
        self._index = folder / "index"
        self._bases_index = folder / "base-index"
        self._has_bases_index = False
        self._last: _Written | None = None

    async def entries(self) -> dict[str, TreeEntry] | None:
        """Every path of the base commit; None when the commit is not here.

        Raises:
            StepFailedError: code `output_too_large`: the listing has no end in sight.
        """
        result = await self._git.run(self._listing(self._base_sha))
        return parse_tree(result.stdout) if result.returncode == 0 else None

    async def entries_of(self, treeish: str) -> dict[str, TreeEntry]:
        """Every path of a tree."""
        result = await self._git.do(self._listing(treeish), f"Tree {treeish} could not be read")
        return parse_tree(result.stdout)

    def _listing(self, treeish: str) -> GitCall:
        # A few small trees that name each other over and over unfold to billions of paths.
        return self._call("ls-tree", "-r", "-z", "--full-tree", treeish, max_output=_MAX_LISTING)

    async def blob(self, sha: str) -> bytes:
        """The content of one object."""
        result = await self._git.do(self._call("cat-file", "blob", sha), f"Object {sha} could not be read")
        return result.stdout

    async def blobs(self, shas: Collection[str]) -> Mapping[str, bytes]:
        """The content of several objects, by name."""
        if not shas:
            return {}
        names = "".join(f"{sha}\n" for sha in sorted(set(shas))).encode()
        result = await self._git.do(
            self._call("cat-file", "--batch", stdin=names), "The tree's links could not be read"
        )
        return parse_batch(result.stdout)

    async def sizes(self, shas: Collection[str]) -> Mapping[str, int]:
        """Bytes of each object, by name; one that is not here is left out."""
        if not shas:
            return {}
        call = self._call("cat-file", SIZES, stdin="".join(f"{sha}\n" for sha in shas).encode())
        return parse_sizes((await self._git.do(call, "The files could not be measured")).stdout)

    async def ignored(self, paths: Collection[str], rules: Path) -> frozenset[str]:
        """Those of the paths that the repository ignores.

        Args:
            rules: a folder that holds the tree's `.gitignore` files, and nothing else.
        """
        if not paths:
            return frozenset()
        # A path that begins with a dot is no pathspec with magic in it, whatever its name.
        listing = _nul_ended([f"./{path}" for path in paths])
        call = self._call("check-ignore", "--no-index", "-z", "--stdin", stdin=listing, tree=rules)
        result = await self._git.run(call)
        if result.returncode not in (0, 1):
            raise StepFailedError(
                f"Which files the repository ignores could not be told: {result.stderr.strip()[:400]}. "
                "Repair the .gitignore files.",
                code="uncommittable_tree",
            )
        names = result.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
        return frozenset(name.removeprefix("./") for name in names)

    def store(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """Stores a file's content byte for byte, under the object name that was made of it; see `write_blob`."""
        write_blob(self.path / "objects", name, size, pieces)

    async def write_tree(self, gone: Collection[str], there: Mapping[str, tuple[str, str]], lock: int) -> str:
        """Stores the base's tree without the paths `gone` and with (mode, object) at the others.

        Raises:
            StepFailedError: code `uncommittable_tree`: git refuses a name.
        """
        what = "The changed tree could not be recorded"
        wanted: _Changes = {**dict.fromkeys(sorted(gone)), **dict(sorted(there.items()))}
        last = self._going_on(wanted)
        if last is not None and last.changes == wanted:
            return last.tree_sha
        self._last = None
        if last is None:
            await self._read_tree(self._base_sha, lock)
        lines = _index_lines(last.changes if last else {}, wanted, "0" * len(self._base_sha))
        call = self._call("update-index", "--replace", "-z", "--index-info", stdin=_nul_ended(lines), lock=lock)
        try:
            await self._git.do(call, what)
        except GitFailedError as error:
            if error.code == "no_disk_space" or "nvalid path" not in error.stderr:
                raise
            raise StepFailedError(
                f"{error.message} Remove or rename what is named there.", code="uncommittable_tree"
            ) from error
        tree_sha = (await self._git.do(self._call("write-tree", lock=lock), what)).text()
        with disk_errors(self._index):
            self._last = _Written(wanted, tree_sha, _identity(self._index))
        return tree_sha

    def _going_on(self, wanted: _Changes) -> _Written | None:
        """The last tree, if its index can be gone on with: no path is to be as at the base again, and nobody has
        written to the file since."""
        if self._last is None or not self._last.changes.keys() <= wanted.keys():
            return None
        with disk_errors(self._index):
            untouched = self._index.exists() and _identity(self._index) == self._last.index
        return self._last if untouched else None

    async def delta(self, tree_sha: str) -> Delta:
        """The difference from the base commit to a tree."""
        call = self._call("diff-tree", "-r", *DELTA_OPTIONS, self._base_sha, tree_sha)
        return parse_delta((await self._git.do(call, "The change could not be measured")).stdout)

    async def changes(self, treeish: str) -> tuple[RawChange, ...]:
        """What changed from the base commit to a tree, without its content."""
        call = self._call("diff-tree", "-r", "--raw", "-z", "--no-renames", "--full-index", self._base_sha, treeish)
        return parse_delta((await self._git.do(call, "The commit could not be looked at")).stdout).changes

    async def import_change(self, change_set: ChangeSet, lock: int) -> None:
        """Makes the change's tree from its patch.

        Raises:
            StepFailedError: code `patch_mismatch`: the patch does not give the recorded tree.
        """
        what = "The recorded change could not be applied to its base commit"
        await self._read_tree(change_set.base_sha, lock)
        if change_set.patch:
            arguments = ("apply", "--cached", "--binary", "--whitespace=nowarn")
            await self._git.do(self._call(*arguments, stdin=change_set.patch, lock=lock), what)
        made = (await self._git.do(self._call("write-tree", lock=lock), what)).text()
        if made != change_set.tree_sha:
            raise StepFailedError(
                f"The recorded patch gives tree {made} where {change_set.tree_sha} was recorded. "
                "The record is damaged: start the job anew.",
                code="patch_mismatch",
            )

    async def export(self, treeish: str, paths: Collection[str], into: Path, lock: int) -> None:
        """Writes these files of a tree into an empty folder that nobody else can reach."""
        if not paths:
            return
        await self._read_tree(treeish, lock)
        call = self._call("checkout-index", "-z", "--stdin", stdin=_nul_ended(paths), lock=lock, tree=into)
        await self._git.do(call, f"The files of {treeish} could not be laid out")

    async def patch_since(self, sha: str) -> bytes:
        """The patch from another commit to the base."""
        call = self._call("diff-tree", "-r", *DELTA_OPTIONS, sha, self._base_sha)
        return parse_delta((await self._git.do(call, f"The difference from {sha} could not be read")).stdout).patch

    async def merge(self, head_sha: str, lock: int) -> tuple[str, tuple[str, ...]]:
        """The tree of a merge of another commit into the base, and the paths that hold both sides between markers."""
        what = f"{head_sha} could not be merged with {self._base_sha}"
        arguments = ("merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", self._base_sha, head_sha)
        result = await self._git.run(self._call(*arguments, lock=lock))
        if result.returncode not in (0, 1):
            raise failure(result, what)
        tree_sha, *paths = result.stdout.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
        return tree_sha, tuple(paths)

    async def commit_tree(
        self, tree_sha: str, parents: Sequence[str], message: bytes, by: Identity, epoch: int, lock: int
    ) -> str:
        """Makes a commit whose name depends on nothing but the arguments; without parents, it stands on the base."""
        date, on = f"@{epoch} +0000", parents or (self._base_sha,)
        people = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", by.name), ("EMAIL", by.email), ("DATE", date))
        }
        call = GitCall(
            ("commit-tree", tree_sha, *(part for sha in on for part in ("-p", sha)), "-F", "-"),
            Place(self.path),
            stdin=message or b"\n",
            variables=people,
            lock=lock,
        )
        return (await self._git.do(call, "The commit could not be made")).text()

    async def _read_tree(self, treeish: str, lock: int) -> None:
        """Makes the index that of a tree; the base's is read once, and copied from then on."""
        is_base = treeish == self._base_sha
        self._last = None
        with disk_errors(self._index):
            self._index.unlink(missing_ok=True)
            self._index.with_name("index.lock").unlink(missing_ok=True)
            if is_base and self._has_bases_index:
                shutil.copyfile(self._bases_index, self._index)
                return
        await self._git.do(self._call("read-tree", treeish, lock=lock), f"The paths of {treeish} could not be read")
        if is_base:
            with disk_errors(self._bases_index):
                shutil.copyfile(self._index, self._bases_index)
            self._has_bases_index = True

    def _call(
        self,
        *arguments: str,
        stdin: bytes = b"",
        lock: int | None = None,
        tree: Path | None = None,
        max_output: int | None = None,
    ) -> GitCall:
        place = Place(self.path, tree, self._index)
        umask = None if tree is None else _UMASK
        return GitCall(arguments, place, stdin=stdin, lock=lock, umask=umask, max_output=max_output)


def _nul_ended(lines: Collection[str]) -> bytes:
    return b"".join(line.encode("utf-8", "surrogateescape") + b"\0" for line in lines)


def _index_lines(held: _Changes, wanted: _Changes, nothing: str) -> list[str]:
    """What `update-index --index-info` has to be told; removals first, since a folder may become a file."""
    new = {path: entry for path, entry in wanted.items() if path not in held or held[path] != entry}
    lines = [f"0 {nothing}\t{path}" for path, entry in new.items() if entry is None]
    return lines + [f"{entry[0]} {entry[1]}\t{path}" for path, entry in new.items() if entry is not None]


def _identity(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
