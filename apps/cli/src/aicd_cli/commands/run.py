"""`aicd run`: one issue, one job, one pull request, in the foreground."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode, of_job
from aicd_cli.hosts import Hosts
from aicd_cli.issues import read_issue
from aicd_cli.options import AsJson, DataDir
from aicd_cli.prices import price_of
from aicd_cli.process import InterruptedJobError, Work, interruptible, run_process, show
from aicd_cli.runtime import (
    Store,
    leftovers,
    load_settings,
    make_parts,
    observing,
    open_dispatch,
    open_store,
    prepare_data_dir,
    require_disk_space,
)
from aicd_cli.stories import print_outcome, print_plan
from aicd_cli.views import View, open_view
from aicd_cli.wanted import read_wanted, require_one_place
from aicd_core.agents.registry import load_agent
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.jobs.machine import AT_WORK, JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import (
    Control,
    DirectOrder,
    Dispatch,
    Foreground,
    ForegroundQueue,
    Intake,
    IssueText,
    JobReport,
    Message,
    read_report,
    wake_for,
)
from aicd_core.orchestrator.intake import Taken
from aicd_core.settings import Settings

BY = "aicd run"
STOPPED = "Stopped by the person who ran it."
EXAMPLE = "Example:  aicd run --repo . --issue-file issue.md --base main"


@dataclass(frozen=True)
class RunRequest:
    """What the person typed, checked.

    `anew` ends an unfinished job of the same issue first; `detach` leaves the work to the workers.
    """

    source: str
    issue: IssueText | None
    agent: str
    base: str | None
    yes: bool
    anew: bool
    as_json: bool
    data_dir: Path | None
    detach: bool = False
    priority: int = 0
    github: str | None = None

    def order(self, time_limit: float, number: int | None) -> DirectOrder:
        """What a job is made from; `number` is the issue's on its code host."""
        return DirectOrder(self.agent, time_limit, self.base, self.anew, self.priority, number)


