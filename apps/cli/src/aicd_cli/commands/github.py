"""`aicd github`: what belongs to GitHub."""

import importlib
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.logs import begin_to_log
from aicd_cli.options import DataDir
from aicd_cli.process import run_process
from aicd_core.settings import Settings

SERVE_EXAMPLE = "Example:  AICD_GITHUB_WEBHOOK_SECRET=… aicd github serve --port 8081"

app = typer.Typer(no_args_is_help=True, epilog=SERVE_EXAMPLE, help="Connect GitHub, and receive what it tells.")


@app.command("serve", epilog=SERVE_EXAMPLE)
def serve_command(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 picks a free one.")] = 8081,
    data_dir: DataDir = None,
) -> None:
    """Take in GitHub's webhooks at /webhooks/github: verify, store, answer. `aicd worker` handles them.

    SIGTERM or Ctrl-C ends it well.
    """

    async def work() -> ExitCode:
        settings = Settings.load(data_dir=data_dir)
        begin_to_log(settings)
        await importlib.import_module("aicd_cli.webhook_server").serve(settings, host, port)
        return ExitCode.OK

    run_process(work, as_json=False)
