"""`aicd demo`: the main job on a small sample repository, from a failing test to an open pull request."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.commands.run import RunRequest, run
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson
from aicd_cli.process import run_process
from aicd_cli.runtime import load_settings, open_store
from aicd_cli.sample import ISSUE, make_sample
from aicd_cli.stories import print_story
from aicd_core.db.pages import PageRequest
from aicd_core.errors import InvalidInputError
from aicd_core.jobs import repository as jobs
from aicd_core.orchestrator import IssueText, read_report
from aicd_core.settings import Settings

EXAMPLE = "Example:  aicd demo --dir /tmp/aicd-demo"


def command(
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="D", help="Where to put it; default: a new folder in /tmp.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the main job on a sample repository: a wrong patch is rejected, the next one becomes a pull request."""

    async def work() -> ExitCode:
        place = (directory or Path(tempfile.mkdtemp(prefix="aicd-demo-"))).absolute()
        return await show_demo(place, as_json=as_json)

    run_process(work, as_json=as_json)


async def show_demo(place: Path, *, as_json: bool = False) -> ExitCode:
    """Makes the sample in `place`, runs the job, and shows what came of it; as JSON, what `aicd run --json` does."""
    try:
        sample = make_sample(place / "sample")
    except OSError as error:
        raise InvalidInputError(
            f"The sample cannot be made in {place}: {error.strerror}. Choose another --dir."
        ) from error
    settings = load_settings(place / "data")
    if not as_json:
        _say(f"A sample repository with a failing test is in {sample}. The issue:\n\n{ISSUE}")
    issue = IssueText.parse(ISSUE.encode(), max_bytes=settings.issue_max_bytes, name="The issue")
    request = RunRequest(
        str(sample), issue, agent="dummy", base=None, yes=True, anew=True, as_json=as_json, data_dir=settings.data_dir
    )
    code = await run(settings, request)
    if not as_json:
        await _show(settings, sample)
        _say(f"\nLook around:  cd {sample} && git log --all --oneline\nRemove it:    rm -r {place}")
    return code


async def _show(settings: Settings, sample: Path) -> None:
    """The story of the only job, and its diff."""
    async with open_store(settings) as store:
        async with store.database.read(store.tenant) as session:
            job = (await jobs.list_jobs(session, store.tenant, PageRequest(limit=1))).items[0]
        report = await read_report(store.database, store.tenant, job.id)
    _say("\n--- the story " + "-" * 60)
    print_story(report)
    if report.pull_request is not None:
        _say("\n--- the diff " + "-" * 61)
        branches = f"{report.pull_request.base_branch}...{report.pull_request.branch}"
        sys.stdout.flush()
        shown = await asyncio.create_subprocess_exec("git", "--no-pager", "-C", str(sample), "diff", branches)
        await shown.wait()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
