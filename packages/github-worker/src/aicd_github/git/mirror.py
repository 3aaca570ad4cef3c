"""The bare copy of a repository's branches that all jobs on it share."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aicd_core.errors import StepFailedError
from aicd_github.faults import disk_errors
from aicd_github.filelock import locked
from aicd_github.git.fetching import Fetching, is_gone, is_no_branch, is_refused, refspecs
from aicd_github.git.layout import (
    ObjectFormat,
    is_whole,
    loose_object_estimate,
    make_bare,
    pack_count,
    remove_leftovers,
    remove_tree,
)
from aicd_github.git.parting import Parting
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall, GitFailedError, Place

_LOOSE_LIMIT = 6700  # gc.auto's own default
_PACK_LIMIT = 50  # gc.autoPackLimit's own default
_ITS_PAST: Mapping[bool, tuple[str, ...]] = {True: ("--depth=1",), False: ()}
"""What leaves out a commit's past, by whether that is to be."""
_FOUND = "refs/aicd/found/"


class Mirror:
    """A bare mirror of what jobs need of one repository.

    Of a repository on this machine that is every branch, whole: it costs little. Of one behind a URL it is as little as
    its server lets us take: the branches that jobs start from, without files (`blob:none`) and, of a branch that is
    new here, without its past; `complete` brings the files along that a job needs. Until then what is missing stays
    missing: the mirror's own configuration names no remote, so git never fetches on its own account.

    Any number of processes may use it at once: writing is under a lock that the kernel releases, and that
    git's own process holds too. Nothing is ever pruned, so that a job's base commit stays when its branch
    is rewritten; packs are rolled up instead.

    Args:
        path: the mirror's folder (`….git`); its parent is made when needed.
        patience: seconds to wait for another process's fetch.
    """

    def __init__(self, git: Git, path: Path, remote: Remote, form: ObjectFormat, patience: float = 600) -> None:
        self.path = path
        self._git = git
        self._remote = remote
        self._fetching = Fetching(git, path, remote)
        self._form = form
        self._patience = patience

    async def commit_of(self, branch: str) -> str | None:
        """The commit the mirror knows the branch by; None when unknown."""
        if not is_whole(self.path, self._form):
            return None
        result = await self._git.run(self._call("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}"))
        return result.text() if result.returncode == 0 else None

    async def ensure(self, branch: str, sha: str) -> None:
        """Makes sure that the mirror holds the branch's commit.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        if await self.commit_of(branch) != sha:
            await self.fetch(branch, sha)

    async def fetch(self, branch: str | None = None, sha: str | None = None) -> None:
        """Brings the branch up to date; without one, or of a repository on this machine, all but our own.

        Args:
            sha: where the branch is, as far as that is known.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        async with self._writing() as lock:
            if branch is None or not self._remote.is_far:
                await self._surely(lambda: self._fetching.refs(refspecs(branch), lock))
            else:
                # The past of a branch that is new here would come whole. What comes later joins what is here.
                new = await self.commit_of(branch) is None and not await self._has(sha)
                await self._surely(lambda: self._fetching.branch(branch, lock, *_ITS_PAST[new]))
            await self._roll_up(lock)

    async def catch_up(self, branch: str, sha: str) -> None:
        """Brings a branch up to date, and the way to it from a commit that was on it once, as far as there is one.

        So a push from that commit knows what the server has. Does nothing for a branch that is gone by now.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        async with self._writing() as lock:
            try:
                await self._fetching.branch(branch, lock)
                if (self.path / "shallow").exists() and not await self._leads_to(branch, sha):
                    await self._fetching.branch(branch, lock, "--unshallow")
            except GitFailedError as error:
                if not is_no_branch(error):
                    raise

    async def reach_back(self, branch: str, count: int) -> str:
        """Brings a branch up to date, and the last `count` commits of it, without files; returns where it is.

        Counted are those on the way of first parents. As many as were here stay here.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        async with self._writing() as lock:
            depth = max(count, await self._length(branch))
            await self._surely(lambda: self._fetching.branch(branch, lock, f"--depth={depth}"))
            await self._roll_up(lock)
        head = await self.commit_of(branch)
        assert head is not None, "it was fetched just now"
        return head

    async def find(self, sha: str) -> None:
        """Brings a commit along, on whichever branch it is, or none any more; it may still be missing afterwards.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        if self._remote.is_far:
            try:
                async with self._writing() as lock:
                    await self._surely(lambda: self._fetching.refs((f"+{sha}:{_FOUND}{sha}",), lock, *_ITS_PAST[True]))
            except GitFailedError as error:
                if is_gone(error):
                    return
                if not is_refused(error):
                    raise
            else:
                return
        await self.fetch()

    async def relate(self, *shas: str) -> None:
        """Brings two commits' pasts along, down to where they parted, and the files that a merge of them looks at.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses; code `objects_gone`.
        """
        if not self._remote.is_far:
            return
        parting = Parting(self._git, self.path)
        for sha in shas:
            if not await self._has(sha):
                await self.find(sha)
        if await parting.commit(*shas) is None and (self.path / "shallow").exists():
            async with self._writing() as lock:
                await self._fetching.refs(tuple(f"+{sha}:{_FOUND}{sha}" for sha in shas), lock, "--unshallow")
        parted = await parting.commit(*shas)
        if parted is not None:
            touched = [await parting.touched(parted, sha) for sha in shas]
            await self.complete(await parting.missing(frozenset[str]().union(*touched)))

    async def complete(self, shas: Collection[str]) -> None:
        """Brings these objects along, all in one request.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses; code `objects_gone`.
        """
        if not shas:
            return
        async with self._writing() as lock:
            await self._fetching.objects(shas, lock)
            await self._roll_up(lock)

    async def make(self) -> None:
        """Makes sure that there is a mirror, be it an empty one.

        Raises:
            UnavailableError: the disk refuses.
        """
        async with self._writing():
            return

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[int]:
        with disk_errors(self.path.parent):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with locked(self.path.with_suffix(".lock"), self._patience) as lock:
            self._mend()
            yield lock

    async def _surely(self, fetch: Callable[[], Awaitable[None]]) -> None:
        """Fetches, into a new mirror if the one that there is turns out to be damaged."""
        try:
            await fetch()
        except GitFailedError:
            if await self._is_sound():
                raise
            self._renew()
            await fetch()

    def _mend(self) -> None:
        with disk_errors(self.path):
            if is_whole(self.path, self._form):
                remove_leftovers(self.path)
            else:
                self._renew()

    def _renew(self) -> None:
        with disk_errors(self.path):
            remove_tree(self.path)
            make_bare(self.path, self._form)

    async def _has(self, sha: str | None) -> bool:
        if sha is None:
            return False
        return (await self._git.run(self._call("cat-file", "-e", f"{sha}^{{commit}}"))).returncode == 0

    async def _length(self, branch: str) -> int:
        """How many commits on the way of first parents are here; 0 of a branch that is not."""
        asked = await self._git.run(self._call("rev-list", "--first-parent", "--count", f"refs/heads/{branch}"))
        return int(asked.text()) if asked.returncode == 0 else 0

    async def _leads_to(self, branch: str, sha: str) -> bool:
        """Whether the commit is known to be in the past of the branch."""
        asked = await self._git.run(self._call("merge-base", "--is-ancestor", sha, f"refs/heads/{branch}"))
        return asked.returncode == 0

    async def _is_sound(self) -> bool:
        only = ("--filter=blob:none",) if self._remote.is_far else ()
        result = await self._git.run(self._call("rev-list", "--objects", *only, "--all", "--quiet"))
        return result.returncode == 0

    async def _roll_up(self, lock: int) -> None:
        if loose_object_estimate(self.path) <= _LOOSE_LIMIT and pack_count(self.path) <= _PACK_LIMIT:
            return
        arguments = ("repack", "-d", "-q", "--geometric=2")
        await self._git.do(self._call(*arguments, lock=lock), f"Packing {self.path} failed")

    def _call(self, *arguments: str, lock: int | None = None) -> GitCall:
        return GitCall(arguments, Place(self.path), lock=lock)


def missing_commit(url: str, sha: str) -> StepFailedError:
    """The error for a base commit that cannot be had any more."""
    return StepFailedError(
        f"Commit {sha} is not on any branch of {url} (any more). Start a new job from the branch as it is now.",
        code="base_gone",
    )
