"""A job's work tree as the Body sees it: laid out, measured, committed."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import PurePosixPath

from aicd_core.contracts.change import ChangeSet, FileOp
from aicd_core.contracts.code_host import CommitRequest
from aicd_core.contracts.egress import Denial
from aicd_core.contracts.sandbox import Phase, Sandbox
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_github.caches import RepositoryCache
from aicd_github.commands import StepSandbox
from aicd_github.faults import disk_errors
from aicd_github.git.delta import GITLINK, SYMLINK, Delta, RawChange, TreeEntry, file_changes
from aicd_github.git.job_repository import Identity, JobRepository
from aicd_github.git.runner import GitFailedError
from aicd_github.git.symlinks import leads_out
from aicd_github.threads import in_thread
from aicd_github.tree.cleaning import empty, hand_over, keep_only
from aicd_github.tree.files import TreeFiles
from aicd_github.workspace import CommandObserver, TreeWorkspace

_MAX_READ = 16 * 1024 * 1024
_MAX_LINKS_AT_BASE = 10
IDENTITY = Identity("AI-CD", "aicd@localhost")


class GitCheckout:
    """`Checkout` on a `JobRepository`.

    Args:
        entries: every path of the base commit.
        sandbox: runs the workspace's commands; says who must own the tree's files.
        command_timeout: longest time, in seconds, that one command may take.
        by: author and committer of the commits.
        cache: the repository's dependencies, shared by its jobs.
    """

    def __init__(
        self,
        repository: JobRepository,
        entries: dict[str, TreeEntry],
        sandbox: Sandbox,
        command_timeout: float,
        observer: CommandObserver,
        by: Identity = IDENTITY,
        cache: RepositoryCache | None = None,
    ) -> None:
        self._repository = repository
        self._entries = entries
        self._by = by
        self._owner = sandbox.owner
        self._files = TreeFiles(repository.tree, sandbox.owner, _MAX_READ)
        self._marker = repository.folder / "laid"
        self._index_known = False
        self._pristine: str | None = None
        self._staged: ChangeSet | None = None
        self._sandbox = StepSandbox(sandbox, repository.tree, repository.folder / "logs", cache)
        self._workspace = TreeWorkspace(self, self._files, self._sandbox, command_timeout, observer)

    @property
    def repository(self) -> JobRepository:
        """Where the job's commits are."""
        return self._repository

    @property
    def workspace(self) -> TreeWorkspace:
        return self._workspace

    @property
    def denials(self) -> tuple[Denial, ...]:
        """What commands were refused on their way out since the tree was laid, each once."""
        return self._sandbox.denials

    async def enter(self, phase: Phase, hosts: Sequence[str]) -> None:
        """Says what the commands from now on are for; see `Checkout.enter`."""
        await self._sandbox.enter(phase, hosts)

    async def keep_cache(self) -> None:
        """Shows what set-up downloaded to the jobs to come; see `Checkout.keep_cache`."""
        await self._sandbox.keep_cache()

    async def close_sandbox(self) -> None:
        """Ends every process that runs in the tree; see `Checkout.close_sandbox`."""
        await self._sandbox.close()

    def touched(self) -> None:
        """Notes that the tree may have changed since it was laid or measured."""
        self._pristine = None
        self._staged = None

    async def take_over(self) -> None:
        """Goes on with the tree that an earlier attempt left, or lays it when that one got no further.

        Raises:
            UnavailableError: the disk refused.
        """
        with disk_errors(self._marker):
            laid = self._marker.read_text() if self._marker.exists() else None
        if laid != self._repository.base_sha:
            await self.restore(None)

    async def restore(self, change_set: ChangeSet | None) -> None:
        """Lays the tree as at the base commit plus the given change; does nothing when it is laid so.

        Raises:
            StepFailedError: the recorded change is not one of this base commit, or is damaged.
            UnavailableError: the disk refused.
        """
        await self._sandbox.begin_anew()
        wanted = self._repository.base_sha if change_set is None else change_set.tree_sha
        if self._pristine == wanted:
            return
        async with self._repository.locked() as lock:
            staged = self._staged
            self.touched()
            if change_set is not None and staged is not None and staged.tree_sha == wanted:
                with disk_errors(self._repository.tree):
                    await in_thread(self._drop_foreign, staged)
                self._staged = staged
            else:
                await self._lay(change_set, wanted, lock)
            self._pristine = wanted

    async def _lay(self, change_set: ChangeSet | None, wanted: str, lock: int) -> None:
        if change_set is not None:
            self._require_same_base(change_set)
            await self._repository.import_change(change_set, lock)
        with disk_errors(self._repository.tree):
            self._marker.unlink(missing_ok=True)
            if self._index_known:
                # The index knows each file as it was laid (its ctime, too, which nobody can set back): git then
                # writes only what differs, where laying all anew costs a file creation for each.
                await in_thread(self._drop_foreign, change_set)
            else:
                await in_thread(empty, self._repository.tree)
        await self._repository.lay(wanted, lock, anew=not self._index_known)
        if self._owner is not None:
            with disk_errors(self._repository.tree):
                await in_thread(hand_over, self._repository.tree, self._owner)
            await self._repository.refresh_index(lock)
        with disk_errors(self._marker):
            self._marker.write_text(self._repository.base_sha)
        self._index_known = True

    def _drop_foreign(self, change_set: ChangeSet | None) -> None:
        """Removes everything that is no path of the base plus the change."""
        files = {path for path, entry in self._entries.items() if entry.mode != GITLINK}
        changes = change_set.files if change_set is not None else ()
        gone = {change.old_path or change.path for change in changes if change.op in _LEAVING}
        files = (files - gone) | {change.path for change in changes if change.op is not FileOp.DELETE}
        keep_only(self._repository.tree, files, self._gitlinks())

    async def capture(self, planned: Collection[str]) -> ChangeSet:
        """Measures the tree against the base.

        Raises:
            StepFailedError: `nested_repository`, `submodule_changed`, `symlink_leads_out`,
                `path_not_utf8`, `uncommittable_tree`.
            UnavailableError: the disk refused.
        """
        async with self._repository.locked() as lock:
            delta = await self._measure(planned, lock)
            _refuse_gitlinks(delta.changes)
            tree_sha = await self._repository.write_tree(lock)
            shas = {change.new_sha for change in delta.changes if not change.removed}
            sizes = await self._repository.sizes(shas)
            change_set = ChangeSet(
                base_sha=self._repository.base_sha,
                tree_sha=tree_sha,
                files=tuple(file_changes(delta, sizes)),
                patch=delta.patch,
            )
            await self._refuse_links_out(delta.changes)
            self._staged = change_set
            return change_set

    async def diff(self) -> bytes:
        """The patch from the base to the tree as it is now."""
        async with self._repository.locked() as lock:
            return (await self._measure((), lock)).patch

    async def _measure(self, planned: Collection[str], lock: int) -> Delta:
        await in_thread(self._guard_submodules, planned)
        if not self._index_known:
            await self._repository.reset_index(lock)
            self._index_known = True
        await self._repository.stage(lock)
        delta = await self._repository.delta()
        left_out = await in_thread(self._left_out, planned, delta)
        if left_out:
            await self._repository.stage_ignored(left_out, lock)
            delta = await self._repository.delta()
        return delta

    def _left_out(self, planned: Collection[str], delta: Delta) -> list[str]:
        staged = {change.path.decode("utf-8", "surrogateescape") for change in delta.changes}
        new = [path for path in planned if path not in self._entries and path not in staged]
        return sorted(path for path in new if self._files.exists(path))

    def _guard_submodules(self, planned: Collection[str]) -> None:
        """Git looks into a submodule's folder, and what an agent planted there would run."""
        for path in self._gitlinks():
            try:
                names = self._files.ensure_folder(path)
            except InvalidInputError as error:
                raise _submodule(path, "it was replaced by something else") from error
            if ".git" in {name.casefold() for name in names}:
                raise _submodule(path, "a repository was made in it")
            if any(name.startswith(f"{path}/") for name in planned):
                raise _submodule(path, "the plan has files in it")

    def _gitlinks(self) -> list[str]:
        return [path for path, entry in self._entries.items() if entry.mode == GITLINK]

    async def _refuse_links_out(self, changes: Iterable[RawChange]) -> None:
        changed = [change for change in changes if change.new_mode == SYMLINK]
        if not changed:
            return
        shas = {path: entry.sha for path, entry in self._entries.items() if entry.mode == SYMLINK}
        for change in changes:
            shas.pop((change.old_path or change.path).decode("utf-8", "surrogateescape"), None)
        shas |= {change.path.decode(): change.new_sha for change in changed}
        targets = await self._repository.blobs(shas.values())
        links = {path: targets[sha].decode("utf-8", "surrogateescape") for path, sha in shas.items()}
        for change in changed:
            path = change.path.decode()
            if leads_out(path, links):
                raise StepFailedError(
                    f"The symbolic link {path!r} leads out of the repository, to {links[path]!r}. "
                    "Make it relative and keep it inside.",
                    code="symlink_leads_out",
                )

    async def paths_at_base(self) -> frozenset[str]:
        """Every file path of the base commit, links included; foreign bytes in names as surrogates."""
        return frozenset(path for path, entry in self._entries.items() if entry.mode != GITLINK)

    async def read_at_base(self, path: str) -> bytes | None:
        """A file of the base commit, links between files of the commit followed; None when none."""
        for _ in range(_MAX_LINKS_AT_BASE):
            entry = self._entries.get(path)
            if entry is None or entry.mode == GITLINK:
                return None
            content = await self._repository.blob(entry.sha)
            if entry.mode != SYMLINK:
                return content
            path = _joined(path, content.decode("utf-8", "surrogateescape"))
        return None

    async def commit(self, request: CommitRequest) -> str:
        """Makes the commit on top of the base; the same request always gives the same commit.

        Raises:
            InvalidInputError: the message holds a NUL, or the date no time zone.
            StepFailedError: the change is not one of this base commit.
        """
        self._require_same_base(request.change_set)
        message = _message(request.message)
        epoch = _epoch(request.when)
        tree_sha = request.change_set.tree_sha
        async with self._repository.locked() as lock:
            try:
                return await self._repository.commit_tree(tree_sha, message, self._by, epoch, lock)
            except GitFailedError:
                # Another machine measured the change: its tree has to be made here first.
                await self._repository.import_change(request.change_set, lock)
                return await self._repository.commit_tree(tree_sha, message, self._by, epoch, lock)

    def _require_same_base(self, change_set: ChangeSet) -> None:
        if change_set.base_sha != self._repository.base_sha:
            raise StepFailedError(
                f"The change was made on {change_set.base_sha}, but the job stands on "
                f"{self._repository.base_sha}. Start the job anew.",
                code="wrong_base",
            )


