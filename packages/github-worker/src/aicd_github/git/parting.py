"""Where two commits parted, and which files a merge of them looks at."""

from collections.abc import Collection
from pathlib import Path

from aicd_github.git.delta import parse_touched
from aicd_github.git.runner import Git, GitCall, Place


class Parting:
    """Asks one bare repository."""

    def __init__(self, git: Git, path: Path) -> None:
        self._git = git
        self._place = Place(path)

    async def commit(self, *shas: str) -> str | None:
        """The commit where they parted; None when it is not here, or there is none."""
        found = await self._git.run(GitCall(("merge-base", *shas), self._place))
        return found.text() if found.returncode == 0 else None

    async def touched(self, old: str, new: str) -> frozenset[str]:
        """The files, before and after, that differ between two commits."""
        what = f"The way from {old} to {new} could not be read"
        listed = await self._git.do(
            GitCall(("diff-tree", "-r", "--no-renames", "--full-index", old, new), self._place), what
        )
        return parse_touched(listed.text())

    async def missing(self, shas: Collection[str]) -> list[str]:
        """Those of the objects that are not here."""
        names = "".join(f"{sha}\n" for sha in sorted(shas)).encode()
        call = GitCall(("cat-file", "--batch-check"), self._place, stdin=names)
        listed = (await self._git.do(call, f"The files of {self._place.git_dir} could not be read")).text()
        return [line.split()[0] for line in listed.splitlines() if line.endswith(" missing")]
