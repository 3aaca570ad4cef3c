"""`aicd restore --at`, `--into` and `--finish`: what they mean together, and what they say."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aicd_cli.backing import open_repository, open_target
from aicd_cli.durations import parse_moment
from aicd_cli.process import show
from aicd_cli.runtime import prepare_data_dir
from aicd_cli.stores import fates_shown, fates_told, put_back_stores
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import Wanted
from aicd_core.backups.rewinding import Finished, Laid, Rewound, finish, lay_at, restore_at
from aicd_core.backups.stores import Fate
from aicd_core.backups.targets import EmbeddedTarget
from aicd_core.backups.values import Tell
from aicd_core.errors import InvalidInputError
from aicd_core.settings import Settings


@dataclass(frozen=True)
class Rewinding:
    """What a person asks for: a moment, a folder for a server of his own, or the end of that."""

    at: str | None
    into: Path | None
    finish: bool


async def rewind(settings: Settings, wanted: Wanted, asked: Rewinding, tell: Tell, *, as_json: bool) -> None:
    """Restores a server to a moment, or does one of the two halves of that, and says so; raises as they do.

    Raises:
        InvalidInputError: `bad_moment`, `folder_missing`, `options_apart`.
    """
    restic, place = open_repository(settings), prepare_data_dir(settings)
    if asked.finish:
        if asked.at is not None or asked.into is not None or not settings.migration_database_url:
            raise InvalidInputError(
                "--finish stands alone, once the server runs on what --at TIME --into FOLDER laid, and needs "
                "AICD_MIGRATION_DATABASE_URL as a superuser there.",
                code="options_apart",
            )
        done = await finish(restic, settings.migration_database_url, place, tell)
        _show_finished(done, await _stores(restic, place, done, tell), as_json=as_json)
        return
    if asked.at is None:
        raise InvalidInputError("--into goes with --at: as of which moment?", code="options_apart")
    moment = parse_moment(asked.at)
    if asked.into is not None:
        _show_laid(asked.into, await lay_at(restic, asked.into.absolute(), moment, wanted, tell), as_json=as_json)
        return
    target = open_target(settings)
    if not isinstance(target, EmbeddedTarget):
        raise InvalidInputError(
            "A server of your own is taken back to a moment by being started on a folder that is laid for it: say "
            "--at TIME --into FOLDER, start it there, then `aicd restore --finish`.",
            code="folder_missing",
        )
    rewound = await restore_at(restic, target, place, moment, wanted, tell)
    _show_rewound(rewound, await _stores(restic, place, rewound.finished, tell), as_json=as_json)


async def _stores(restic: Restic, place: Path, done: Finished, tell: Tell) -> list[Fate]:
    return await put_back_stores(restic, place, Wanted(installation=done.installation), tell)


def afterwards(aside: str | None, files: Sequence[str]) -> Iterator[str]:
    """What to know after any restore, a sentence a line."""
    if aside:
        yield f"What was there before is kept as {aside}; remove it when nothing is missing."
    if files:
        yield f"Put back into the data directory: {', '.join(files)}."
    yield "What was revoked since then (API keys, logins, members) counts again: see docs/recovery.md."


def _show_rewound(done: Rewound, fates: Sequence[Fate], *, as_json: bool) -> None:
    log = {"log_until": done.chosen.log_until.isoformat()}
    if as_json:
        show({**done.chosen.base.told(), **log, "kept_aside": done.aside, **_told(done.finished, fates)})
        return
    first = f"Restored from the cluster {done.chosen.base.id} and its log: {_said(done.finished)}"
    sys.stdout.write("\n".join([first, *fates_shown(fates), *afterwards(done.aside, done.finished.files)]) + "\n")


def _show_laid(into: Path, done: Laid, *, as_json: bool) -> None:
    log = {"log_until": done.chosen.log_until.isoformat()}
    if as_json:
        show({**done.chosen.base.told(), **log, "folder": str(into), "postgres": done.postgres})
        return
    sys.stdout.write(
        f"The cluster {done.chosen.base.id} and its log are in {into}. Start Postgres {done.postgres} on it, with what "
        "uses the database stopped; it reads the log first. Then: aicd restore --finish\n"
    )


def _show_finished(done: Finished, fates: Sequence[Fate], *, as_json: bool) -> None:
    if as_json:
        show(_told(done, fates))
        return
    first = f"The server has read its log: {_said(done)}"
    sys.stdout.write("\n".join([first, *fates_shown(fates), *afterwards(None, done.files)]) + "\n")


def _told(done: Finished, fates: Sequence[Fate]) -> dict[str, Any]:
    files = {"jobs_freed": done.freed, "files": list(done.files), "rows": dict(done.facts.tables)}
    return {**files, **fates_told(fates)}


def _said(done: Finished) -> str:
    return f"{sum(done.facts.tables.values())} rows; {done.freed} job(s) go on once a worker runs."
