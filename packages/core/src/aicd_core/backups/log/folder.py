"""A data folder of Postgres's that is laid for somebody else's server."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from aicd_core.backups.log.recovery import prepare_recovery
from aicd_core.errors import ConflictError, InvalidInputError

STAGING = "aicd-restoring"
"""Below the folder, so that what is fetched is on its file system. Until all is whole, no server starts on the folder:
it has no PG_VERSION."""
LAST = "PG_VERSION"


class Folder:
    """An empty folder, or one that is not there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.staging = path / STAGING

    @contextmanager
    def open(self) -> Iterator["Folder"]:
        """The folder while it is filled; what was broken off before is removed.

        Raises:
            ConflictError: `folder_not_empty`.
            InvalidInputError: `no_folder`: it cannot be written to.
        """
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.rmtree(self.staging, ignore_errors=True)
            if found := next(self._path.iterdir(), None):
                raise ConflictError(
                    f"{self._path} is not empty: it has {found.name}. Nothing was restored. Name an empty folder.",
                    code="folder_not_empty",
                )
            self.staging.mkdir(mode=0o700)
        except OSError as error:
            raise InvalidInputError(
                f"{self._path} cannot be filled: {error.strerror}. Name an empty folder that this user may write to.",
                code="no_folder",
            ) from error
        try:
            yield self
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)

    def fill(self, base: Path, log: Path, until: datetime | None) -> None:
        """Puts a copy of a cluster and its log in place, as its owner's.

        As root the files become the property of whoever the folder belongs to. Nobody is let in while the server reads:
        it may have been given less room (`max_connections` and the like) than the one that wrote the log.
        """
        prepare_recovery(base, log, until, {"hot_standby": "off"})
        owner = self._path.stat()
        if os.geteuid() == 0:
            for place, _, names in os.walk(base):
                for path in (Path(place), *(Path(place, name) for name in names)):
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        self._path.chmod(0o700)
        for path in sorted(base.iterdir(), key=lambda one: one.name == LAST):
            path.rename(self._path / path.name)
