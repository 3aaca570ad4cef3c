"""What a coder did to the tree, as the host measured it."""

from collections.abc import Iterator
from enum import StrEnum

from aicd_core.contracts.egress import Denial
from aicd_core.contracts.values import GitSha, RepoPath, Value
from aicd_core.patches import AddedLine, parse_patch


class FileOp(StrEnum):
    """What happened to a path between two trees."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    RENAME = "rename"


class FileChange(Value):
    """One path's change. Modes are git's octal strings (`100644`, `100755`, `120000`, `160000`)."""

    path: RepoPath
    op: FileOp
    old_path: RepoPath | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    added_lines: int = 0
    removed_lines: int = 0
    binary: bool = False
    new_size: int | None = None


class ChangeSet(Value):
    """The difference between the base tree and the tree after coding, measured on the host.

    `patch` is `git diff --binary --full-index` from base to `tree_sha`: with it another machine can lay
    exactly the same tree.
    """

    base_sha: GitSha
    tree_sha: GitSha
    files: tuple[FileChange, ...]
    patch: bytes

    def paths(self) -> frozenset[str]:
        """Every path touched; a rename touches both its paths."""
        touched = {file.path for file in self.files}
        return frozenset(touched | {file.old_path for file in self.files if file.old_path is not None})

    def patch_text(self) -> str:
        """The patch as text; bytes that are not UTF-8 become U+FFFD."""
        return self.patch.decode("utf-8", "replace")

    def added(self) -> Iterator[AddedLine]:
        """Every added line with its path and its line number (1-based) in the new file."""
        for file_patch in parse_patch(self.patch_text()):
            yield from file_patch.added_lines()


class Answer(Value):
    """What the coder says to a thread of the pull request: what it did about it, or why nothing."""

    thread: int
    text: str


class Change(Value):
    """What the coder says it did; what it really did is a `ChangeSet`. `answers`: to the threads that it was shown."""

    summary: str
    complete: bool = True
    notes: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()


class CodedChange(Value):
    """The result of one coding round: what was claimed, what was measured, what commands were refused."""

    change: Change
    change_set: ChangeSet
    denials: tuple[Denial, ...] = ()
