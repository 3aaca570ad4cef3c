"""The rule on files that live in Git LFS: in the repository itself there are only pointers to them."""

import re
from collections.abc import Iterator

from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.patches import FilePatch, PatchError, parse_patch
from aicd_core.policy.attributes import FILE_NAME, LfsPaths
from aicd_core.policy.case import Case, Objection
from aicd_core.policy.checks.paths import SUBMODULE_MODE, SYMLINK_MODE

_POINTER = re.compile(
    r"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]+\n)*oid sha256:[0-9a-f]{64}\nsize [0-9]+\n"
)
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""


def lfs_pointer(case: Case) -> Iterator[Objection]:
    attributes = {path: content for path, content in case.base.items() if path.rpartition("/")[2] == FILE_NAME}
    if not attributes:
        return
    lfs = LfsPaths(attributes)
    try:
        patches = {patch.path: patch for patch in parse_patch(case.change.patch_text())}
    except PatchError:
        patches = {}
    for file in case.change.files:
        if _is_stored(file) and lfs.holds(file.path) and not _is_fine(file, patches.get(file.path), lfs):
            yield Objection(
                "The repository keeps this file in Git LFS, but the change has the file itself: it would be committed "
                "into git.",
                "Leave the pointer as it is; a person adds such a file with git-lfs.",
                file.path,
            )


def _is_stored(file: FileChange) -> bool:
    return file.op is not FileOp.DELETE and file.new_mode not in (SYMLINK_MODE, SUBMODULE_MODE)


def _is_fine(file: FileChange, patch: FilePatch | None, lfs: LfsPaths) -> bool:
    """Whether it is a pointer, or holds what a file in LFS held at the base."""
    if file.new_size == 0:
        return True  # git-lfs has no pointer to nothing, either
    if file.binary or patch is None or not patch.hunks:
        as_before = file.op in (FileOp.MODIFY, FileOp.RENAME) and not file.binary
        return as_before and lfs.holds(file.old_path or file.path)
    # A pointer is shorter than the lines around a change: the patch has all of it, and anything longer is none.
    content = "".join(line for hunk in patch.hunks for line in hunk.new_lines())
    return len(content.encode()) == file.new_size and _POINTER.fullmatch(content) is not None
