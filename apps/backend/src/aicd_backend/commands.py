"""The commands that this package adds to `aicd`; see `aicd_cli.plugins` for why nothing heavy is imported here."""

import importlib
import json
import sys
from typing import Annotated

import typer

from aicd_backend.billing_commands import app as billing
from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show

UP_EXAMPLE = "Example:  aicd up --port 8080 --concurrency 2"


SERVE_EXAMPLE = "Example:  AICD_ENV=production aicd serve --host 0.0.0.0 --port 8080"
OPENAPI_EXAMPLE = "Example:  aicd openapi > openapi.json"
BOOTSTRAP_EXAMPLE = "Example:  aicd admin bootstrap --org acme --email ada@example.org"
KEY_EXAMPLE = "Example:  aicd admin key --org acme"

admin = typer.Typer(help="What only whoever runs the server may do.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds `aicd up`, `aicd serve`, `aicd openapi`, `aicd admin` and `aicd billing`."""
    app.command("up", epilog=UP_EXAMPLE)(up_command)
    app.command("serve", epilog=SERVE_EXAMPLE)(serve_command)
    app.command("openapi", epilog=OPENAPI_EXAMPLE)(openapi_command)
    app.add_typer(admin, name="admin")
    app.add_typer(billing, name="billing")


def serve_command(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 picks a free one.")] = 8080,
) -> None:
    """Run the API server alone; workers are processes of their own (`aicd worker`), on as many machines as you like.

    SIGTERM lets requests at work end, AICD_SHUTDOWN_TIMEOUT seconds at the most. A database that is away is waited for.
    """
    raise typer.Exit(importlib.import_module("aicd_backend.server").main(["--host", host, "--port", str(port)]))


def openapi_command() -> None:
    """Print the OpenAPI 3.1 document of the API, as a running server has it at /openapi.json."""
    document = importlib.import_module("aicd_backend.app").describe()
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


@admin.command("bootstrap", epilog=BOOTSTRAP_EXAMPLE)
def bootstrap_command(
    email: Annotated[str, typer.Option(metavar="ADDRESS", help="The first owner's; he logs in with it.")],
    org: Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization; made if there is none.")],
    name: Annotated[str, typer.Option(metavar="TEXT", help="The first owner's name.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make an organization's first owner, and an API key that may do everything there.

    You vouch for the address: whoever has verified it at a login provider comes in as the owner. The key alone is on
    stdout, and is not shown again. An organization that has an owner gets no other one this way.
    """

    async def work() -> ExitCode:
        bootstrap = importlib.import_module("aicd_backend.bootstrap")
        token = await bootstrap.bootstrap(data_dir, org, email, name)
        sys.stderr.write(f"{email} owns {org}. This API key may do everything there, and is not shown again:\n")
        if as_json:
            show({"org": org, "email": email, "api_key": token.reveal()})
        else:
            sys.stdout.write(f"{token.reveal()}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


@admin.command("key", epilog=KEY_EXAMPLE)
def key_command(
    org: Annotated[str, typer.Option("--org", metavar="SLUG", help="The organization.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make another API key that may do everything in an organization, where the first one is lost.

    The key alone is on stdout, and is not shown again. The audit log says that it was made. Keys that are lost go on
    being good until somebody revokes them, in the console or by the API.
    """

    async def work() -> ExitCode:
        token = await importlib.import_module("aicd_backend.bootstrap").make_another_key(data_dir, org)
        sys.stderr.write(f"This API key may do everything in {org}, and is not shown again:\n")
        if as_json:
            show({"org": org, "api_key": token.reveal()})
        else:
            sys.stdout.write(f"{token.reveal()}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


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

    A database that is away is waited for. SIGTERM or Ctrl-C ends both well; a second one ends the process at once.
    """

    async def work() -> ExitCode:
        together = importlib.import_module("aicd_backend.together")
        await together.run(host, port, concurrency, drain_timeout, data_dir)
        return ExitCode.OK

    run_process(work, as_json=False)
