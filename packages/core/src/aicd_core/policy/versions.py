"""Both versions of a changed file, as text: the base's as it was read, the later one by the patch's own hunks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aicd_core.contracts.change import ChangeSet, FileChange, FileOp
from aicd_core.patches import FilePatch, PatchError, parse_patch
from aicd_core.policy.attributes import attribute_files
from aicd_core.policy.loosening.files import is_settings_file
from aicd_core.policy.manifests.files import is_manifest
from aicd_core.policy.tampering.reading import is_read

BaseFiles = Mapping[str, bytes]
"""Contents at the base commit, by path."""

MOST_BYTES = 512 * 1024
"""A file larger than this is not read: no person writes such tests or manifests."""
MOST_LOCK_BYTES = 4 * 1024 * 1024
"""The same for manifests and locks, which tools write."""


@dataclass(frozen=True)
class Versions:
    """A changed file before and after; None where it was not there, or could not be read."""

    file: FileChange
    old: str | None
    new: str | None

    @property
    def old_path(self) -> str:
        return self.file.old_path or self.file.path


def paths_to_read(change: ChangeSet) -> tuple[str, ...]:
    """The paths whose content at the base commit `evaluate` needs, sorted.

    These are test files, manifests and settings that are changed, and the `.gitattributes` of all that is.
    """
    wanted = {file.old_path or file.path for file in change.files if _is_wanted(file)}
    wanted.update(*(attribute_files(path) for path in change.paths()))
    return tuple(sorted(wanted))


def _is_wanted(file: FileChange) -> bool:
    paths = {file.path, file.old_path or file.path}
    if file.op is FileOp.CREATE or file.binary:
        return False
    return any(is_read(path) or is_manifest(path) or is_settings_file(path) for path in paths)


def versions_of(change: ChangeSet, base: BaseFiles) -> tuple[Versions, ...]:
    """Every changed file with both its versions, in the order of the change's files."""
    try:
        patches = {patch.path: patch for patch in parse_patch(change.patch_text())}
    except PatchError:
        patches = {}
    return tuple(_versions(file, patches.get(file.path), base) for file in change.files)


def _versions(file: FileChange, patch: FilePatch | None, base: BaseFiles) -> Versions:
    content = base.get(file.old_path or file.path)
    old = None if content is None or len(content) > MOST_LOCK_BYTES else content.decode("utf-8", "replace")
    if patch is None:
        return Versions(file, old, old if file.op is FileOp.RENAME else None)
    if file.op is FileOp.DELETE:
        return Versions(file, "".join(line for hunk in patch.hunks for line in hunk.old_lines()), None)
    if file.op is FileOp.CREATE:
        return Versions(file, None, "".join(line for hunk in patch.hunks for line in hunk.new_lines()))
    return Versions(file, old, None if old is None else _patched(old, patch))


def _patched(old: str, patch: FilePatch) -> str:
    return "".join(_patched_lines(old.split("\n"), patch)).removesuffix("\n")


def _patched_lines(lines: list[str], patch: FilePatch) -> Iterator[str]:
    """The file's lines with each hunk's in the place of those it names."""
    at = 0
    for hunk in patch.hunks:
        begin = hunk.old_start - 1 if hunk.old_count else hunk.old_start
        yield from (f"{line}\n" for line in lines[at:begin])
        yield from (line if line.endswith("\n") else f"{line}\n" for line in hunk.new_lines())
        at = begin + hunk.old_count
    yield from (f"{line}\n" for line in lines[at:])
