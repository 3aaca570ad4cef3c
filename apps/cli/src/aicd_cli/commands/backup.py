"""`aicd backup` and `aicd restore`."""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from aicd_cli.backing import Rhythm, back_up, keep_backing_up, open_repository, open_source, open_target
from aicd_cli.commands.rewinding import Rewinding, afterwards, rewind
from aicd_cli.durations import parse_duration
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, prepare_data_dir
from aicd_cli.serving import StopBy, until_told_to_stop
from aicd_core.backups.checking import check_snapshot
from aicd_core.backups.restoring import LATEST, Restored, Wanted, choose, list_backups, restore
from aicd_core.backups.taking import Taken, working
from aicd_core.backups.values import Manifest, Stored
from aicd_core.errors import InvalidInputError

RUN_EXAMPLE = "Example:  aicd backup run --init;  aicd backup run --every 24h"
LIST_EXAMPLE = "Example:  aicd backup list --json"
VERIFY_EXAMPLE = "Example:  aicd backup verify 3f9c01ab --deep"
RESTORE_EXAMPLE = "Example:  aicd restore;  aicd restore 3f9c01ab --replace postgres"

app = typer.Typer(
    help="Backups: encrypted, stored once, off this machine (restic); see docs/backup.md.",
    epilog=RUN_EXAMPLE,
    no_args_is_help=True,
)
Installation = Annotated[
    str | None, typer.Option("--installation", metavar="ID", help="Of this installation, as `aicd backup list` tells.")
]
Deep = Annotated[bool, typer.Option("--deep", help="Restore it in a database of its own, too, and count its rows.")]


