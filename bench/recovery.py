"""How long a lost database takes to come back.

    .venv/bin/python bench/recovery.py [--jobs N] [--rounds N]

Fills an embedded Postgres with jobs, their events and the ledger, makes a backup and a copy of the cluster, goes on
working, and ships the log. Then, in turn: the dump is restored (`aicd restore`), the server is taken back to its last
moment (`aicd restore --at latest`), and its data folder is laid (`--into`). The floors are Postgres and the disk by
themselves: pg_restore of the same dump into an empty database, and cp of the cluster and a start on it. Needs restic.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from aicd_core.backups.programs import postgres_call, run_postgres
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import Wanted, restore
from aicd_core.backups.rewinding import lay_at, restore_at
from aicd_core.backups.taking import Source, take_backup
from aicd_core.backups.targets import EmbeddedTarget
from aicd_core.backups.values import DUMP, Retention
from aicd_core.backups.wal import LogKeeper
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.migrations import migrate
from aicd_core.testing.ending import clean_up_when_told_to_stop
from tenancy import fill

TENANTS = 100
KEPT = Retention(7, 0, 0)
UNPACKED = Path(__file__).parents[1] / ".tools/debian/usr/bin"
"""Where `make test` puts restic, if it is not installed."""
AGE = b"UPDATE jobs SET seconds_worked = seconds_worked + 1"


def quiet(_: str) -> None:
    """What happens meanwhile is not told."""


@dataclass
class World:
    """An installation that was lost: what is left of it is the repository."""

    root: Path
    restic: Restic
    cluster: Path
    dump: Path
    rounds: int = 0

    @property
    def place(self) -> Path:
        """A data directory that nobody has used."""
        self.rounds += 1
        return self.root / f"machine-{self.rounds}"

    async def from_dump(self) -> None:
        place = self.place
        await restore(self.restic, EmbeddedTarget(place), place, Wanted(), quiet)
        await asyncio.to_thread(shutil.rmtree, place)

    async def to_moment(self) -> None:
        place = self.place
        await restore_at(self.restic, EmbeddedTarget(place), place, None, Wanted(), quiet)
        await asyncio.to_thread(shutil.rmtree, place)

    async def laid(self) -> None:
        place = self.place
        await lay_at(self.restic, place, None, Wanted(), quiet)
        await asyncio.to_thread(shutil.rmtree, place)

    async def by_pg_restore(self) -> None:
        server = EmbeddedPostgres(self.place / "postgres")
        try:
            url = await asyncio.to_thread(server.start)
            roles = "CREATE ROLE aicd_owner; CREATE ROLE aicd_app; CREATE ROLE aicd_system"
            with psycopg.connect(url) as connection:
                connection.execute(roles.encode())
            options = ("--no-owner", "--no-privileges", "--jobs=2", "--dbname=postgres", str(self.dump))
            await run_postgres(postgres_call("pg_restore", url, *options), "The floor failed")
        finally:
            await asyncio.to_thread(server.stop)

    async def by_cp(self) -> None:
        place = self.place
        await asyncio.to_thread(shutil.copytree, self.cluster, place / "copied")
        server = EmbeddedPostgres(place / "postgres")
        try:
            await asyncio.to_thread(server.adopt, place / "copied")
            await asyncio.to_thread(server.start)
        finally:
            await asyncio.to_thread(server.stop)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def size(root: Path) -> float:
    """Megabytes of all files of a folder."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 1e6


async def lose(root: Path, server: EmbeddedPostgres, jobs: int) -> tuple[World, int]:
    """Makes an installation and its backups, tells what they cost, and stops its server; what is left, and its rows."""
    url = await asyncio.to_thread(server.start)
    await migrate(url)
    await asyncio.to_thread(fill, url, TENANTS, jobs)
    source, restic = Source(url, root / "first"), Restic(str(root / "repository"), "of the benchmark", root / "cache")
    await restic.init()
    keeper = LogKeeper(source, restic, KEPT)
    async with keeper.receiving(quiet):
        taken = await take_backup(source, restic, KEPT, quiet)
        rows = sum(taken.manifest.tables.values())
        print(f"{jobs:,} jobs, {rows:,} rows, a dump of {taken.size / 1e6:.0f} MB, {taken.added / 1e6:.0f} MB stored")
        print(f"{'backup, read back':<34}{taken.seconds:>8.1f} s")
        print(f"{'copy of the cluster':<34}{await timed(lambda: keeper.renew(quiet)):>8.1f} s")
        with psycopg.connect(url) as connection:
            connection.execute(AGE)
        print(f"{'shipping the log':<34}{await timed(keeper.ship):>8.1f} s of {size(root / 'first/backup/wal'):.0f} MB")
    dump = root / DUMP
    options = ("--format=custom", "--compress=none", "--exclude-schema=bullmq", f"--file={dump}")
    await run_postgres(postgres_call("pg_dump", url, *options), "The dump failed")
    await asyncio.to_thread(server.stop)
    return World(root, restic, server.cluster, dump), rows


async def measure(world: World, rows: int, rounds: int) -> None:
    """Prints the table."""
    ways = {
        "pg_restore alone (floor)": (world.by_pg_restore, None),
        "aicd restore": (world.from_dump, "pg_restore alone (floor)"),
        "cp of the cluster, start (floor)": (world.by_cp, None),
        "aicd restore --at latest": (world.to_moment, "cp of the cluster, start (floor)"),
        "aicd restore --at latest --into": (world.laid, "cp of the cluster, start (floor)"),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (way, _) in ways.items():
            took[name].append(await timed(way))
    print(f"\n{'':<34}{'seconds':>8}{'rows/s':>10}{'ratio':>8}   (medians of {rounds})")
    for name, (_, floor) in ways.items():
        found = statistics.median(took[name])
        ratio = "" if floor is None else f"{found / statistics.median(took[floor]):.2f}"
        print(f"{name:<34}{found:>8.1f}{rows / found:>10,.0f}{ratio:>8}")


async def whole(root: Path, arguments: argparse.Namespace) -> None:
    """The benchmark, in an empty folder."""
    server = EmbeddedPostgres(root / "first" / "postgres")
    try:
        await measure(*await lose(root, server, arguments.jobs), arguments.rounds)
    finally:
        await asyncio.to_thread(server.stop)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["PATH"] += f":{UNPACKED}"
    clean_up_when_told_to_stop()
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as scratch:
        asyncio.run(whole(Path(scratch), arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
