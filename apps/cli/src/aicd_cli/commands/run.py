"""`aicd run`: one issue, one job, one pull request, in the foreground."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode, of_job
from aicd_cli.issues import read_issue
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process
from aicd_cli.runtime import (
    LocalHosts,
    load_settings,
    make_orchestrator,
    open_store,
    prepare_data_dir,
    require_disk_space,
)
from aicd_cli.stories import print_outcome, print_plan
from aicd_cli.views import View, open_view
from aicd_core.agents.registry import load_agent
from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import (
    ForegroundQueue,
    Intake,
    IssueText,
    JobReport,
    Message,
    Orchestrator,
    read_report,
)
from aicd_core.orchestrator.engine import wake_for
from aicd_core.orchestrator.intake import Taken
from aicd_core.settings import Settings

EXAMPLE = "Example:  aicd run --repo . --issue-file issue.md --base main"


@dataclass(frozen=True)
class RunRequest:
    """What the person typed, checked. `anew` ends an unfinished job of the same issue first."""

    source: str
    issue: IssueText
    agent: str
    base: str | None
    yes: bool
    anew: bool
    as_json: bool
    data_dir: Path | None


def command(
    repo: Annotated[str, typer.Option(metavar="PATH|URL", help="The repository: a folder, or a git URL.")],
    issue: Annotated[str | None, typer.Option(metavar="TEXT", help="The issue itself.")] = None,
    issue_file: Annotated[Path | None, typer.Option(metavar="F", help="A file with the issue; - is stdin.")] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who plans, codes and reviews. [env: AICD_AGENT; default: dummy]")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="Start from it and merge into it; default: the one checked out."),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="Pause the job after so long at work.")
    ] = None,
    data_dir: DataDir = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve the plan where the repository asks for approval.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Start anew instead of resuming an unfinished job of this issue.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn an issue into a reviewed pull request.

    An unfinished job of the same issue, base and agent is resumed. On a local repository the pull request is a
    branch aicd/<job> in it, plus the recorded description; your checkout, index and stash are never touched.

    Exit codes: 0 pull request open, 1 unexpected, 2 usage, 3 job failed, 4 policy denied, 5 waiting (limit reached
    or approval needed; run again to go on), 130 cancelled.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        if time_limit is not None:
            settings = settings.model_copy(update={"job_time_limit": time_limit})
        request = RunRequest(
            source=repo,
            issue=read_issue(issue, issue_file, max_bytes=settings.issue_max_bytes),
            agent=agent or settings.agent,
            base=base,
            yes=yes,
            anew=new,
            as_json=as_json,
            data_dir=data_dir,
        )
        return await run(settings, request)

    run_process(work, as_json=as_json)


async def run(settings: Settings, request: RunRequest) -> ExitCode:
    """Checks everything that can be wrong before a job is made, then drives it; returns the exit code."""
    load_agent(request.agent)
    hosts = LocalHosts(settings)
    host = hosts.at(request.source)
    source = (await host.source()).display
    prepare_data_dir(settings)
    require_disk_space(settings)
    await hosts.sandbox.check()
    async with open_store(settings) as store:
        with open_view(sys.stderr if request.as_json else sys.stdout) as view:
            orchestrator = make_orchestrator(settings, store, hosts, view.show)
            taken = await Intake(store.database, store.tenant).take(
                source,
                host,
                request.issue,
                agent=request.agent,
                base=request.base,
                time_limit=settings.job_time_limit,
                anew=request.anew,
            )
            _announce(view, taken, await host.notes())
            await _drive_or_cancel(orchestrator, taken)
        report = await read_report(store.database, store.tenant, taken.job.id)
        if report.job.state is JobState.AWAITING_APPROVAL and _approved(request, report):
            with open_view(sys.stderr if request.as_json else sys.stdout) as view:
                orchestrator = make_orchestrator(settings, store, hosts, view.show)
                await orchestrator.approve(report.job.id)
                await _drive_or_cancel(orchestrator, taken)
            report = await read_report(store.database, store.tenant, taken.job.id)
    return _finish(request, report)


def _announce(view: View, taken: Taken, notes: tuple[str, ...]) -> None:
    job = taken.job
    done = job.state is JobState.PR_OPEN
    found = "it has an open pull request already; --new starts again" if done else f"resumed, was {job.state.value}"
    view.show(Message(job.id, f"job {job.id}" + ("" if taken.made else f" ({found})")))
    for note in notes:
        view.show(Message(job.id, note))


async def _drive_or_cancel(orchestrator: Orchestrator, taken: Taken) -> None:
    """Works on the job until it waits or has ended; when stopped from outside, cancels it."""
    queue = ForegroundQueue()
    if taken.job.state is JobState.PAUSED:
        await orchestrator.resume(taken.job.id)
    await queue.add(wake_for(taken.job))
    try:
        await queue.run(orchestrator.handle)
    except asyncio.CancelledError:
        await _cancel(orchestrator, taken.job.id)


async def _cancel(orchestrator: Orchestrator, job_id: JobId) -> None:
    current = asyncio.current_task()
    assert current is not None
    current.uncancel()
    await orchestrator.cancel(job_id, "Stopped by the person who ran it.")


def _approved(request: RunRequest, report: JobReport) -> bool:
    """Whether the plan may be carried out: said beforehand, or now at a terminal."""
    if request.yes:
        return True
    if request.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    print_plan(report)
    return typer.confirm("Carry out this plan?")


def _finish(request: RunRequest, report: JobReport) -> ExitCode:
    if request.as_json:
        sys.stdout.write(json.dumps(report.as_json(), ensure_ascii=False) + "\n")
    else:
        print_outcome(report, request.data_dir)
    return of_job(report.job)
