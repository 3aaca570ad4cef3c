"""The local code host: jobs on a repository that has branches, but no server for pull requests."""

from aicd_core.contracts.code_host import Base, Checkout, Confirm, PullRequest, PullRequestDraft, always
from aicd_core.contracts.outside import HostFeedback
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.ids import JobId
from aicd_core.policy import require_own_branch
from aicd_core.telemetry.tracing import SpanKind, span
from aicd_github.hosting.host import RepositoryHost, branch_of
from aicd_github.hosting.pushing import BranchPusher
from aicd_github.hosting.source import LocalSource, Source
from aicd_github.local.commits import is_of_job, read_commit_in
from aicd_github.local.notes import uncommitted_note
from aicd_github.local.pulls import PullRequestBook


class LocalCodeHost(RepositoryHost):
    """`CodeHost` for a repository on this machine, or behind a plain git URL.

    The user's own checkout, index, stash, `HEAD`, configuration and branches are never touched. Pull requests are
    recorded in the data directory's `pulls/`.
    """

    async def notes(self) -> tuple[str, ...]:
        """What the user should know before a job starts, one sentence each."""
        source = await self.source()
        note = await uncommitted_note(source, self._git) if isinstance(source, LocalSource) else None
        return () if note is None else (note,)

    async def publish(
        self,
        job_id: JobId,
        checkout: Checkout,
        head_sha: str,
        base: Base,
        draft: PullRequestDraft,
        confirm: Confirm = always,
        *,
        onto: str | None = None,
    ) -> PullRequest:
        """Pushes `aicd/<job>` and records the pull request, or brings both up to date.

        Raises:
            StepFailedError: `branch_taken`, `push_refused`; `withdrawn`, by somebody who ended the job meanwhile.
            UnavailableError: the repository cannot be reached or written to, or the disk refuses.
        """
        del checkout, confirm, onto  # all that is needed is in the job's repository; a withdrawal is seen in the book
        source, remote = await self._open_source()
        book = self._book(source)
        branch = branch_of(job_id)
        require_own_branch(branch, base.branch)
        known = book.find(job_id)
        ours = {*book.pushed(job_id), *([] if known is None else [known.head_sha])}
        book.note_push(job_id, head_sha)
        repository = await self._ready_to_push(job_id, base)
        pusher = BranchPusher(self._git, source, remote)
        with span("git push", kind=SpanKind.CLIENT):
            try:
                await pusher.push(repository.path, branch, head_sha, ours)
            except StepFailedError as error:
                made = await self._made_before(pusher, job_id, base) if error.code == "branch_taken" else None
                if made is None:
                    raise
                await pusher.push(repository.path, branch, head_sha, [made])
        if head_sha not in book.pushed(job_id):
            # Whoever withdrew it did not see this push.
            await pusher.delete(repository.path, branch, [head_sha])
            raise StepFailedError(f"{branch} was withdrawn while it was pushed: the job has ended.", code="withdrawn")
        return await book.record(job_id, branch, head_sha, base, draft)

    async def withdraw(self, job_id: JobId) -> None:
        """Deletes the job's branch if no pull request stands on it. Does nothing when there is none.

        Raises:
            StepFailedError: `push_refused`.
            UnavailableError: the repository cannot be reached or written to.
        """
        source, remote = await self._open_source()
        book = self._book(source)
        ours = book.pushed(job_id)
        if not ours or book.find(job_id) is not None:
            return
        mirror = await self._mirror(ours[0])
        await mirror.make()
        await BranchPusher(self._git, source, remote).delete(mirror.path, branch_of(job_id), ours)
        book.forget_pushes(job_id)

    async def report(self, job_id: JobId, issue: int, text: str) -> None:
        """Does nothing: a local repository has no issues."""

    async def read_feedback(self, job_id: JobId) -> HostFeedback:  # noqa: ARG002 - the contract's
        """Nothing: nobody can comment on a recorded pull request."""
        return HostFeedback()

    async def answer(self, job_id: JobId, thread: int, text: str, to: int | None = None) -> None:  # noqa: ARG002 - likewise
        """Raises InvalidInputError, code `no_such_thread`: there are none."""
        raise InvalidInputError(
            f"{self._named} has no thread {thread}: nothing can be said there.", code="no_such_thread"
        )

    async def _made_before(self, pusher: BranchPusher, job_id: JobId, base: Base) -> str | None:
        """The commit that the branch is on, if the job made it before its records were lost or taken back in time.

        A restored backup does not know what happened after it was made; the branch does.
        """
        found = await pusher.current(branch_of(job_id))
        if found is None:
            return None
        if isinstance(pusher.source, LocalSource):
            git_dir = pusher.source.git_dir
        else:
            mirror = await self._mirror(found)
            await mirror.find(found)
            git_dir = mirror.path
        commit = await read_commit_in(git_dir, found, self._git)
        return found if commit is not None and is_of_job(commit, job_id, self._by, base.sha) else None

    def _book(self, source: Source) -> PullRequestBook:
        return PullRequestBook(self._data_dir / "pulls" / source.key)
