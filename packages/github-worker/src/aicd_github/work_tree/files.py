"""Laying a work tree and taking it in. All of it is done with open folders; no git process ever looks at the tree."""

import shutil
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from aicd_core.contracts.change import ChangeSet, FileOp
from aicd_core.errors import InvalidInputError, NotFoundError, StepFailedError
from aicd_github.faults import disk_errors
from aicd_github.git.delta import GITLINK, TreeEntry
from aicd_github.git.job_repository import JobRepository
from aicd_github.threads import in_thread
from aicd_github.tree.cleaning import keep_only, remove
from aicd_github.tree.files import TreeFiles
from aicd_github.tree.placing import Owner, place
from aicd_github.tree.survey import Found, survey
from aicd_github.tree.taking import Taken, TreeMovedError, require_bounded, take
from aicd_github.work_tree.base import BaseTree
from aicd_github.work_tree.choosing import choose, gone, strangers
from aicd_github.work_tree.known import KnownFiles

_ATTEMPTS = 5
_LEAVING = frozenset({FileOp.DELETE, FileOp.RENAME})
_MAX_RULES = 1024 * 1024
_MAX_BASE = 16 * 1024 * 1024 * 1024
_PRIVATE = 0o700


class WorkTree:
    """The files of one job's tree.

    Args:
        base: the commit that the job starts from.
        files: the tree, for single files.
        owner: who must own the tree's files.
    """

    def __init__(self, repository: JobRepository, base: BaseTree, files: TreeFiles, owner: Owner | None) -> None:
        self._repository = repository
        self._quarantine = repository.quarantine
        self._root = repository.tree
        self._base = base
        self._entries = base.entries
        self._files = files
        self._owner = owner
        self._known = KnownFiles()
        # New files that were once taken in or laid stay in, ignored or not, until the tree is laid anew.
        self._kept: frozenset[str] = frozenset()
        self._rules = TreeFiles(repository.tree, owner, _MAX_RULES)
        self.sizes: Mapping[str, int] = MappingProxyType({})
        """Bytes, by object name, of the files that were last taken in and are not as at the base."""

    def gitlinks(self) -> list[str]:
        """The paths of the base's submodules, as far as they are laid out."""
        return [path for path, entry in self._base.laid.items() if entry.mode == GITLINK]

    async def lay(self, change_set: ChangeSet | None, lock: int) -> None:
        """Makes the tree that of the base plus the change, which the quarantine must hold already.

        Raises:
            StepFailedError: code `repository_too_large`.
            UnavailableError: the disk refused.
        """
        base = self._repository.base_sha
        wanted = base if change_set is None else change_set.tree_sha
        entries = self._entries if change_set is None else await self._quarantine.entries_of(wanted)
        files = {path: entry for path, entry in entries.items() if entry.mode != GITLINK and self._is_laid(path)}
        await self._require_room([entry.sha for entry in files.values()])
        self._kept = frozenset(files) - self._entries.keys()
        # Of what an earlier attempt left, nothing is known: whole folders are laid faster than files one by one.
        kept = self._known.holding(files)
        with disk_errors(self._root):
            found = await in_thread(keep_only, self._root, kept, self.gitlinks(), self._owner)
        there = {one.path for one in found if self._known.holds(one, files[one.path])}
        missing = [path for path in files if path not in there]
        staging = self._repository.folder / "staging"
        with disk_errors(staging):
            await in_thread(_make_empty, staging)
        await self._quarantine.export(wanted, missing, staging, lock)
        with disk_errors(self._root):
            await in_thread(self._place, staging, files)

    def _is_laid(self, path: str) -> bool:
        """Of what the base has, the part that is laid out; of anything new, all."""
        return path in self._base.laid or path not in self._entries

    async def _require_room(self, shas: Sequence[str]) -> None:
        """A few kilobytes of a pack can stand for files without end."""
        sizes = {**self._base.sizes, **await self._quarantine.sizes(set(shas) - self._base.sizes.keys())}
        size = sum(sizes.get(sha, 0) for sha in shas)
        if size > _MAX_BASE:
            raise StepFailedError(
                f"The files of the commit have {size} bytes together; this product works on at most {_MAX_BASE}.",
                code="repository_too_large",
            )

    def _place(self, staging: Path, entries: dict[str, TreeEntry]) -> None:
        self._known.laid(place(staging, self._root, self._owner), entries)
        for path in self.gitlinks():
            self._files.ensure_folder(path)
        remove(staging)

    async def drop_foreign(self, change_set: ChangeSet | None) -> None:
        """Removes everything that is no path of the base plus the change.

        Raises:
            UnavailableError: the disk refused.
        """
        files = {path for path, entry in self._base.laid.items() if entry.mode != GITLINK}
        changes = change_set.files if change_set is not None else ()
        left = {change.old_path or change.path for change in changes if change.op in _LEAVING}
        files = (files - left) | {change.path for change in changes if change.op is not FileOp.DELETE}
        with disk_errors(self._root):
            await in_thread(keep_only, self._root, files, self.gitlinks())

    async def take_in(self, planned: Collection[str], lock: int, on_taken: Callable[[], None]) -> str:
        """Stores the tree in the quarantine and returns the object name of what it is.

        New files that the repository ignores are left out unless they are in `planned`.

        Args:
            on_taken: called when the tree has been read, and may be changed again.

        Raises:
            StepFailedError: `nested_repository`, `uncommittable_tree`, `file_too_large`, `change_too_large`,
                `tree_too_large`, `tree_unsteady`, `outside_checkout`.
            UnavailableError: the disk refused.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self._take_in(planned, lock, on_taken)
            except TreeMovedError:
                continue
        raise StepFailedError(
            "The work tree was changed over and over while it was read. End the programs that still write to it.",
            code="tree_unsteady",
        )

    async def _take_in(self, planned: Collection[str], lock: int, on_taken: Callable[[], None]) -> str:
        with disk_errors(self._root):
            found = await in_thread(survey, self._root, self.gitlinks())
            chosen = choose(found, self._entries, await self._ignored(found), self._kept.union(planned))
            for one in chosen:
                if one.path not in self._base.laid:
                    self._base.require_laid(one.path)
            unread, new = self._compared(chosen)
            known = {one.path: entry.sha for one in unread if (entry := self._entries.get(one.path))}
            require_bounded(unread, {path: self._base.sizes.get(sha) for path, sha in known.items()})
            taken = await in_thread(self._take, unread)
        on_taken()
        self._known.learn(taken)
        new |= {one.path: (one.stamp.git_mode(), one.sha) for one in taken if not self._as_at_base(one, one.sha)}
        tree_sha = await self._quarantine.write_tree(gone(chosen, self._base.laid), new, lock)
        self._kept = frozenset(new) - self._entries.keys()
        regular = [one for one in chosen if one.path in new and stat.S_ISREG(one.stamp.mode)]
        self.sizes = {new[one.path][1]: one.stamp.size for one in regular}
        return tree_sha

    def _compared(self, chosen: list[Found]) -> tuple[list[Found], dict[str, tuple[str, str]]]:
        """The files that have to be read; and (mode, object) of every other path that is not as at the base."""
        unread = []
        new = {}
        for one in chosen:
            sha = self._known.sha_of(one)
            if sha is None:
                unread.append(one)
            elif not self._as_at_base(one, sha):
                new[one.path] = (one.stamp.git_mode(), sha)
        return unread, new

    def _as_at_base(self, file: Found | Taken, sha: str) -> bool:
        entry = self._entries.get(file.path)
        return entry is not None and entry.sha == sha and entry.mode == file.stamp.git_mode()

    async def _ignored(self, found: list[Found]) -> frozenset[str]:
        asked = strangers(found, self._entries)
        if not asked:
            return frozenset()
        rules = self._repository.folder / "rules"
        await in_thread(self._copy_rules, found, rules)
        return await self._quarantine.ignored(asked, rules)

    def _copy_rules(self, found: list[Found], into: Path) -> None:
        """The tree's .gitignore files, alone in a folder where git may look for them."""
        _make_empty(into)
        for one in found:
            if one.oddity is None and one.path.rpartition("/")[2] == ".gitignore" and one.stamp.git_mode() != "120000":
                try:
                    content = self._rules.read(one.path)
                except (NotFoundError, InvalidInputError):
                    continue
                copy = into / one.path
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)

    def _take(self, unread: list[Found]) -> list[Taken]:
        known = {one.path: entry.sha for one in unread if (entry := self._entries.get(one.path))}
        return take(self._root, unread, known, self._quarantine.store, self._repository.form)


def _make_empty(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=_PRIVATE)
