"""`aicd cancel`, `aicd approve`, `aicd resume`: what a person decides about a job."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.commands.jobs import parse_job_id
from aicd_cli.exit_codes import ExitCode
from aicd_cli.hosts import Hosts
from aicd_cli.options import AsJson, DataDir, JobArgument
from aicd_cli.prices import Price, price_of
from aicd_cli.process import run_process, show
from aicd_cli.runtime import Store, load_settings, make_parts, open_dispatch, open_store
from aicd_core.contracts import MICRO_USD
from aicd_core.errors import ConflictError
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import Control, Message, Progress, read_report
from aicd_core.tenancy.organizations.service import MAX_BUDGET
from aicd_core.text import one_line

CANCEL_EXAMPLE = 'Example:  aicd cancel 01a20a19-b883-7345-9527-cba0433a3c7f --reason "Not needed any more."'
APPROVE_EXAMPLE = "Example:  aicd approve 01a20a19-b883-7345-9527-cba0433a3c7f --plan 4be1f0c2a97d"
RESUME_EXAMPLE = "Example:  aicd resume 01a20a19-b883-7345-9527-cba0433a3c7f --time-limit 7200"


def cancel_command(
    job: JobArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays on the job's record.")] = "Cancelled.",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a job in any state. Its worker stops within seconds; the branch goes unless a pull request stands on it.

    Exit codes: 0 it is cancelled, 1 it had ended otherwise before, or something went wrong, 2 usage, such as no such
    job.
    """

    async def work() -> ExitCode:
        async with _control(data_dir) as control:
            ended = await control.cancel(parse_job_id(job), reason, open_pull_request=True)
        if ended.state is not JobState.CANCELLED:
            raise ConflictError(f"Job {ended.id} has ended already: it is {ended.state.value}.", code="job_ended")
        _say(ended, "is cancelled", as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def approve_command(
    job: JobArgument,
    plan: Annotated[
        str | None, typer.Option(metavar="HASH", help="Approve only this plan: its hash, as `aicd show` tells it.")
    ] = None,
    send_back: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Send the plan back instead: what to do otherwise.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a job go on whose plan waits for approval, or send the plan back with a comment for the planner.

    Exit codes: 0 it goes on, 1 no plan of it waits for approval, or another one than --plan names, or something went
    wrong, 2 usage, such as no such job.
    """

    async def work() -> ExitCode:
        job_id, price = parse_job_id(job), None
        async with _opened(data_dir) as (store, control):
            if send_back is None:
                price = await price_of(data_dir, store, await read_report(store.database, store.tenant, job_id))
                moved = await control.approve(job_id, plan)
            else:
                moved = await control.send_back(job_id, send_back)
        _say(moved, "is approved" if send_back is None else "goes back to the planner", price, as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def resume_command(
    job: JobArgument,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="The new limit on its time at work.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="USD", min=0, max=MAX_BUDGET // MICRO_USD, help="The new limit on its cost.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a paused or stopped job back to the state that it left, with its limits raised.

    Exit codes: 0 it goes on, 1 it is neither paused nor stopped, or something went wrong, 2 usage, such as no such job.
    """

    async def work() -> ExitCode:
        cost_limit = None if budget is None else round(budget * MICRO_USD)
        async with _control(data_dir) as control:
            moved = await control.resume(parse_job_id(job), time_limit=time_limit, cost_limit=cost_limit)
        _say(moved, f"goes on, {moved.state.value}", as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


@asynccontextmanager
async def _control(data_dir: Path | None) -> AsyncIterator[Control]:
    async with _opened(data_dir) as (_, control):
        yield control


@asynccontextmanager
async def _opened(data_dir: Path | None) -> AsyncIterator[tuple[Store, Control]]:
    settings = load_settings(data_dir)
    async with open_store(settings) as store, open_dispatch(settings, store) as dispatch:
        yield store, Control(make_parts(settings, store, Hosts(settings), tell, dispatch), store.tenant, "cli")


def tell(progress: Progress) -> None:
    """The command itself says what became of the job; this is what else there is to know."""
    if isinstance(progress, Message):
        with suppress(OSError):  # nobody may be reading any more
            sys.stderr.write(f"aicd: {one_line(progress.text, 600)}\n")


def _say(job: JobView, what: str, price: Price | None = None, *, as_json: bool) -> None:
    if as_json:
        told = {"job_id": str(job.id), "state": job.state.value, "code": job.code, "reason": job.reason}
        show(told | ({} if price is None else {"price": price.as_json()}))
    else:
        sys.stdout.write(f"Job {job.id} {what}.{'' if price is None else f' {price.sentence()}'}\n")
