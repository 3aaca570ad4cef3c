"""A job's refs on GitHub: its branch, what it pushed last, and its evidence; all are moved at once or not at all.

`refs/aicd/jobs/<job>/head` is where the branch was when it was last pushed by us: on whichever machine a job goes on,
a branch that is elsewhere was moved by somebody else, and is left alone. `refs/aicd/jobs/<job>/evidence` is a commit on
top of that with the evidence bundle in it, byte for byte; neither is shown among the branches.
"""

from dataclasses import dataclass
from pathlib import Path

from aicd_core.ids import JobId
from aicd_core.policy import require_own_branch
from aicd_github.git.credentials import Access
from aicd_github.git.runner import Git, GitCall, Place
from aicd_github.hosting.host import branch_of
from aicd_github.hosting.pushing import BranchPusher

EVIDENCE_FILE = "evidence.json"
_PERSON = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "AI-CD"), ("EMAIL", "aicd@localhost"), ("DATE", "@0 +0000"))
}
"""Of the commit that holds the evidence, which is so always the same."""


@dataclass(frozen=True)
class Found:
    """Where a job's refs are; None for one that is not there."""

    branch: str | None
    pushed: str | None
    evidence: str | None

    @property
    def foreign(self) -> bool:
        """Whether the branch is somewhere where we did not push it."""
        return self.branch is not None and self.branch != self.pushed


@dataclass(frozen=True)
class JobRefs:
    """The refs of one job."""

    git: Git
    pusher: BranchPusher
    job_id: JobId

    @property
    def names(self) -> tuple[str, str, str]:
        below = f"refs/aicd/jobs/{self.job_id}"
        return f"refs/heads/{branch_of(self.job_id)}", f"{below}/head", f"{below}/evidence"

    async def read(self) -> Found:
        """Where they are now.

        Raises:
            UnavailableError: the repository cannot be reached.
        """
        remote = self.pusher.remote
        call = GitCall(
            ("ls-remote", "--", remote.url, *self.names),
            transport=remote.transport,
            login=await remote.login(Access.READ),
        )
        listed = (await self.git.do(call, f"{self.pusher.source.display} could not be read")).text()
        found = {ref: sha for sha, _, ref in (line.partition("\t") for line in listed.splitlines())}
        return Found(*(found.get(name) for name in self.names))

    async def push(self, repository: Path, head_sha: str, evidence: str | None, onto: str | None = None) -> None:
        """Points the branch to the commit, and the other refs to what belongs to it.

        Args:
            evidence: the commit of `evidence_commit`.
            onto: what the commit stands on, whoever pushed that.

        Raises:
            StepFailedError: `branch_taken`: somebody else pushed there; `push_refused`; `foreign_branch`.
            UnavailableError: the repository cannot be reached or written to.
        """
        wanted = Found(head_sha, head_sha, evidence)
        found = await self.read()
        if found.branch not in (None, found.pushed, head_sha, onto):
            raise self.pusher.taken(branch_of(self.job_id), found.branch or "nothing")
        if found != wanted:
            await self._move(repository, found, wanted)

    async def delete(self, repository: Path) -> None:
        """Deletes them all, unless somebody else pushed to the branch. Does nothing when there is none."""
        found = await self.read()
        if found != Found(None, None, None) and not found.foreign:
            await self._move(repository, found, Found(None, None, None))

    async def _move(self, repository: Path, old: Found, new: Found) -> None:
        branch = branch_of(self.job_id)
        require_own_branch(branch)
        moves = [
            (name, before, after)
            for name, before, after in zip(self.names, _all(old), _all(new), strict=True)
            if before != after
        ]
        remote = self.pusher.remote
        arguments = (
            *("push", "--porcelain", "--no-verify", "--atomic"),
            *(f"--force-with-lease={name}:{before or ''}" for name, before, _ in moves),
            *("--", remote.url),
            *(f"{after or ''}:{name}" for name, _, after in moves),
        )
        login = await remote.login(Access.WRITE)
        result = await self.git.run(GitCall(arguments, Place(repository), transport=remote.transport, login=login))
        if result.returncode == 0:
            return
        now = await self.read()
        if now == new:
            return
        if now.branch not in (old.branch, new.branch):
            raise self.pusher.taken(branch, now.branch or "nothing")
        raise self.pusher.refused(result, branch)


async def evidence_commit(git: Git, repository: Path, head_sha: str, evidence: bytes) -> str:
    """Makes the commit that holds the bundle, on top of the job's own; the same bundle always gives the same one."""
    what = "The evidence could not be stored"
    place = Place(repository)
    blob = await git.do(GitCall(("hash-object", "-w", "--stdin"), place, stdin=evidence), what)
    entry = f"100644 blob {blob.text()}\t{EVIDENCE_FILE}\n".encode()
    tree = await git.do(GitCall(("mktree",), place, stdin=entry), what)
    arguments = ("commit-tree", tree.text(), "-p", head_sha, "-m", "Signed evidence of the change below it")
    return (await git.do(GitCall(arguments, place, variables=_PERSON), what)).text()


def _all(found: Found) -> tuple[str | None, str | None, str | None]:
    return found.branch, found.pushed, found.evidence
