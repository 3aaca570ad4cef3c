"""What of the data directory cannot be made again, and is kept in backups beside the database."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aicd_core.errors import InvalidInputError

KEPT = ("signing-keys.json", "pulls", "github-app")
"""The keys that sign evidence, recorded pull requests of local repositories, the App's key of `aicd github setup`. Each
file is replaced whole by whoever writes it, so that a copy is of one moment."""
DATA, ALSO = "data", "also"


def copy_aside(data_dir: Path, also: Sequence[Path], into: Path) -> Mapping[str, str]:
    """Copies what is kept into a folder; returns where each of `also` came from, by its name there.

    Raises:
        InvalidInputError: `no_such_file`: one of `also` is not there.
    """
    (into / DATA).mkdir(parents=True)
    for name in KEPT:
        _copy(data_dir / name, into / DATA / name)
    named: dict[str, str] = {}
    for number, path in enumerate(also):
        if not path.exists():
            raise InvalidInputError(f"AICD_BACKUP_ALSO names {path}, which is not there.", code="no_such_file")
        named[f"{number}-{path.name}"] = str(path)
        (into / ALSO).mkdir(exist_ok=True)
        _copy(path, into / ALSO / f"{number}-{path.name}")
    return named


def lay_back(source: Path, data_dir: Path, also_to: Path) -> list[str]:
    """Puts what was kept into the data directory, where it is not there; returns what was put, relative to it.

    What is there is newer than any backup. Files of `also` go to a folder of their own: their places may be in use.
    """
    laid = [str(path.relative_to(data_dir)) for path in _lay(source / DATA, data_dir)]
    if (source / ALSO).is_dir():
        shutil.copytree(source / ALSO, also_to, dirs_exist_ok=True)
        laid.append(str(also_to.relative_to(data_dir)))
    return laid


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, which may be larger than the memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_passing, copy_function=_copy_file, ignore_dangling_symlinks=True)
    elif source.exists():
        shutil.copy2(source, target)


def _copy_file(source: str, target: str) -> None:
    with suppress(FileNotFoundError):  # it was removed since the folder was listed
        shutil.copy2(source, target)


def _passing(_: str, names: list[str]) -> list[str]:
    """Files that are being written just now, and locks."""
    return [name for name in names if name.startswith(".") or name == "lock"]


def _lay(source: Path, target: Path) -> list[Path]:
    """Copies files that are not there; the folders' modes come along."""
    laid: list[Path] = []
    for folder, _, names in os.walk(source):
        here = target / Path(folder).relative_to(source)
        if not here.exists():
            here.mkdir(parents=True)
            shutil.copystat(folder, here)
        for name in names:
            if not (here / name).exists():
                shutil.copy2(Path(folder) / name, here / name)
                laid.append(here / name)
    return laid
