"""The bare copy of a repository's branches that all jobs on it share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aicd_core.errors import StepFailedError
from aicd_core.policy import OWN_BRANCHES
from aicd_github.faults import disk_errors
from aicd_github.filelock import locked
from aicd_github.git.credentials import Access, Credentials, Login
from aicd_github.git.environment import Transport
from aicd_github.git.layout import (
    ObjectFormat,
    is_whole,
    loose_object_estimate,
    make_bare,
    pack_count,
    remove_leftovers,
    remove_tree,
)
from aicd_github.git.runner import Git, GitCall, GitFailedError, Place

_LOOSE_LIMIT = 6700  # gc.auto's own default
_PACK_LIMIT = 50  # gc.autoPackLimit's own default


@dataclass(frozen=True)
class Remote:
    """How git reaches the repository that is mirrored.

    Args:
        url: what git is told: an absolute path or a URL.
        transport: what the git process may know.
        upload_pack: the program that serves a fetch, for a repository on this machine.
        receive_pack: the program that takes a push, likewise.
        credentials: makes a password for each fetch and push, for a web repository that asks for one.
    """

    url: str
    transport: Transport
    upload_pack: str | None = None
    receive_pack: str | None = None
    credentials: Credentials | None = None

    async def login(self, access: Access) -> Login | None:
        """A login for the next run of git.

        Raises:
            UnavailableError: no credential can be had now.
        """
        return None if self.credentials is None else Login(self.url, await self.credentials.mint(access))


class Mirror:
    """A bare mirror of one repository's branches.

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
        self._form = form
        self._patience = patience

    async def commit_of(self, branch: str) -> str | None:
        """The commit the mirror knows the branch by, complete with its history; None when unknown."""
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
            await self.fetch(branch)

    async def fetch(self, branch: str | None = None) -> None:
        """Brings all branches up to date; of this product's own branches only `branch`, if it is one.

        Raises:
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        async with self._locked() as lock:
            self._mend()
            try:
                await self._fetch(_refspecs(branch), lock)
            except GitFailedError:
                if await self._is_sound():
                    raise
                self._renew()
                await self._fetch(_refspecs(branch), lock)
            await self._roll_up(lock)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[int]:
        with disk_errors(self.path.parent):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with locked(self.path.with_suffix(".lock"), self._patience) as lock:
            yield lock

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

    async def _fetch(self, refspecs: tuple[str, ...], lock: int) -> None:
        upload_pack = self._remote.upload_pack
        arguments = [
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--update-shallow",
            *([] if upload_pack is None else [f"--upload-pack={upload_pack}"]),
            "--",
            self._remote.url,
            *refspecs,
        ]
        login = await self._remote.login(Access.READ)
        call = self._call(*arguments, lock=lock, login=login)
        await self._git.do(call, f"Fetching from {self._remote.url} failed")

    async def _is_sound(self) -> bool:
        result = await self._git.run(self._call("rev-list", "--objects", "--all", "--quiet"))
        return result.returncode == 0

    async def _roll_up(self, lock: int) -> None:
        if loose_object_estimate(self.path) <= _LOOSE_LIMIT and pack_count(self.path) <= _PACK_LIMIT:
            return
        arguments = ("repack", "-d", "-q", "--geometric=2")
        await self._git.do(self._call(*arguments, lock=lock), f"Packing {self.path} failed")

    def _call(self, *arguments: str, lock: int | None = None, login: Login | None = None) -> GitCall:
        return GitCall(arguments, Place(self.path), transport=self._remote.transport, lock=lock, login=login)


def _refspecs(branch: str | None) -> tuple[str, ...]:
    if branch is not None and branch.startswith(OWN_BRANCHES):
        return (f"+refs/heads/{branch}:refs/heads/{branch}",)
    return ("+refs/heads/*:refs/heads/*", f"^refs/heads/{OWN_BRANCHES}*")


def missing_commit(url: str, sha: str) -> StepFailedError:
    """The error for a base commit that cannot be had any more."""
    return StepFailedError(
        f"Commit {sha} is not on any branch of {url} (any more). Start a new job from the branch as it is now.",
        code="base_gone",
    )
