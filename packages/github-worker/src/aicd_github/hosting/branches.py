"""Reading which branches a source has, and which one a job starts from."""

import difflib
from dataclasses import dataclass

from aicd_core.contracts.code_host import Base
from aicd_core.errors import InvalidInputError
from aicd_core.policy import OWN_BRANCHES
from aicd_github.git.credentials import Access
from aicd_github.git.environment import ANY_OWNER
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall
from aicd_github.hosting.source import LocalSource, Source

_HEADS = "refs/heads/"
_SHOWN = 5


@dataclass(frozen=True)
class Branches:
    """The branches of a source by name, the one that is checked out, and whether HEAD is on a commit."""

    commits: dict[str, str]
    current: str | None
    head_sha: str | None


async def read_branches(source: Source, remote: Remote, git: Git) -> Branches:
    """Asks the source itself, not the mirror.

    Raises:
        UnavailableError: the source cannot be reached.
    """
    if isinstance(source, LocalSource):
        return await _read_local(source, git)
    what = f"{source.display} could not be read"
    call = GitCall(
        ("ls-remote", "--symref", "--", source.url, "HEAD", f"{_HEADS}*"),
        transport=source.transport,
        login=await remote.login(Access.READ),
    )
    return parse_ls_remote((await git.do(call, what)).text())


async def _read_local(source: LocalSource, git: Git) -> Branches:
    call = GitCall(
        ("for-each-ref", "--format=%(HEAD)%(objectname) %(refname)", _HEADS),
        cwd=source.folder,
        settings=(ANY_OWNER,),
    )
    listed = parse_local_refs((await git.do(call, f"{source.display} could not be read")).text())
    if listed.current is not None:
        return listed
    head = GitCall(("rev-parse", "--verify", "--quiet", "HEAD"), cwd=source.folder, settings=(ANY_OWNER,))
    found = await git.run(head)
    return Branches(listed.commits, None, found.text() if found.returncode == 0 else None)


def parse_local_refs(text: str) -> Branches:
    """`*<sha> <ref>` for the branch that is checked out, ` <sha> <ref>` for any other."""
    commits = {}
    current = head = None
    for line in text.splitlines():
        sha, ref = line[1:].split(" ", 1)
        name = ref.removeprefix(_HEADS)
        commits[name] = sha
        if line.startswith("*"):
            current, head = name, sha
    return Branches(commits, current, head)


def parse_ls_remote(text: str) -> Branches:
    """The output of `git ls-remote --symref`."""
    commits = {}
    current = head = None
    for line in text.splitlines():
        left, ref = line.split("\t", 1)
        if left.startswith("ref: ") and ref == "HEAD":
            current = left.removeprefix("ref: ").removeprefix(_HEADS)
        elif ref == "HEAD":
            head = left
        elif ref.startswith(_HEADS):
            commits[ref.removeprefix(_HEADS)] = left
    return Branches(commits, current if current in commits else None, head)


def choose_base(branches: Branches, wanted: str | None, display: str) -> Base:
    """The branch a job starts from.

    Raises:
        InvalidInputError: `empty_repository`, `detached_head`, `no_such_base`.
    """
    if not branches.commits and branches.head_sha is None:
        raise InvalidInputError(f"{display} has no commit yet. Commit something first.", code="empty_repository")
    if wanted is not None:
        name = wanted.removeprefix(_HEADS)
        if name in branches.commits:
            return Base(branch=name, sha=branches.commits[name])
        raise InvalidInputError(
            f"{display} has no branch {wanted!r}. {_suggestion(name, branches)}", code="no_such_base"
        )
    if branches.current is not None:
        return Base(branch=branches.current, sha=branches.commits[branches.current])
    if branches.head_sha is not None:
        raise InvalidInputError(
            f"In {display} no branch is checked out (detached HEAD). Name one with --base. {_suggestion('', branches)}",
            code="detached_head",
        )
    raise InvalidInputError(
        f"The branch checked out in {display} has no commit yet. Name another one with --base. "
        f"{_suggestion('', branches)}",
        code="empty_repository",
    )


def _suggestion(name: str, branches: Branches) -> str:
    known = sorted(branch for branch in branches.commits if not branch.startswith(OWN_BRANCHES))
    close = difflib.get_close_matches(name, known, n=_SHOWN)
    if close:
        return f"Did you mean {', '.join(close)}?"
    if not known:
        return "It has no branches; make one: git branch NAME."
    more = "" if len(known) <= _SHOWN else f" and {len(known) - _SHOWN} more"
    return f"It has {', '.join(known[:_SHOWN])}{more}."
