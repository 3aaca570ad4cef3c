"""Loose objects, written without running git: a file for each, named by what is in it."""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp

_FASTEST = 1  # git's own default for loose objects, core.looseCompression
_READ_ONLY = 0o444


def write_blob(objects: Path, name: str, size: int, pieces: Iterable[bytes]) -> None:
    """Stores a file's content; the object then exists whole or not at all.

    The format is git's documented one: https://git-scm.com/docs/gitformat-loose

    Args:
        objects: a repository's folder of that name.
        name: the object's name, which the caller has made of the content.
        size: bytes of all pieces together.

    Raises:
        OSError: the disk refused. Whatever `pieces` raises passes through, and nothing is stored.
    """
    folder = objects / name[:2]
    place = folder / name[2:]
    if place.exists():
        return
    folder.mkdir(exist_ok=True)
    descriptor, half = mkstemp(prefix="tmp_obj_", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            packer = zlib.compressobj(_FASTEST)
            file.write(packer.compress(b"blob %d\0" % size))
            for piece in pieces:
                file.write(packer.compress(piece))
            file.write(packer.flush())
        Path(half).chmod(_READ_ONLY)
        Path(half).rename(place)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise
