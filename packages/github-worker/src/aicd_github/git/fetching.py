"""One run of `git fetch` into a bare mirror, as its server allows it, and what the server said when it failed."""

import logging
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from aicd_core.errors import UnavailableError
from aicd_core.policy import OWN_BRANCHES
from aicd_github.git.credentials import Access
from aicd_github.git.layout import PARTIAL_CLONE, is_partial
from aicd_github.git.remote import REMOTE, Remote
from aicd_github.git.runner import Git, GitCall, GitFailedError, GitResult, Place

_FILTER = ("--filter=blob:none",)
# What a server says of protocol 2, and what git itself of one that has only older ones.
_GONE = "not our ref"
_REFUSED_OBJECT = re.compile(r"unadvertised object|couldn't find remote ref")
# SIGXFSZ, told by whoever started the program, if that saw it end before its answer was missed.
_TOO_LARGE = re.compile(r"died of signal 25|invalid index-pack output")
_IN_THE_WAY = "cannot lock ref"
_log = logging.getLogger(__name__)


def is_gone(error: GitFailedError) -> bool:
    """Whether the server has no such object any more."""
    return _GONE in error.stderr


def is_refused(error: GitFailedError) -> bool:
    """Whether the server gives out nothing but what its branches are at."""
    return _REFUSED_OBJECT.search(error.stderr) is not None


def is_too_large(error: GitFailedError) -> bool:
    """Whether git was ended at the file that was larger than it may write (`Git.max_file`)."""
    return _TOO_LARGE.search(error.stderr) is not None


def is_no_branch(error: GitFailedError) -> bool:
    """Whether the server has no branch of that name any more."""
    return "couldn't find remote ref" in error.stderr


def refspecs(branch: str | None, *, alone: bool = False) -> tuple[str, ...]:
    """What brings all branches but our own; where it is one of ours, or `alone` says so, only this one."""
    if branch is not None and (alone or branch.startswith(OWN_BRANCHES)):
        return (f"+refs/heads/{branch}:refs/heads/{branch}",)
    return ("+refs/heads/*:refs/heads/*", f"^refs/heads/{OWN_BRANCHES}*")


class Fetching:
    """Fetches into one bare repository. Each call is given the lock that its caller holds on it."""

    def __init__(self, git: Git, path: Path, remote: Remote) -> None:
        self._git = git
        self._path = path
        self._remote = remote

    async def refs(self, wanted: tuple[str, ...], lock: int, *options: str) -> None:
        """Brings refs, by their refspecs; without files, from a server that can leave them out.

        Raises:
            GitFailedError: it cannot be reached, does not have them, or the disk refuses.
        """
        what = f"Fetching from {self._remote.url} failed"
        more = ("--prune", "--update-shallow")
        if not self._remote.is_far:
            await self._near((*more, "--", self._remote.url, *wanted), lock, what)
            return
        try:
            result = await self._run((*more, *options, *_FILTER, REMOTE, *wanted), lock, what)
        except GitFailedError as error:
            if "dumb http transport" not in error.stderr:
                raise
            result = await self._run((*more, "--no-filter", REMOTE, *wanted), lock, what)
            _log.warning("%s is a plain web server: whole branches are fetched", self._remote.url)
        if "filtering not recognized" in result.stderr:
            _log.warning("%s has no uploadpack.allowFilter: files are fetched with every commit", self._remote.url)

    async def branch(self, branch: str, lock: int, *options: str) -> None:
        """Brings one branch; those that are gone by now make way for it.

        Raises:
            GitFailedError: as `refs`.
        """
        try:
            await self.refs(refspecs(branch, alone=True), lock, *options)
        except GitFailedError as error:
            if _IN_THE_WAY not in error.stderr:
                raise
            await self._make_way(branch, lock)
            await self.refs(refspecs(branch, alone=True), lock, *options)

    async def objects(self, shas: Collection[str], lock: int) -> None:
        """Brings these objects, all in one request; from a server that serves no single ones, all there is.

        Raises:
            UnavailableError: code `objects_gone`; or as `refs`.
        """
        listing = "".join(f"{sha}\n" for sha in shas).encode()
        what = f"The files of the base commit could not be fetched from {self._remote.url}"
        try:
            # Nothing that the mirror has helps the server here: it is not told.
            settings = ("fetch.negotiationAlgorithm=noop",)
            await self._run(("--stdin", *_FILTER, REMOTE), lock, what, settings, listing)
        except GitFailedError as error:
            if is_gone(error):
                raise UnavailableError(
                    f"{what}: it no longer has them. Start a new job from the branch as it is now.",
                    code="objects_gone",
                ) from error
            if not is_refused(error):
                raise
            _log.warning("%s serves no single files: all of its branches are fetched whole", self._remote.url)
            await self._run(("--refetch", "--no-filter", REMOTE, *refspecs(None)), lock, what)

    async def _make_way(self, branch: str, lock: int) -> None:
        """Drops branches that are gone by now: `a` and `a/b` cannot both be."""
        above = [f"refs/heads/{parent}" for parent in PurePosixPath(branch).parents][:-1]
        arguments = ("for-each-ref", "--format=delete %(refname)", f"refs/heads/{branch}/", *above)
        listed = await self._git.do(
            GitCall(arguments, Place(self._path)), f"The branches of {self._path} could not be read"
        )
        drop = GitCall(("update-ref", "--stdin"), Place(self._path), stdin=listed.stdout, lock=lock)
        await self._git.do(drop, f"The branches of {self._path} could not be dropped")

    async def _near(self, arguments: tuple[str, ...], lock: int, what: str) -> None:
        try:
            await self._run(arguments, lock, what)
        except GitFailedError as error:
            if "pack-objects died" in error.stderr and is_partial(Path(self._remote.url)):
                message = f"{what}. {PARTIAL_CLONE}"
                raise GitFailedError(
                    message, stderr=error.stderr, returncode=error.returncode, code="partial_clone"
                ) from error
            raise

    async def _run(
        self, arguments: tuple[str, ...], lock: int, what: str, settings: tuple[str, ...] = (), stdin: bytes = b""
    ) -> GitResult:
        upload_pack = self._remote.upload_pack
        program = () if upload_pack is None else (f"--upload-pack={upload_pack}",)
        call = GitCall(
            ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", *program, *arguments),
            Place(self._path),
            transport=self._remote.transport,
            settings=(*settings, *self._remote.settings()),
            stdin=stdin,
            lock=lock,
            login=await self._remote.login(Access.READ),
        )
        return await self._git.do(call, what)