_LEAVING = frozenset({FileOp.DELETE, FileOp.RENAME})


def _refuse_gitlinks(changes: Iterable[RawChange]) -> None:
    for change in changes:
        path = change.path.decode("utf-8", "replace")
        if change.old_mode == GITLINK:
            raise _submodule(path, "it was moved, removed or set to another commit")
        if change.new_mode == GITLINK:
            raise StepFailedError(
                f"{path!r} is a repository of its own inside the tree; its files would be lost. "
                "Remove its .git folder, or let .gitignore name it.",
                code="nested_repository",
            )


def _submodule(path: str, why: str) -> StepFailedError:
    return StepFailedError(
        f"The submodule {path!r} cannot be changed by a job: {why}. Leave its folder as it is.",
        code="submodule_changed",
    )


def _joined(path: str, target: str) -> str:
    parts: list[str] = [] if target.startswith("/") else list(PurePosixPath(path).parent.parts)
    for part in target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) if not target.startswith("/") else ""


def _message(text: str) -> bytes:
    if "\0" in text:
        raise InvalidInputError("A commit message cannot contain a NUL character.", code="bad_message")
    return text.encode("utf-8", "replace")


def _epoch(when: datetime) -> int:
    if when.tzinfo is None:
        raise InvalidInputError("A commit's date needs a time zone.", code="naive_date")
    return int(when.timestamp())
