"""Exports the tree without its private parts: `python scripts/make_public.py [DEST]`, or `make public DEST=…`.

`open-core.toml` says what is private and how shared files read without it. What comes out is a tree, never the history,
locked anew with the pins of this one. DEST is a new or empty folder, or one that was exported to before: what it has of
git, `.venv` and `.tools` stays, so that it can be a clone of the public repository.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

ROOT = Path(__file__).parents[1]
DECLARATION = "open-core.toml"
DEST = "build/public"
KEPT = frozenset({".git", ".venv", ".tools"})
HEADING = "# Private: never in this tree."
"""Begins what an export adds to .gitignore, and tells a former export from any other folder."""


class ExportError(Exception):
    """No export, for a reason that says what to do."""


class Adaptation(BaseModel):
    """How one shared file reads in public."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    drop: tuple[str, ...] = ()
    replace: tuple[tuple[str, str], ...] = ()

    def applied(self, text: str) -> str:
        """The text without what is dropped. ExportError: something is not there exactly once."""
        for old, new in self.replace:
            self._once(text.count(old), old)
            text = text.replace(old, new)
        lines = text.splitlines(keepends=True)
        for beginning in self.drop:
            self._once(sum(line.startswith(beginning) for line in lines), beginning)
        return "".join(line for line in lines if not line.startswith(self.drop))

    def _once(self, count: int, text: str) -> None:
        if count != 1:
            raise ExportError(f"{DECLARATION}: {self.file} has {count} times, not once: {text!r}. Set it right there.")


class OpenCore(BaseModel):
    """What `open-core.toml` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    private: tuple[str, ...]
    adapt: tuple[Adaptation, ...]

    @classmethod
    def read(cls, root: Path) -> "OpenCore":
        """The declaration of a tree. ExportError: it is not valid, or names what does not exist."""
        try:
            declared = cls.model_validate(tomllib.loads((root / DECLARATION).read_text()))
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise ExportError(f"{DECLARATION}: {error}") from error
        for path in (*declared.private, *(each.file for each in declared.adapt)):
            if not (root / path).exists():
                raise ExportError(f"{DECLARATION} names {path}, which does not exist. Take it out there.")
        return declared

    def is_private(self, path: str) -> bool:
        """Whether a file, relative to the root, is private or in a private folder."""
        return any(PurePosixPath(path).is_relative_to(private) for private in self.private)

    def ignored(self) -> str:
        """What the export's .gitignore has besides."""
        return "\n".join((HEADING, *(f"/{path}" for path in self.private))) + "\n"


def git(root: Path, *arguments: str) -> str:
    """What git prints. ExportError: it fails."""
    done = subprocess.run(["git", *arguments], cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ExportError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def require_committed(root: Path) -> None:
    """ExportError: the tree is not what is committed."""
    if changed := git(root, "status", "--porcelain").splitlines():
        shown = "\n".join(f"  {line}" for line in changed[:10])
        raise ExportError(
            f"Only what is committed is exported, and {len(changed)} files differ:\n{shown}\nCommit them."
        )


def require_ours(dest: Path) -> None:
    """ExportError: the folder has something in it that no export has put there."""
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return
    ignored = dest / ".gitignore"
    if not ignored.is_file() or HEADING not in ignored.read_text().splitlines():
        raise ExportError(f"{dest} is no former export and not empty. Name a new folder: make public DEST=…")


def public_files(root: Path, declared: OpenCore) -> Iterator[str]:
    """Every tracked file that is not private."""
    for path in git(root, "ls-files", "-z").split("\0"):
        if path and not declared.is_private(path):
            yield path


def export(root: Path, dest: Path) -> None:
    """Writes the public tree, with this tree's locks.

    Args:
        root: the private tree; its tracked files are taken as they are on disk.
        dest: where to; what a former export left there is removed.

    Raises:
        ExportError: the declaration does not fit the tree, or the folder is not ours to write to.
    """
    declared = OpenCore.read(root)
    adaptations = {each.file: each.applied((root / each.file).read_text()) for each in declared.adapt}
    require_ours(dest)
    dest.mkdir(parents=True, exist_ok=True)
    for old in dest.iterdir():
        if old.name in KEPT | {".gitignore"}:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    ignored = adaptations.pop(".gitignore", (root / ".gitignore").read_text())
    (dest / ".gitignore").write_text(f"{ignored}\n{declared.ignored()}")
    for path in public_files(root, declared):
        if path == ".gitignore":
            continue
        (dest / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, dest / path, follow_symlinks=False)
        if path in adaptations:
            (dest / path).write_text(adaptations[path])


def lock(root: Path, dest: Path) -> None:
    """Locks the export anew, from the pins that came along. ExportError: it cannot be."""
    command = [str(dest / "scripts" / "lock.sh")]
    caches = {"UV": str(root / ".tools/bin/uv"), "UV_CACHE_DIR": str(root / ".tools/cache")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | caches)
    if done.returncode:
        raise ExportError(
            f"The export could not be locked; a package registry is needed for it.\n{done.stderr.strip()}"
        )
    pins = [set(re.findall(r"^[\w.-]+==[^ ;]+", _locks(tree), re.MULTILINE)) for tree in (root, dest)]
    if moved := sorted(pins[1] - pins[0]):
        raise ExportError(f"Locking moved pins: {', '.join(moved)}. Lock this tree first: scripts/lock.sh")


def _locks(tree: Path) -> str:
    return "".join((tree / each / "requirements.lock").read_text() for each in ("", "bench", "docs"))


def main(arguments: list[str]) -> int:
    """Exports and locks; 1 when it cannot be done."""
    dest = Path(arguments[0] if arguments else ROOT / DEST).resolve()
    try:
        require_committed(ROOT)
        export(ROOT, dest)
        lock(ROOT, dest)
    except ExportError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The public tree is in {dest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
