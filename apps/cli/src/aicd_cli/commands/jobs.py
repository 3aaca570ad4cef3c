"""`aicd jobs` and `aicd show`: looking at jobs."""

import sys
from typing import Annotated
from uuid import UUID

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, open_store
from aicd_cli.stories import job_line, print_logs, print_story
from aicd_core.db.pages import MAX_PAGE, PageRequest
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import read_logs, read_report

LIST_EXAMPLE = "Example:  aicd jobs --state failed --limit 5"
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
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""

    async def work() -> ExitCode:
        wanted = _parse_state(state)
        async with open_store(load_settings(data_dir)) as store, store.database.read(store.tenant) as session:
            page = await jobs.list_jobs(session, store.tenant, PageRequest(limit, after), state=wanted)
        if as_json:
            fields = [(str(job.id), job.state.value, job.title, job.reason) for job in page.items]
            rows = [dict(zip(("job_id", "state", "title", "reason"), values, strict=True)) for values in fields]
            show({"jobs": rows, "next_cursor": page.next_cursor})
        else:
            none = f"No {state} job." if state else "No job yet. Start one:  aicd run --repo . --issue-file F"
            lines = [job_line(job) for job in page.items] or [none]
            if page.next_cursor:
                lines.append(f"more:  aicd jobs --after {page.next_cursor}")
            sys.stdout.write("\n".join(lines) + "\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


def show_command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `aicd jobs` lists it.")],
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
            kept = await read_logs(store.database, store.tenant, job_id) if logs else None
        if logs:
            print_logs(kept)
        elif as_json:
            show(report.as_json())
        else:
            print_story(report)
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
