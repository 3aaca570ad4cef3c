"""`aicd jobs` and `aicd show`: looking at jobs."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from aicd_cli.exit_codes import ExitCode
from aicd_cli.following import following
from aicd_cli.options import AsJson, DataDir, JobArgument
from aicd_cli.prices import price_of
from aicd_cli.process import run_process, show
from aicd_cli.runtime import Store, load_settings, open_store
from aicd_cli.stories import job_line, print_logs, print_story
from aicd_core.db.pages import MAX_PAGE, Page, PageRequest
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import read_logs, read_report

LIST_EXAMPLE = "Example:  aicd jobs --state failed --limit 5;  aicd jobs --watch"
SHOW_EXAMPLE = "Example:  aicd show 01a20a19-b883-7345-9527-cba0433a3c7f"


def list_command(
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help=f"Only jobs in this state: {', '.join(JobState)}.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="At most so many, the newest first.")] = 20,
    after: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="The page after the one that named this cursor."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Stay, and show the list as it changes; with --json, each job that changed."
        ),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""

    async def work() -> ExitCode:
        wanted = _Wanted(_parse_state(state), PageRequest(limit, after))
        async with open_store(load_settings(data_dir)) as store:
            if watch:
                await _watch(store, wanted, as_json=as_json)
                return ExitCode.OK
            page = await wanted.read(store)
        if as_json:
            show({"jobs": list(map(_fields, page.items)), "next_cursor": page.next_cursor})
        else:
            sys.stdout.write("\n".join(_list_lines(page, wanted)) + "\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


@dataclass(frozen=True)
class _Wanted:
    """Which jobs are listed."""

    state: JobState | None
    page: PageRequest

    async def read(self, store: Store) -> Page[JobView]:
        async with store.database.read(store.tenant) as session:
            return await jobs.list_jobs(session, store.tenant, self.page, state=self.state)


def _fields(job: JobView) -> dict[str, str | None]:
    return {"job_id": str(job.id), "state": job.state.value, "title": job.title, "reason": job.reason}


def _list_lines(page: Page[JobView], wanted: _Wanted) -> list[str]:
    none = f"No {wanted.state} job." if wanted.state else "No job yet. Start one:  aicd run --repo . --issue-file F"
    lines = [job_line(job) for job in page.items] or [none]
    return lines + ([f"more:  aicd jobs --after {page.next_cursor}"] if page.next_cursor else [])


async def _watch(store: Store, wanted: _Wanted, *, as_json: bool) -> None:
    """Shows the list until stopped: redrawn in place at a terminal, else a line for each job that changed."""
    seen: dict[JobId, int] = {}
    drawn = Live(console=Console(), auto_refresh=False) if sys.stdout.isatty() and not as_json else nullcontext()
    with drawn as live:
        async with following(store.system) as changes:
            while not changes.stopped:
                page = await wanted.read(store)
                if live is not None:
                    live.update(Text("\n".join(_list_lines(page, wanted))), refresh=True)
                else:
                    _tell_changes(page, seen, as_json=as_json)
                await changes.wait()


def _tell_changes(page: Page[JobView], seen: dict[JobId, int], *, as_json: bool) -> None:
    for job in reversed(page.items):
        if seen.get(job.id) == job.version:
            continue
        seen[job.id] = job.version
        if as_json:
            show(_fields(job))
        else:
            sys.stdout.write(job_line(job) + "\n")
    sys.stdout.flush()


def show_command(
    job: JobArgument,
    logs: Annotated[
        bool, typer.Option("--logs", help="Print the whole logs of the last round's commands that were cut short.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a job's whole story: history, plan, tests, policy, review, pull request."""

    async def work() -> ExitCode:
        job_id = parse_job_id(job)
        async with open_store(load_settings(data_dir)) as store:
            report = await read_report(store.database, store.tenant, job_id)
            price = await price_of(data_dir, store, report)
            kept = await read_logs(store.database, store.tenant, job_id) if logs else None
        if logs:
            print_logs(kept)
        elif as_json:
            show(report.as_json() | ({} if price is None else {"price": price.as_json()}))
        else:
            print_story(report, price)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def _parse_state(text: str | None) -> JobState | None:
    try:
        return None if text is None else JobState(text)
    except ValueError as error:
        known = ", ".join(JobState)
        raise InvalidInputError(f"{text!r} is no state of a job. There are: {known}.", code="no_such_state") from error


def parse_job_id(text: str) -> JobId:
    """A job's id as typed.

    Raises:
        InvalidInputError: it is not a UUID.
    """
    try:
        return JobId(UUID(text.removeprefix("aicd/")))
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is not a job's id. `aicd jobs` lists them.", code="bad_job_id") from error