def command(
    repo: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="The repository: a folder, or a git URL.")
    ] = None,
    issue: Annotated[str | None, typer.Option(metavar="TEXT", help="The issue itself.")] = None,
    issue_file: Annotated[Path | None, typer.Option(metavar="F", help="A file with the issue; - is stdin.")] = None,
    github: Annotated[
        str | None,
        typer.Option(metavar="OWNER/REPO#N", help="An issue on GitHub, instead of --repo and --issue."),
    ] = None,
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
    detach: Annotated[bool, typer.Option("--detach", help="Queue the job for the workers, and return.")] = False,
    priority: Annotated[
        int, typer.Option(min=-100, max=100, help="Among an organization's jobs, a higher one goes first.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Turn an issue into a reviewed pull request.

    An unfinished job of the same issue, base and agent is resumed. On a local repository the pull request is a
    branch aicd/<job> in it, plus the recorded description; your checkout, index and stash are never touched. On
    GitHub it is a pull request, and one comment on the issue tells how the job is.

    Exit codes: 0 pull request open, 1 unexpected, 2 usage, 3 job failed, 4 policy denied, 5 waiting (limit reached
    or approval needed; run again to go on), 130 cancelled.
    """

    def begin() -> Work:
        settings = load_settings(data_dir)
        require_one_place(repo, github, issue, issue_file)
        if yes and detach:
            raise InvalidInputError(
                "--yes approves what this process works on. With --detach: aicd approve JOB, later."
            )
        if time_limit is not None:
            settings = settings.model_copy(update={"job_time_limit": time_limit})
        request = RunRequest(
            source=repo or "",
            issue=None if github else read_issue(issue, issue_file, max_bytes=settings.issue_max_bytes),
            github=github,
            agent=agent or settings.agent,
            base=base,
            yes=yes,
            anew=new,
            as_json=as_json,
            data_dir=data_dir,
            detach=detach,
            priority=priority,
        )
        return run(settings, request)

    run_process(begin, as_json=as_json)


def _require_nameable(source: str) -> None:
    try:
        source.encode()
        Path.cwd()
    except (UnicodeEncodeError, FileNotFoundError) as error:
        raise InvalidInputError(
            f"The repository {source!r} cannot be named: its path is not UTF-8, or the current folder is gone.",
            code="bad_path",
        ) from error


async def run(settings: Settings, request: RunRequest) -> ExitCode:
    """Checks everything that can be wrong before a job is made, then drives it; returns the exit code."""
    load_agent(request.agent)
    _require_nameable(request.source)
    hosts = Hosts(settings)
    wanted = await read_wanted(settings, hosts, request.source, request.issue, request.github)
    prepare_data_dir(settings)
    require_disk_space(settings)
    await hosts.sandbox.check()
    with open_view(sys.stderr if request.as_json else sys.stdout) as view:
        async with open_store(settings) as store, observing(settings, store, view.show) as observe:
            parts = make_parts(settings, store, hosts, observe)
            control = Control(parts, store.tenant, BY)
            await control.tidy(leftovers(settings))
            host = hosts.at(wanted.source, store.tenant)
            async with _dispatch(settings, store, request) as dispatch:
                intake = Intake(store.database, store.tenant, dispatch)
                order = request.order(settings.job_time_limit, wanted.number)
                taken = await intake.take(wanted.source, host, wanted.issue, order)
            try:
                _announce(view, taken, wanted.notes)
                if request.detach:
                    return _leave_to_workers(request, taken.job)
                ran = await _Run(control, Foreground(parts, control), store, request, view).to_the_end(taken.job)
            except Exception as error:
                raise InterruptedJobError(str(taken.job.id)) from error
    return _finish(request, ran)


@asynccontextmanager
async def _dispatch(settings: Settings, store: Store, request: RunRequest) -> AsyncIterator[Dispatch]:
    """Nobody is sent for to a job that this process works on itself."""
    if request.detach:
        async with open_dispatch(settings, store) as dispatch:
            yield dispatch
    else:
        yield Dispatch()


def _leave_to_workers(request: RunRequest, job: JobView) -> ExitCode:
    if request.as_json:
        show({"job_id": str(job.id), "state": job.state.value, "code": job.code, "reason": job.reason})
    else:
        sys.stdout.write(f"Job {job.id} waits for a worker.  aicd worker  runs one,  aicd show {job.id}  tells more.\n")
    return ExitCode.OK


def _announce(view: View, taken: Taken, notes: tuple[str, ...]) -> None:
    job = taken.job
    done = job.state is JobState.PR_OPEN
    found = "it has an open pull request already; --new starts again" if done else f"resumed, was {job.state.value}"
    view.show(Message(job.id, f"job {job.id}" + ("" if taken.made else f" ({found})")))
    for note in notes:
        view.show(Message(job.id, note))


@dataclass(frozen=True)
class _Ran:
    """What a run came to; `stopped` when the person ended it."""

    report: JobReport
    stopped: bool


@dataclass(frozen=True)
class _Run:
    """One job at work in this process."""

    control: Control
    foreground: Foreground
    store: Store
    request: RunRequest
    view: View

    async def to_the_end(self, job: JobView) -> _Ran:
        """Works on the job until it waits or has ended, and again whenever its plan is approved meanwhile.

        Somebody else may run or approve the same job, and decide first: then it has moved on, and this run with it.
        """
        if job.state is JobState.PAUSED:
            with suppress(ConflictError):
                await self.control.resume(job.id)
        ran = await self._follow(job)
        while (
            ran.report.job.state is JobState.AWAITING_APPROVAL and not ran.stopped and await self._approved(ran.report)
        ):
            seen = ran.report.plan.structure_hash() if ran.report.plan else None
            with suppress(ConflictError):
                await self.control.approve(job.id, seen)
            ran = await self._follow(job)
        return ran

    async def _follow(self, job: JobView) -> _Ran:
        """Drives it again where somebody else moved it on between its last step here and the reading of the report."""
        ran = await self._drive(job)
        while ran.report.job.state in AT_WORK and not ran.stopped:
            ran = await self._drive(job)
        return ran

    async def _drive(self, job: JobView) -> _Ran:
        """Stopped from outside, cancels the job if it is this process that works on it."""
        queue = ForegroundQueue()
        await queue.add(wake_for(job))
        stopped = False
        try:
            await queue.run(partial(self.foreground.handle, when_stopped=STOPPED))
        except asyncio.CancelledError:
            stopped = True
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        report = await read_report(self.store.database, self.store.tenant, job.id)
        return _Ran(report, stopped)

    async def _approved(self, report: JobReport) -> bool:
        """Whether the plan may be carried out: said beforehand, or now at a terminal."""
        if self.request.yes:
            return True
        if self.request.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return False
        price = await price_of(self.request.data_dir, self.store, report)
        with self.view.aside(), interruptible():
            print_plan(report, price)
            try:
                return typer.confirm("Carry out this plan?")
            except typer.Abort:
                return False


def _finish(request: RunRequest, ran: _Ran) -> ExitCode:
    if request.as_json:
        show(ran.report.as_json())
    else:
        print_outcome(ran.report, request.data_dir)
    return ExitCode.CANCELLED if ran.stopped else of_job(ran.report.job)
