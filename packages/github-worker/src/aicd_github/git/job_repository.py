"""One job's own bare repository and index, and what git does with them on the job's tree."""

import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aicd_core.contracts.change import ChangeSet
from aicd_core.errors import StepFailedError
from aicd_github.faults import disk_errors
from aicd_github.filelock import locked
from aicd_github.git.delta import DELTA_OPTIONS, Delta, TreeEntry, parse_batch, parse_delta, parse_tree
from aicd_github.git.layout import is_whole, make_bare, object_format, remove_tree
from aicd_github.git.runner import Git, GitCall, GitFailedError, Place

_UMASK = 0o022
_PATIENCE = 60.0


@dataclass(frozen=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


class JobRepository:
    """The git side of one job's folder.

    All objects made for the job land in its own `repo.git`, which borrows the rest from the mirror. The
    work tree holds no git folder. Every call that writes takes the descriptor of the job's lock.

    Args:
        folder: the job's folder, in a folder beside that of the mirrors.
        base_sha: the commit the job starts from.
    """

    def __init__(self, git: Git, folder: Path, base_sha: str) -> None:
        self.base_sha = base_sha
        self.folder = folder
        self.path = folder / "repo.git"
        self.tree = folder / "tree"
        self._git = git
        self._index = folder / "index"

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[int]:
        """Keeps every other process, and a git that outlived its killed parent, off this job."""
        async with locked(self.folder / "lock", _PATIENCE) as lock:
            yield lock

    def create(self, mirror: Path) -> None:
        """Makes the bare repository unless it is there, borrowing objects from `mirror`.

        Raises:
            OSError: the disk refused.
        """
        form = object_format(self.base_sha)
        if not is_whole(self.path, form):
            remove_tree(self.path)
            objects = os.path.relpath(mirror / "objects", self.path / "objects")
            make_bare(self.path, form, alternate=Path(objects))
        boundary = mirror / "shallow"
        if boundary.exists():
            (self.path / "shallow").write_bytes(boundary.read_bytes())

    async def entries(self) -> dict[str, TreeEntry] | None:
        """Every path of the base commit; None when the mirror lacks it."""
        result = await self._git.run(self._call("ls-tree", "-r", "-z", "--full-tree", self.base_sha))
        return parse_tree(result.stdout) if result.returncode == 0 else None

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
        """Bytes of each object, by name."""
        if not shas:
            return {}
        result = await self._git.do(
            self._call(
                "cat-file",
                "--batch-check=%(objectname) %(objectsize)",
                stdin="".join(f"{sha}\n" for sha in shas).encode(),
            ),
            "The changed files could not be measured",
        )
        pairs = (line.split(" ") for line in result.text().splitlines())
        return {sha: int(size) for sha, size in pairs}

    async def lay(self, treeish: str, lock: int, *, anew: bool) -> None:
        """Makes the work tree and the index those of `treeish`; `anew` believes nothing about an empty tree."""
        if anew:
            self._forget_index()
        await self._git.do(
            self._call("read-tree", "--reset", "-u", treeish, lock=lock, on_tree=True),
            f"The files of {treeish} could not be laid out",
        )

    async def reset_index(self, lock: int) -> None:
        """Sets the index to the base commit, believing nothing about the tree."""
        self._forget_index()
        await self._git.do(
            self._call("read-tree", "--reset", self.base_sha, lock=lock, on_tree=True),
            "The index of the base commit could not be made",
        )

    async def refresh_index(self, lock: int) -> None:
        """Takes note of the files as they are now, where their content is what the index says."""
        call = self._call("update-index", "-q", "--refresh", lock=lock, on_tree=True)
        await self._git.do(call, "The tree's files could not be looked at")

    async def stage(self, lock: int) -> None:
        """Puts the whole tree into the index, but for new files that the repository ignores.

        Raises:
            StepFailedError: the tree holds something that git cannot store.
        """
        await self._add(["add", "--all"], b"", lock)

    async def stage_ignored(self, paths: Collection[str], lock: int) -> None:
        """Puts these files into the index although the repository ignores them."""
        listing = b"".join(path.encode() + b"\0" for path in paths)
        arguments = ["--literal-pathspecs", "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul"]
        await self._add(arguments, listing, lock)

    async def _add(self, arguments: list[str], stdin: bytes, lock: int) -> None:
        try:
            await self._git.do(
                self._call(*arguments, stdin=stdin, lock=lock, on_tree=True),
                "The changed tree could not be recorded",
            )
        except GitFailedError as error:
            if error.code == "no_disk_space" or "repository database" in error.stderr:
                raise
            raise StepFailedError(
                f"{error.message} Remove or repair what is named there.", code="uncommittable_tree"
            ) from error

    async def write_tree(self, lock: int) -> str:
        """Stores the index as a tree and returns its name."""
        call = self._call("write-tree", lock=lock, on_tree=True)
        return (await self._git.do(call, "The changed tree could not be stored")).text()

    async def delta(self) -> Delta:
        """The difference from the base commit to the index."""
        result = await self._git.do(
            self._call("diff-index", "--cached", *DELTA_OPTIONS, self.base_sha, on_tree=True),
            "The change could not be measured",
        )
        return parse_delta(result.stdout)

    async def import_change(self, change_set: ChangeSet, lock: int) -> None:
        """Makes the change's tree from its patch, in an index of its own.

        Raises:
            StepFailedError: code `patch_mismatch`: the patch does not give the recorded tree.
        """
        scratch = self.folder / "import-index"
        self._forget_index(scratch)
        what = "The recorded change could not be applied to its base commit"
        await self._git.do(self._call("read-tree", change_set.base_sha, lock=lock, index=scratch), what)
        if change_set.patch:
            arguments = ("apply", "--cached", "--binary", "--whitespace=nowarn")
            call = self._call(*arguments, stdin=change_set.patch, lock=lock, index=scratch)
            await self._git.do(call, what)
        made = (await self._git.do(self._call("write-tree", lock=lock, index=scratch), what)).text()
        self._forget_index(scratch)
        if made != change_set.tree_sha:
            raise StepFailedError(
                f"The recorded patch gives tree {made} where {change_set.tree_sha} was recorded. "
                "The record is damaged: start the job anew.",
                code="patch_mismatch",
            )

    async def commit_tree(self, tree_sha: str, message: bytes, by: Identity, epoch: int, lock: int) -> str:
        """Makes a commit on the base whose name depends on nothing but the arguments."""
        date = f"@{epoch} +0000"
        people = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", by.name), ("EMAIL", by.email), ("DATE", date))
        }
        call = GitCall(
            ("commit-tree", tree_sha, "-p", self.base_sha, "-F", "-"),
            Place(self.path),
            stdin=message or b"\n",
            variables=people,
            lock=lock,
        )
        return (await self._git.do(call, "The commit could not be made")).text()

    def _forget_index(self, index: Path | None = None) -> None:
        index = index or self._index
        with disk_errors(index):
            index.unlink(missing_ok=True)
            index.with_name(f"{index.name}.lock").unlink(missing_ok=True)

    def _call(
        self,
        *arguments: str,
        stdin: bytes = b"",
        lock: int | None = None,
        on_tree: bool = False,
        index: Path | None = None,
    ) -> GitCall:
        tree = self.tree if on_tree else None
        place = Place(self.path, tree, index or (self._index if on_tree else None))
        return GitCall(arguments, place, stdin=stdin, lock=lock, umask=_UMASK if on_tree else None)
