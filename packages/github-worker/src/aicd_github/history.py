"""The past commits of a repository, only read: on this machine, or behind a URL, as far as they were fetched."""

import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.code_host import Base
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.repo_config import FILE_NAME
from aicd_github.faults import disk_errors
from aicd_github.git.delta import (
    DELTA_OPTIONS,
    GITLINK,
    SIZES,
    SYMLINK,
    file_changes,
    parse_batch,
    parse_delta,
    parse_sizes,
    parse_touched,
    parse_tree,
)
from aicd_github.git.environment import ANY_OWNER
from aicd_github.git.fetching import is_too_large
from aicd_github.git.layout import PARTIAL_CLONE, ObjectFormat, is_partial, make_bare, object_format
from aicd_github.git.mirror import Mirror
from aicd_github.git.parting import Parting
from aicd_github.git.runner import Git, GitCall, GitFailedError, GitResult, Place

_EMPTY_TREE = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""The tree without entries, which git knows without having it."""
_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ct%x00%s"
_FIELDS = 6
_HOLDING = frozenset({FILE_NAME, ".gitattributes"})
"""Names of files that hold for others."""


@dataclass(frozen=True)
class PastCommit:
    """One commit; `before` is its first parent, or the empty tree for a commit that has none."""

    sha: str
    tree_sha: str
    before: str
    author: str
    when: datetime
    subject: str


class History:
    """Reads commits through a bare repository of ours that borrows the source's objects, or was fetched from it.

    So nothing that the source's configuration, attributes or hooks name has a part in it. Of a partial clone, what is
    not on this machine is told, and not fetched: InvalidInputError, code `partial_clone`, from every method.
    """

    def __init__(self, git: Git, place: Path, head: str, form: ObjectFormat, *, partial: bool) -> None:
        self._git = git
        self._place = Place(place)
        self._head = head
        self._form = form
        self._partial = partial

    async def _do(self, call: GitCall, what: str) -> GitResult:
        try:
            return await self._git.do(call, what)
        except GitFailedError as error:
            if self._partial:
                raise self._incomplete(what) from error
            raise

    @staticmethod
    def _incomplete(what: str) -> InvalidInputError:
        return InvalidInputError(f"{what}. {PARTIAL_CLONE}", code="partial_clone")

    async def commits(self, count: int) -> tuple[PastCommit, ...]:
        """The last `count` commits on the way of first parents from HEAD, the newest first.

        Raises:
            UnavailableError: the history cannot be read.
        """
        arguments = ("log", "--first-parent", "-z", f"--max-count={count}", f"--format={_FORMAT}", self._head, "--")
        listed = await self._do(GitCall(arguments, self._place), "The history could not be read")
        fields = listed.stdout.decode("utf-8", "replace").removesuffix("\0").split("\0")
        rows = (fields[at : at + _FIELDS] for at in range(0, len(fields) - _FIELDS + 1, _FIELDS))
        return tuple(self._commit(*row) for row in rows)

    def _commit(self, sha: str, tree: str, parents: str, author: str, when: str, subject: str) -> PastCommit:
        before = parents.split(" ", maxsplit=1)[0] or _EMPTY_TREE[self._form]
        return PastCommit(sha, tree, before, author, datetime.fromtimestamp(int(when), UTC), subject)

    async def files(self, commits: Sequence[PastCommit]) -> frozenset[str]:
        """What `change` and `read_before` read of these: the names of objects.

        Those are all that the commits changed, before and after, and what stood at the beginning of them that holds for
        other files: no later one of that kind is not among the changed.

        Args:
            commits: on one way of first parents, the newest first.

        Raises:
            UnavailableError: the history cannot be read.
        """
        if not commits:
            return frozenset()
        what = "The history could not be read"
        begun = [
            each.sha if each.before == _EMPTY_TREE[self._form] else f"{each.sha} {each.before}" for each in commits
        ]
        pairs = "".join(f"{pair}\n" for pair in begun)
        arguments = ("diff-tree", "--stdin", "-r", "--root", "--no-renames", "--full-index")
        told = await self._do(GitCall(arguments, self._place, stdin=pairs.encode()), what)
        found = parse_touched(told.text())
        listing = ("ls-tree", "-r", "-z", "--full-tree", commits[-1].before)
        entries = parse_tree((await self._do(GitCall(listing, self._place), what)).stdout)
        holding = (entry for path, entry in entries.items() if path.rpartition("/")[2] in _HOLDING)
        return found | {entry.sha for entry in holding if entry.mode not in (SYMLINK, GITLINK)}

    async def change(self, commit: PastCommit) -> ChangeSet:
        """What the commit changed, as a job's change would be measured.

        Raises:
            StepFailedError: code `path_not_utf8`.
            UnavailableError: the commit cannot be read.
        """
        what = f"The change of commit {commit.sha} could not be read"
        arguments = ("diff-tree", "-r", *DELTA_OPTIONS, commit.before, commit.sha, "--")
        delta = parse_delta((await self._do(GitCall(arguments, self._place), what)).stdout)
        shas = {c.new_sha for c in delta.changes if not c.removed and c.new_mode != GITLINK}
        call = GitCall(("cat-file", SIZES), self._place, stdin="".join(f"{sha}\n" for sha in sorted(shas)).encode())
        sizes = parse_sizes((await self._do(call, what)).stdout) if shas else {}
        return ChangeSet(
            base_sha=commit.before,
            tree_sha=commit.tree_sha,
            files=tuple(file_changes(delta, sizes)),
            patch=delta.patch,
        )

    async def read_before(self, commit: PastCommit, paths: Collection[str]) -> dict[str, bytes]:
        """The files at these paths as they were before the commit; what was no file is left out.

        Raises:
            UnavailableError: the history cannot be read.
        """
        if not paths:
            return {}
        what = f"The files before commit {commit.sha} could not be read"
        call = GitCall(("ls-tree", "-r", "-z", "--full-tree", commit.before), self._place)
        entries = parse_tree((await self._do(call, what)).stdout)
        shas = {p: entries[p].sha for p in paths if p in entries and entries[p].mode not in (SYMLINK, GITLINK)}
        if not shas:
            return {}
        names = "".join(f"{sha}\n" for sha in sorted(set(shas.values()))).encode()
        batch = GitCall(("cat-file", "--batch"), self._place, stdin=names)
        contents = parse_batch((await self._do(batch, what)).stdout)
        if not contents.keys() >= set(shas.values()):
            raise self._incomplete(what)
        return {path: contents[sha] for path, sha in shas.items()}


@asynccontextmanager
async def open_history(folder: Path, git_dir: Path, form: ObjectFormat, git: Git) -> AsyncIterator[History]:
    """The history of a repository on this machine, from what is checked out in `folder`.

    Args:
        git_dir: where its objects are.

    Raises:
        InvalidInputError: code `empty_repository`: nothing is committed yet.
        UnavailableError: the disk refused.
    """
    call = GitCall(("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), cwd=folder, settings=(ANY_OWNER,))
    head = await git.run(call)
    if head.returncode != 0:
        raise InvalidInputError(f"{folder} has no commit yet. Commit something first.", code="empty_repository")
    with disk_errors(folder), tempfile.TemporaryDirectory(prefix="aicd-history-") as scratch:
        place = Path(scratch) / "history.git"
        make_bare(place, form, alternate=git_dir / "objects")
        shallow = git_dir / "shallow"
        if shallow.exists():
            (place / "shallow").write_bytes(shallow.read_bytes())
        yield History(git, place, head.text(), form, partial=is_partial(git_dir))


async def fetch_history(mirror: Mirror, base: Base, count: int, git: Git) -> History:
    """The last `count` commits of a branch behind a URL, and the files that they are judged by, in a mirror.

    Raises:
        UnavailableError: the repository cannot be reached, or the disk refuses; code `history_too_large`.
    """
    try:
        head = await mirror.reach_back(base.branch, count + 1)
        history = History(git, mirror.path, head, object_format(head), partial=False)
        await mirror.complete(
            await Parting(git, mirror.path).missing(await history.files(await history.commits(count)))
        )
    except GitFailedError as error:
        if not is_too_large(error):
            raise
        await mirror.make()  # without what git left there half
        raise UnavailableError(
            f"The last {count} commits of this repository are larger than is fetched for this. Ask for fewer, or run "
            "`aicd policy test` in a clone.",
            code="history_too_large",
        ) from error
    return history
