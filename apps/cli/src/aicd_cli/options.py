"""Options that several commands share, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from aicd_cli.completing import job_ids

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="D",
        help="Where the database, mirrors and work trees live. [env: AICD_DATA_DIR; default: ~/.local/share/aicd]",
        show_default=False,
    ),
]
JOB = typer.Argument(metavar="JOB", help="The job's id, as `aicd jobs` lists it.", autocompletion=job_ids)
JobArgument = Annotated[str, JOB]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")
]
