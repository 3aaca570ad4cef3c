"""A job's work tree as the Body sees it: laid out, measured, committed."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.code_host import CommitRequest, Merge
from aicd_core.contracts.egress import Denial
from aicd_core.contracts.sandbox import Phase, Sandbox
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_github.caches import RepositoryCache
from aicd_github.commands import StepSandbox
from aicd_github.faults import disk_errors
from aicd_github.git.delta import GITLINK, RawChange, file_changes
from aicd_github.git.job_repository import JobRepository
from aicd_github.git.quarantine import Identity
from aicd_github.git.runner import GitFailedError
from aicd_github.threads import in_thread
from aicd_github.tree.files import TreeFiles
from aicd_github.tree.paths import checked_parts, is_git_folder
from aicd_github.work_tree.base import BaseTree
from aicd_github.work_tree.files import WorkTree
from aicd_github.work_tree.refusals import links_to_check, refuse_changes, refuse_links_out, submodule_changed
from aicd_github.workspace import CommandObserver, TreeWorkspace

_MAX_READ = 16 * 1024 * 1024
_TRAILER = re.compile(r"[A-Za-z0-9-]+: \S")
IDENTITY = Identity("AI-CD", "aicd@localhost")


def _nothing() -> None:
    """What is done about a tree that was read, when nobody waits to change it."""


class GitCheckout:
    """`Checkout` on a `JobRepository`.

    Args:
        base: the commit that the job starts from.
        sandbox: runs the workspace's commands; says who must own the tree's files.
        command_timeout: longest time, in seconds, that one command may take.
        by: author and committer of the commits.
        cache: the repository's dependencies, shared by its jobs.
    """

    def __init__(
        self,
        repository: JobRepository,
        base: BaseTree,
        sandbox: Sandbox,
        command_timeout: float,
        observer: CommandObserver,
        by: Identity = IDENTITY,
        cache: RepositoryCache | None = None,
    ) -> None:
        self._repository = repository
        self._base = base
        self._by = by
        self._files = TreeFiles(repository.tree, sandbox.owner, _MAX_READ)
        self._work_tree = WorkTree(repository, base, self._files, sandbox.owner)
        self._marker = repository.folder / "laid"
        self._pristine: str | None = None
        self._touches = 0
        self._staged: ChangeSet | None = None
        self._measured: ChangeSet | None = None
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

    async def enter(self, phase: Phase, hosts: Sequence[str], refused: Sequence[str] = ()) -> None:
        """Says what the commands from now on are for; see `Checkout.enter`."""
        await self._sandbox.enter(phase, hosts, refused)

    async def keep_cache(self) -> None:
        """Shows what set-up downloaded to the jobs to come; see `Checkout.keep_cache`."""
        await self._sandbox.keep_cache()

    async def close_sandbox(self) -> None:
        """Ends every process that runs in the tree; see `Checkout.close_sandbox`."""
        await self._sandbox.close()

    def before_write(self, path: str) -> None:
        """Refuses to have a file written whose place is not laid out.

        Raises:
            InvalidInputError: code `outside_checkout`; or `path_escapes`.
        """
        try:
            self._base.require_laid("/".join(checked_parts(path)))
        except StepFailedError as error:
            raise InvalidInputError(error.message, code=error.code) from error

    def touched(self) -> None:
        """Notes that the tree may have changed since it was laid or measured."""
        self._touches += 1
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
                await self._work_tree.drop_foreign(staged)
                self._staged = staged
            else:
                await self._lay(change_set, lock)
            self._pristine = wanted

    async def _lay(self, change_set: ChangeSet | None, lock: int) -> None:
        if change_set is not None:
            self._require_same_base(change_set)
            await self._repository.quarantine.import_change(change_set, lock)
        with disk_errors(self._marker):
            self._marker.unlink(missing_ok=True)
        await self._work_tree.lay(change_set, lock)
        with disk_errors(self._marker):
            self._marker.write_text(self._repository.base_sha)

    async def capture(self, planned: Collection[str], on_taken: Callable[[], None] = _nothing) -> ChangeSet:
        """Measures the tree against the base; see `Checkout.capture`.

        Raises:
            StepFailedError: `nested_repository`, `submodule_changed`, `symlink_leads_out`, `path_not_utf8`,
                `uncommittable_tree`, `file_too_large`, `change_too_large`, `tree_too_large`, `tree_unsteady`,
                `outside_checkout`.
            UnavailableError: the disk refused.
        """
        async with self._repository.locked() as lock:
            touches = self._touches
            tree_sha = await self._take_in(planned, lock, on_taken)
            if self._measured is None or self._measured.tree_sha != tree_sha:
                self._measured = await self._measure(tree_sha)
            self._staged = self._measured if self._touches == touches else None
            return self._measured

    async def _measure(self, tree_sha: str) -> ChangeSet:
        """The change that leads from the base to a tree that was just taken in; raises as `capture`."""
        delta = await self._repository.quarantine.delta(tree_sha)
        await self._refuse(delta.changes)
        shas = {change.new_sha for change in delta.changes if not change.removed}
        known = self._work_tree.sizes
        sizes = {**known, **await self._repository.quarantine.sizes(shas - known.keys())}
        return ChangeSet(
            base_sha=self._repository.base_sha,
            tree_sha=tree_sha,
            files=tuple(file_changes(delta, sizes)),
            patch=delta.patch,
        )

    async def diff(self) -> bytes:
        """The patch from the base to the tree as it is now."""
        async with self._repository.locked() as lock:
            tree_sha = await self._take_in((), lock, _nothing)
            return (await self._repository.quarantine.delta(tree_sha)).patch

    async def _take_in(self, planned: Collection[str], lock: int, on_taken: Callable[[], None]) -> str:
        await in_thread(self._guard_submodules, planned)
        return await self._work_tree.take_in(planned, lock, on_taken)

    def _guard_submodules(self, planned: Collection[str]) -> None:
        """A submodule's folder is not taken in: what is in it would be lost without a word."""
        for path in self._work_tree.gitlinks():
            try:
                names = self._files.ensure_folder(path)
            except InvalidInputError as error:
                raise submodule_changed(path, "it was replaced by something else") from error
            if any(is_git_folder(name) for name in names):
                raise submodule_changed(path, "a repository was made in it")
            if any(name.startswith(f"{path}/") for name in planned):
                raise submodule_changed(path, "the plan has files in it")

    async def _refuse(self, changes: Iterable[RawChange]) -> None:
        refuse_changes(changes)
        links = links_to_check(changes, self._base.entries)
        if links:
            refuse_links_out(changes, links, await self._repository.quarantine.blobs(links.values()))

    async def paths_at_base(self) -> frozenset[str]:
        """Every file path of the base commit, links included; foreign bytes in names as surrogates."""
        return frozenset(path for path, entry in self._base.entries.items() if entry.mode != GITLINK)

    async def read_at_base(self, path: str) -> bytes | None:
        """A file of the base commit, links between files of the commit followed; None when none.

        Raises:
            UnavailableError: it is not on this machine, and the repository cannot be reached.
        """
        return await self._base.read(path)

    async def patch_since(self, sha: str) -> bytes:
        """The patch from another commit to the base; see `Checkout.patch_since`."""
        return await self._repository.quarantine.patch_since(sha)

    async def merged(self, head_sha: str) -> Merge:
        """The merge of another commit into the base; see `Checkout.merged`. Raises as `capture`."""
        async with self._repository.locked() as lock:
            tree_sha, conflicts = await self._repository.quarantine.merge(head_sha, lock)
            return Merge(change_set=await self._measure(tree_sha), conflicts=conflicts)

    async def commit(self, request: CommitRequest) -> str:
        """Makes the commit on top of its parents, or else of the base; the same request always gives the same commit.

        Raises:
            InvalidInputError: the message holds a NUL, or the date no time zone.
            StepFailedError: the change is not one of this base commit.
        """
        self._require_same_base(request.change_set)
        message = _message(_signed_off(request.message, self._by))
        epoch = _epoch(request.when)
        tree_sha = request.change_set.tree_sha
        quarantine = self._repository.quarantine
        async with self._repository.locked() as lock:
            try:
                head = await quarantine.commit_tree(tree_sha, request.parents, message, self._by, epoch, lock)
            except GitFailedError:
                # Another machine measured the change: its tree has to be made here first.
                await quarantine.import_change(request.change_set, lock)
                head = await quarantine.commit_tree(tree_sha, request.parents, message, self._by, epoch, lock)
            # The record says which tree to commit; what that tree is, only the tree itself can say.
            await self._refuse(await quarantine.changes(head))
            await self._repository.hand_over(head, lock, request.parents)
            return head

    def _require_same_base(self, change_set: ChangeSet) -> None:
        if change_set.base_sha != self._repository.base_sha:
            raise StepFailedError(
                f"The change was made on {change_set.base_sha}, but the job stands on "
                f"{self._repository.base_sha}. Start the job anew.",
                code="wrong_base",
            )


def _signed_off(message: str, by: Identity) -> str:
    """The message with a trailer that says who answers for the commit (https://developercertificate.org)."""
    *_, last = message.rstrip("\n").split("\n\n")
    trailers = "\n\n" in message.rstrip("\n") and all(_TRAILER.match(line) for line in last.split("\n"))
    between = "\n" if trailers else "\n\n"
    return f"{message.rstrip(chr(10))}{between}Signed-off-by: {by.name} <{by.email}>\n"


def _message(text: str) -> bytes:
    if "\0" in text:
        raise InvalidInputError("A commit message cannot contain a NUL character.", code="bad_message")
    return text.encode("utf-8", "replace")


def _epoch(when: datetime) -> int:
    if when.tzinfo is None:
        raise InvalidInputError("A commit's date needs a time zone.", code="naive_date")
    return int(when.timestamp())
