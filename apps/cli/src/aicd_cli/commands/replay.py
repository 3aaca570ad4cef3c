"""`aicd replay`: a job is run again against its journal, and every result is compared."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from aicd_cli.commands.jobs import parse_job_id
from aicd_cli.exit_codes import ExitCode
from aicd_cli.hosts import Hosts
from aicd_cli.options import JOB, AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, make_parts, open_store, prepare_data_dir, require_disk_space
from aicd_cli.views import open_view
from aicd_core.agents.registry import load_agent
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.orchestrator import LONGEST, Observer, Player, Replay, Replayed, read_cassette, redaction_of
from aicd_core.settings import Settings
from aicd_core.text import one_line

EXAMPLE = "Example:  aicd replay 01a20a19-b883-7345-9527-cba0433a3c7f"
HASH_SHOWN = 16


def command(
    job: Annotated[str | None, JOB] = None,
    cassette: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play a file of `aicd journal export` instead of a job of the database."),
    ] = None,
    repo: Annotated[
        str, typer.Option(metavar="PATH|URL", help="With --cassette: the repository that the job worked on.")
    ] = ".",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a job again against its journal and compare every result byte for byte.

    Each stored plan, change (claim, tree, patch) and review is made again by the job's agent from what is stored before
    it; calls of a model are answered from the journal and never sent. Tests are not run: they take another time
    each time, so the stored test reports are the evidence. Nothing is stored or paid, and the repository is only read.
    With --cassette no database is needed: a file has results and calls, masked, and what is made is masked alike.

    Exit codes: 0 identical, 1 unexpected, 2 usage, 3 something differs (a result, or a request that the journal does
    not hold).
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        if (job is None) == (cassette is None):
            raise InvalidInputError("Say what to replay: either a job's id, or --cassette FILE.", code="what_to_replay")
        with open_view(sys.stderr) as view:
            playing = (
                _play(settings, cassette, repo, view.show) if cassette else _replay(settings, job or "", view.show)
            )
            found = await playing
        return _finish(found, as_json=as_json)

    run_process(work, as_json=as_json)


async def _replay(settings: Settings, job: str, observe: Observer) -> Replayed:
    """A job of the database."""
    job_id, hosts = parse_job_id(job), Hosts(settings)
    async with open_store(settings) as store:
        require_disk_space(settings)
        await hosts.sandbox.check()
        return await Replay(make_parts(settings, store, hosts, observe), store.tenant).run(job_id)


async def _play(settings: Settings, file: Path, repo: str, observe: Observer) -> Replayed:
    """A cassette."""
    content = await asyncio.to_thread(_read, file)
    played = read_cassette(content, str(file), partial(redaction_of, settings, os.environ))
    hosts = Hosts(settings)
    prepare_data_dir(settings)
    require_disk_space(settings)
    await hosts.sandbox.check()
    try:
        return await Player(hosts, load_agent, settings, observe).play(played, _source(repo))
    except StepFailedError as error:
        if error.code != "base_gone":
            raise
        raise InvalidInputError(
            f"{repo} does not have the commit {played.job.base_sha} that the recorded job started from. Name the "
            "repository that the job worked on with --repo.",
            code="wrong_repository",
        ) from error


def _read(file: Path) -> bytes:
    """The bytes of a cassette, and one more than there may be where it is too long."""
    try:
        with file.open("rb") as opened:
            return opened.read(LONGEST + 1)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}. Name a file that `aicd journal export` wrote."
        raise InvalidInputError(message, code="bad_cassette") from error


def _source(repo: str) -> str:
    """A path as it is from anywhere; a URL as it is."""
    return repo if "://" in repo else str(Path(repo).absolute())


def _finish(found: Replayed, *, as_json: bool) -> ExitCode:
    if as_json:
        show(_as_json(found))
    else:
        with suppress(OSError):  # nobody may be reading any more
            sys.stdout.writelines(f"{line}\n" for line in _lines(found))
    return ExitCode.OK if found.identical else ExitCode.JOB_FAILED


def _as_json(found: Replayed) -> dict[str, Any]:
    return {
        "job_id": str(found.job_id),
        "identical": found.identical,
        "calls": found.calls,
        "compared": [
            {
                "what": result.what,
                "identical": result.identical,
                "stored_sha256": result.stored_sha256,
                "made_sha256": result.made_sha256,
                "difference": result.difference,
            }
            for result in found.compared
        ],
    }


def _lines(found: Replayed) -> Iterator[str]:
    width = max(len(result.what) for result in found.compared)
    for result in found.compared:
        stored, made = (side[:HASH_SHOWN] if side else "none" for side in (result.stored_sha256, result.made_sha256))
        if result.identical:
            yield f"{result.what:<{width}}  identical  sha256 {stored}"
        else:
            yield f"{result.what:<{width}}  DIFFERS    sha256 stored {stored}, made {made}"
            yield f"  {one_line(result.difference or '', 600)}"
    differing = sum(not result.identical for result in found.compared)
    said = f"{differing} of {len(found.compared)} differ" if differing else f"all {len(found.compared)} are identical"
    yield f"Job {found.job_id}: {said}; {found.calls} calls of a model were answered from the journal."
