"""Reading one commit of a repository, proven to be the one that its name says."""

import hashlib
from pathlib import Path

from aicd_core.attestation import CommitFacts
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_github.git.environment import ANY_OWNER
from aicd_github.git.quarantine import Identity
from aicd_github.git.runner import Git, GitCall, Place
from aicd_github.hosting.source import LocalSource, open_local_source

_NO_STAND_INS = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
"""Neither another object in the commit's place nor a fetch that the repository's own configuration asks for."""

JOB_TRAILER = "AI-CD-Job"
"""Of a job's commit; its value is the job's id."""


async def read_commit(repository: str, sha: str, git: Git | None = None) -> CommitFacts | None:
    """The commit with this object name; None when the repository has none, or another object under that name.

    Args:
        repository: a folder on this machine; nothing is fetched.
        sha: a full object name.

    Raises:
        InvalidInputError: as `open_local_source`; or code `not_on_this_machine` for a URL.
        UnavailableError: git is missing or takes too long.
    """
    git = git or Git()
    source = await open_local_source(repository, git)
    if not isinstance(source, LocalSource):
        raise InvalidInputError(
            f"{repository} is not on this machine. Clone it and name the clone with --repo.", code="not_on_this_machine"
        )
    return await read_commit_in(source.git_dir, sha, git)


async def read_commit_in(git_dir: Path, sha: str, git: Git) -> CommitFacts | None:
    """As `read_commit`, of the repository with this git directory."""
    call = GitCall(("cat-file", "commit", sha), place=Place(git_dir), settings=(ANY_OWNER,), variables=_NO_STAND_INS)
    result = await git.run(call)
    if result.returncode != 0 or object_name(result.stdout, len(sha)) != sha:
        return None
    return parse_commit(result.stdout)


def is_of_job(commit: CommitFacts, job_id: JobId, by: Identity, base_sha: str) -> bool:
    """Whether a job made this commit: it stands on the job's base, names the job, and was committed by AI-CD.

    Whoever adds to a branch or amends its commit is the committer of what then is on it.
    """
    ours = f"{by.name} <{by.email}>"
    return commit.parents == (base_sha,) and commit.committer == ours and commit.trailer(JOB_TRAILER) == str(job_id)


def object_name(content: bytes, digits: int) -> str:
    """The name that git gives a commit of this content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    whole = b"commit %d\0" % len(content) + content
    if digits == hashlib.sha256().digest_size * 2:
        return hashlib.sha256(whole).hexdigest()
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest()


def parse_commit(content: bytes) -> CommitFacts:
    """The tree, parents and message of a commit object."""
    head, _, message = content.decode("utf-8", "replace").partition("\n\n")
    fields = [line.partition(" ") for line in head.split("\n")]
    return CommitFacts(
        tree=next((value for name, _, value in fields if name == "tree"), ""),
        parents=tuple(value for name, _, value in fields if name == "parent"),
        message=message,
        committer=next((value.rpartition("> ")[0] + ">" for name, _, value in fields if name == "committer"), ""),
    )
