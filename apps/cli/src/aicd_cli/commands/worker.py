"""`aicd worker`: takes jobs of all organizations until it is told to stop."""

import logging
from enum import StrEnum
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.hosts import Hosts
from aicd_cli.logs import begin_to_log
from aicd_cli.metering import metered
from aicd_cli.options import DataDir
from aicd_cli.process import run_process
from aicd_cli.runtime import load_settings, load_workers, make_parts, observing, require_disk_space
from aicd_cli.serving import POOL_SPARE, StopBy, log_progress, store_once_there, until_told_to_stop
from aicd_cli.tracing import traced
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import WorkerOptions
from aicd_core.settings import Settings

EXAMPLE = "Example:  aicd worker --concurrency 4 --drain-timeout 300"


class QueueName(StrEnum):
    """What a worker takes its turn at."""

    JOBS = "jobs"
    CHORES = "chores"
    DELIVERIES = "deliveries"


def command(
    concurrency: Annotated[int, typer.Option(min=1, max=256, metavar="N", help="Jobs at work at once.")] = 2,
    queues: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="What to take a turn at: jobs, chores (sweeps and retention), deliveries of code hosts.",
        ),
    ] = "jobs,chores,deliveries",
    drain_timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Once told to stop, steps at work get so long to end.")
    ] = 60.0,
    data_dir: DataDir = None,
) -> None:
    """Work on queued jobs, of all organizations in turn, until stopped.

    SIGTERM or Ctrl-C lets the steps at work end, hands their jobs over to other workers, and leaves; a second one
    leaves at once, and the jobs are taken over when the worker is missed. A database or a Redis that is away is waited
    for.
    """

    async def work() -> ExitCode:
        settings, taken = load_settings(data_dir), parse_queues(queues)
        begin_to_log(settings)
        options = WorkerOptions(
            drain_timeout,
            jobs=QueueName.JOBS in taken,
            chores=QueueName.CHORES in taken,
            deliveries=QueueName.DELIVERIES in taken,
        )
        await serve(settings, options, concurrency)
        return ExitCode.OK

    run_process(work, as_json=False)


async def serve(settings: Settings, options: WorkerOptions, concurrency: int) -> None:
    """Runs a worker until a stop signal, also one that comes while it still waits for its database."""
    hosts = Hosts(settings)

    async def run(stop_by: StopBy) -> None:
        async with traced(settings, "aicd-worker"), store_once_there(settings, concurrency + POOL_SPARE) as store:
            require_disk_space(settings)
            await hosts.sandbox.check()
            hosts.guard(store.database, store.tenant)
            async with (
                metered(settings, store.system),
                observing(settings, store, log_progress) as observe,
                load_workers().open_worker(make_parts(settings, store, hosts, observe), options, concurrency) as worker,
            ):
                logging.getLogger(__name__).info("ready for %d job(s) at once", concurrency)
                stop_by(worker.stop)
                await worker.run()

    await until_told_to_stop(run)


def parse_queues(text: str) -> frozenset[QueueName]:
    """The queues that are named, divided by commas.

    Raises:
        InvalidInputError: one is unknown, or none is named.
    """
    try:
        return frozenset(QueueName(name.strip()) for name in text.split(","))
    except ValueError as error:
        known = ", ".join(QueueName)
        raise InvalidInputError(f"--queues takes one or more of {known}, divided by commas; got {text!r}.") from error
