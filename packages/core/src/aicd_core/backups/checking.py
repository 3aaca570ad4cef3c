"""Whether a backup in the repository can be restored: read back, held against its manifest, and tried."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aicd_core.backups.files import sha256_of
from aicd_core.backups.programs import LAST_WORDS, postgres_call, run, run_postgres
from aicd_core.backups.repository import connected, make_roles, name_of, read_facts
from aicd_core.backups.restic import Restic
from aicd_core.backups.stores import fetch_store
from aicd_core.backups.values import DAMAGED, DUMP, MANIFEST, STORES, Manifest, Tell
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import UnavailableError
from aicd_core.migrations import HEAD

PARTS = ("pre-data", "data")
"""Of a dump: tables and rows. What is left are indexes, constraints and the walls between tenants."""
JOBS = "2"
TIMEOUT_SINCE = 170_000
"""The first version of Postgres with `transaction_timeout`."""


async def check_snapshot(restic: Restic, snapshot: str, staging: Path, tell: Tell, *, deep: bool) -> Manifest:
    """Reads a backup back from the repository and makes sure that it is what its manifest says.

    Args:
        staging: an empty folder.
        deep: restores it in a scratch server, and counts its rows.

    Raises:
        UnavailableError: `backup_damaged`; or the repository cannot be reached.
        ConflictError: `backup_too_new`.
    """
    for name in (MANIFEST, DUMP):
        await _fetch(restic, snapshot, name, staging)
    manifest = await check_staged(staging)
    if deep:
        tell("restoring it in a database of its own")
        async with _scratch(staging / "scratch") as url:
            await load(url, staging / DUMP, manifest)
            await finish(url, staging / DUMP)
    (staging / DUMP).unlink()
    for name, kept in manifest.stores.items():
        await fetch_store(restic, snapshot, name, kept, staging)
        await asyncio.to_thread(shutil.rmtree, staging / STORES)
    return manifest


async def read_manifest(restic: Restic, snapshot: str, staging: Path) -> Manifest:
    """The manifest of a backup; raises as `check_snapshot`."""
    await _fetch(restic, snapshot, MANIFEST, staging)
    return Manifest.parse((staging / MANIFEST).read_bytes(), HEAD)


async def _fetch(restic: Restic, snapshot: str, name: str, staging: Path) -> None:
    with (staging / name).open("wb") as file:
        await restic.fetch_file(snapshot, name, file)


async def check_staged(staging: Path) -> Manifest:
    """Makes sure that a backup that lies in a folder is whole: its checksum, and the dump's own table of contents."""
    manifest = Manifest.parse((staging / MANIFEST).read_bytes(), HEAD)
    if await asyncio.to_thread(sha256_of, staging / DUMP) != manifest.dump.sha256:
        raise UnavailableError("The backup's database is not what its manifest says it is.", code=DAMAGED)
    listed = await run_postgres(
        postgres_call("pg_restore", _NOWHERE, "--list", str(staging / DUMP)), "The backup is unreadable", DAMAGED
    )
    found = {line.split()[6] for line in listed.decode().splitlines() if " TABLE DATA " in line}
    if missing := manifest.tables.keys() - found:
        raise UnavailableError(f"The backup lacks the tables {', '.join(sorted(missing))}.", code=DAMAGED)
    return manifest


async def load(url: str, dump: Path, manifest: Manifest) -> None:
    """Lays tables and rows into an empty database, and counts them.

    Nothing hides rows yet: the walls between tenants come with `finish`.

    Raises:
        UnavailableError: `backup_damaged`: rows are missing; or Postgres refuses.
    """
    async with connected(url) as connection:
        await make_roles(connection)
    await _restore(url, dump, *(f"--section={part}" for part in PARTS))
    async with connected(url) as connection:
        found = (await read_facts(connection)).tables
    wrong = [
        f"{name} has {found.get(name, 0)} rows, not {rows}"
        for name, rows in manifest.tables.items()
        if found.get(name) != rows
    ]
    if wrong:
        raise UnavailableError(f"What was restored is not what was backed up: {'; '.join(wrong)}.", code=DAMAGED)


async def finish(url: str, dump: Path) -> None:
    """Lays the rest: indexes, constraints, walls. Raises as `load`."""
    await _restore(url, dump, "--section=post-data")


async def _restore(url: str, dump: Path, *options: str) -> None:
    """Runs pg_restore, which stops at the first fault.

    Servers before 17 know no `transaction_timeout`, which pg_restore of 17 and later sets in each of its sessions:
    there it goes on after faults, and any other than that one counts at the end. It lays one thing after the other
    there, since several sessions tell their faults into each other's lines. So it does for whoever is no superuser, in
    the dump's order: several at once may build a wall before a foreign key, which Postgres then refuses to check.
    """
    async with connected(url) as connection:
        older = connection.info.server_version < TIMEOUT_SINCE
        superuser = connection.info.parameter_status("is_superuser") == "on"
    jobs = JOBS if superuser and not older else "1"
    plain = ("--no-owner", "--no-privileges", f"--jobs={jobs}", f"--dbname={name_of(url)}")
    stop = () if older else ("--exit-on-error",)
    ended = await run(postgres_call("pg_restore", url, *stop, *plain, *options, str(dump)))
    if ended.code != 0 and not (older and _only_the_timeout(ended.said)):
        raise UnavailableError(f"The backup could not be laid into the database: {ended.said}", code="restore_failed")


def _only_the_timeout(said: str) -> bool:
    """Whether all that pg_restore found fault with is that setting; never of words whose beginning may be missing."""
    faults = said.count("pg_restore: error: ")
    return 0 < faults == said.count("Command was: SET transaction_timeout = 0;") and len(said) < LAST_WORDS


@asynccontextmanager
async def _scratch(root: Path) -> AsyncIterator[str]:
    server = EmbeddedPostgres(root, durable=False)
    try:
        yield await asyncio.to_thread(server.start)
    finally:
        await asyncio.to_thread(server.stop)


_NOWHERE = "postgresql:///"
