"""`aicd backup` and `aicd restore`."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from aicd_cli.backing import Rhythm, back_up, keep_backing_up, open_repository, open_source, open_target
from aicd_cli.commands.rewinding import Rewinding, afterwards, rewind
from aicd_cli.durations import parse_duration
from aicd_cli.exit_codes import ExitCode
from aicd_cli.logs import begin_to_log
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, prepare_data_dir
from aicd_cli.serving import StopBy, until_told_to_stop
from aicd_cli.stores import counted, fates_shown, fates_told, put_back_store, put_back_stores
from aicd_core.backups.checking import check_snapshot
from aicd_core.backups.restoring import LATEST, Restored, Wanted, choose, list_backups, restore
from aicd_core.backups.stores import Fate
from aicd_core.backups.taking import Taken, working
from aicd_core.backups.values import DATABASE, Kept, Manifest, Stored
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
            async with working(prepare_data_dir(settings) / "backup", _tell):  # two at once would make two in one place
                await restic.init()
        if rhythm is not None:
            begin_to_log(settings)

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
        async with working(prepare_data_dir(settings) / "backup", _tell) as staging:
            await restic.check()
            manifest = await check_snapshot(restic, chosen.id, staging, _tell, deep=deep)
        if as_json:
            show({**chosen.told(), "deep": deep, "rows": dict(manifest.tables), **_stores(manifest)})
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
    only: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="Put this store back, and touch nothing else: redis, as the backup has it."),
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
    """Restore a backup: the database whole, and of the files and stores beside it those that are not there.

    Stop every other aicd process first. It connects with AICD_MIGRATION_DATABASE_URL, or to the embedded database. All
    is built and counted beside what is there, and changes places at the end; broken off, nothing has changed. A server
    of your own is taken back to a moment in two steps: --at TIME --into FOLDER, and, once it runs there, --finish.
    With --only, the database is only asked whose it is; --replace STORE then removes what is in the store.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        wanted = Wanted(backup, replace, _uuid(installation))
        restic, place = open_repository(settings), prepare_data_dir(settings)
        rewinding = (at, into, finish) != (None, None, False)
        if only is not None:
            if rewinding:
                raise InvalidInputError(
                    "--at, --into and --finish go with the whole restore, not with --only.", code="only_at"
                )
            _show_store(only, *await put_back_store(settings, restic, only, wanted, _tell), as_json=as_json)
            return ExitCode.OK
        if rewinding:
            await rewind(settings, wanted, Rewinding(at, into, finish=finish), _tell, as_json=as_json)
            return ExitCode.OK
        done = await restore(restic, open_target(settings), place, wanted, _tell)
        _show_restored(done, await put_back_stores(restic, place, Wanted(done.backup.id), _tell), as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def _show_taken(taken: Taken, *, as_json: bool) -> None:
    told = {"id": taken.id, "size": taken.size, "added": taken.added, "seconds": round(taken.seconds, 3)}
    if as_json:
        show({**told, **_of_manifest(taken.manifest)})
        return
    for name, reason in taken.manifest.gaps.items():
        sys.stderr.write(f"WARNING: the backup is without {name}: {reason}\n")
    sys.stdout.write(
        f"{taken.id} as of {taken.manifest.taken_at:%Y-%m-%d %H:%M:%S %Z}: {_rows(taken.manifest)}, {taken.size} "
        f"bytes, {taken.added} of them new, read back, in {taken.seconds:.1f} s\n"
    )


def _show_store(name: str, backup: Stored, kept: Kept, *, as_json: bool) -> None:
    fates = [Fate(name, kept.counted)]
    if as_json:
        show({**backup.told(), **fates_told(fates)})
        return
    sys.stdout.write("\n".join([f"{_line(backup)}:", *fates_shown(fates)]) + "\n")


def _show_restored(done: Restored, fates: Sequence[Fate], *, as_json: bool) -> None:
    if as_json:
        files = {"jobs_freed": done.freed, "kept_aside": done.aside, "files": list(done.files)}
        show({**done.backup.told(), **files, **_of_manifest(done.manifest), **fates_told(fates)})
        return
    lines = [f"{_line(done.backup)}: restored, {_rows(done.manifest)}; {done.freed} job(s) go on once a worker runs."]
    sys.stdout.write("\n".join([*lines, *fates_shown(fates), *afterwards(done.aside, done.files)]) + "\n")


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
        **_stores(manifest),
    }


def _stores(manifest: Manifest) -> dict[str, Any]:
    kept = {name: dict(one.counted) for name, one in manifest.stores.items()}
    told = {"stores": [DATABASE, *manifest.stores], "gaps": list(manifest.gaps)}
    return {**told, "counted": kept, "reasons": dict(manifest.gaps)}


def _line(one: Stored) -> str:
    return f"{one.id}  {one.taken_at:%Y-%m-%d %H:%M:%S %Z}  schema {one.revision}  installation {one.installation}" + (
        f"  {', '.join((DATABASE, *one.stores))}" + (f" (without {', '.join(one.gaps)})" if one.gaps else "")
    )


def _rows(manifest: Manifest) -> str:
    main = ("jobs", "job_events", "usage_entries")
    rows = ", ".join(f"{manifest.tables.get(name, 0)} {name}" for name in main)
    beside = "".join(f", {name}: {counted(one.counted)}" for name, one in manifest.stores.items())
    return f"{sum(manifest.tables.values())} rows ({rows}){beside}"


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise InvalidInputError(f"--installation takes an id as `aicd backup list` tells it, not {text!r}.") from error


def _tell(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{text} ...\n")
