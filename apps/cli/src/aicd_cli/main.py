"""The command line: which commands there are."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from aicd_cli.commands import (
    backup,
    control,
    demo,
    doctor,
    github,
    github_setup,
    jobs,
    journal,
    keys,
    limits,
    logs,
    migrate,
    org,
    policy,
    replay,
    triggers,
    verify,
    worker,
)
from aicd_cli.commands import run as run_command
from aicd_cli.exit_codes import ExitCode
from aicd_cli.plugins import add_commands
from aicd_cli.process import ProcessEnd, complain_as_json

app = typer.Typer(
    name="aicd",
    epilog="Example:  aicd run --repo . --issue-file issue.md",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"aicd {version('aicd-cli')}\n")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """AI-CD turns an issue into a reviewed pull request."""


app.command("run", epilog=run_command.EXAMPLE)(run_command.command)
app.command("jobs", epilog=jobs.LIST_EXAMPLE)(jobs.list_command)
app.command("show", epilog=jobs.SHOW_EXAMPLE)(jobs.show_command)
app.command("logs", epilog=logs.EXAMPLE)(logs.command)
app.command("worker", epilog=worker.EXAMPLE)(worker.command)
app.command("cancel", epilog=control.CANCEL_EXAMPLE)(control.cancel_command)
app.command("approve", epilog=control.APPROVE_EXAMPLE)(control.approve_command)
app.command("resume", epilog=control.RESUME_EXAMPLE)(control.resume_command)
app.command("replay", epilog=replay.EXAMPLE)(replay.command)
app.command("verify", epilog=verify.EXAMPLE)(verify.command)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.command)
app.command("demo", epilog=demo.EXAMPLE)(demo.command)
app.command("migrate", epilog=migrate.EXAMPLE)(migrate.command)
app.command("restore", epilog=backup.RESTORE_EXAMPLE)(backup.restore_command)
app.add_typer(backup.app, name="backup")
app.add_typer(journal.app, name="journal")
github.app.command("setup", epilog=github_setup.EXAMPLE)(github_setup.command)
app.add_typer(github.app, name="github")
app.add_typer(keys.app, name="keys")
org.app.command("limits", epilog=limits.EXAMPLE)(limits.command)
org.app.command("triggers", epilog=triggers.EXAMPLE)(triggers.command)
app.add_typer(org.app, name="org")
app.add_typer(policy.app, name="policy")
add_commands(app)


def run() -> None:
    """Runs the command that was typed; with `--json`, an unusable command line is an object on stdout, too."""
    try:
        app()
    except ProcessEnd:
        raise
    except SystemExit as ended:
        if ended.code == ExitCode.USAGE and "--json" in sys.argv:
            complain_as_json("The command line cannot be understood; stderr says why.", "usage")
        raise
