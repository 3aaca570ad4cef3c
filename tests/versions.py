"""Other versions of this code, for tests of upgrades: the one of the level before, and one of the level after.

Both run on the packages that are installed here, so a version that needs other ones may not start.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aicd_core.migrations import HEAD

ROOT = Path(__file__).parents[1]
CURRENT = Path("packages/core/src/aicd_core/migrations/current.py")
MIGRATION = '''"""What the rule allows: a table, a column with a default, an index on the new table."""

import sqlalchemy as sa
from alembic import op

revision = "{level}"
down_revision = "{before}"
{needs}

def upgrade() -> None:
    op.add_column("jobs", sa.Column("probe_{level}", sa.Integer(), server_default="7", nullable=False))
    op.create_table(
        "probes_{level}",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id"), nullable=False),
    )
    op.create_index("ix_probes_{level}_org", "probes_{level}", ["org_id"])
    {besides}


def downgrade() -> None:
    op.drop_table("probes_{level}")
    op.drop_column("jobs", "probe_{level}")
'''


@dataclass(frozen=True)
class Version:
    """Code of one level, in a tree of its own; `tree` is None for the code that runs the tests."""

    level: str
    tree: Path | None = None

    @property
    def python_path(self) -> str:
        """Its source folders, as text for the PYTHONPATH."""
        if self.tree is None:
            return ""
        return ":".join(str(path) for part in ("packages", "apps") for path in sorted(self.tree.glob(f"{part}/*/src")))

    def within(self, *folders: Path) -> tuple[str, ...]:
        """A command to start `aicd` with, so that it is this version; `folders` are on its PYTHONPATH besides."""
        return ("env", "PYTHONPATH=" + ":".join(filter(None, (self.python_path, *map(str, folders)))))


def two_versions(kind: str, place: Path) -> tuple[Version, Version]:
    """The older and the newer one: of `history` the level before and this one; or this one and, as a `copy`, the next.

    Skips the test where a checkout has no history.
    """
    if kind == "copy":
        return Version(HEAD), next_version(place / "newer", None)
    if (previous := previous_version(place / "older")) is None:
        pytest.skip(f"needs history: there is no code of a level before {HEAD} in this checkout (a shallow clone?)")
    return previous, Version(HEAD)


def previous_version(place: Path) -> Version | None:
    """The last code of the level before this one, from git's history, laid into `place`; None where there is none.

    A branch that brought several migrations brought them at once: the level before it is the one that was run.
    """
    return _last(lambda level: level < HEAD, place)


def last_version(level: str, place: Path) -> Version | None:
    """The last code of a level, from git's history, laid into `place`; None where there is none."""
    return _last(lambda found: found == level, place)


def _last(is_wanted: Callable[[str], bool], place: Path) -> Version | None:
    for commit in _candidates():
        level = _level(_git("show", f"{commit}:{CURRENT}"))
        if level and is_wanted(level):
            archive = _git("archive", commit, "packages", "apps")
            assert archive is not None
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["tar", "--extract", "--directory", place], input=archive, check=True)
            return Version(level, place)
    return None


def next_version(place: Path, *needs: str | None, more: str = "") -> Version:
    """This code with one more migration for each of `needs`, in a copy; its `needs_code`, or None for none.

    Args:
        more: a statement that each of them has besides.
    """
    for part in ("packages", "apps"):
        for path in sorted((ROOT / part).glob("*/src")):
            shutil.copytree(path, place / path.relative_to(ROOT), ignore=shutil.ignore_patterns("__pycache__"))
    level = HEAD
    for needed in needs:
        before, level = level, f"{int(level) + 1:04}"
        needed_code = f'needs_code = "{needed}"\n' if needed else ""
        script = MIGRATION.format(level=level, before=before, needs=needed_code, besides=more)
        (place / CURRENT).parent.joinpath("versions", f"{level}_probe.py").write_text(script)
    source = (place / CURRENT).read_text()
    (place / CURRENT).write_text(source.replace(f'HEAD = "{HEAD}"', f'HEAD = "{level}"'))
    return Version(level, place)


def _candidates() -> Iterator[str]:
    """This commit, and the one before each that changed the file with the level, along the main line."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top.decode().strip()).resolve() != ROOT.resolve():
        return
    yield "HEAD"
    for commit in (_git("rev-list", "--first-parent", "HEAD", "--", str(CURRENT)) or b"").decode().split():
        yield f"{commit}^1"


def _level(source: bytes | None) -> str | None:
    found = re.search(rb'^HEAD = "(\d{4})"', source or b"", re.MULTILINE)
    return found[1].decode() if found else None


def _git(*arguments: str) -> bytes | None:
    """What git says; None when it fails, as it does in a folder that is no repository."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    return done.stdout if done.returncode == 0 else None
