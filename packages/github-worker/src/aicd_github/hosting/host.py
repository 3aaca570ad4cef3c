"""What every code host has: one repository, mirrored on this machine, and the work trees of its jobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aicd_core.contracts.code_host import Base
from aicd_core.contracts.sandbox import Sandbox
from aicd_core.ids import JobId
from aicd_core.policy import OWN_BRANCHES
from aicd_core.settings import MIB
from aicd_github.caches import RepositoryCache
from aicd_github.checkout import IDENTITY, GitCheckout
from aicd_github.faults import disk_errors
from aicd_github.filelock import locked
from aicd_github.git.credentials import Credentials
from aicd_github.git.delta import TreeEntry
from aicd_github.git.job_repository import JobRepository
from aicd_github.git.layout import object_format
from aicd_github.git.mirror import Mirror, missing_commit
from aicd_github.git.quarantine import Identity
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git
from aicd_github.history import History, fetch_history
from aicd_github.hosting.branches import choose_base, read_branches
from aicd_github.hosting.source import LocalSource, Source, UrlSource, open_local_source
from aicd_github.threads import in_thread
from aicd_github.tree.cleaning import remove
from aicd_github.work_tree.base import open_base
from aicd_github.workspace import CommandObserver

_PATIENCE = 60.0
_HISTORY_SECONDS = 240.0
_HISTORY_BYTES = 512 * MIB
# Others may pass through to a work tree that belongs to the sandbox's user, but not look around.
_PASSAGE = 0o711
_PRIVATE = 0o700


def branch_of(job_id: JobId) -> str:
    """The branch that a job publishes."""
    return f"{OWN_BRANCHES}{job_id}"


class RepositoryHost:
    """The part of a `CodeHost` that is the same wherever pull requests live.

    Jobs work from a mirror, and all that is ever written to the repository are a job's own refs.

    Args:
        source: path or URL of the repository.
        data_dir: absolute; holds `mirrors/` and `jobs/`.
        sandbox: runs the commands of the jobs' workspaces.
        command_timeout: longest time, in seconds, that one command may take.
        observer: watches the commands.
        by: author and committer of the commits.
        caches: absolute; holds the dependency caches of one organization. None goes without.
        mirrors: absolute; where the mirror is, if not in the data directory's `mirrors/`.
        credentials: makes a password for each fetch and push, for a web repository that asks for one.
        known_as: one name for a repository that several URLs lead to.
    """

    def __init__(
        self,
        source: str,
        data_dir: Path,
        sandbox: Sandbox,
        command_timeout: float,
        observer: CommandObserver | None = None,
        *,
        by: Identity = IDENTITY,
        git: Git | None = None,
        caches: Path | None = None,
        credentials: Credentials | None = None,
        mirrors: Path | None = None,
        known_as: str | None = None,
    ) -> None:
        self._named = source
        self._data_dir = data_dir
        self._sandbox = sandbox
        self._command_timeout = command_timeout
        self._observer = observer or CommandObserver()
        self._by = by
        self._git = git or Git()
        self._caches = caches
        self._credentials = credentials
        self._known_as = known_as
        self._mirrors = mirrors or data_dir / "mirrors"
        self._opened: tuple[Source, Remote] | None = None

    async def source(self) -> Source:
        """The repository, once it was looked at.

        Raises:
            InvalidInputError: `path_not_found`, `not_a_repository`, `unsupported_url`,
                `credentials_in_url`.
        """
        return (await self._open_source())[0]

    async def resolve_base(self, branch: str | None) -> Base:
        """The named branch, or the one that is checked out, mirrored on this machine.

        Raises:
            InvalidInputError: `empty_repository`, `detached_head`, `no_such_base`, or as `source`.
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        base = await self.find_base(branch)
        await (await self._mirror(base.sha)).ensure(base.branch, base.sha)
        return base

    async def find_base(self, branch: str | None) -> Base:
        """As `resolve_base`, but for the mirror: nothing is fetched yet."""
        source, remote = await self._open_source()
        branches = await read_branches(source, remote, self._git)
        return choose_base(branches, branch, source.display)

    async def fetch_history(self, count: int) -> History:
        """The last commits of the branch that is checked out, fetched as far as judging them takes.

        Into a mirror of their own: jobs do not wait for it, and what they fetch stays as small as they need it.

        Raises:
            InvalidInputError: as `resolve_base`.
            UnavailableError: as `resolve_base`; code `history_too_large`.
        """
        base, git = await self.find_base(None), Git(_HISTORY_SECONDS, _HISTORY_BYTES)
        mirror = await self._mirror(base.sha, suffix="-history", git=git)
        return await fetch_history(mirror, base, count, git)

    @asynccontextmanager
    async def hold(self, job_id: JobId) -> AsyncIterator[None]:
        """Keeps everybody else on this machine out of the job's work tree; the kernel lets go for a killed process.

        Raises:
            UnavailableError: `locked`; or the disk refuses.
        """
        # Made again whenever it is tried: the holder before may be just removing the folder.
        place = self._job_folder(job_id) / "held"
        async with locked(place, _PATIENCE, prepare=lambda: self._make_folder(job_id)):
            yield

    async def open(self, job_id: JobId, base_sha: str, head: Base | None = None) -> GitCheckout:
        """A work tree for the job at the base commit: made, or taken over from an earlier attempt.

        Args:
            head: the job's branch and where it is, which is then mirrored on this machine, too.

        Raises:
            StepFailedError: `base_gone`, `invalid_config`.
            UnavailableError: the repository cannot be reached, or the disk refuses.
        """
        mirror = await self._mirror(base_sha)
        if head is not None:
            await mirror.ensure(head.branch, head.sha)
            await mirror.relate(base_sha, head.sha)
        folder = self._make_folder(job_id)
        repository = JobRepository(self._git, folder, base_sha)
        entries = await self._entries(repository, mirror)
        base = await open_base(repository.quarantine, entries, mirror.complete)
        checkout = GitCheckout(
            repository,
            base,
            self._sandbox,
            self._command_timeout,
            self._observer,
            self._by,
            await self._cache(),
        )
        await checkout.take_over()
        return checkout

    def _make_folder(self, job_id: JobId) -> Path:
        folder = self._job_folder(job_id)
        with disk_errors(folder):
            for place, mode in ((folder.parent, _PASSAGE), (folder, _PASSAGE), (folder / "tree", _PRIVATE)):
                if not place.exists():
                    place.mkdir(parents=True, exist_ok=True)
                    place.chmod(mode)
        return folder

    async def _entries(self, repository: JobRepository, mirror: Mirror) -> dict[str, TreeEntry]:
        for last in (False, True):
            async with repository.locked():
                with disk_errors(repository.path):
                    repository.create(mirror.path)
            entries = await repository.quarantine.entries()
            if entries is not None:
                return entries
            if not last:
                await mirror.find(repository.base_sha)
        raise missing_commit(self._named, repository.base_sha)

    async def close(self, job_id: JobId) -> None:
        """Removes the job's work tree and repository from this machine.

        Raises:
            UnavailableError: the disk refused.
        """
        folder = self._job_folder(job_id)
        if not folder.exists():
            return
        async with locked(folder / "lock", _PATIENCE):
            with disk_errors(folder):
                await in_thread(remove, folder)

    async def _open_source(self) -> tuple[Source, Remote]:
        if self._opened is None:
            source = await open_local_source(self._named, self._git)
            remote = source.remote() if isinstance(source, LocalSource) else source.remote(self._credentials)
            if isinstance(source, UrlSource):
                source = replace(source, known_as=self._known_as)
            self._opened = (source, remote)
        return self._opened

    async def _mirror(self, sha: str, *, suffix: str = "", git: Git | None = None) -> Mirror:
        source, remote = await self._open_source()
        path = self._mirrors / f"{source.key}{suffix}.git"
        return Mirror(git or self._git, path, remote, object_format(sha))

    async def _ready_to_push(self, job_id: JobId, base: Base) -> JobRepository:
        """The job's trusted repository, with what it needs to send nothing but the job's own commits.

        Git leaves out what it knows the other side to have: its branches, as far as they are here.

        Raises:
            UnavailableError: code `repository_tampered`; or the repository cannot be reached, or the disk refuses.
        """
        mirror = await self._mirror(base.sha)
        repository = JobRepository(self._git, self._job_folder(job_id), base.sha)
        repository.require_own(mirror.path)
        if (await self._open_source())[1].is_far:
            await mirror.catch_up(base.branch, base.sha)
            with disk_errors(repository.path):
                repository.follow(mirror.path)
        return repository

    async def _cache(self) -> RepositoryCache | None:
        if self._caches is None:
            return None
        source, _ = await self._open_source()
        return RepositoryCache(self._caches / source.key, self._sandbox.owner)

    def _job_folder(self, job_id: JobId) -> Path:
        return self._data_dir / "jobs" / str(job_id)
