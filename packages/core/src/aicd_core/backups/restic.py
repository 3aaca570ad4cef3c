"""The one module that knows restic, which encrypts, and stores once: https://restic.readthedocs.io/en/stable/."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from aicd_core.backups.programs import Call, Ended, run
from aicd_core.backups.values import DAMAGED, Retention
from aicd_core.errors import ConflictError, InvalidInputError, UnavailableError

PASSED = ("AWS_", "AZURE_", "B2_", "GOOGLE_", "OS_", "ST_", "RCLONE_", "RESTIC_", "SSH_", "SSL_")
"""How the variables begin that restic's back ends read (their credentials, mostly)."""
PASSED_WHOLE = (
    "HOME",
    "PATH",
    "TMPDIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
)
OURS = ("RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND", "RESTIC_REPOSITORY", "RESTIC_CACHE_DIR")
HOST = "aicd"
"""Instead of the machine's name, which is another one after a disaster."""
PATIENCE = 120.0
"""Seconds that one waits for others at work on the repository, which restic before 0.16 does not do by itself."""
ENDING = signal.SIGINT
"""At SIGTERM restic before 0.17 leaves its lock behind."""
TIDYING = 10.0
"""Seconds for taking away the lock of one that was ended, which at SIGINT stays, too, in its first half second."""
_DAMAGE = (
    "ciphertext verification failed",
    "invalid data returned",
    "hash mismatch",
    "does not match",
    "not found in index",
)
_NO_CONFIG = ("unable to open config file", "repository does not exist")
_NOT_FOUND = ("no such file", "not exist", "doesn't exist", "not found")
"""How the places say it that answer, and have none; one that is away, or lets nobody in, says something else."""
_AWAY = ("dial tcp", "i/o timeout", "unable to start the sftp session")
_LOCKED = ("already locked", "unable to create lock")


@dataclass(frozen=True)
class Snapshot:
    """What restic says of one thing stored; tags are `name` or `name=value`."""

    id: str
    short_id: str
    time: datetime
    tags: tuple[str, ...] = ()

    def tag(self, name: str) -> str:
        """The value of a tag; empty without one."""
        return next(iter(self.all_of(name)), "")

    def all_of(self, name: str) -> tuple[str, ...]:
        """The values of all tags of that name."""
        return tuple(tag.partition("=")[2] for tag in self.tags if tag.startswith(f"{name}="))


@dataclass(frozen=True)
class Summary:
    """What storing came to; sizes in bytes, `added` is what was not in the repository yet."""

    id: str
    size: int
    added: int


