"""The commands that this package adds to `aicd`; see `aicd_cli.plugins` for why nothing heavy is imported here."""

import importlib
import logging
import sys
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import DataDir
from aicd_cli.process import run_process

UP_EXAMPLE = "Example:  aicd up --port 8080 --concurrency 2"


def register(app: typer.Typer) -> None:
    """Adds `aicd up`."""
    app.command("up", epilog=UP_EXAMPLE)(up_command)


def up_command(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 picks a free one.")] = 8080,
    concurrency: Annotated[int, typer.Option(min=1, max=256, metavar="N", help="Jobs at work at once.")] = 2,
    drain_timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Once told to stop, steps at work get so long to end.")
    ] = 60.0,
    data_dir: DataDir = None,
) -> None:
    """Run everything in one process: the API server and a worker, on the embedded database unless another is set.

    SIGTERM or Ctrl-C ends both well; a second one ends the process at once.
    """

    async def work() -> ExitCode:
        together = importlib.import_module("aicd_backend.together")
        await together.run(host, port, concurrency, drain_timeout, data_dir)
        return ExitCode.OK

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    run_process(work, as_json=False)
