"""`aicd logs`: what a job's watchers were told, afterwards or as it happens."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from aicd_cli.commands.jobs import parse_job_id
from aicd_cli.exit_codes import ExitCode
from aicd_cli.following import following
from aicd_cli.options import DataDir, JobArgument
from aicd_cli.process import run_process, show
from aicd_cli.runtime import Store, load_settings, open_store
from aicd_core.db.pages import MAX_PAGE, PageRequest, cursor_of
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.log import repository as log
from aicd_core.jobs.log.values import LogKind, LogLine
from aicd_core.jobs.machine import TERMINAL, JobState
from aicd_core.jobs.service import require_job
from aicd_core.jobs.values import EventView
from aicd_core.orchestrator.log_keeper import GATHER_SECONDS
from aicd_core.text import one_line

EXAMPLE = "Example:  aicd logs -f 01a20a19-b883-7345-9527-cba0433a3c7f"
LAST_WORDS_SECONDS = GATHER_SECONDS + 1.0
"""After a job has ended, what was told of it until then is kept; workers gather lines for a moment."""


def command(
    job: JobArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as it happens, until the job has ended or Ctrl-C.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object on a line of its own for each.")] = False,
) -> None:
    """Show what happened to a job and what was said and run meanwhile, oldest first.

    What commands printed is not in it: `aicd show JOB --logs` has that. Logs of ended jobs are let go of after
    AICD_JOURNAL_DAYS.
    """

    async def work() -> ExitCode:
        job_id = parse_job_id(job)
        async with open_store(load_settings(data_dir)) as store:
            async for line in lines_of(store, job_id, follow=follow):
                if as_json:
                    show(line.as_json())
                else:
                    sys.stdout.write(line.text() + "\n")
                with suppress(OSError):
                    sys.stdout.flush()
        return ExitCode.OK

    run_process(work, as_json=as_json)


@dataclass(frozen=True)
class Line:
    """A thing that happened to the job, or that was told of it."""

    at: datetime
    told: EventView | LogLine

    def text(self) -> str:
        """For a person."""
        stamp = self.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        match self.told:
            case EventView() as event:
                reason = one_line(str(event.detail.get("reason", "")), 300)
                return f"{stamp}  {event.state.value}" + (f": {reason}" if reason else "")
            case LogLine(kind=LogKind.COMMAND) as line:
                took = "" if line.seconds is None else f" in {line.seconds:.1f} s"
                return f"{stamp}    $ {one_line(line.text, 300)}: {one_line(line.outcome or '', 200)}{took}"
            case LogLine() as line:
                return f"{stamp}    {one_line(line.text, 600)}"

    def as_json(self) -> dict[str, object]:
        """For a program."""
        match self.told:
            case EventView() as event:
                name = event.event.value if event.event else "made"
                return {"at": self.at.isoformat(), "kind": "event", "event": name, "state": event.state.value}
            case LogLine() as line:
                told: dict[str, object] = {"at": self.at.isoformat(), "kind": line.kind.value, "text": line.text}
                return told | ({} if line.outcome is None else {"outcome": line.outcome, "seconds": line.seconds})


@dataclass
class _Reader:
    """Reads on from where it was."""

    store: Store
    job_id: JobId
    version: int = -1
    number: int = 0

    async def read(self) -> list[Line]:
        """All that is new, in order of time."""
        tenant, found = self.store.tenant, list[Line]()
        async with self.store.database.read(tenant) as session:
            for event in await jobs.list_events(session, tenant, self.job_id, self.version):
                found.append(Line(event.created_at, event))
                self.version = event.version
            more = True
            while more:
                page = await log.list_lines(session, tenant, self.job_id, PageRequest(MAX_PAGE, cursor_of(self.number)))
                found += [Line(line.said_at, line) for line in page.items]
                self.number = page.items[-1].number if page.items else self.number
                more = page.next_cursor is not None
        return sorted(found, key=lambda line: line.at)

    async def state(self) -> JobState:
        """Where the job is.

        Raises:
            NotFoundError: nowhere.
        """
        async with self.store.database.read(self.store.tenant) as session:
            return (await require_job(session, self.store.tenant, self.job_id)).state


async def lines_of(store: Store, job_id: JobId, *, follow: bool) -> AsyncIterator[Line]:
    """What happened to a job and what was told of it; `follow`: also what comes, until it has ended or a stop signal.

    Raises:
        NotFoundError: there is no such job.
    """
    reader = _Reader(store, job_id)
    await reader.state()
    if follow:
        async for line in _until_end(reader):
            yield line
    for line in await reader.read():
        yield line


async def _until_end(reader: _Reader) -> AsyncIterator[Line]:
    """All but what is told at the very end."""
    async with following(reader.store.system, reader.job_id) as changes:
        while not changes.stopped:
            ended = await reader.state() in TERMINAL
            for line in await reader.read():
                yield line
            if ended:
                await asyncio.sleep(LAST_WORDS_SECONDS)
                return
            await changes.wait()
