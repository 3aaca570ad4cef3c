"""`aicd replay`: a job is run again against its journal, and every result is compared."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from aicd_cli.commands.jobs import parse_job_id
from aicd_cli.exit_codes import ExitCode
from aicd_cli.hosts import Hosts
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, make_parts, open_store, require_disk_space
from aicd_cli.views import open_view
from aicd_core.orchestrator import Replay, Replayed
from aicd_core.text import one_line

EXAMPLE = "Example:  aicd replay 01a20a19-b883-7345-9527-cba0433a3c7f"
HASH_SHOWN = 16


def command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `aicd jobs` lists it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a job again against its journal and compare every result byte for byte.

    Each stored plan, change (claim, tree, patch) and review is made again by the job's agent from what is stored before
    it; calls of a model are answered from the journal and never sent. Tests are not run: they take another time
    each time, so the stored test reports are the evidence. Nothing is stored or paid, and the repository is only read.

    Exit codes: 0 identical, 1 unexpected, 2 usage, 3 something differs (a result, or a request that the journal does
    not hold).
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        job_id = parse_job_id(job)
        hosts = Hosts(settings)
        with open_view(sys.stderr) as view:
            async with open_store(settings) as store:
                require_disk_space(settings)
                await hosts.sandbox.check()
                parts = make_parts(settings, store, hosts, view.show)
                found = await Replay(parts, store.tenant).run(job_id)
        if as_json:
            show(_as_json(found))
        else:
            with suppress(OSError):  # nobody may be reading any more
                sys.stdout.writelines(f"{line}\n" for line in _lines(found))
        return ExitCode.OK if found.identical else ExitCode.JOB_FAILED

    run_process(work, as_json=as_json)


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
