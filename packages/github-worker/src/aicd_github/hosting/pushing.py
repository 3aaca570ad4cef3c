"""Pushing a job's branch so that nothing is ever overwritten that the job did not make."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from aicd_core.errors import AicdError, StepFailedError, UnavailableError
from aicd_core.policy import require_own_branch
from aicd_github.git.credentials import Access
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall, GitResult, Place, failure
from aicd_github.hosting.source import Source

_NO_ROOM = ("no_disk_space", "not_writable")


@dataclass(frozen=True)
class BranchPusher:
    """Moves one branch of the source, by compare and set."""

    git: Git
    source: Source
    remote: Remote

    async def current(self, branch: str) -> str | None:
        """Where the branch is in the source; None when it has no such branch.

        Raises:
            UnavailableError: the source cannot be reached.
        """
        ref = f"refs/heads/{branch}"
        call = GitCall(
            ("ls-remote", *self._program("upload-pack", self.remote.upload_pack), "--", self.remote.url, ref),
            transport=self.remote.transport,
            login=await self.remote.login(Access.READ),
        )
        lines = (await self.git.do(call, f"{self.source.display} could not be read")).text().splitlines()
        return next((line.split("\t")[0] for line in lines if line.endswith(f"\t{ref}")), None)

    async def push(self, repository: Path, branch: str, head_sha: str, ours: Collection[str]) -> None:
        """Points the branch to the commit.

        Args:
            repository: holds the commit.
            ours: commits that the branch may point to already because the job pushed them.

        Raises:
            StepFailedError: `branch_taken`: the branch points to something else; `push_refused`; `foreign_branch`.
            UnavailableError: the source cannot be reached or written to.
        """
        require_own_branch(branch)
        old = await self.current(branch) if ours else None
        if old == head_sha:
            return
        if old is not None and old not in ours:
            raise self.taken(branch, old)
        result = await self._send(repository, f"{head_sha}:refs/heads/{branch}", branch, old)
        if result.returncode == 0:
            return
        if "(stale info)" in result.text():
            now = await self.current(branch)
            if now == head_sha:
                return
            raise self.taken(branch, now or "nothing")
        raise self.refused(result, branch)

    async def delete(self, repository: Path, branch: str, ours: Collection[str]) -> None:
        """Deletes the branch if it points to one of `ours`.

        Raises:
            StepFailedError: `push_refused`.
            UnavailableError: the source cannot be reached or written to.
        """
        require_own_branch(branch)
        old = await self.current(branch)
        if old is None or old not in ours:
            return
        result = await self._send(repository, f":refs/heads/{branch}", branch, old)
        if result.returncode != 0 and "(stale info)" not in result.text():
            raise self.refused(result, branch)

    async def _send(self, repository: Path, refspec: str, branch: str, old: str | None) -> GitResult:
        arguments = (
            "push",
            "--porcelain",
            "--no-verify",
            f"--force-with-lease=refs/heads/{branch}:{old or ''}",
            *self._program("receive-pack", self.remote.receive_pack),
            "--",
            self.remote.url,
            refspec,
        )
        login = await self.remote.login(Access.WRITE)
        return await self.git.run(GitCall(arguments, Place(repository), transport=self.remote.transport, login=login))

    @staticmethod
    def _program(name: str, command: str | None) -> tuple[str, ...]:
        return () if command is None else (f"--{name}={command}",)

    def taken(self, branch: str, found: str) -> StepFailedError:
        """The error for a branch that somebody else has, or pushed to."""
        return StepFailedError(
            f"The branch {branch} of {self.source.display} points to {found}, which this job did not push. "
            "Rename or delete that branch, then start the job anew.",
            code="branch_taken",
        )

    def refused(self, result: GitResult, branch: str) -> AicdError:
        """The error for a push that the source did not take."""
        what = f"Pushing {branch} to {self.source.display} failed"
        error = failure(result, what)
        refusal = refusal_reason(result.text())
        if "fatal: unable to read" in result.stderr or "shallow update not allowed" in (refusal or ""):
            # Git would have to send what was there before the job, and of that only a part was ever fetched.
            return StepFailedError(
                f"{what}: the commit that the job started from is on none of its branches any more. Start a new job "
                "from the branch as it is now.",
                code="base_gone",
            )
        if error.code in _NO_ROOM or refusal is None:
            return error
        if "unpacker error" in refusal:
            return UnavailableError(
                f"{error.message} Give the user that runs AI-CD, and its unit where it runs under systemd "
                "(ReadWritePaths=), the right to write to it, and room on its disk.",
                code="not_writable",
            )
        if "exists; cannot create" in result.stderr:
            return StepFailedError(
                f"{what}: a branch whose name is the beginning of this one is in the way. "
                "Rename it, then start the job anew.",
                code="push_refused",
            )
        return StepFailedError(
            f"{what}: the repository refused it: {refusal}. Change what stands in the way, then start the job anew.",
            code="push_refused",
        )


def refusal_reason(porcelain: str) -> str | None:
    """Why a ref was refused, from the output of `git push --porcelain`; None when none was."""
    for line in porcelain.splitlines():
        if line.startswith("!\t"):
            return line.split("\t", 2)[2]
    return None
