"""`aicd journal`: what was said to models, out as a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, TextIO

import typer

from aicd_cli.commands.jobs import parse_job_id
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir, JobArgument
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, open_store
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import export_cassette, redaction_of
from aicd_core.text import number_of

EXPORT_EXAMPLE = "Example:  aicd journal export 01a20a19-b883-7345-9527-cba0433a3c7f --to job.jsonl"

PLAN_LINE = '{"result":{"kind":"plan"'

app = typer.Typer(help="Take what was said to models out as a file.", epilog=EXPORT_EXAMPLE, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Take what was said to models out as a file."""


@app.command("export", epilog=EXPORT_EXAMPLE)
def export_command(
    job: JobArgument,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a job's journal as a cassette: its results, each request and each reply, as JSON Lines.

    `aicd replay --cassette FILE` plays it on any machine that has the repository, without the database. Credentials
    are masked by their look, secrets of this process by their value, and what AICD_REDACT_PATTERNS matches; look
    through the file all the same before you publish it: it holds the issue and what the agent saw of the code.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        redaction = redaction_of(settings, os.environ)
        job_id = parse_job_id(job)
        lines, planned = 0, False
        async with open_store(settings) as store:
            with _new_file(to) as file:
                async for line in export_cassette(store.database, store.tenant, job_id, redaction):
                    file.write(line)
                    lines += 1
                    planned = planned or line.startswith(PLAN_LINE)
        if as_json:
            show({"file": str(to), "lines": lines, "replayable": planned})
            return ExitCode.OK
        play = f"Play them:  aicd replay --cassette {to} --repo ."
        none = "The job has no plan, so there is nothing to replay; what was said to models is there to be read."
        sys.stdout.write(f"{number_of(lines, 'line')} are in {to}. {play if planned else none}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file to write a cassette into, which is gone again unless all of it is written.

    Raises:
        InvalidInputError: code `bad_output`: it cannot be made, is there already, or the disk refuses.
    """
    opened = False
    try:
        # It holds source and prompts: its owner's alone.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            opened = True
            yield file
    except BaseException as error:
        if opened:
            with suppress(OSError):
                path.unlink()  # the half of a cassette is none
        if not isinstance(error, OSError):
            raise
        raise InvalidInputError(
            f"{path} cannot be written: {error.strerror}. Name a new file in a folder that is there.",
            code="bad_output",
        ) from error