class Restic:
    """One repository.

    Args:
        repository: as restic names it: a path, `sftp:…`, `s3:…`, `rest:…`.
        cache: a folder for its cache, which may be lost.
    """

    def __init__(self, repository: str, password: str, cache: Path) -> None:
        self.repository = repository
        self._password = password
        self._cache = cache

    async def init(self) -> bool:
        """Makes the repository; False when it is there already.

        Raises:
            UnavailableError: the place cannot be reached or written to.
            InvalidInputError: as `snapshots`.
        """
        try:
            await self._do("cat", "config")
        except InvalidInputError as error:
            if error.code != "no_repository":
                raise
        else:
            return False
        await self._do("init")
        return True

    async def unlock(self) -> None:
        """Removes the locks of processes that are gone; raises as `snapshots`, where the repository cannot be had."""
        await self._do("unlock")

    async def store(self, folder: Path, names: Sequence[str], tags: Sequence[str], at: datetime) -> Summary:
        """Stores files and folders of a folder, under their names there.

        Args:
            at: the moment that they are of.
        """
        when = at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        marks = [part for tag in tags for part in ("--tag", tag)]
        output = await self._do("backup", "--json", "--host", HOST, "--time", when, *marks, "--", *names, folder=folder)
        summary = next(line for line in map(json.loads, output.splitlines()) if line["message_type"] == "summary")
        return Summary(summary["snapshot_id"][:8], summary["total_bytes_processed"], summary["data_added"])

    async def snapshots(self, tag: str) -> list[Snapshot]:
        """Everything stored with a tag, oldest first.

        Raises:
            InvalidInputError: `no_repository`, `wrong_backup_password`.
            UnavailableError: the repository cannot be reached; `backup_damaged`.
            ConflictError: `backup_locked`: another process removes old backups, and does not end (`PATIENCE` seconds).
        """
        output = await self._do("snapshots", "--json", "--tag", tag)
        try:
            found = TypeAdapter(list[Snapshot]).validate_json(output)
        except ValidationError as error:
            raise UnavailableError(f"restic's list of backups cannot be understood: {error}", code="restic") from error
        return sorted(found, key=lambda one: one.time)

    async def fetch(self, snapshot: str, target: Path, *names: str) -> None:
        """Lays a snapshot, or what is named of it, into a folder; each part is held against its checksum on the way.

        Raises:
            UnavailableError: `backup_damaged`, or the repository cannot be reached; or as `snapshots`.
        """
        only = [part for name in names for part in ("--include", f"/{name}")]
        await self._do("restore", snapshot, "--target", str(target), *only, damage=True)

    async def fetch_file(self, snapshot: str, name: str, into: IO[bytes]) -> None:
        """Writes one file of a snapshot into an open file; raises as `fetch`."""
        await self._do("dump", snapshot, f"/{name}", into=into, damage=True)

    async def check(self) -> None:
        """Makes sure that the repository is whole, as far as that can be seen without reading all of its data.

        Raises:
            UnavailableError: `backup_damaged`; or as `snapshots`.
        """
        await self._do("check", damage=True)

    async def forget(self, tags: Sequence[str], kept: Retention) -> None:
        """Forgets what carries all of the tags, but for what is to be kept, and removes what nothing needs any more."""
        numbers = {"--keep-daily": kept.daily, "--keep-weekly": kept.weekly, "--keep-monthly": kept.monthly}
        policy = [part for name, number in numbers.items() if number for part in (name, str(number))]
        await self._do("forget", "--prune", "--group-by", "", "--tag", ",".join(tags), "--keep-last", "1", *policy)

    async def drop(self, snapshots: Sequence[str]) -> None:
        """Forgets these, unless others are at work; their data is removed by the next `forget`."""
        if snapshots:
            with suppress(ConflictError):
                await self._do("forget", *snapshots, patience=0.0)

    async def _do(
        self,
        *arguments: str,
        folder: Path | None = None,
        into: IO[bytes] | None = None,
        damage: bool = False,
        patience: float = PATIENCE,
    ) -> bytes:
        deadline = time.monotonic() + patience
        while (ended := await self._run_tidily(arguments, folder, into)).code != 0:
            locked = any(words in ended.said for words in _LOCKED)
            if locked:
                await self._run(("unlock",), None, None)  # takes away the locks of processes that are gone
            if not locked or time.monotonic() > deadline:
                raise self._fault(arguments[0], ended, damage=damage)
            await asyncio.sleep(1)
        return ended.output

    async def _run_tidily(self, arguments: tuple[str, ...], folder: Path | None, into: IO[bytes] | None) -> Ended:
        """As `_run`; one that is broken off leaves no lock."""
        try:
            return await self._run(arguments, folder, into)
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(TIDYING):
                    await self._run(("unlock",), None, None)
            raise

    async def _run(self, arguments: tuple[str, ...], folder: Path | None, into: IO[bytes] | None) -> Ended:
        password = os.memfd_create("password")
        try:
            os.write(password, self._password.encode())
            os.lseek(password, 0, os.SEEK_SET)
            environment = {
                **_environment(),
                "RESTIC_REPOSITORY": self.repository,
                "RESTIC_PASSWORD_FILE": f"/dev/fd/{password}",
                "RESTIC_CACHE_DIR": str(self._cache),
            }
            call = Call((_program(), *arguments), environment, folder, (password,), into, ENDING)
            return await run(call)
        finally:
            os.close(password)

    def _fault(self, command: str, ended: Ended, *, damage: bool) -> Exception:
        said = ended.said
        if "wrong password" in said:
            return InvalidInputError(
                f"The password does not open the backups in {self._shown}. Mend AICD_BACKUP_PASSWORD.",
                code="wrong_backup_password",
            )
        no_config = any(words in said for words in _NO_CONFIG)
        if no_config and any(words in said.lower() for words in _NOT_FOUND):
            return InvalidInputError(
                f"There are no backups in {self._shown}: it is no restic repository. Mend AICD_BACKUP_REPOSITORY, or "
                "make it with `aicd backup run --init`.",
                code="no_repository",
            )
        if any(words in said for words in _LOCKED):
            return ConflictError(
                f"Another process works on the backups in {self._shown}. Try again when it is done. ({said})",
                code="backup_locked",
            )
        away = no_config or any(words in said for words in _AWAY)
        if not away and (damage or any(words in said for words in _DAMAGE)):
            return UnavailableError(
                f"The backups in {self._shown} are damaged, or could not be read whole; nothing was restored. "
                f"restic {command} says: {said}",
                code=DAMAGED,
            )
        return UnavailableError(f"restic {command} failed on {self._shown}: {said}", code="backup_unavailable")

    @property
    def _shown(self) -> str:
        """The repository without a password that its URL may hold."""
        head, at, tail = self.repository.rpartition("@")
        return f"{head.partition('://')[0]}://…@{tail}" if at and "://" in head else self.repository


def _program() -> str:
    found = shutil.which("restic")
    if found is None:
        raise UnavailableError(
            "restic is not installed, and backups are kept in its form. Install it: apt install restic",
            code="no_restic",
        )
    return found


def _environment() -> dict[str, Any]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_WHOLE or (name.startswith(PASSED) and name not in OURS)
    }