@app.command("run", epilog=RUN_EXAMPLE)
def run_command(
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stay, and make one whenever the last is so old: 24h, 90m.")
    ] = None,
    wal_every: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="With --every: ship the server's log so often, too, for `restore --at`."),
    ] = None,
    init: Annotated[bool, typer.Option("--init", help="Make the repository if there is none.")] = False,
    deep: Deep = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back up the database as of one moment, and what lies beside it; read it back; let go of old backups.

    Jobs go on meanwhile. It connects with AICD_BACKUP_DATABASE_URL, AICD_MIGRATION_DATABASE_URL, or to the embedded
    database. It counts as a backup, and for /metrics, only when it was read back from the repository.
    """

    async def work() -> ExitCode:
        settings, rhythm = load_settings(data_dir), _rhythm(every, wal_every, deep=deep)
        restic = open_repository(settings)
        if init:
            await restic.init()
        if rhythm is not None:
            _log_to_stderr()

            async def run(_: StopBy) -> None:
                await keep_backing_up(settings, restic, rhythm)

            await until_told_to_stop(run)
            return ExitCode.OK
        async with open_source(settings) as source:
            taken = await back_up(settings, source, restic, _tell, deep=deep)
        _show_taken(taken, as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


@app.command("list", epilog=LIST_EXAMPLE)
def list_command(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the backups in the repository, oldest first."""

    async def work() -> ExitCode:
        found = await list_backups(open_repository(load_settings(data_dir)))
        if as_json:
            show({"backups": [one.told() for one in found]})
        else:
            sys.stdout.writelines(f"{_line(one)}\n" for one in found)
            if not found:
                sys.stdout.write("There is no backup yet. Make one with `aicd backup run`.\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


@app.command("verify", epilog=VERIFY_EXAMPLE)
def verify_command(
    backup: Annotated[str, typer.Argument(metavar="[BACKUP]", help="As `aicd backup list` names it.")] = LATEST,
    installation: Installation = None,
    deep: Deep = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read a backup back from the repository, and hold it against its checksums and its list of tables."""

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        restic = open_repository(settings)
        wanted = Wanted(backup, installation=_uuid(installation))
        chosen = choose(await list_backups(restic), wanted, None)
        with working(prepare_data_dir(settings) / "backup") as staging:
            await restic.check()
            manifest = await check_snapshot(restic, chosen.id, staging, _tell, deep=deep)
        if as_json:
            show({**chosen.told(), "deep": deep, "rows": dict(manifest.tables)})
        else:
            sys.stdout.write(f"{_line(chosen)}: whole, {_rows(manifest)}{', and it was restored' if deep else ''}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


def restore_command(
    backup: Annotated[str, typer.Argument(metavar="[BACKUP]", help="As `aicd backup list` names it.")] = LATEST,
    replace: Annotated[
        str | None,
        typer.Option(
            metavar="DATABASE", help="Restore in the place of this database, which is kept under another name."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The server as of this moment, or as late as its log tells: `latest`."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With --at: lay its data folder, for a Postgres of your own to start on."),
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="After --into: wait for the server started there, and do what is left.")
    ] = False,
    installation: Installation = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup: the database whole, and of the files beside it those that are not there.

    Stop every other aicd process first. It connects with AICD_MIGRATION_DATABASE_URL, or to the embedded database. All
    is built and counted beside what is there, and changes places at the end; broken off, nothing has changed. A server
    of your own is taken back to a moment in two steps: --at TIME --into FOLDER, and, once it runs there, --finish.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        wanted = Wanted(backup, replace, _uuid(installation))
        if (at, into, finish) != (None, None, False):
            await rewind(settings, wanted, Rewinding(at, into, finish=finish), _tell, as_json=as_json)
            return ExitCode.OK
        target, restic, place = open_target(settings), open_repository(settings), prepare_data_dir(settings)
        _show_restored(await restore(restic, target, place, wanted, _tell), as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def _show_taken(taken: Taken, *, as_json: bool) -> None:
    told = {"id": taken.id, "size": taken.size, "added": taken.added, "seconds": round(taken.seconds, 3)}
    if as_json:
        show({**told, **_of_manifest(taken.manifest)})
        return
    sys.stdout.write(
        f"{taken.id} as of {taken.manifest.taken_at:%Y-%m-%d %H:%M:%S %Z}: {_rows(taken.manifest)}, {taken.size} "
        f"bytes, {taken.added} of them new, read back, in {taken.seconds:.1f} s\n"
    )


def _show_restored(done: Restored, *, as_json: bool) -> None:
    if as_json:
        files = {"jobs_freed": done.freed, "kept_aside": done.aside, "files": list(done.files)}
        show({**done.backup.told(), **files, **_of_manifest(done.manifest)})
        return
    lines = [f"{_line(done.backup)}: restored, {_rows(done.manifest)}; {done.freed} job(s) go on once a worker runs."]
    sys.stdout.write("\n".join([*lines, *afterwards(done.aside, done.files)]) + "\n")


def _rhythm(every: str | None, wal_every: str | None, *, deep: bool) -> Rhythm | None:
    if every is None:
        if wal_every is not None:
            raise InvalidInputError("--wal-every goes with --every.", code="wal_alone")
        return None
    log = None if wal_every is None else parse_duration(wal_every, "--wal-every")
    return Rhythm(parse_duration(every, "--every"), log, deep)


def _of_manifest(manifest: Manifest) -> dict[str, Any]:
    return {
        "taken_at": manifest.taken_at.isoformat(),
        "installation": str(manifest.installation),
        "schema": manifest.revision,
        "product": manifest.product,
        "rows": dict(manifest.tables),
    }


def _line(one: Stored) -> str:
    return f"{one.id}  {one.taken_at:%Y-%m-%d %H:%M:%S %Z}  schema {one.revision}  installation {one.installation}"


def _rows(manifest: Manifest) -> str:
    main = ("jobs", "job_events", "usage_entries")
    return (
        f"{sum(manifest.tables.values())} rows ({', '.join(f'{manifest.tables.get(name, 0)} {name}' for name in main)})"
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise InvalidInputError(f"--installation takes an id as `aicd backup list` tells it, not {text!r}.") from error


def _tell(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{text} ...\n")


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
