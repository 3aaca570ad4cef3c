"""One job's own folder: its quarantine, its trusted repository, and the only way from one to the other."""

import os
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aicd_core.errors import StepFailedError, UnavailableError
from aicd_github.filelock import locked
from aicd_github.git.environment import SETTINGS, Transport
from aicd_github.git.layout import is_whole, make_bare, object_format, remove_tree
from aicd_github.git.quarantine import Quarantine
from aicd_github.git.runner import Git, GitCall, Place, failure

_PATIENCE = 60.0
_BELOW = "refs/aicd/below/"
_HANDED_OVER = "refs/aicd/head"
_GATE = (
    "receive.fsckObjects=true",
    "transfer.fsckObjects=true",
    # Bytes of the pack; the files of a change are bounded, too, when they are taken from the tree.
    "receive.maxInputSize=1g",
)


class JobRepository:
    """The git side of one job's folder.

    What an agent made is stored in `quarantine.git`; what passed the hand-over is in `repo.git`, the only one that is
    ever pushed from. Both borrow the base's objects from the mirror. The work tree holds no git folder.

    Args:
        folder: the job's folder, in a folder beside that of the mirrors.
        base_sha: the commit the job starts from.
    """

    def __init__(self, git: Git, folder: Path, base_sha: str) -> None:
        self.base_sha = base_sha
        self.folder = folder
        self.path = folder / "repo.git"
        self.tree = folder / "tree"
        self.form = object_format(base_sha)
        self.quarantine = Quarantine(git, folder / "quarantine.git", folder, base_sha)
        self._git = git

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[int]:
        """Keeps every other process, and a git that outlived its killed parent, off this job."""
        async with locked(self.folder / "lock", _PATIENCE) as lock:
            yield lock

    def create(self, mirror: Path) -> None:
        """Makes the two bare repositories unless they are as this makes them, borrowing objects from `mirror`.

        Raises:
            OSError: the disk refused.
        """
        for place in (self.path, self.quarantine.path):
            objects = self._objects_of(mirror, place)
            if not is_whole(place, self.form, alternate=objects):
                remove_tree(place)
                make_bare(place, self.form, alternate=objects)
        self.follow(mirror)

    def follow(self, mirror: Path) -> None:
        """Takes over which commits' past the mirror does not have.

        Raises:
            OSError: the disk refused.
        """
        boundary = mirror / "shallow"
        content = boundary.read_bytes() if boundary.exists() else None
        for place in (self.path, self.quarantine.path):
            if content is None:
                (place / "shallow").unlink(missing_ok=True)
            else:
                (place / "shallow").write_bytes(content)

    async def hand_over(self, commit: str, lock: int, parents: Sequence[str] = ()) -> None:
        """Moves a commit out of the quarantine into the trusted repository, if git finds all of it well-formed.

        Args:
            parents: what it stands on, where that is not the base alone.

        Raises:
            StepFailedError: code `malformed_objects`: git's own check refused it.
            UnavailableError: the disk refused.
        """
        what = f"Commit {commit} could not be taken out of quarantine"
        await self._tell_of((self.base_sha, *parents), lock, what)
        call = GitCall(
            (
                *("push", "--porcelain", "--no-verify", f"--receive-pack={_receiver()}", "--", str(self.path)),
                f"+{commit}:{_HANDED_OVER}",
            ),
            Place(self.quarantine.path),
            transport=Transport.FILE,
            lock=lock,
        )
        result = await self._git.run(call)
        if result.returncode == 0:
            return
        if "fsck error" in result.stderr or "error in object" in result.stderr:
            raise StepFailedError(
                f"{what}: {failure(result, 'git refused it').message} Nothing of it was published.",
                code="malformed_objects",
            )
        raise failure(result, what, disk_full=call.place is not None and call.place.on_full_disk())

    async def _tell_of(self, shas: Sequence[str], lock: int, what: str) -> None:
        """Has the trusted repository say, as the receiving side, that it has these commits, as far as it does.

        Without a ref to them it would be sent, and check, all that is below the commit; of what was published before,
        most is on the host alone.
        """
        for sha in dict.fromkeys(shas):
            there = await self._git.run(GitCall(("cat-file", "-e", f"{sha}^{{commit}}"), Place(self.path)))
            if there.returncode == 0:
                call = GitCall(("update-ref", f"{_BELOW}{sha}", sha), Place(self.path), lock=lock)
                await self._git.do(call, what)

    def require_own(self, mirror: Path) -> None:
        """Makes sure, right before a push, that the trusted repository is as this makes it.

        Raises:
            UnavailableError: code `repository_tampered`.
        """
        if not is_whole(self.path, self.form, alternate=self._objects_of(mirror, self.path)):
            raise UnavailableError(
                f"{self.path} was changed by something else than AI-CD, so nothing is pushed from it. Find out "
                f"by what, remove {self.folder} and run the job again.",
                code="repository_tampered",
            )

    @staticmethod
    def _objects_of(mirror: Path, place: Path) -> Path:
        return Path(os.path.relpath(mirror / "objects", place / "objects"))


def _receiver() -> str:
    flags = [part for setting in (*SETTINGS, *_GATE) for part in ("-c", setting)]
    return shlex.join(["git", *flags, "receive-pack"])
