"""The commit that a job starts from: all of its paths, and the content of those that the job works on."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import PurePosixPath

from aicd_core.errors import InvalidInputError, StepFailedError, UnavailableError
from aicd_core.repo_config import FILE_NAME, Sparse, files_to_read, parse_repository_config
from aicd_github.git.delta import GITLINK, SYMLINK, TreeEntry
from aicd_github.git.quarantine import Quarantine

_MAX_LINKS = 10

Bring = Callable[[Collection[str]], Awaitable[None]]
"""Brings objects to this machine, by name, all in one request."""


class BaseTree:
    """The base commit of one job. `open_base` makes it.

    Args:
        entries: every path of the commit.
        bring: for content that is not on this machine yet.
    """

    def __init__(self, quarantine: Quarantine, entries: dict[str, TreeEntry], bring: Bring) -> None:
        self.entries = entries
        self.laid: Mapping[str, TreeEntry] = entries
        """The paths that the work tree holds."""
        self.sparse = Sparse((), ())
        self.sizes: dict[str, int] = {}
        """Bytes, by object name, of what is known to be here."""
        self._quarantine = quarantine
        self._bring = bring

    async def lay_out(self, folders: Collection[str]) -> None:
        """Takes only these folders into the work tree, or all for none, and has all the content that it takes here.

        Raises:
            InvalidInputError: code `invalid_config`: there is no such folder.
            UnavailableError: the content cannot be had.
        """
        self.sparse = Sparse(folders, self.entries)
        if folders:
            self.laid = {path: entry for path, entry in self.entries.items() if self.sparse.holds(path)}
        # What is looked at wherever it is: links, which might lead out, and what tells how the tests are run.
        links = [entry for entry in self.entries.values() if entry.mode == SYMLINK]
        named = [self.entries[path] for path in files_to_read(frozenset(self.entries))] if folders else []
        await self.have((*self.laid.values(), *links, *named))

    async def have(self, entries: Iterable[TreeEntry]) -> None:
        """Makes sure that the content of the entries is on this machine.

        Raises:
            UnavailableError: it cannot be had; code `objects_gone` when nobody has it any more.
        """
        wanted = {entry.sha for entry in entries if entry.mode != GITLINK} - self.sizes.keys()
        self.sizes |= await self._quarantine.sizes(wanted)
        missing = wanted - self.sizes.keys()
        if not missing:
            return
        await self._bring(missing)
        self.sizes |= await self._quarantine.sizes(missing)
        if gone := missing - self.sizes.keys():
            raise UnavailableError(
                f"{len(gone)} files of the base commit are not in the repository that it comes from, {min(gone)} among "
                "them. Mend that repository (git fsck), or start a new job.",
                code="objects_gone",
            )

    async def read(self, path: str) -> bytes | None:
        """A file, links between files of the commit followed; None when there is none.

        Raises:
            UnavailableError: it is not on this machine, and cannot be had.
        """
        for _ in range(_MAX_LINKS):
            entry = self.entries.get(path)
            if entry is None or entry.mode == GITLINK:
                return None
            await self.have([entry])
            content = await self._quarantine.blob(entry.sha)
            if entry.mode != SYMLINK:
                return content
            path = _joined(path, content.decode("utf-8", "surrogateescape"))
        return None

    def require_laid(self, path: str) -> None:
        """Refuses a path where a file would change what the work tree does not hold.

        Raises:
            StepFailedError: code `outside_checkout`.
        """
        if hidden := self.sparse.in_the_way(path):
            raise StepFailedError(
                f"{path!r} cannot be written: checkout.sparse of {FILE_NAME} leaves {hidden!r} out of the work tree, "
                "and what is left out stays as it is. Work in the folders that are there, or have a person widen "
                "checkout.sparse.",
                code="outside_checkout",
            )


async def open_base(quarantine: Quarantine, entries: dict[str, TreeEntry], bring: Bring) -> BaseTree:
    """The base commit, laid out as its own `.aicd.yml` says.

    Raises:
        StepFailedError: code `invalid_config`.
        UnavailableError: its content cannot be had.
    """
    base = BaseTree(quarantine, entries, bring)
    try:
        config = parse_repository_config(await base.read(FILE_NAME) or b"")
        await base.lay_out(config.checkout.sparse)
    except InvalidInputError as error:
        raise StepFailedError(error.message, code=error.code) from error
    return base


def _joined(path: str, target: str) -> str:
    parts: list[str] = [] if target.startswith("/") else list(PurePosixPath(path).parent.parts)
    for part in target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) if not target.startswith("/") else ""
